"""What a client gets that speaks as to another server: a whole message that is right here."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.errors import ClientMessageError
from livemarkets.protocol.requests import (
    ListRequest,
    PingRequest,
    Request,
    SubscribeRequest,
    UnsubscribeRequest,
)
from livemarkets.protocol.requests import parse_request as parse
from tests.protocol.test_protocol import LIBRARY_WORDS, json_values, refusal

EXCHANGES = ("binance", "simulator")
SUBSCRIBE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("alpaca", {"action": "subscribe", "trades": ["BTC/USD"], "quotes": ["ETH/USD"]}, ["BTCUSD", "ETHUSD"]),
    (
        "binance",
        {"method": "SUBSCRIBE", "params": ["btcusdt@trade", "ethusdt@depth"]},
        ["BTCUSDT", "ETHUSDT"],
    ),
    ("binance all", {"method": "SUBSCRIBE", "params": ["!miniTicker@arr"]}, ["BTCUSDT"]),
    ("bitfinex", {"event": "subscribe", "channel": "trades", "symbol": "tBTCUSD"}, ["TBTCUSD"]),
    (
        "bybit",
        {"op": "subscribe", "args": ["publicTrade.BTCUSDT", "orderbook.50.ETHUSDT"]},
        ["BTCUSDT", "ETHUSDT"],
    ),
    ("coinbase", {"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "market_trades"}, ["BTCUSD"]),
    (
        "coinbase exchange",
        {"type": "subscribe", "channels": ["heartbeat", {"name": "ticker", "product_ids": ["ETH-EUR"]}]},
        ["ETHEUR"],
    ),
    ("gate", {"event": "subscribe", "channel": "spot.trades", "payload": ["BTC_USDT"]}, ["BTCUSDT"]),
    (
        "kraken",
        {"method": "subscribe", "params": {"channel": "trade", "symbol": ["BTC/USD", "ETH/EUR"]}},
        ["BTCUSD", "ETHEUR"],
    ),
    ("kraken 1", {"event": "subscribe", "pair": ["XBT/USD"], "subscription": {"name": "trade"}}, ["XBTUSD"]),
    ("kucoin", {"type": "subscribe", "topic": "/market/match:BTC-USDT,ETH-USDT"}, ["BTCUSDT", "ETHUSDT"]),
    ("okx", {"op": "subscribe", "args": [{"channel": "trades", "instId": "BTC-USDT"}]}, ["BTCUSDT"]),
    ("polygon", {"action": "subscribe", "params": "XT.BTC-USD,XQ.ETH-USD"}, ["BTCUSD", "ETHUSD"]),
    (
        "ours without an exchange",
        {"type": "subscribe", "channel": "trades", "symbol": "btcusdt"},
        ["BTCUSDT"],
    ),
    ("ours without a channel", {"type": "SUBSCRIBE", "exchange": "x", "symbols": ["ethusdt"]}, ["ETHUSDT"]),
    ("ours in a script", {"op": "subscribe", "symbols": ["币安人生usdt"]}, ["币安人生USDT"]),
]


def right_message(message: dict[str, Any]) -> dict[str, Any]:
    """The message in the text of the error."""
    with pytest.raises(ClientMessageError) as caught:
        parse(json.dumps(message), EXCHANGES, snapshot_limit=1000)
    assert caught.value.code == "invalid_message"
    assert not LIBRARY_WORDS.search(caught.value.message)
    found = json.loads(caught.value.message[caught.value.message.index("{") :])
    assert isinstance(found, dict)
    return found


def meant(message: dict[str, Any]) -> Request:
    return parse(json.dumps(right_message(message)), EXCHANGES, snapshot_limit=1000)


@pytest.mark.parametrize(
    ("message", "symbols"), [case[1:] for case in SUBSCRIBE], ids=[case[0] for case in SUBSCRIBE]
)
def test_a_subscription_in_another_dialect_gets_the_one_that_is_right_here(
    message: dict[str, Any], symbols: list[str]
) -> None:
    request = meant(message)
    assert isinstance(request, SubscribeRequest)
    assert (request.exchange, request.channel, list(request.symbols)) == ("binance", "trades", symbols)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"]}, UnsubscribeRequest),
        ({"op": "unsubscribe", "args": [{"channel": "trades", "instId": "BTC-USDT"}]}, UnsubscribeRequest),
        ({"type": "unsubscribe", "product_ids": ["BTC-USDT"]}, UnsubscribeRequest),
        ({"method": "LIST_SUBSCRIPTIONS"}, ListRequest),
        ({"op": "ping"}, PingRequest),
        ({"method": "ping"}, PingRequest),
    ],
)
def test_other_requests_are_recognised_too(message: dict[str, Any], kind: type[Request]) -> None:
    request = meant(message)
    assert isinstance(request, kind)
    assert not isinstance(request, UnsubscribeRequest) or request.symbols == ("BTCUSDT",)


def test_the_exchange_and_the_number_of_the_message_are_kept() -> None:
    found = right_message({"op": "subscribe", "exchange": "Simulator", "symbol": "ETHUSDT", "req_id": "a1"})
    assert (found["exchange"], found["id"]) == ("simulator", "a1")
    assert right_message({"method": "ping", "req_id": 101}) == {"type": "ping", "id": 101}
    assert right_message({"method": "ping", "id": 5, "req_id": 101})["id"] == 5


@pytest.mark.parametrize(
    "message",
    [
        {"action": "auth", "params": "s3cret"},
        {"action": "auth", "key": "s3cret", "secret": "s3cret"},
        {"op": "login", "args": [{"apiKey": "s3cret", "passphrase": "s3cret"}]},
    ],
)
def test_a_login_is_not_repeated(message: dict[str, Any]) -> None:
    assert "s3cret" not in json.dumps(right_message(message)).lower()


def test_the_message_is_bounded() -> None:
    found = right_message(
        {"op": "subscribe", "args": [f"publicTrade.X{number}USDT" for number in range(1000)]}
    )
    assert found["symbols"] == [f"X{number}USDT" for number in range(200)]


@given(
    st.dictionaries(
        st.sampled_from(("op", "action", "method", "event", "params", "args", "symbol", "product_ids", "id")),
        json_values | st.sampled_from(("subscribe", "UNSUBSCRIBE", "ping", "list", "btcusdt@trade")),
    )
)
def test_whatever_is_meant_the_message_is_right(message: dict[str, Any]) -> None:
    told = refusal(message)
    if told is not None and "{" in told:
        parse(told[told.index("{") :], EXCHANGES, snapshot_limit=1000)
    else:
        assert told is None or told.startswith(("id must", "the message is not JSON", "a number is out"))
