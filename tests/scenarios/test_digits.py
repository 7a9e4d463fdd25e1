"""From the exchange's frame to the wire and the page: every digit, and never an exponent."""

import json
from decimal import Decimal

import pytest

from livemarkets.exchanges.binance.messages import parse_frame
from livemarkets.market.models import StreamKey, TradeTick
from livemarkets.protocol.encoding import encode_snapshots, encode_trade
from pages.number_format import significant_decimals, trimmed

FRAME = (
    '{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":7,"p":%s,"q":%s,'
    '"T":1723161255342,"m":true,"M":true}}'
)


@pytest.mark.parametrize(
    ("sent", "number", "shown"),
    [
        ('"0.00000001"', "0.00000001", "0.00000001"),
        ('"1E-8"', "0.00000001", "0.00000001"),
        ("1e-8", "0.00000001", "0.00000001"),
        ('"1.9e-07"', "0.00000019", "0.00000019"),
        ('"0.00100000"', "0.00100000", "0.001"),
        ('"123456789012345678.12345678"', "123456789012345678.12345678", "123456789012345678.12345678"),
        ("123456789012345678.12345678", "123456789012345678.12345678", "123456789012345678.12345678"),
        ('"1E+5"', "100000", "100000"),
        ('"1000000"', "1000000", "1000000"),
    ],
)
def test_a_price_keeps_its_digits_and_has_no_exponent(sent: str, number: str, shown: str) -> None:
    tick = parse_frame((FRAME % (sent, sent)).encode(), "binance", 1)
    assert isinstance(tick, TradeTick)
    (snapshot,) = encode_snapshots(StreamKey.trades("binance", "BTCUSDT"), [tick])
    for payload in (encode_trade(tick), snapshot):
        assert f'"price":{number},"size":{number},'.encode() in payload
        assert json.loads(payload, parse_float=Decimal)
    text = trimmed(tick.price, significant_decimals(tick.price))
    assert text == shown
    assert Decimal(text) == Decimal(number)
