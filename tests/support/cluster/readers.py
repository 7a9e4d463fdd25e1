"""Readers of a cluster: programs that use the client library, and hold what they get against the truth."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence

from livemarkets_client import Gap, Lagged, State, Timings, Trade, Transition, connect

TIMINGS = Timings(open_seconds=3.0)


class ClusterReader:
    """One reader of several symbols: what it reached, what was declared to it, how often it connected."""

    def __init__(self, name: str, url: str, symbols: Sequence[str]) -> None:
        self.name = name
        self.reached: dict[str, int] = {}
        """By symbol, the last id that came or was declared; the next one has to follow."""
        self.received = 0
        self.declared: Counter[str] = Counter()
        """Ids by cause. `lagged`: this reader was too slow."""
        self.problems: list[str] = []
        self.connects = 0
        self.longest_wait_seconds = 0.0
        """The longest time without any trade."""
        self._url = url
        self._symbols = symbols
        self._came_at = time.monotonic()

    def begin_phase(self) -> None:
        """Forget what was counted."""
        self.declared.clear()
        self.connects = 0
        self.longest_wait_seconds = 0.0
        self._came_at = time.monotonic()

    async def run(self) -> None:
        """Read until cancelled."""
        client = connect(self._url, proxy=None, timings=TIMINGS, on_state=self._note_state)
        async with client as markets:
            async for item in markets.trades(*self._symbols):
                self._take(item)
        self.problems.append(f"{self.name}: the subscription has ended: {client.transition}")

    def lacks(self, newest: Mapping[str, int]) -> int:
        """Return how many trades up to these ids it has not yet got, or been told of."""
        return sum(max(0, last - self.reached.get(symbol, 0)) for symbol, last in newest.items())

    def _note_state(self, transition: Transition) -> None:
        self.connects += transition.state is State.CONNECTED

    def _take(self, item: Trade | Gap | Lagged) -> None:
        now = time.monotonic()
        self.longest_wait_seconds = max(self.longest_wait_seconds, now - self._came_at)
        self._came_at = now
        first, last = (item.id, item.id) if isinstance(item, Trade) else (item.from_id, item.to_id)
        reached = self.reached.get(item.symbol)
        if reached is not None and first != reached + 1:
            self.problems.append(f"{self.name}: {item} after {reached}")
        self.reached[item.symbol] = last
        if isinstance(item, Trade):
            self.received += 1
        else:
            cause = "lagged" if isinstance(item, Lagged) else item.cause
            self.declared[cause] += last - first + 1


@contextlib.asynccontextmanager
async def reading(count: int, url: str, symbols: Sequence[str]) -> AsyncIterator[list[ClusterReader]]:
    """So many readers of a site."""
    readers = [ClusterReader(f"reader {number}", url, symbols) for number in range(count)]
    tasks = [asyncio.create_task(reader.run(), name=reader.name) for reader in readers]
    try:
        yield readers
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
