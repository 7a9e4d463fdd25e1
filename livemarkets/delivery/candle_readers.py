"""Fan-out of candles: running ones give way to the newest, closed ones reach every reader. No I/O.

A reader gets every update through its cohort, at the cost of a trade. When its connection takes no more, its
streams leave the cohort: nothing is queued for it any more, and it costs no memory. It waits at the last
closed candle that it was told. When it has read what waited, it is sent the closed candles since then from
memory, or from the exchange's history if memory no longer reaches back, and then the running one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from livemarkets.delivery.candle_slots import CandleReader, CandleSlot, PublishedCandles
from livemarkets.delivery.cohorts import Cohorts
from livemarkets.delivery.framing import text_frame
from livemarkets.delivery.latest import LatestReaders
from livemarkets.delivery.mailbox import Mailbox
from livemarkets.delivery.slow_readers import SlowReaders, is_slow
from livemarkets.market.channels import CANDLES
from livemarkets.market.models import StreamKey

__all__ = ["CandleReaders"]


class CandleReaders:
    """Which reader gets which streams of candles, and how.

    Args:
        cohorts: the readers that get everything.
        latest: the readers in `mode: latest`.
        send: queues a complete frame for the readers of a stream. It returns their number.
        post: queues a message for one reader.
        call_soon: schedules a callable for the next turn of the event loop (`loop.call_soon`).

    """

    def __init__(
        self,
        cohorts: Cohorts,
        latest: LatestReaders,
        send: Callable[[StreamKey, bytes], int],
        post: Callable[[Mailbox, bytes], None],
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self.delivered: Counter[str] = Counter()
        """Messages passed to the mailboxes of readers that get everything, and of slow ones, by channel."""
        self._cohorts = cohorts
        self._latest = latest
        self._send = send
        self._post = post
        self._streams: dict[StreamKey, PublishedCandles] = {}
        self._slow: SlowReaders[CandleSlot] = SlowReaders(
            self._take_missed, self._set_quick, self._post_missed, call_soon
        )

    def join(
        self,
        key: StreamKey,
        mailbox: Mailbox,
        reader: CandleReader,
        told_to: int,
        interval_seconds: float | None = None,
    ) -> None:
        """Deliver a stream to the mailbox from the next update on.

        Args:
            key: the stream.
            mailbox: the reader's.
            reader: what it needs when it was slow.
            told_to: the open time up to which it was told everything that is closed.
            interval_seconds: `None` for every update of a running candle; otherwise at most one in this time.

        """
        self.leave(key, mailbox)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = PublishedCandles(key)
        stream.closed_to = max(stream.closed_to, told_to)
        stream.readers[mailbox] = reader
        if is_slow(mailbox):
            self._set_slow(stream, mailbox, stream.open(mailbox, interval_seconds, told_to))
        elif interval_seconds is not None:
            stream.open(mailbox, interval_seconds, told_to).rest(mailbox)
        else:
            self._cohorts.add(key, mailbox)

    def leave(self, key: StreamKey, mailbox: Mailbox) -> None:
        """Stop delivering a stream to the mailbox. Idempotent."""
        self._cohorts.discard(key, mailbox)
        self._slow.discard(key, mailbox)
        stream = self._streams.get(key)
        if stream is not None:
            stream.readers.pop(mailbox, None)
            stream.close(mailbox)
            if not stream.readers:
                del self._streams[key]

    def forget(self, mailbox: Mailbox) -> None:
        """Forget a reader that has left all of its streams. Idempotent."""
        self._slow.forget(mailbox)

    def has_readers(self, key: StreamKey) -> bool:
        """Return whether a stream has readers. Without readers, nothing needs to be encoded."""
        return key in self._streams

    # what is published

    def publish_running(self, key: StreamKey, payload: bytes, open_ts: int) -> None:
        """Send an update of the running candle to the readers of the stream."""
        stream = self._streams.get(key)
        if stream is not None:
            self.delivered[CANDLES] += self._send(key, text_frame(payload))
            stream.put_running(payload, open_ts)
            if stream.idle:
                self._latest.note_newest(stream.take_idle())

    def publish_closed(self, key: StreamKey, payload: bytes, open_ts: int) -> None:
        """Send a candle that was closed to all readers of the stream, in every mode."""
        stream = self._streams.get(key)
        if stream is not None:
            self.delivered[CANDLES] += self._send(key, text_frame(payload))
            stream.put_closed(open_ts)
            self._post_to_slots(stream, payload, lambda slot: slot.note_closed(open_ts))

    def publish_revised(self, key: StreamKey, payload: bytes, open_ts: int) -> None:
        """Send a candle again that was closed with other figures."""
        stream = self._streams.get(key)
        if stream is not None:
            self.delivered[CANDLES] += self._send(key, text_frame(payload))
            self._post_to_slots(stream, payload, lambda slot: slot.note_revised(open_ts, payload))

    def publish_gap(self, key: StreamKey, payload: bytes, to_ts: int) -> None:
        """Send which candles are missing.

        A slow reader is not sent it: what it misses is asked for again when it has caught up.
        """
        stream = self._streams.get(key)
        if stream is not None:
            self._send(key, text_frame(payload))
            is_set_back = to_ts < stream.closed_to
            stream.put_gap(to_ts)
            self._post_to_slots(stream, payload, lambda slot: slot.note_gap(payload, to_ts, is_set_back))

    def _post_to_slots(
        self, stream: PublishedCandles, payload: bytes, note: Callable[[CandleSlot], None]
    ) -> None:
        """Send a message to the readers in `mode: latest`; the slots of slow ones note what they miss."""
        for mailbox, slot in stream.slots.items():
            if not slot.is_slow and is_slow(mailbox):
                self._set_slow(stream, mailbox, slot)
            note(slot)
            if not slot.is_slow:
                self.delivered[CANDLES] += 1
                self._post(mailbox, payload)

    # slow readers

    def handle_backlog(self, mailbox: Mailbox) -> None:
        """Queue no more candles for a reader whose connection takes no more."""
        for key in self._cohorts.keys(mailbox):
            if key.channel == CANDLES:
                stream = self._streams[key]
                self._cohorts.discard(key, mailbox)
                self._set_slow(stream, mailbox, stream.open(mailbox, None, stream.closed_to))

    def handle_overflow(self, mailbox: Mailbox) -> None:
        """Note that a reader lags: it is told what it missed before it gets it."""
        for slot in self._slow.slots(mailbox).values():
            slot.lags = True

    def handle_caught_up(self, mailbox: Mailbox) -> None:
        """Send a reader that has caught up what it missed, some now and the rest soon."""
        self._slow.handle_caught_up(mailbox)

    def _take_missed(self, key: StreamKey, mailbox: Mailbox, slot: CandleSlot) -> Sequence[bytes] | None:
        payloads = slot.take_some()
        if payloads is None:  # memory does not reach back
            reader = self._streams[key].readers[mailbox]
            self.leave(key, mailbox)
            reader.resume(slot.closed_to)
        return payloads

    def _post_missed(self, key: StreamKey, mailbox: Mailbox, payload: bytes) -> None:
        self.delivered[CANDLES] += 1
        self._post(mailbox, payload)

    def _set_slow(self, stream: PublishedCandles, mailbox: Mailbox, slot: CandleSlot) -> None:
        slot.is_slow = True
        self._slow.add(stream.key, mailbox, slot)

    def _set_quick(self, key: StreamKey, mailbox: Mailbox, slot: CandleSlot) -> None:
        slot.is_slow = False
        if slot.is_conflated:
            slot.rest(mailbox)
        else:
            self._streams[key].close(mailbox)
            self._cohorts.add(key, mailbox)
