"""Where a frame belongs: the wanted streams by their name at the exchange. No I/O.

Trades are found by their symbol, which is in them. Other frames are found by the name of their stream at the
beginning of the frame, because an order book does not bear its symbol.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from livemarkets.exchanges.binance.stream_names import stream_name
from livemarkets.exchanges.binance.updates import Parse, parser_of
from livemarkets.market.channels import TRADES
from livemarkets.market.models import StreamKey

__all__ = ["Route", "Routes"]

_HEAD = b'{"stream":"'
_NAME_AT = len(_HEAD)


class Route(msgspec.Struct, frozen=True):
    """A wanted stream other than trades."""

    key: StreamKey
    stream: str
    """The exchange's name of the stream."""
    parse: Parse


class Routes:
    """The wanted streams of a client. All of its connections share them."""

    def __init__(self) -> None:
        self.trades: dict[str, StreamKey] = {}
        """Symbol → key of its trades."""
        self.updates: dict[bytes, Route] = {}
        """The exchange's name of a stream, in UTF-8 → where its frames go."""

    def add(self, key: StreamKey) -> None:
        """Add a stream.

        Raises:
            ValueError: the exchange has no such channel.

        """
        if key.channel == TRADES:
            self.trades[key.symbol] = key
        else:
            stream = stream_name(key)
            self.updates[stream.encode()] = Route(key, stream, parser_of(key))

    def discard(self, key: StreamKey) -> None:
        """Remove a stream. Idempotent."""
        if key.channel == TRADES:
            self.trades.pop(key.symbol, None)
        else:
            self.updates.pop(stream_name(key).encode(), None)

    def split(self, raws: Sequence[bytes]) -> tuple[list[bytes], list[tuple[bytes, Route]]]:
        """Return the frames of other kinds, and those of :attr:`updates` with their routes."""
        find = self.updates.get
        others: list[bytes] = []
        updates: list[tuple[bytes, Route]] = []
        for raw in raws:
            route = find(raw[_NAME_AT : raw.find(b'"', _NAME_AT)]) if raw.startswith(_HEAD) else None
            if route is None:
                others.append(raw)
            else:
                updates.append((raw, route))
        return others, updates
