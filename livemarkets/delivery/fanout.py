"""Fan-out of one trade to many readers: which reader gets which stream, and how. No I/O.

A message is encoded and framed once; every mailbox gets the same bytes object. The messages of one turn of
the event loop are joined and written once per reader. The cost per delivery falls as the load rises, and at
low load nothing is delayed. This path has no task, queue or `await` per reader.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from livemarkets.delivery.cohorts import Cohorts, Write
from livemarkets.delivery.conflation import Conflator, LatestTrade
from livemarkets.delivery.framing import text_frame
from livemarkets.delivery.mailbox import Mailbox, Sink
from livemarkets.market.models import Skipped, StreamKey

__all__ = ["Fanout", "FanoutStatistics"]


class FanoutStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of a fan-out since the start."""

    delivered: int
    """Trades passed to mailboxes."""
    lags: int
    """How many times a reader exceeded its limit."""
    lagging: int
    """Readers that lag at present."""


class Fanout:
    """Which reader gets which stream and how, with one flush per turn of the event loop.

    A reader gets every trade of a stream through its cohort. A reader that asked for the latest trades only,
    or that lags, has a conflator per stream (a *lane*) instead. A lagging reader keeps its lanes until it has
    caught up.

    Args:
        call_soon: schedules a callable for the next turn of the event loop (`loop.call_soon`).
        call_later: schedules a callable after a delay in seconds (`loop.call_later`).
        clock: monotonic seconds.
        write: writes bytes to a file descriptor (:class:`~livemarkets.delivery.cohorts.Cohorts`).
        encode_skipped: encodes the message that declares skipped trades to a lagging reader.

    """

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        call_later: Callable[[float, Callable[[], None]], object],
        clock: Callable[[], float],
        write: Write,
        encode_skipped: Callable[[StreamKey, Skipped], bytes],
    ) -> None:
        self._call_soon = call_soon
        self._call_later = call_later
        self._clock = clock
        self._encode_skipped = encode_skipped
        self._cohorts = Cohorts(write, clock)
        self._lanes: dict[StreamKey, dict[Mailbox, Conflator]] = {}
        self._heads: dict[StreamKey, LatestTrade] = {}
        self._idle: dict[StreamKey, dict[Mailbox, Conflator]] = {}
        """Lanes of readers in `mode: latest` for which no timer runs."""
        self._lagging: dict[Mailbox, dict[StreamKey, Conflator]] = {}
        self._is_scheduled = False
        self._delivered = 0
        self._lags = 0

    def statistics(self) -> FanoutStatistics:
        """Return the counters since the start, and how many readers lag at present."""
        return FanoutStatistics(delivered=self._delivered, lags=self._lags, lagging=len(self._lagging))

    def open(self, sink: Sink, *, limit_bytes: int) -> Mailbox:
        """Return the mailbox of a new reader. The mailbox becomes the listener of the connection.

        Args:
            sink: the reader's connection.
            limit_bytes: how many unsent bytes are kept before the reader lags.

        """
        mailbox = Mailbox(sink, self, limit_bytes=limit_bytes, clock=self._clock)
        sink.listener = mailbox
        return mailbox

    def join(self, key: StreamKey, mailbox: Mailbox, interval_seconds: float | None = None) -> None:
        """Deliver the stream to the mailbox from the next trade on.

        Args:
            key: the stream.
            mailbox: the reader's.
            interval_seconds: `None` for every trade; otherwise at most one trade, the newest, in this time.

        """
        self.leave(key, mailbox)
        if interval_seconds is not None:
            lane = self._new_lane(key, mailbox, interval_seconds)
            self._idle.setdefault(key, {})[mailbox] = lane
        elif mailbox in self._lagging:
            self._begin_lane(key, mailbox)
        else:
            self._cohorts.add(key, mailbox)

    def leave(self, key: StreamKey, mailbox: Mailbox) -> None:
        """Stop delivering the stream to the mailbox. Idempotent."""
        self._cohorts.discard(key, mailbox)
        lanes = self._lanes.get(key)
        if lanes is not None:
            lanes.pop(mailbox, None)
            self._idle.get(key, {}).pop(mailbox, None)
            if not lanes:
                del self._lanes[key], self._heads[key]
                self._idle.pop(key, None)
        if mailbox in self._lagging:
            self._lagging[mailbox].pop(key, None)

    def forget(self, mailbox: Mailbox) -> None:
        """Forget a reader that has left all of its streams. Idempotent."""
        self._lagging.pop(mailbox, None)

    def has_readers(self, key: StreamKey) -> bool:
        """Return whether the stream has readers. Without readers, nothing needs to be encoded."""
        return key in self._cohorts.counts or key in self._lanes

    def readers(self, key: StreamKey) -> int:
        """Return the number of mailboxes that get the stream."""
        return self._cohorts.readers(key) + len(self._lanes.get(key, ()))

    def sent_at(self, mailbox: Mailbox) -> float:
        """Return when something was last sent to the mailbox, monotonic seconds."""
        return self._cohorts.sent_at(mailbox)

    def publish(self, key: StreamKey, payload: bytes, trade_id: int) -> None:
        """Send one trade to every reader of the stream."""
        self._delivered += self._broadcast(key, payload)
        head = self._heads.get(key)
        if head is not None:
            head.put(payload, trade_id)
            if idle := self._idle.pop(key, None):
                for mailbox, lane in idle.items():
                    self._pace(mailbox, lane)

    def publish_gap(self, key: StreamKey, payload: bytes, from_id: int, to_id: int) -> None:
        """Send a gap to every reader of the stream, except those in `mode: latest`."""
        self._broadcast(key, payload)
        for lane in self._lanes.get(key, {}).values():
            if not lane.interval_seconds:
                lane.offer_gap(payload, from_id, to_id)

    def post(self, mailbox: Mailbox, payload: bytes) -> None:
        """Queue one message for this reader only, behind its other messages."""
        self._schedule()
        self._cohorts.post(mailbox, text_frame(payload))

    def _broadcast(self, key: StreamKey, payload: bytes) -> int:
        count = self._cohorts.put(key, text_frame(payload))
        if count and not self._is_scheduled:
            self._schedule()
        return count

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._call_soon(self._flush)

    def _flush(self) -> None:
        self._is_scheduled = False
        try:
            self._cohorts.flush()
        finally:
            if self._cohorts.has_something:
                self._schedule()

    # readers in `mode: latest`

    def _pace(self, mailbox: Mailbox, lane: Conflator) -> None:
        wait = lane.due_at - self._clock()
        if wait <= 0:
            self._send_newest(mailbox, lane)
        else:
            self._call_later(wait, lambda: self._send_newest(mailbox, lane))

    def _send_newest(self, mailbox: Mailbox, lane: Conflator) -> None:
        """Send the newest trade, unless the reader has left or has not yet read the one before."""
        if mailbox.is_closed or self._lanes.get(lane.key, {}).get(mailbox) is not lane:
            return
        lane.due_at = self._clock() + lane.interval_seconds
        if mailbox.backlog or mailbox.sink.is_paused:
            self._call_later(lane.interval_seconds, lambda: self._send_newest(mailbox, lane))
            return
        self._idle.setdefault(lane.key, {})[mailbox] = lane
        payload, skipped = lane.take_newest()
        if payload is not None:
            self._delivered += 1
            self.post(mailbox, payload if not skipped else payload[:-1] + b',"skipped":%d}' % skipped)

    # readers that lag (MailboxOwner)

    def handle_overflow(self, mailbox: Mailbox) -> None:
        """Conflate the streams of a reader that exceeds its limit."""
        if mailbox in self._lagging:
            return
        self._lags += 1
        self._lagging[mailbox] = {}
        for key in self._cohorts.keys(mailbox):
            self.leave(key, mailbox)
            self._begin_lane(key, mailbox)

    def _begin_lane(self, key: StreamKey, mailbox: Mailbox) -> None:
        self._lagging[mailbox][key] = self._new_lane(key, mailbox, 0.0)

    def _new_lane(self, key: StreamKey, mailbox: Mailbox, interval_seconds: float) -> Conflator:
        head = self._heads.setdefault(key, LatestTrade())
        lane = Conflator(key, interval_seconds, self._encode_skipped, head)
        self._lanes.setdefault(key, {})[mailbox] = lane
        return lane

    def handle_caught_up(self, mailbox: Mailbox) -> None:
        """Send a reader that has caught up what was skipped, and deliver every trade again."""
        lanes = self._lagging.pop(mailbox, None)
        if lanes is None:
            return
        for key, lane in lanes.items():
            for payload in lane.take():
                self.post(mailbox, payload)
            self.join(key, mailbox)
