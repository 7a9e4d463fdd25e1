"""What the client asks for: names of streams, how they are to be delivered, and the messages that say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from msgspec import Struct

from livemarkets_client.messages import encode

__all__ = ["StreamName", "Terms", "normalise", "subscribe_messages", "unsubscribe_message"]

_UPPER = str.maketrans(ascii_lowercase, ascii_uppercase)
_MOST_SYMBOLS = 100


def normalise(symbol: str) -> str:
    """Return the symbol as the server spells it: only a to z change their case."""
    return symbol.strip().translate(_UPPER)


class StreamName(Struct, frozen=True):
    """What names a stream on one connection."""

    exchange: str
    channel: str
    symbol: str
    interval: str | None = None
    """Only candles."""


class Terms(Struct, frozen=True):
    """How a stream is to be delivered."""

    snapshot: int = 1
    every_ms: int | None = None
    levels: int | None = None
    order: str | None = None
    """Only trades: `arrival`, or `None` for the order of ids."""
    quality: bool = False

    def fields(self) -> dict[str, Any]:
        """Return the fields of `subscribe`."""
        found: dict[str, Any] = {"snapshot": self.snapshot}
        if self.every_ms is not None:
            found |= {"mode": "latest", "interval_ms": self.every_ms}
        if self.levels is not None:
            found["levels"] = self.levels
        if self.order is not None:
            found["order"] = self.order
        if self.quality:
            found["quality"] = True
        return found


def subscribe_messages(
    wanted: Sequence[tuple[StreamName, Terms, int | None]], message_bytes: int
) -> Iterator[tuple[dict[str, Any], list[StreamName]]]:
    """Return messages that subscribe everything, each with the streams in it.

    Args:
        wanted: streams, how they are to be delivered, and after what they go on.
        message_bytes: how long a message may be.

    """
    groups: dict[tuple[str, str, str | None, Terms], dict[StreamName, int | None]] = {}
    for name, terms, after in wanted:
        groups.setdefault((name.exchange, name.channel, name.interval, terms), {})[name] = after
    for (exchange, channel, interval, terms), streams in groups.items():
        head = {"type": "subscribe", "exchange": exchange, "channel": channel} | terms.fields()
        if interval is not None:
            head["interval"] = interval
        yield from _fitting(head, streams, list(streams), message_bytes)


def _fitting(
    head: dict[str, Any], after: Mapping[StreamName, int | None], names: list[StreamName], message_bytes: int
) -> Iterator[tuple[dict[str, Any], list[StreamName]]]:
    for begin in range(0, len(names), _MOST_SYMBOLS):
        part = names[begin : begin + _MOST_SYMBOLS]
        message = head | {"symbols": [name.symbol for name in part]}
        known = {name.symbol: last for name in part if (last := after[name]) is not None}
        if known:
            message["after"] = known
        # The id of the message is added later.
        if len(part) > 1 and len(encode(message)) + 32 > message_bytes:
            half = len(part) // 2
            yield from _fitting(head, after, part[:half], message_bytes)
            yield from _fitting(head, after, part[half:], message_bytes)
        else:
            yield message, part


def unsubscribe_message(names: Iterable[StreamName]) -> Iterator[dict[str, Any]]:
    """Return messages that unsubscribe streams, one for each exchange, channel and interval."""
    groups: dict[tuple[str, str, str | None], list[str]] = {}
    for name in names:
        groups.setdefault((name.exchange, name.channel, name.interval), []).append(name.symbol)
    for (exchange, channel, interval), symbols in groups.items():
        for begin in range(0, len(symbols), _MOST_SYMBOLS):
            message = {"type": "unsubscribe", "exchange": exchange, "channel": channel}
            if interval is not None:
                message["interval"] = interval
            yield message | {"symbols": symbols[begin : begin + _MOST_SYMBOLS]}
