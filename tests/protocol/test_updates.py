"""Messages about tickers, best bids and asks, and depth: every field, every digit."""

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.market.channels import ALL_SYMBOLS, TICKERS
from livemarkets.market.models import StreamKey
from livemarkets.market.updates import BookUpdate, DepthUpdate, TickerRow, TickerUpdate
from livemarkets.protocol.update_messages import (
    BookData,
    BookMessage,
    DepthData,
    DepthMessage,
    TickerData,
    TickerFigures,
    TickerMessage,
    TickersMessage,
)
from livemarkets.protocol.updates import (
    encode_depth,
    encode_row,
    encode_rows,
    encode_update,
    encode_update_snapshot,
)
from tests.support.updates import (
    ALL_TICKERS,
    BTC_BOOK,
    BTC_DEPTH,
    BTC_TICKER,
    make_book,
    make_depth,
    make_row,
    make_ticker,
)

encode = msgspec.json.Encoder(decimal_format="number").encode
NAMES = st.sampled_from(["BTCUSDT", "ETHUSDT", "E", "1E5", "币安人生USDT", "ÉE"])
EXCHANGES = st.sampled_from(["binance", "simulator", "x", "exchange-with-a-long-name"])
POSITIVE = st.decimals("0.00000001", "99999999", places=8)
SIDE = st.one_of(st.none(), POSITIVE)
ANY = st.decimals("-9999999", "9999999", places=8)
COUNT = st.integers(0, 2**53)


@st.composite
def books(draw: st.DrawFn) -> BookUpdate:
    figures = draw(SIDE), draw(SIDE), draw(SIDE), draw(SIDE)
    return BookUpdate(draw(EXCHANGES), draw(NAMES), *figures, draw(st.one_of(st.none(), COUNT)), draw(COUNT))


@st.composite
def depths(draw: st.DrawFn) -> DepthUpdate:
    side = st.lists(st.tuples(POSITIVE, POSITIVE), max_size=20).map(tuple)
    return DepthUpdate(draw(EXCHANGES), draw(NAMES), draw(side), draw(side), draw(COUNT), draw(COUNT))


@st.composite
def rows(draw: st.DrawFn) -> TickerRow:
    prices = draw(SIDE), draw(SIDE), draw(SIDE), draw(SIDE)
    figures = draw(ANY), draw(ANY), draw(POSITIVE), draw(POSITIVE)
    return TickerRow(
        draw(NAMES),
        *prices,
        *figures,
        draw(COUNT),
        draw(st.one_of(st.none(), COUNT)),
        draw(COUNT),
        draw(COUNT),
    )


@st.composite
def tickers(draw: st.DrawFn) -> TickerUpdate:
    row = draw(rows())
    best = draw(SIDE), draw(SIDE), draw(SIDE), draw(SIDE)
    prices = row.symbol, row.last, row.open, row.high, row.low
    sums = row.change, row.change_percent, row.volume, row.quote_volume, row.trades
    return TickerUpdate(draw(EXCHANGES), *prices, *sums, *best, row.open_ts, row.last_id, row.ts, draw(COUNT))


def digits(value: object) -> object:
    """A value of which two are equal only with the same digits."""
    return msgspec.json.encode(msgspec.to_builtins(value, builtin_types=(Decimal,)))


def reads(payload: bytes, kind: type, value: msgspec.Struct) -> None:
    """Check that a message is of this type, and has all fields of a value with their digits and no more."""
    message: Any = msgspec.json.decode(payload, type=kind)
    shown = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    tag = kind.__struct_config__.tag  # type: ignore[attr-defined]
    assert bytes(shown.pop("type")) == b'"%b"' % tag.encode()
    assert list(shown) == [name for name in message.__struct_fields__ if name in shown]
    for name in value.__struct_fields__:
        assert digits(getattr(message, name)) == digits(getattr(value, name)), name
    assert shown.keys() == set(value.__struct_fields__)
    assert b"E" not in b"".join(
        bytes(raw) for name, raw in shown.items() if name not in ("exchange", "symbol")
    )


@given(books())
def test_a_book_has_every_field_and_digit(update: BookUpdate) -> None:
    reads(encode_update(update), BookMessage, update)


@given(tickers())
def test_a_ticker_has_every_field_and_digit(update: TickerUpdate) -> None:
    reads(encode_update(update), TickerMessage, update)


@given(depths(), st.sampled_from([5, 10, 20]))
def test_depth_has_the_levels_that_were_asked_for(update: DepthUpdate, levels: int) -> None:
    payload = encode_depth(update, levels)
    message = msgspec.json.decode(payload, type=DepthMessage)
    assert (message.exchange, message.symbol, message.levels) == (update.exchange, update.symbol, levels)
    assert digits(message.bids) == digits(update.bids[:levels])
    assert digits(message.asks) == digits(update.asks[:levels])
    assert (message.update_id, message.recv_ts) == (update.update_id, update.recv_ts)
    assert b"E-" not in payload


@given(st.lists(rows(), max_size=5))
def test_rows_have_every_field_and_digit(many: list[TickerRow]) -> None:
    payload = encode_rows(ALL_TICKERS, [encode_row(row) for row in many])
    message = msgspec.json.decode(payload, type=TickersMessage)
    assert (message.exchange, message.channel, message.symbols) == ("binance", "tickers", "*")
    assert [digits(row) for row in message.data] == [digits(row) for row in many]
    for row in many:
        raw = encode_row(row)
        assert list(msgspec.json.decode(raw)) == list(TickerFigures.__struct_fields__)


def test_the_messages_are_the_documented_ones() -> None:
    assert encode_update(make_book(1)) == (
        b'{"type":"book","exchange":"binance","symbol":"BTCUSDT","bid":60000.01,"bid_size":1.20000,'
        b'"ask":60000.02,"ask_size":0.80000,"update_id":1,"recv_ts":1723161255000}'
    )
    assert encode_depth(make_depth(1, levels=1), 20) == (
        b'{"type":"depth","exchange":"binance","symbol":"BTCUSDT","levels":20,"bids":[[60000,1]],'
        b'"asks":[[60001,1.50]],"update_id":1,"recv_ts":1723161255000}'
    )
    assert encode_update(make_ticker(5, last_id=9)) == (
        b'{"type":"ticker","exchange":"binance","symbol":"BTCUSDT","last":61837.63,"open":60100.00,'
        b'"high":62000.00,"low":59800.10,"change":1737.63,"change_percent":2.891,"volume":18432.10000,'
        b'"quote_volume":1130000000.00,"trades":5,"bid":61837.62,"bid_size":1.20000,"ask":61837.63,'
        b'"ask_size":0.80000,"open_ts":1723074855000,"last_id":9,"ts":1723161255005,'
        b'"recv_ts":1723161255013}'
    )
    assert encode_rows(ALL_TICKERS, [encode_row(make_row(5))]) == (
        b'{"type":"tickers","exchange":"binance","channel":"tickers","symbols":"*","data":['
        b'{"symbol":"BTCUSDT","last":61837.63,"open":60100.00,"high":62000.00,"low":59800.10,'
        b'"change":1737.63,"change_percent":2.891,"volume":18432.10000,"quote_volume":1130000000.00,'
        b'"trades":5,"last_id":null,"open_ts":1723074855000,"ts":1723161255005}]}'
    )


def test_a_snapshot_has_the_newest_update_or_none() -> None:
    for key, update, wire, kind in (
        (BTC_BOOK, make_book(1), encode_update(make_book(1)), BookData),
        (BTC_TICKER, make_ticker(1), encode_update(make_ticker(1)), TickerData),
        (BTC_DEPTH, make_depth(1), encode_depth(make_depth(1), 5), DepthData),
    ):
        payload = encode_update_snapshot(key, update, 5)
        shown = msgspec.json.decode(payload)
        assert {name: shown[name] for name in ("type", "exchange", "channel", "symbol")} == {
            "type": "snapshot",
            "exchange": "binance",
            "channel": key.channel,
            "symbol": "BTCUSDT",
        }
        live = msgspec.json.decode(wire)
        del live["type"]
        assert shown["data"] == [live]
        assert list(live) == list(kind.__struct_fields__)
        assert msgspec.json.decode(encode_update_snapshot(key, None, 5))["data"] == []
    payload = encode_rows(ALL_TICKERS, [encode_row(make_row(1))], is_snapshot=True)
    assert msgspec.json.decode(payload)["symbol"] == "*"
    empty = encode_rows(StreamKey("x", TICKERS, ALL_SYMBOLS), (), is_snapshot=True)
    assert msgspec.json.decode(empty)["data"] == []
