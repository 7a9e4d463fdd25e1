"""What was published of one stream of candles, and what a reader lacks that is not sent all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from livemarkets.delivery.mailbox import Mailbox
from livemarkets.delivery.newest import with_skipped
from livemarkets.market.models import StreamKey

__all__ = ["CandleReader", "CandleSlot", "PublishedCandles"]

_CANDLES_AT_ONCE = 100
_NOTICES_KEPT = 10
_REVISED_KEPT = 100


class CandleReader(Protocol):
    """Where a reader that was slow gets what it missed."""

    def closed_after(self, open_ts: int) -> Sequence[tuple[int, bytes]] | None:
        """Return open times and messages of the closed candles after one, oldest first.

        `None` if memory does not reach back to it.
        """

    def lagged(self, from_ts: int, to_ts: int, count: int) -> bytes:
        """Return the message that names so many closed candles, which follow."""

    def resume(self, open_ts: int) -> None:
        """Start the stream again after a closed candle. The reader has left it."""


class PublishedCandles:
    """What was published of one stream, and its readers."""

    __slots__ = ("closed_to", "count", "idle", "key", "readers", "running", "slots")

    def __init__(self, key: StreamKey) -> None:
        self.key = key
        self.closed_to = -1
        """Every closed candle up to this open time was published; -1 before the first candle."""
        self.count = 0
        """Updates of running candles so far."""
        self.running = b""
        """The newest update of the running candle; empty when there is none."""
        self.readers: dict[Mailbox, CandleReader] = {}
        """All readers."""
        self.slots: dict[Mailbox, CandleSlot] = {}
        """Those that do not get every update."""
        self.idle: dict[Mailbox, CandleSlot] = {}
        """Those of readers in `mode: latest` for which no timer runs."""

    def open(self, mailbox: Mailbox, interval_seconds: float | None, closed_to: int) -> CandleSlot:
        """Return a new slot of a reader that was told every closed candle up to this open time."""
        slot = self.slots[mailbox] = CandleSlot(self, self.readers[mailbox], interval_seconds, closed_to)
        return slot

    def close(self, mailbox: Mailbox) -> None:
        """Remove the slot of a reader. Idempotent."""
        self.slots.pop(mailbox, None)
        self.idle.pop(mailbox, None)

    def take_idle(self) -> Mapping[Mailbox, CandleSlot]:
        """Return the slots without a timer; the caller starts one for each."""
        idle, self.idle = self.idle, {}
        return idle

    def put_running(self, payload: bytes, open_ts: int) -> None:
        """Store an update of the running candle."""
        self._begin(open_ts)
        self.count += 1
        self.running = payload

    def put_closed(self, open_ts: int) -> None:
        """Note that a candle is closed."""
        self._begin(open_ts)
        self.closed_to = open_ts
        self.running = b""

    def put_gap(self, to_ts: int) -> None:
        """Note that a gap was declared."""
        self.closed_to = to_ts
        self.running = b""

    def _begin(self, open_ts: int) -> None:
        """Note the first candle. Readers that joined before it need none from before."""
        if self.closed_to < 0:
            self.closed_to = open_ts - 1
            for slot in self.slots.values():
                slot.closed_to = max(slot.closed_to, open_ts - 1)


class CandleSlot:
    """How much of a stream one reader was told (a :class:`~livemarkets.delivery.latest.Conflation`)."""

    __slots__ = (
        "_first_ts",
        "_last_ts",
        "_missed",
        "_notices",
        "_reader",
        "_revised",
        "_stream",
        "closed_to",
        "due_at",
        "interval_seconds",
        "is_conflated",
        "is_slow",
        "lags",
        "seen",
    )

    def __init__(
        self,
        stream: PublishedCandles,
        reader: CandleReader,
        interval_seconds: float | None,
        closed_to: int,
    ) -> None:
        self.interval_seconds = interval_seconds or 0.0
        self.is_conflated = interval_seconds is not None
        """Whether the reader asked for `mode: latest`."""
        self.due_at = 0.0
        self.closed_to = closed_to
        """The open time up to which the reader was told everything that is closed."""
        self.seen = stream.count
        """How many updates of running candles it was sent, or does not need."""
        self.is_slow = False
        """Whether nothing is sent to it at present."""
        self.lags = False
        """Whether more waited for it than its limit."""
        self._stream = stream
        self._reader = reader
        self._first_ts = self._last_ts = self._missed = 0
        self._revised: dict[int, bytes] = {}
        self._notices: list[bytes] = []

    # what is published

    def note_closed(self, open_ts: int) -> None:
        """Note that a candle was closed. A quick reader is sent it now."""
        self.seen = self._stream.count
        if not self.is_slow:
            self.closed_to = open_ts
            return
        self._first_ts = self._first_ts or open_ts
        self._last_ts = open_ts
        self._missed += 1

    def note_revised(self, open_ts: int, payload: bytes) -> None:
        """Note that a closed candle was revised."""
        if self.is_slow and open_ts <= self.closed_to:
            self._revised[open_ts] = payload
            if len(self._revised) > _REVISED_KEPT:
                del self._revised[next(iter(self._revised))]

    def note_gap(self, payload: bytes, to_ts: int, is_set_back: bool) -> None:
        """Note a gap. If the exchange's time was set back, what was before is of no use any more."""
        self.seen = self._stream.count
        if not self.is_slow:
            self.closed_to = to_ts
        elif is_set_back:
            self.closed_to = to_ts
            self._first_ts = self._last_ts = self._missed = 0
            self._revised.clear()
            self._notices = [*self._notices, payload][-_NOTICES_KEPT:]

    # a reader that has caught up

    def take_some(self) -> Sequence[bytes] | None:
        """Return some of what the reader lacks, in order; nothing if it lacks nothing.

        `None`: memory does not reach back to what it was told.
        """
        if self._notices:
            notices, self._notices = self._notices, []
            return notices
        if self._revised:
            revised, self._revised = self._revised, {}
            return [revised[open_ts] for open_ts in sorted(revised)]
        if self.lags and self._missed:
            self.lags = False
            return [self._reader.lagged(self._first_ts, self._last_ts, self._missed)]
        missed = self._reader.closed_after(self.closed_to)
        if missed is None:
            return None
        if missed:
            part = missed[:_CANDLES_AT_ONCE]
            self.closed_to = part[-1][0]
            return [payload for _, payload in part]
        self.lags, self._first_ts, self._missed = False, 0, 0
        return self._take_running()

    def _take_running(self) -> Sequence[bytes]:
        skipped = self._stream.count - self.seen - 1
        if skipped < 0 or not self._stream.running:
            return ()
        self.seen = self._stream.count
        return (with_skipped(self._stream.running, skipped),)

    # mode: latest

    @property
    def channel(self) -> str:
        """The channel of the stream."""
        return self._stream.key.channel

    def take_newest(self) -> Sequence[bytes]:
        """Return the newest update of the running candle, unless closed ones must come first."""
        return () if self.is_slow else self._take_running()

    def is_open(self, mailbox: Mailbox) -> bool:
        """Return whether the reader still has this slot."""
        return self._stream.slots.get(mailbox) is self

    def rest(self, mailbox: Mailbox) -> None:
        """Wait for the next update, without a timer."""
        self._stream.idle[mailbox] = self
