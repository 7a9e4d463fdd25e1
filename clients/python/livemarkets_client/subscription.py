"""A subscription: what a program iterates over, and the part of it that the connection fills."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Generic, Literal, TypeVar

from livemarkets_client.arrival import ArrivalPositions
from livemarkets_client.buffers import Buffer
from livemarkets_client.continuity import Account, Item, Positions
from livemarkets_client.errors import GapError, LiveMarketsError, SubscribeError
from livemarkets_client.models import CandleGap, CandleLagged, Gap, Lagged, Pending, Quality, Refusal
from livemarkets_client.requests import StreamName, Terms

__all__ = ["Intake", "OnGap", "Stream", "Subscription", "refuse"]

OnGap = Literal["yield", "raise", "skip"]
T_co = TypeVar("T_co", covariant=True)
_log = logging.getLogger("livemarkets_client")


class Intake:
    """What the connection has brought for one subscription, and how the subscription ends.

    Args:
        buffer: what was not read yet.

    """

    def __init__(self, buffer: Buffer[Item]) -> None:
        self.refused: dict[str, Refusal] = {}
        """By symbol."""
        self.quality: dict[str, Quality] = {}
        """By symbol; empty without `quality=True`."""
        self._buffer = buffer
        self._errors: deque[LiveMarketsError] = deque()
        self._end: Callable[[], Exception] | None = None
        self._has_news = asyncio.Event()
        self._has_room = asyncio.Event()

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def is_full(self) -> bool:
        """Whether the connection has to wait for this subscription's reader."""
        return self._buffer.is_full and self._end is None

    def put(self, item: Item) -> None:
        """Add an item."""
        self._buffer.put(item)
        self._has_news.set()

    def fail(self, error: LiveMarketsError) -> None:
        """Have an error raised once; the subscription goes on."""
        self._errors.append(error)
        self._has_news.set()

    def end(self, reason: Callable[[], Exception] = StopAsyncIteration) -> None:
        """Have what this makes raised whenever everything has been read."""
        self._end = self._end or reason
        self._has_news.set()
        self._has_room.set()

    async def room(self) -> None:
        """Wait until there is room."""
        while self.is_full:
            self._has_room.clear()
            await self._has_room.wait()

    async def get(self) -> Item:
        """Wait for the next item.

        Raises:
            StopAsyncIteration: the subscription or the connection was closed.
            LiveMarketsError: see :mod:`livemarkets_client.errors`.

        """
        while True:
            if self._errors:
                raise self._errors.popleft()
            item = self._buffer.pop()
            if item is not None:
                self._has_room.set()
                return item
            if self._end is not None:
                raise self._end()
            self._has_news.clear()
            await self._has_news.wait()


class Stream:
    """One stream of a subscription, as the connection sees it."""

    def __init__(self, name: StreamName, terms: Terms, account: Account, intake: Intake) -> None:
        self.name = name
        self.terms = terms
        self.account = account
        self.intake = intake
        self.was_accepted = False
        """Whether the server has ever accepted it."""


class Subscription(Generic[T_co]):
    """What was subscribed, to be iterated over. It is unsubscribed by `aclose()`, or when nobody holds it.

    Items that were received are kept while the connection is away.
    """

    def __init__(
        self,
        symbols: tuple[str, ...],
        intake: Intake,
        on_gap: OnGap,
        positions: Positions | ArrivalPositions,
        release: Callable[[Intake], None],
    ) -> None:
        self.symbols = symbols
        self.missed = 0
        """How many gaps and `Lagged` were passed."""
        self._intake = intake
        self._on_gap = on_gap
        self._positions = positions
        self._release = release

    def __aiter__(self) -> Subscription[T_co]:
        return self

    async def __anext__(self) -> T_co:
        """Wait for the next item.

        Raises:
            StopAsyncIteration: `aclose()` was called, or the `async with` of the connection has ended.
            ConnectionEnded: the server refuses this client for good.
            SubscribeError: symbols were refused; iterate again to read the others.
            GapError: with `on_gap="raise"`; iterate again to read what follows.

        """
        while True:
            item = await self._intake.get()
            self._positions.note(item)
            if isinstance(item, Pending):
                if self._on_gap != "yield":
                    continue  # nothing is lost yet
            elif isinstance(item, Gap | Lagged | CandleGap | CandleLagged) and not self._passes(item):
                continue
            return item  # type: ignore[return-value]

    def _passes(self, gap: Gap | Lagged | CandleGap | CandleLagged) -> bool:
        """Return whether what is missing is an item too."""
        self.missed += 1
        if self._on_gap == "raise" and not isinstance(gap, CandleLagged):
            raise GapError(gap)
        if self._on_gap != "yield":
            _log.warning("%s", gap)
        return self._on_gap == "yield"

    def position(self) -> dict[str, int]:
        """Return, by symbol, the last id (of candles: `open_ts`) that was read, or said to be missing.

        In order of arrival, it is the id before the first one that is pending.
        It can be stored as JSON, and given as `after` to go on behind it, also at another server.
        """
        return self._positions.by_symbol()

    @property
    def quality(self) -> dict[str, Quality]:
        """The state of each stream that the server has told last; empty without `quality=True`."""
        return dict(self._intake.quality)

    @property
    def refused(self) -> dict[str, Refusal]:
        """The symbols that the server has refused, and why."""
        return dict(self._intake.refused)

    @property
    def unread(self) -> int:
        """How many items have been received and not been read."""
        return len(self._intake)

    async def aclose(self) -> None:
        """Unsubscribe. What was not read is dropped."""
        self._release(self._intake)

    async def __aenter__(self) -> Subscription[T_co]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        self._release(self._intake)


def refuse(streams: list[tuple[Stream, Refusal]], is_left: Callable[[Intake], bool]) -> None:
    """Tell the subscriptions of these streams that they were refused.

    One that the server had accepted before, or that others of the same subscription outlive, is no reason
    to wake a program in the night: that is logged, and stands in `refused`.
    """
    by_intake: dict[int, list[tuple[Stream, Refusal]]] = {}
    for stream, refusal in streams:
        stream.intake.refused[stream.name.symbol] = refusal
        by_intake.setdefault(id(stream.intake), []).append((stream, refusal))
    for group in by_intake.values():
        intake = group[0][0].intake
        new = tuple(refusal for stream, refusal in group if not stream.was_accepted)
        every = tuple(refusal for _, refusal in group)
        if not is_left(intake):
            intake.end(partial(SubscribeError, tuple(intake.refused.values())))
        elif new:
            intake.fail(SubscribeError(new))
        for refusal in every:
            _log.warning("%s", refusal.message)
