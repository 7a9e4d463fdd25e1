"""One page of an exchange's history, as resumptions read it. No I/O."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from livemarkets.exchanges.base import FetchedTrades
from livemarkets.feed.ledger import Released
from livemarkets.market.models import Gap, GapCause, StreamKey, TradeTick

__all__ = ["HistoryPage", "ResumePart"]

_PARTS_KEPT = 4


class ResumePart(msgspec.Struct):
    """The next part of a resumption. Several readers may get the same object."""

    items: Sequence[Released]
    is_last: bool
    """Whether the live stream follows. The caller must then subscribe the reader to the live stream in the
    same turn of the event loop, without an `await` in between."""
    has_everything: bool = False
    """Whether the reader has everything so far, and more may come later. The part has no items then."""
    payloads: Sequence[bytes] | None = None
    """The items as messages, set by the first who encodes them."""


class HistoryPage:
    """The trades of one answer, with what it proves about the ids between them.

    Args:
        asked_from: the id from which on the exchange was asked.
        fetched: its answer.
        fetched_at: monotonic seconds.

    """

    def __init__(self, asked_from: int, fetched: FetchedTrades, fetched_at: float) -> None:
        self.asked_from = asked_from
        self.newest_id = fetched.newest_id
        self.reaches_newest = fetched.reaches_newest
        self.fetched_at = fetched_at
        found: dict[int, TradeTick | None] = dict.fromkeys(fetched.invalid_ids)
        found.update((tick.id, tick) for tick in fetched.ticks)
        self._ids = sorted(found)
        self._ticks = [found[trade_id] for trade_id in self._ids]
        self._parts: dict[tuple[StreamKey, int], tuple[ResumePart, int]] = {}

    @property
    def covered_to(self) -> int:
        """The highest id of the page; less than `asked_from` if the page is empty."""
        return self._ids[-1] if self._ids else self.asked_from - 1

    @property
    def has_holes(self) -> bool:
        """Whether ids are missing between the id that was asked for and the last one."""
        return bool(self._ids) and self._ids[-1] - self.asked_from + 1 != len(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def serves(self, trade_id: int) -> bool:
        """Return whether the page holds this id, or says that the exchange does not serve it."""
        return self.asked_from <= trade_id <= self.covered_to

    def merged_with(self, earlier: HistoryPage) -> HistoryPage:
        """Return this page with the trades that an earlier answer to the same question had."""
        ids = set(self._ids) | {one for one in earlier._ids if one <= self.covered_to}
        pairs = dict(zip(earlier._ids, earlier._ticks, strict=True))
        pairs.update(zip(self._ids, self._ticks, strict=True))
        self._ids = sorted(ids)
        self._ticks = [pairs[trade_id] for trade_id in self._ids]
        return self

    def part_from(self, key: StreamKey, next_id: int, stop: int | None) -> tuple[ResumePart, int]:
        """Return what the page has from `next_id` on, with gaps for the rest, and the id that follows.

        Args:
            key: the stream.
            next_id: the first id that the reader needs.
            stop: the first id that it gets from elsewhere; `None` if there is none.

        """
        if stop is not None and stop <= self.covered_to:
            return self._part(key, next_id, stop)
        known = self._parts.get((key, next_id))
        if known is None:
            known = self._part(key, next_id, self.covered_to + 1)
            if len(self._parts) < _PARTS_KEPT:
                self._parts[key, next_id] = known
        return known

    def _part(self, key: StreamKey, next_id: int, stop: int) -> tuple[ResumePart, int]:
        begin, end = bisect_left(self._ids, next_id), bisect_left(self._ids, stop)
        items: list[Released] = []
        # An answer that begins later than it was asked to says only that older trades are not served.
        cause: GapCause = "venue" if begin else "history"
        for trade_id, tick in zip(self._ids[begin:end], self._ticks[begin:end], strict=True):
            if trade_id > next_id:
                items.append(Gap(key, next_id, trade_id - 1, cause))
            if tick is not None:
                items.append(tick)
            else:
                _add_invalid(items, key, trade_id)
            next_id, cause = trade_id + 1, "venue"
        if next_id < stop and self._ids and stop <= self.covered_to:
            items.append(Gap(key, next_id, stop - 1, cause))
            next_id = stop
        return ResumePart(items, is_last=False), next_id


def _add_invalid(items: list[Released], key: StreamKey, trade_id: int) -> None:
    """Add an id to the gap of invalid ids before it, or begin one."""
    last = items[-1] if items else None
    if isinstance(last, Gap) and last.cause == "invalid" and last.to_id == trade_id - 1:
        items[-1] = Gap(key, last.from_id, trade_id, "invalid")
    else:
        items.append(Gap(key, trade_id, trade_id, "invalid"))
