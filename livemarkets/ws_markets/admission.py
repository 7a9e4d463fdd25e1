"""Which names of a message may be subscribed, and why the others are refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.market.channels import ALL_SYMBOLS
from livemarkets.market.models import StreamKey
from livemarkets.market.symbols import SYMBOL_SHAPE
from livemarkets.protocol.messages import SymbolResult
from livemarkets.protocol.requests import RefusedName

__all__ = ["accepted", "admit", "refused", "why_unknown"]

_SUGGESTIONS_FOR = 3
"""How many unknown names of one message get suggestions, which are the costly part of an answer."""
_NAMES_AT_ONCE = 250
"""A message may have 1,400 names, which take milliseconds."""


async def admit(
    feed: ExchangeFeed,
    channel: str,
    interval: str | None,
    names: Sequence[str | RefusedName],
    held: Collection[StreamKey],
    pause: Callable[[], Awaitable[None]],
) -> tuple[list[StreamKey], list[SymbolResult]]:
    """Return the streams to subscribe, and a result for each name of a message.

    Between parts of many names, it pauses. When it returns, the streams can be subscribed without an `await`
    since their room was checked.

    Args:
        feed: the exchange.
        channel: the channel.
        interval: that of candles; `None` in other channels.
        names: the names of the message.
        held: the streams that the client has. They are accepted, also when the symbol has left the list.
        pause: lets the event loop run.

    """
    keys: dict[str, StreamKey] = {}
    results: list[SymbolResult] = []
    unknown = 0
    for at, name in enumerate(names):
        if at and at % _NAMES_AT_ONCE == 0:
            await pause()
        if isinstance(name, RefusedName):
            results.append(refused(name.shown, name.reason))
            continue
        key = feed.interned(StreamKey(feed.exchange, channel, name, interval))
        if name == ALL_SYMBOLS or feed.directory.accepts(name) or key in held or feed.quality.delivers(key):
            keys[name] = key
            results.append(accepted(name))
        else:
            unknown += 1
            suggestions = feed.directory.suggest(name) if unknown <= _SUGGESTIONS_FOR else []
            results.append(refused(name, why_unknown(feed, name), suggestions))
    if not feed.symbols.has_room(len(feed.keys()) + len(keys)):
        results = _without_room(feed, keys, results)
    return list(keys.values()), results


def _without_room(
    feed: ExchangeFeed, keys: dict[str, StreamKey], results: Sequence[SymbolResult]
) -> list[SymbolResult]:
    """Remove the streams for which there is no room, and return the results with their refusals."""
    streams = len(feed.keys())
    for name, key in list(keys.items()):
        if feed.is_wanted(key):
            continue
        if feed.symbols.has_room(streams + 1):
            streams += 1
        else:
            del keys[name]
    return [
        refused(result.symbol, _why_full(feed), code="symbol_limit")
        if result.ok and result.symbol not in keys
        else result
        for result in results
    ]


def accepted(symbol: str) -> SymbolResult:
    """Return the result of an accepted name."""
    return SymbolResult(symbol, ok=True)


def refused(
    shown: str, message: str, suggestions: Sequence[str] = (), *, code: str = "unknown_symbol"
) -> SymbolResult:
    """Return the result of a refused name."""
    return SymbolResult(shown, ok=False, code=code, message=message, did_you_mean=tuple(suggestions))


def why_unknown(feed: ExchangeFeed, symbol: str) -> str:
    """Return why a symbol is refused, for people."""
    # Control and bidirectional characters could disturb the terminal or the line of the reader.
    shown = symbol
    if not symbol.isprintable():
        shown = "".join(letter if letter.isprintable() else "�" for letter in symbol)
    age = feed.symbols.age_seconds()
    if age is not None:
        return f"{feed.exchange} does not list {shown}; its list was loaded {age:.0f} s ago"
    return f"{shown} is not a valid symbol: a symbol has {SYMBOL_SHAPE}, such as BTCUSDT"


def _why_full(feed: ExchangeFeed) -> str:
    most = feed.symbols.limits.streams_without_list
    return f"the symbols of {feed.exchange} are not known yet, and until then at most {most} are subscribed"
