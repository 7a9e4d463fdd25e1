"""How old trades are at each step of their way, by samples. No I/O.

One read of each connection in 60 ms is measured, by a callable that stands in the way of this read alone:
the others pay nothing. The trade of it that is measured was the first in the read, so it waited longest.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Protocol

import msgspec

from livemarkets.server.histogram import Histogram

__all__ = ["HOPS", "HopStatistics", "LatencyMeter", "LatencyStatistics", "Reader", "Take", "TradeWatch"]

Take = Callable[[list[bytes]], None]
CallLater = Callable[[float, Callable[[], None]], "Timer"]

HOPS = ("matched_to_event", "event_to_received", "received_to_sent")
"""The steps: from the trade to the exchange's message about it, to the read of the socket, to the write of
the last of the first thousand readers."""
SAMPLE_SECONDS = 0.0625
SLOT_SECONDS = 10.0
_SLOTS = 30
_SHOWN_SLOTS = 6
"""Percentiles are of the last minute, the plot is of five minutes."""
_OFFSET_SLOTS = 3
_BOUNDS_SECONDS = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""What is at most 0 was measured by a clock that is behind."""


class HopStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The milliseconds that one step took."""

    samples: int
    """In the last minute."""
    p50_ms: float | None
    """Half of the samples of the last minute took at most this; `None` without a sample."""
    p99_ms: float | None
    """99 of 100 samples of the last minute took at most this; `None` without a sample."""
    plot: Sequence[tuple[float, float] | None]
    """Both percentiles of each 10 s of the last five minutes, the oldest first; `None` without a sample."""


class LatencyStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of the way of trades. A step between two computers includes the difference of their clocks.

    It is negative if our clock is behind. Nothing is corrected or cut off.
    """

    hops: Mapping[str, HopStatistics]
    least_ms: float | None
    """The shortest time from the exchange's message to our read in the last 30 s; `None` without a sample."""


class _Slot:
    """The samples of 10 s, by step."""

    __slots__ = ("_ended", "number", "values")

    def __init__(self, number: int) -> None:
        self.number = number
        self.values = {hop: array("d") for hop in HOPS}
        self._ended: dict[str, tuple[float, float] | None] = {}

    def percentiles(self, hop: str) -> tuple[float, float] | None:
        """Return the percentiles of a slot that has ended."""
        if hop not in self._ended:
            self._ended[hop] = _percentiles(self.values[hop])
        return self._ended[hop]


class Timer(Protocol):
    """What is due later."""

    def cancel(self) -> None:
        """Forget it."""


class Reader(Protocol):
    """A connection that passes on the frames of each read."""

    on_texts: Take


class TradeWatch(Protocol):
    """What measures some of the trades of a connection."""

    def watching(self, reader: Reader) -> AbstractContextManager[None]:
        """Measure some of the reads of a connection until the context ends."""


class _Watch:
    """Stands in the way of one read now and then. Afterwards nothing refers to it."""

    __slots__ = ("_call_later", "_measure", "_reader", "_take", "_timer")

    def __init__(
        self, reader: Reader, measure: Callable[[Take, list[bytes]], None], call_later: CallLater
    ) -> None:
        self._reader = reader
        self._take = reader.on_texts
        self._measure = measure
        self._call_later = call_later
        self._timer: Timer | None = None

    def arm(self) -> None:
        """Measure the next read."""
        self._reader.on_texts = self._read

    def stop(self) -> None:
        """Measure nothing any more."""
        self._reader.on_texts = self._take
        if self._timer is not None:
            self._timer.cancel()

    def _read(self, raws: list[bytes]) -> None:
        self._reader.on_texts = self._take
        self._timer = self._call_later(SAMPLE_SECONDS, self.arm)
        self._measure(self._take, raws)


class LatencyMeter:
    """Measures some trades of one exchange.

    Args:
        monotonic: monotonic seconds.
        now_ms: the time, ms since the epoch.
        read_times: returns when a trade was matched and when the exchange sent its frame, ms since the epoch;
            `None` if the frame is no trade.
        call_later: calls a callable after a delay in seconds.
        deliveries: returns how many trades were handed to readers since the start.
        call_soon: calls a callable when the writes of this turn of the event loop are done.

    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        now_ms: Callable[[], int],
        read_times: Callable[[bytes], tuple[int, int] | None],
        call_later: CallLater,
        deliveries: Callable[[], int] = lambda: 0,
        call_soon: Callable[[Callable[[], None]], object] = lambda callback: None,
    ) -> None:
        self.by_hop = {hop: Histogram(_BOUNDS_SECONDS) for hop in HOPS}
        """The seconds of each step, since the start."""
        self.ages = Histogram(_BOUNDS_SECONDS)
        """How old trades were when they were written to readers, in seconds, since the start."""
        self._monotonic = monotonic
        self._now_ms = now_ms
        self._read_times = read_times
        self._deliveries = deliveries
        self._call_soon = call_soon
        self._call_later = call_later
        self._slots: deque[_Slot] = deque(maxlen=_SLOTS)

    @contextmanager
    def watching(self, reader: Reader, first: Callable[[], int] | None = None) -> Iterator[None]:
        """Measure some of the reads of a connection until the context ends.

        Args:
            reader: the connection.
            first: returns how many trades its leg has brought before every other leg. Reads that bring none
                of these are not counted, because no reader waits for them. `None` if there are no legs.

        """
        measure = self._measure if first is None else partial(self._measure, first=first)
        watch = _Watch(reader, measure, self._call_later)
        watch.arm()
        try:
            yield
        finally:
            watch.stop()

    def statistics(self) -> LatencyStatistics:
        """Return the percentiles."""
        present = int(self._monotonic() / SLOT_SECONDS)
        by_number = {slot.number: slot for slot in self._slots}
        recent = [by_number[n] for n in range(present - _SHOWN_SLOTS + 1, present + 1) if n in by_number]
        shortest = [
            min(slot.values["event_to_received"])
            for slot in recent
            if slot.number > present - _OFFSET_SLOTS and slot.values["event_to_received"]
        ]
        return LatencyStatistics(
            hops={hop: self._describe(hop, recent, by_number, present) for hop in HOPS},
            least_ms=min(shortest, default=None),
        )

    def _describe(
        self, hop: str, recent: Sequence[_Slot], by_number: Mapping[int, _Slot], present: int
    ) -> HopStatistics:
        values = [value for slot in recent for value in slot.values[hop]]
        both = _percentiles(values)
        ended = (by_number.get(number) for number in range(present - _SLOTS + 1, present))
        return HopStatistics(
            samples=len(values),
            p50_ms=both[0] if both else None,
            p99_ms=both[1] if both else None,
            plot=[None if slot is None else slot.percentiles(hop) for slot in ended],
        )

    def _measure(self, take: Take, raws: list[bytes], first: Callable[[], int] | None = None) -> None:
        began, now_ms, before = self._monotonic(), self._now_ms(), self._deliveries()
        brought = -1 if first is None else first()
        times = next(filter(None, map(self._read_times, raws)), None)
        take(raws)
        if times is None or (first is not None and first() == brought):
            return
        matched_ms, event_ms = times
        slot = self._slot(began)
        self._note(slot, "matched_to_event", event_ms - matched_ms)
        self._note(slot, "event_to_received", now_ms - event_ms)
        if self._deliveries() > before:
            self._call_soon(lambda: self._note_sent(slot, began, matched_ms))

    def _note_sent(self, slot: _Slot, began: float, matched_ms: int) -> None:
        self._note(slot, "received_to_sent", (self._monotonic() - began) * 1000)
        self.ages.add((self._now_ms() - matched_ms) / 1000)

    def _note(self, slot: _Slot, hop: str, milliseconds: float) -> None:
        slot.values[hop].append(milliseconds)
        self.by_hop[hop].add(milliseconds / 1000)

    def _slot(self, now: float) -> _Slot:
        number = int(now / SLOT_SECONDS)
        if not self._slots or self._slots[-1].number != number:
            self._slots.append(_Slot(number))
        return self._slots[-1]


def _percentiles(values: Iterable[float]) -> tuple[float, float] | None:
    """Return the 50th and the 99th percentile (the nearest rank); `None` without values."""
    ordered = sorted(values)
    if not ordered:
        return None
    last = len(ordered) - 1
    return round(ordered[round(last * 0.5)], 3), round(ordered[round(last * 0.99)], 3)
