"""Past trades from the memory of an ingest, as proof as good as an answer of the exchange. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from livemarkets.exchanges.base import PAGE_TRADES, FetchedTrades
from livemarkets.feed.ledger import Ledger
from livemarkets.market.models import Gap, StreamKey, TradeTick
from livemarkets.market.stores import RecentTrades

__all__ = ["newest_page", "page_from"]


def page_from(trades: RecentTrades, ledger: Ledger, from_id: int) -> FetchedTrades | None:
    """Return the page that begins with `from_id`; `None` if the exchange has to be asked.

    Memory lacks what could not be fetched, and the exchange may have it by now. So it answers only for ids
    that it has, or that are known to be absent or invalid.
    """
    if ledger.next_id is None:
        return None
    gaps = trades.gaps(ledger.key)
    found: list[TradeTick] = []
    invalid: set[int] = set()
    expected = from_id
    for tick in trades.after(ledger.key, from_id - 1, PAGE_TRADES):
        if tick.id > expected and not _are_settled(gaps, expected, tick.id - 1, invalid):
            break
        found.append(tick)
        expected = tick.id + 1
    reaches_newest = expected == ledger.next_id and not ledger.holes
    if not found or (len(found) < PAGE_TRADES and not reaches_newest):
        return None
    return FetchedTrades(found, found[-1].id, found[-1].id, reaches_newest, frozenset(invalid))


def newest_page(trades: RecentTrades, ledger: Ledger, key: StreamKey) -> FetchedTrades | None:
    """Return the newest page; `None` if memory has less than one, or something is missing in it."""
    first = trades.start_of(key, PAGE_TRADES)
    if first is None or trades.count(key) < PAGE_TRADES:
        return None
    return page_from(trades, ledger, first)


def _are_settled(gaps: Sequence[Gap], first: int, last: int, invalid: set[int]) -> bool:
    """Return whether all ids of a range are known to be absent or invalid, and add the invalid ones."""
    for gap in gaps:
        if gap.from_id <= first <= gap.to_id and gap.cause in ("venue", "invalid"):
            end = min(gap.to_id, last)
            if gap.cause == "invalid":
                invalid.update(range(first, end + 1))
            if end == last:
                return True
            first = end + 1
    return False
