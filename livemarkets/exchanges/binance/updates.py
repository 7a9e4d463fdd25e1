"""Parses Binance's tickers, best bids and asks, and order books. No I/O.

Source: Binance spot API documents, `web-socket-streams.md` ("Individual Symbol Ticker Streams", "All Market
Rolling Window Statistics Streams", "Individual Symbol Book Ticker Streams", "Partial Book Depth Streams").

A side of an order book on which nobody waits has the price and size 0 in a ticker, and becomes `None`. Other
impossible values are an error, and the update is dropped: the next one replaces it anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from operator import gt, lt
from typing import Protocol

import msgspec

from livemarkets.errors import MalformedMessage
from livemarkets.exchanges.binance.klines import parse_kline
from livemarkets.exchanges.binance.messages import plausible, plausible_ms, shortened
from livemarkets.market.channels import ALL_SYMBOLS, BOOK, CANDLES, DEPTH, TICKERS
from livemarkets.market.models import ExchangeName, StreamKey
from livemarkets.market.updates import (
    BookUpdate,
    DepthUpdate,
    Level,
    StreamUpdate,
    TickerRow,
    TickersDelta,
    TickerUpdate,
    ticker_of,
)

__all__ = ["Complain", "Figures", "OrderBook", "Parse", "depth_of", "parser_of", "row_of", "side_of"]

Complain = Callable[[str, str], None]
"""Takes the kind and the details of an error in a part of a frame, whose other parts are used."""
Parse = Callable[[bytes, StreamKey, int, Complain], StreamUpdate]
"""Parses a frame of a stream, which was read at this time. Raises `MalformedMessage`."""

_MOST_LEVELS = 20
_LARGEST = Decimal("1e40")


class Figures(Protocol):
    """The figures of a ticker, under the names of the streams. The documents of the fields are there."""

    s: str
    E: int
    p: Decimal
    P: Decimal
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741
    c: Decimal
    v: Decimal
    q: Decimal
    O: int  # noqa: E741
    L: int | None
    n: int


class _Figures(msgspec.Struct, gc=False):
    """The fields that a ticker of one symbol and one of the rolling windows have in common."""

    s: str
    E: int
    p: Decimal
    P: Decimal
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741
    c: Decimal
    v: Decimal
    q: Decimal
    O: int  # noqa: E741
    L: int | None
    n: int


class _TickerData(_Figures, gc=False):
    """`{"e":"24hrTicker","E":1672515782136,"s":"BNBBTC","p":"0.0015","P":"250.00","b":"0.0024","B":"10",…}`."""

    b: Decimal | None
    B: Decimal | None
    a: Decimal | None
    A: Decimal | None


class _TickerFrame(msgspec.Struct, gc=False):
    data: _TickerData


class _RowsFrame(msgspec.Struct, gc=False):
    data: list[_Figures]


class _RawRowsFrame(msgspec.Struct, gc=False):
    data: list[msgspec.Raw]


class _BookData(msgspec.Struct, gc=False):
    """`{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21","a":"25.36520000","A":"40.66"}`."""

    u: int
    s: str
    b: Decimal | None
    B: Decimal | None
    a: Decimal | None
    A: Decimal | None


class _BookFrame(msgspec.Struct, gc=False):
    data: _BookData


class _Level(msgspec.Struct, array_like=True, gc=False):
    """`["0.0024","10"]`. Further entries, such as the `[]` of former years, are ignored."""

    price: Decimal
    size: Decimal


class OrderBook(msgspec.Struct, gc=False):
    """`{"lastUpdateId":160,"bids":[["0.0024","10"],…],"asks":[["0.0026","100"],…]}`, without a symbol."""

    lastUpdateId: int
    bids: list[_Level]
    asks: list[_Level]


class _DepthFrame(msgspec.Struct, gc=False):
    data: OrderBook


_decode_ticker = msgspec.json.Decoder(_TickerFrame).decode
_decode_rows = msgspec.json.Decoder(_RowsFrame).decode
_decode_raw_rows = msgspec.json.Decoder(_RawRowsFrame).decode
_decode_row = msgspec.json.Decoder(_Figures).decode
_decode_book = msgspec.json.Decoder(_BookFrame).decode
_decode_depth = msgspec.json.Decoder(_DepthFrame).decode

_Prices = tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]

_NOT_READABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, ValueError)


def parser_of(key: StreamKey) -> Parse:
    """Return what parses the frames of a stream."""
    return _parse_tickers if key.symbol == ALL_SYMBOLS else _PARSERS[key.channel]


def _parse_book(raw: bytes, key: StreamKey, recv_ts: int, complain: Complain) -> BookUpdate:
    try:
        data = _decode_book(raw).data
        _check_symbol(data.s, key)
        bid, bid_size = side_of(data.b, data.B)
        ask, ask_size = side_of(data.a, data.A)
        if bid is not None and ask is not None and not bid < ask:
            raise ValueError("bid and ask cross")
    except (*_NOT_READABLE, InvalidOperation) as error:
        raise MalformedMessage("malformed book", f"{error}: {shortened(raw)}") from None
    return BookUpdate(key.exchange, key.symbol, bid, bid_size, ask, ask_size, data.u, recv_ts)


def _parse_depth(raw: bytes, key: StreamKey, recv_ts: int, complain: Complain) -> DepthUpdate:
    try:
        return depth_of(key.exchange, key.symbol, _decode_depth(raw).data, recv_ts)
    except (*_NOT_READABLE, InvalidOperation) as error:
        raise MalformedMessage("malformed depth", f"{error}: {shortened(raw)}") from None


def _parse_ticker(raw: bytes, key: StreamKey, recv_ts: int, complain: Complain) -> TickerUpdate:
    try:
        data = _decode_ticker(raw).data
        _check_symbol(data.s, key)
        row = row_of(data)
        bid, bid_size = side_of(data.b, data.B)
        ask, ask_size = side_of(data.a, data.A)
    except (*_NOT_READABLE, InvalidOperation) as error:
        raise MalformedMessage("malformed ticker", f"{error}: {shortened(raw)}") from None
    return ticker_of(key.exchange, row, (bid, bid_size, ask, ask_size), recv_ts)


def _parse_tickers(raw: bytes, key: StreamKey, recv_ts: int, complain: Complain) -> TickersDelta:
    """Parse the tickers of all symbols. An odd one is reported, and costs the others nothing."""
    rows: list[TickerRow] = []
    for data in _figures(raw, complain):
        try:
            rows.append(row_of(data))
        except (ValueError, InvalidOperation) as error:
            complain("malformed ticker", f"{data.s[:40]!a}: {error}")
    return TickersDelta(key.exchange, tuple(rows), recv_ts)


def _figures(raw: bytes, complain: Complain) -> Sequence[_Figures]:
    try:
        return _decode_rows(raw).data
    except _NOT_READABLE:
        pass
    try:
        entries = _decode_raw_rows(raw).data
    except _NOT_READABLE as error:
        raise MalformedMessage("malformed tickers", f"{error}: {shortened(raw)}") from None
    found = []
    for entry in entries:
        try:
            found.append(_decode_row(entry))
        except _NOT_READABLE as error:
            complain("malformed ticker", f"{error}: {shortened(bytes(entry))}")
    return found


_PARSERS: dict[str, Parse] = {
    TICKERS: _parse_ticker,
    BOOK: _parse_book,
    DEPTH: _parse_depth,
    CANDLES: parse_kline,
}


def row_of(data: Figures) -> TickerRow:
    """Return the figures of a ticker, checked.

    Raises:
        ValueError, InvalidOperation: they are impossible.

    """
    last, opened, high, low = data.c, data.o, data.h, data.l
    if data.n < 0 or not (plausible_ms(data.E) and plausible_ms(data.O)):
        raise ValueError("a time or a count is impossible")
    if not (0 <= data.v < _LARGEST and 0 <= data.q < _LARGEST):
        raise ValueError("a volume is impossible")
    if not (-_LARGEST < data.p < _LARGEST and -_LARGEST < data.P < _LARGEST):
        raise ValueError("a change is impossible")
    if plausible(last, opened) and plausible(low, high):
        prices: _Prices = last, opened, high, low
    elif not data.n and not (last or opened or high or low):
        prices = None, None, None, None  # there was no trade
    else:
        raise ValueError("a price is impossible")
    last_id = data.L if data.L is not None and data.L >= 0 else None
    return TickerRow(data.s, *prices, data.p, data.P, data.v, data.q, data.n, last_id, data.O, data.E)


def depth_of(exchange: ExchangeName, symbol: str, data: OrderBook, recv_ts: int) -> DepthUpdate:
    """Return the best levels of an order book, checked.

    Raises:
        ValueError, InvalidOperation: they are impossible.

    """
    bids = tuple((level.price, level.size) for level in data.bids[:_MOST_LEVELS])
    asks = tuple((level.price, level.size) for level in data.asks[:_MOST_LEVELS])
    _check_levels(bids)
    _check_levels(asks)
    bid_prices, ask_prices = [price for price, _ in bids], [price for price, _ in asks]
    if not (all(map(gt, bid_prices, bid_prices[1:])) and all(map(lt, ask_prices, ask_prices[1:]))):
        raise ValueError("its levels are not in order")
    if bids and asks and not bid_prices[0] < ask_prices[0]:
        raise ValueError("bid and ask cross")
    return DepthUpdate(exchange, symbol, bids, asks, data.lastUpdateId, recv_ts)


def _check_symbol(symbol: str, key: StreamKey) -> None:
    if symbol != key.symbol:
        raise ValueError("it is about another symbol")


def side_of(price: Decimal | None, size: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
    """Return the best price of a side with its size, or two `None`s if nobody waits there.

    Raises:
        ValueError, InvalidOperation: they are impossible.

    """
    if not price and not size:
        return None, None
    if price is None or size is None or not plausible(price, size):
        raise ValueError("a price or a size is impossible")
    return price, size


def _check_levels(levels: Sequence[Level]) -> None:
    """Raise an error if a price or size is impossible. The extremes of all levels are those to look at."""
    if not levels:
        return
    prices = [price for price, _ in levels]
    sizes = [size for _, size in levels]
    if not (plausible(min(prices), min(sizes)) and plausible(max(prices), max(sizes))):
        raise ValueError("a price or a size is impossible")
