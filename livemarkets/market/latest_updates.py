"""The store of the newest update of every stream in which the newest wins.

It is synchronous and in memory. Only :mod:`livemarkets.feed` writes to it.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from livemarkets.market.models import StreamKey
from livemarkets.market.updates import (
    BookUpdate,
    DepthUpdate,
    SymbolUpdate,
    TickerRow,
    TickersDelta,
    TickerUpdate,
    Update,
)

__all__ = ["LatestUpdates"]

_LATE_MS = 5000
"""An update with a lower number than the one before is late, if it comes within this time. After more time,
the exchange has begun a new numbering."""
_CLOCK_STEP_MS = 60_000
"""A row that is older than the one before by more than this shows that the exchange's clock was set back."""


class LatestUpdates:
    """The newest update of every stream. Of the stream of all tickers, the newest row of each symbol."""

    def __init__(self) -> None:
        self._updates: dict[StreamKey, SymbolUpdate] = {}
        self._rows: dict[StreamKey, dict[str, TickerRow]] = {}
        self._fetched: set[StreamKey] = set()  # those whose update did not come from their stream

    def put(self, key: StreamKey, update: Update) -> Update | None:
        """Store an update. Return what is new in it; `None` if it is a repeat, or older than the stored one.

        Two connections bring the same updates during a rotation.
        """
        if isinstance(update, TickersDelta):
            return self._put_rows(key, update)
        before = self._updates.get(key)
        if (
            before is not None
            and update.place <= before.place
            and key not in self._fetched
            and (update.recv_ts - before.recv_ts < _LATE_MS or _is_repeat(update, before))
        ):
            return None
        self._updates[key] = update
        if self._fetched:
            self._fetched.discard(key)
        return update

    def put_fetched(self, key: StreamKey, update: Update) -> Update | None:
        """Store a value that did not come from the stream. Return what is new in it.

        Whatever the stream brings replaces it, because it knows no number that could be compared. Only an
        order book bears the number of its stream (`rest-api.md`, "Order book"): the higher one stays.
        """
        if isinstance(update, TickersDelta):
            return self._put_rows(key, self._changed(key, update))
        before = self._updates.get(key)
        is_numbered = isinstance(update, DepthUpdate)
        if before is not None:
            is_older = is_numbered and update.place <= before.place
            if is_older or _is_same(update, before):
                return None
        self._updates[key] = update
        if not is_numbered:
            self._fetched.add(key)
        return update

    def _changed(self, key: StreamKey, delta: TickersDelta) -> TickersDelta:
        """Leave out the symbols that have not traded since their row was stored."""
        rows = self.rows(key)
        changed = []
        for row in delta.rows:
            before = rows.get(row.symbol)
            if before is None or row.last_id != before.last_id:
                changed.append(row)
        return TickersDelta(delta.exchange, tuple(changed), delta.recv_ts)

    def has(self, key: StreamKey) -> bool:
        """Return whether anything is stored of a stream."""
        return key in self._updates or key in self._rows

    def _put_rows(self, key: StreamKey, delta: TickersDelta) -> TickersDelta | None:
        rows = self._rows.setdefault(key, {})
        new: list[TickerRow] = []
        for row in delta.rows:
            before = rows.get(row.symbol)
            if before is None or row.ts > before.ts or row.ts < before.ts - _CLOCK_STEP_MS:
                rows[row.symbol] = row
                new.append(row)
        if not new:
            return None
        if len(new) < len(delta.rows):
            delta = TickersDelta(delta.exchange, tuple(new), delta.recv_ts)
        return delta

    def get(self, key: StreamKey) -> SymbolUpdate | None:
        """Return the newest update about one symbol; `None` if there is none."""
        return self._updates.get(key)

    def rows(self, key: StreamKey) -> Mapping[str, TickerRow]:
        """Return the newest row of each symbol in the stream of all tickers. It must not be changed."""
        return self._rows.get(key, {})

    def discard(self, key: StreamKey) -> None:
        """Remove a stream that is no longer wanted."""
        self._updates.pop(key, None)
        self._rows.pop(key, None)
        self._fetched.discard(key)

    def __len__(self) -> int:
        """Return how many streams have an update."""
        return len(self._updates) + len(self._rows)


def _is_repeat(update: SymbolUpdate, before: SymbolUpdate) -> bool:
    return update.place == before.place and _is_same(update, before)


def _is_same(update: SymbolUpdate, before: SymbolUpdate) -> bool:
    """Return whether two updates say the same, whenever and by which number."""
    if isinstance(update, BookUpdate):
        return update == replace(before, update_id=update.update_id, recv_ts=update.recv_ts)
    if isinstance(update, TickerUpdate):
        times = {"open_ts": update.open_ts, "ts": update.ts, "recv_ts": update.recv_ts}
        return update == replace(before, **times)
    return update == replace(before, recv_ts=update.recv_ts)
