"""Stream names and the payloads of market streams (web-socket-streams.md, Detailed Stream information)."""

from __future__ import annotations

import re

import msgspec

from livemarkets.simulator.market.history import Aggregate, Trade
from livemarkets.simulator.market.statistics import Bar, Summary
from livemarkets.simulator.market.symbols import UNIT, from_units, in_capitals

__all__ = [
    "Quote",
    "StreamEvent",
    "aggregate_payload",
    "average_payload",
    "book_payload",
    "is_served",
    "is_well_formed",
    "kline_payload",
    "mini_ticker_payload",
    "prefix_of",
    "split_stream",
    "ticker_payload",
    "trade_payload",
    "window_payload",
]

# Symbols may contain letters of any script, so only characters that no name can contain are refused.
_SYMBOL = r"""[^\s@!/\\"'<>{}\[\],;&?=]{1,50}"""
_SERVED = re.compile(
    _SYMBOL
    + r"""@(
        trade | aggTrade | bookTicker | miniTicker | avgPrice | ticker(_(1h|4h|1d))?
        | kline_(1s|1m|3m|5m|15m|30m|1h|2h|4h|6h|8h|12h|1d|3d|1w|1M)(@\+08:00)?
        | depth(5|10|20)?(@(100|1000)ms)?
    )
    | !miniTicker@arr(@(1000|3000)ms)? | !ticker_(1h|4h|1d)@arr""",
    re.VERBOSE,
)
"""The older names of `!miniTicker@arr` end with a speed; it has only one."""
_NOT_SERVED = re.compile(_SYMBOL + r"@(blockTrade | referencePrice) | !ticker@arr | !bookTicker", re.VERBOSE)
"""Other streams that the documents describe, or described: the last two have ended."""


class StreamEvent(msgspec.Struct, frozen=True, gc=False):
    """One event of a stream.

    Args:
        stream: the stream's name.
        combined: the text of the frame in the combined shape, `{"stream":…,"data":…}`.
        data_at: offset of the value of `data`.
        data_end: its end; usually right before the closing brace.

    """

    stream: str
    combined: bytes
    data_at: int
    data_end: int = -1

    def raw(self) -> bytes:
        """Return the text of the frame in the raw shape: the payload only."""
        return self.combined[self.data_at : self.data_end]


class Quote(msgspec.Struct, frozen=True, gc=False):
    """Best bid and ask in 10⁻⁸; `update_id` rises with every change of the book."""

    update_id: int
    bid: int
    bid_size: int
    ask: int
    ask_size: int


def is_well_formed(stream: str) -> bool:
    """Return whether a stream name is valid. Its symbol need not exist."""
    return is_served(stream) or bool(_NOT_SERVED.fullmatch(stream))


def is_served(stream: str) -> bool:
    """Return whether a market has such streams."""
    return bool(_SERVED.fullmatch(stream))


def split_stream(stream: str) -> tuple[str, str]:
    """Return symbol (upper case) and kind of a stream; `("", stream)` when its symbol is not lower case.

    All symbols for streams are lower case (web-socket-streams.md, General WSS information). A stream with
    another spelling is accepted and stays silent.
    """
    symbol, _, kind = stream.partition("@")
    is_lower = not any("A" <= letter <= "Z" for letter in symbol)
    return (in_capitals(symbol), kind) if kind and is_lower else ("", stream)


def prefix_of(stream: str) -> bytes:
    """Return the beginning of a combined frame, up to the payload."""
    return b'{"stream":"%b","data":' % stream.encode()


def trade_payload(symbol: bytes, trade: Trade, event_ms: int) -> bytes:
    """Encode a `@trade` event."""
    return b'{"e":"trade","E":%d,"s":"%b","t":%d,"p":"%d.%08d","q":"%d.%08d","T":%d,"m":%b,"M":true}' % (
        event_ms,
        symbol,
        trade.id,
        trade.price // UNIT,
        trade.price % UNIT,
        trade.size // UNIT,
        trade.size % UNIT,
        trade.time_ms,
        b"true" if trade.buyer_is_maker else b"false",
    )


def aggregate_payload(symbol: bytes, aggregate: Aggregate, event_ms: int) -> bytes:
    """Encode an `@aggTrade` event."""
    return (
        b'{"e":"aggTrade","E":%d,"s":"%b","a":%d,"p":"%b","q":"%b","f":%d,"l":%d,"T":%d,"m":%b,"M":true}'
    ) % (
        event_ms,
        symbol,
        aggregate.id,
        from_units(aggregate.price).encode(),
        from_units(aggregate.size).encode(),
        aggregate.first_id,
        aggregate.last_id,
        aggregate.time_ms,
        b"true" if aggregate.buyer_is_maker else b"false",
    )


def book_payload(symbol: bytes, quote: Quote) -> bytes:
    """Encode a `@bookTicker` event."""
    return b'{"u":%d,"s":"%b","b":"%b","B":"%b","a":"%b","A":"%b"}' % (
        quote.update_id,
        symbol,
        from_units(quote.bid).encode(),
        from_units(quote.bid_size).encode(),
        from_units(quote.ask).encode(),
        from_units(quote.ask_size).encode(),
    )


def mini_ticker_payload(symbol: str, day: Summary, event_ms: int) -> bytes:
    """Encode a `@miniTicker` event."""
    return msgspec.json.encode(
        {
            "e": "24hrMiniTicker",
            "E": event_ms,
            "s": symbol,
            "c": from_units(day.close),
            "o": from_units(day.open),
            "h": from_units(day.high),
            "l": from_units(day.low),
            "v": from_units(day.volume),
            "q": from_units(day.quote_volume),
        }
    )


def ticker_payload(symbol: str, day: Summary, quote: Quote, start_ms: int, event_ms: int) -> bytes:
    """Encode a `@ticker` event."""
    return msgspec.json.encode(
        {
            "e": "24hrTicker",
            "E": event_ms,
            "s": symbol,
            "p": from_units(day.change),
            "P": day.change_percent,
            "w": from_units(day.average),
            "x": from_units(day.previous_close or day.open),
            "c": from_units(day.close),
            "Q": from_units(day.last_size),
            "b": from_units(quote.bid),
            "B": from_units(quote.bid_size),
            "a": from_units(quote.ask),
            "A": from_units(quote.ask_size),
            "o": from_units(day.open),
            "h": from_units(day.high),
            "l": from_units(day.low),
            "v": from_units(day.volume),
            "q": from_units(day.quote_volume),
            "O": start_ms,
            "C": event_ms,
            "F": day.first_id,
            "L": day.last_id,
            "n": day.count,
        }
    )


def window_payload(symbol: str, size: str, window: Summary, start_ms: int, event_ms: int) -> bytes:
    """Encode a `@ticker_<window>` event."""
    return msgspec.json.encode(
        {
            "e": f"{size}Ticker",
            "E": event_ms,
            "s": symbol,
            "p": from_units(window.change),
            "P": window.change_percent,
            "o": from_units(window.open),
            "h": from_units(window.high),
            "l": from_units(window.low),
            "c": from_units(window.close),
            "w": from_units(window.average),
            "v": from_units(window.volume),
            "q": from_units(window.quote_volume),
            "O": start_ms,
            "C": event_ms,
            "F": window.first_id,
            "L": window.last_id,
            "n": window.count,
        }
    )


def average_payload(symbol: str, price: int, last_ms: int, event_ms: int) -> bytes:
    """Encode an `@avgPrice` event."""
    return msgspec.json.encode(
        {"e": "avgPrice", "E": event_ms, "s": symbol, "i": "5m", "w": from_units(price), "T": last_ms}
    )


def kline_payload(symbol: str, interval: str, bar: Bar, event_ms: int) -> bytes:
    """Encode a `@kline_<interval>` event."""
    return msgspec.json.encode(
        {
            "e": "kline",
            "E": event_ms,
            "s": symbol,
            "k": {
                "t": bar.open_ms,
                "T": bar.close_ms,
                "s": symbol,
                "i": interval,
                "f": bar.first_id,
                "L": bar.last_id,
                "o": from_units(bar.open),
                "c": from_units(bar.close),
                "h": from_units(bar.high),
                "l": from_units(bar.low),
                "v": from_units(bar.volume),
                "n": bar.count,
                "x": event_ms > bar.close_ms,
                "q": from_units(bar.quote_volume),
                "V": from_units(bar.bought),
                "Q": from_units(bar.quote_bought),
                "B": "0",
            },
        }
    )
