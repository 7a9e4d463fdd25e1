"""The shapes of the exchange's events and answers, and what is kept of them. No I/O.

Each `…_fault` returns what is wrong with a shape, in words without values, or `None`.
Source: Binance spot API documents, `web-socket-streams.md` and `rest-api.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

__all__ = [
    "Bar",
    "Day",
    "Trade",
    "bar_fault",
    "bar_of",
    "book_fault",
    "day_fault",
    "day_of",
    "decimal_fault",
    "depth_fault",
    "fields_fault",
    "lower_case",
    "trade_fault",
    "trade_of",
]

_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_SIGNED_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_TRADE = {"e": str, "E": int, "s": str, "t": int, "p": str, "q": str, "T": int, "m": bool}
_BAR = {
    **dict.fromkeys(("t", "T", "f", "L", "n"), int),
    **dict.fromkeys(("s", "i", "o", "c", "h", "l", "v", "q", "V", "Q"), str),
    "x": bool,
}
_DAY = {
    **dict.fromkeys(("E", "O", "C", "F", "L", "n"), int),
    **dict.fromkeys(("e", "s", "p", "P", "w", "c", "Q", "b", "B", "a", "A", "o", "h", "l", "v", "q"), str),
}
_BOOK = {"u": int, "s": str, "b": str, "B": str, "a": str, "A": str}
_LEVELS = 20


class Trade(msgspec.Struct, frozen=True, gc=False):
    """A trade of the stream.

    Args:
        id: the trade id.
        price: as it was written.
        size: as it was written.
        buyer_is_maker: `m`.
        ts_ms: `T`.
        event_ms: `E`.
        at: when it was read.

    """

    id: int
    price: str
    size: str
    buyer_is_maker: bool
    ts_ms: int
    event_ms: int
    at: float


class Bar(msgspec.Struct, frozen=True, gc=False):
    """One kline event. Prices and volumes as they were written; `at` is when it was read."""

    open_ms: int
    close_ms: int
    first_id: int
    last_id: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    count: int
    closed: bool
    event_ms: int
    at: float


class Day(msgspec.Struct, frozen=True, gc=False):
    """One ticker event: the ids of its window, its number of trades, `E`, and when it was read."""

    first_id: int
    last_id: int
    count: int
    event_ms: int
    at: float


def lower_case(symbol: str) -> str:
    """Return a symbol as in the names of streams: A to Z in lower case, everything else unchanged."""
    return "".join(letter.lower() if "A" <= letter <= "Z" else letter for letter in symbol)


def fields_fault(data: Any, wanted: Mapping[str, type]) -> str | None:
    """Return which field is missing or has another type."""
    if not isinstance(data, dict):
        return "it is not an object"
    for name, kind in wanted.items():
        if name not in data:
            return f"the field {name} is missing"
        if type(data[name]) is not kind:
            return f"the field {name} is not of the type {kind.__name__}"
    return None


def decimal_fault(data: Mapping[str, Any], names: Iterable[str], *, signed: bool = False) -> str | None:
    """Return which field is not a plain decimal, such as one with an exponent."""
    shape = _SIGNED_DECIMAL if signed else _DECIMAL
    for name in names:
        if not shape.fullmatch(data[name]):
            return f"the field {name} is not a plain decimal"
    return None


def trade_fault(data: Any, symbol: str) -> str | None:
    """Return what is wrong with the fields of a `@trade` event."""
    fault = fields_fault(data, _TRADE)
    if fault is None and (data["e"] != "trade" or data["s"] != symbol):
        return "the event or the symbol is not that of its stream"
    return fault


def trade_of(data: Mapping[str, Any], at: float) -> Trade:
    """Return a trade whose fields are right."""
    return Trade(data["t"], data["p"], data["q"], data["m"], data["T"], data["E"], at)


def bar_fault(data: Any, symbol: str, interval: str) -> str | None:
    """Return what is wrong with a `@kline_…` event."""
    fault = fields_fault(data, {"e": str, "E": int, "s": str, "k": dict}) or fields_fault(data["k"], _BAR)
    if fault is None:
        bar = data["k"]
        if bar["i"] != interval or bar["s"] != symbol or data["e"] != "kline":
            return "the interval or the symbol is not that of its stream"
        return decimal_fault(bar, ("o", "h", "l", "c", "v", "q", "V", "Q"))
    return fault


def bar_of(data: Mapping[str, Any], at: float) -> Bar:
    """Return a kline event whose shape is right."""
    k = data["k"]
    ids, prices = (k["f"], k["L"]), (k["o"], k["h"], k["l"], k["c"])
    return Bar(k["t"], k["T"], *ids, *prices, k["v"], k["n"], k["x"], data["E"], at)


def day_fault(data: Any, symbol: str) -> str | None:
    """Return what is wrong with a `@ticker` event."""
    fault = fields_fault(data, _DAY)
    if fault is None:
        if data["e"] != "24hrTicker" or data["s"] != symbol:
            return "the event or the symbol is not that of its stream"
        return decimal_fault(data, ("c", "b", "B", "a", "A", "o", "h", "l", "v", "q")) or decimal_fault(
            data, ("p", "P"), signed=True
        )
    return fault


def day_of(data: Mapping[str, Any], at: float) -> Day:
    """Return a ticker event whose shape is right."""
    return Day(data["F"], data["L"], data["n"], data["E"], at)


def book_fault(data: Any, symbol: str) -> str | None:
    """Return what is wrong with a `@bookTicker` event, which has no name and no time."""
    fault = fields_fault(data, _BOOK) or decimal_fault(data, ("b", "B", "a", "A"))
    if fault is None:
        if data["s"] != symbol:
            return "the symbol is not that of its stream"
        if float(data["b"]) >= float(data["a"]) > 0:
            return "the best bid is not below the best ask"
    return fault


def depth_fault(data: Any) -> str | None:
    """Return what is wrong with a `@depth20@100ms` event, which has no name, symbol or time."""
    fault = fields_fault(data, {"lastUpdateId": int, "bids": list, "asks": list})
    if fault is not None:
        return fault
    for name, falling in (("bids", True), ("asks", False)):
        levels = data[name]
        if len(levels) > _LEVELS:
            return f"{name} has more than {_LEVELS} levels"
        if not all(_is_level(level) for level in levels):
            return f"a level of {name} is not a price and a quantity"
        prices = [float(level[0]) for level in levels]
        if prices != sorted(prices, reverse=falling):
            return f"{name} does not begin with the best price"
    return None


def _is_level(level: Any) -> bool:
    return (
        isinstance(level, list)
        and len(level) == 2
        and all(isinstance(text, str) and _DECIMAL.fullmatch(text) for text in level)
    )
