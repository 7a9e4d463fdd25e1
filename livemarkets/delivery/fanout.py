"""From one tick to many readers: who gets which stream, and how. No I/O.

A message is encoded and framed once; every mailbox gets the same bytes object. Whatever falls into one
turn of the event loop is joined and written once per reader, so the cost of a delivery falls as the
load rises, and at low load nothing waits. No task, queue or `await` per reader is on that path.
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
    """What a fan-out has done since the start."""

    delivered: int
    """Trades handed to mailboxes."""
    lags: int
    """How many times a reader fell behind its limit."""
    lagging: int
    """Readers that lag now."""


class Fanout:
    """Who gets which stream and how, and the one flush per turn of the event loop.

    A reader gets every trade of a stream (`_cohorts`), or a lane of its own stands in between: it asked for
    the latest only, or it lags. A reader that lags gets every stream by a lane until it has caught up.

    Args:
        call_soon: schedules a callable for the next turn of the event loop (`loop.call_soon`).
        call_later: schedules one in so many seconds (`loop.call_later`).
        clock: monotonic seconds.
        write: see :class:`Cohorts`.
        encode_skipped: makes the message that tells a lagging reader what it was not sent.

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
        """Lanes of readers who asked for the latest only, while no moment is waited for."""
        self._lagging: dict[Mailbox, dict[StreamKey, Conflator]] = {}
        self._is_scheduled = False
        self._delivered = 0
        self._lags = 0

    def statistics(self) -> FanoutStatistics:
        """Return what was delivered since the start, and how many readers lag now."""
        return FanoutStatistics(delivered=self._delivered, lags=self._lags, lagging=len(self._lagging))

    def open(self, sink: Sink, *, limit_bytes: int) -> Mailbox:
        """Make the mailbox of a new reader, and have its connection tell it when it takes more.

        Args:
            sink: the reader's connection.
            limit_bytes: how much may wait for the reader before it lags.

        """
        mailbox = Mailbox(sink, self, limit_bytes=limit_bytes, clock=self._clock)
        sink.listener = mailbox
        return mailbox

    def join(self, key: StreamKey, mailbox: Mailbox, interval_seconds: float | None = None) -> None:
        """Deliver the stream to the mailbox from the next trade on.

        Args:
            key: the stream.
            mailbox: the reader's.
            interval_seconds: `None` for every trade; else at most one in this time, the newest.

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
        """Deliver it no more. Idempotent."""
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
        """Let go of a reader that has left its streams. Idempotent."""
        self._lagging.pop(mailbox, None)

    def has_readers(self, key: StreamKey) -> bool:
        """Tell whether anybody gets the stream; if not, nothing needs to be encoded."""
        return self._cohorts.has_readers(key) or key in self._lanes

    def readers(self, key: StreamKey) -> int:
        """Count the mailboxes that get the stream."""
        return self._cohorts.readers(key) + len(self._lanes.get(key, ()))

    def sent_at(self, mailbox: Mailbox) -> float:
        """Return when something was last sent, or kept for a reader that takes nothing; monotonic seconds."""
        return self._cohorts.sent_at(mailbox)

    def publish(self, key: StreamKey, payload: bytes, trade_id: int) -> None:
        """Give one trade to every reader of the stream."""
        self._delivered += self._broadcast(key, payload)
        head = self._heads.get(key)
        if head is not None:
            head.put(payload, trade_id)
            if idle := self._idle.pop(key, None):
                for mailbox, lane in idle.items():
                    self._pace(mailbox, lane)

    def publish_gap(self, key: StreamKey, payload: bytes, from_id: int, to_id: int) -> None:
        """Declare a hole to every reader who was promised every trade."""
        self._broadcast(key, payload)
        for lane in self._lanes.get(key, {}).values():
            if not lane.interval_seconds:
                lane.offer_gap(payload, from_id, to_id)

    def post(self, mailbox: Mailbox, payload: bytes) -> None:
        """Put one message for this reader alone in line behind what it already has."""
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

    # readers who asked for the latest only

    def _pace(self, mailbox: Mailbox, lane: Conflator) -> None:
        wait = lane.due_at - self._clock()
        if wait <= 0:
            self._send_newest(mailbox, lane)
        else:
            self._call_later(wait, lambda: self._send_newest(mailbox, lane))

    def _send_newest(self, mailbox: Mailbox, lane: Conflator) -> None:
        """Send the newest trade, unless the reader left meanwhile, or has not taken the one before."""
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

    # readers who lag (MailboxOwner)

    def handle_overflow(self, mailbox: Mailbox) -> None:
        """Stop giving every trade to a reader whose limit is reached."""
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
        """Tell a reader that has caught up what it missed, and give it every trade again."""
        lanes = self._lagging.pop(mailbox, None)
        if lanes is None:
            return
        for key, lane in lanes.items():
            for payload in lane.take():
                self.post(mailbox, payload)
            self.join(key, mailbox)
