"""Fan-out of one message to many readers: which reader gets which stream, and how. No I/O.

A message is encoded and framed once; every mailbox gets the same bytes object. The messages of one turn of
the event loop are joined and written once per reader. The cost per delivery falls as the load rises, and at
low load nothing is delayed. This path has no task, queue or `await` per reader.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from livemarkets.delivery.arrival import ArrivalOrder
from livemarkets.delivery.candle_readers import CandleReaders
from livemarkets.delivery.cohorts import WRITES_AT_ONCE, Cohorts, Write
from livemarkets.delivery.conflation import Conflator, EncodeGap, EncodeSkipped, Published
from livemarkets.delivery.framing import text_frame
from livemarkets.delivery.latest import LatestReaders
from livemarkets.delivery.mailbox import Mailbox, Sink
from livemarkets.delivery.newest import EncodeRows
from livemarkets.delivery.newest_readers import NewestReaders
from livemarkets.delivery.orders import Orders
from livemarkets.delivery.statistics import FanoutStatistics
from livemarkets.market.channels import TRADES
from livemarkets.market.models import Gap, StreamKey

__all__ = ["Fanout"]


class Fanout:
    """Which reader gets which stream and how, with one flush per turn of the event loop.

    A stream has two orders, of ids and of arrival (:class:`~livemarkets.delivery.orders.Orders`). A reader
    gets every trade of one through its cohort. A reader that asked for the latest trades only, or that lags,
    has a conflator per stream instead. The latest trades are those in order of arrival. A lagging reader
    keeps its conflators until it has caught up. The other channels: see :attr:`newest`, :attr:`candles`.

    Args:
        call_soon: schedules a callable for the next turn of the event loop (`loop.call_soon`).
        call_later: schedules a callable after a delay in seconds (`loop.call_later`).
        clock: monotonic seconds.
        write: writes bytes to a file descriptor (:class:`~livemarkets.delivery.cohorts.Cohorts`).
        encode_skipped: encodes the message that declares skipped trades to a lagging reader.
        encode_gap: encodes the message that declares a gap.
        encode_rows: encodes a message of some rows.
        writes_at_once: the most writes of one turn.

    """

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        call_later: Callable[[float, Callable[[], None]], object],
        clock: Callable[[], float],
        write: Write,
        encode_skipped: EncodeSkipped,
        encode_gap: EncodeGap,
        encode_rows: EncodeRows,
        *,
        writes_at_once: int = WRITES_AT_ONCE,
    ) -> None:
        self._call_soon = call_soon
        self._clock = clock
        self._encode_gap = encode_gap
        self._cohorts = Cohorts(write, clock, writes_at_once=writes_at_once)
        self._orders = Orders(encode_skipped, encode_gap)
        self._published, self._arrivals = self._orders.by_key, self._orders.arrivals
        self._latest = latest = LatestReaders(call_later, clock, self.post)
        self.newest = NewestReaders(self._cohorts, latest, self._send, self.post, call_soon, encode_rows)
        self.candles = CandleReaders(self._cohorts, latest, self._send, self.post, call_soon)
        self.lagging: dict[Mailbox, dict[StreamKey, Conflator]] = {}
        self._is_scheduled = False
        self._delivered = 0
        self._lags = 0

    def statistics(self) -> FanoutStatistics:
        """Return the counters since the start, and how many readers lag at present."""
        others = self._latest.delivered + self.newest.delivered + self.candles.delivered
        delivered = Counter({TRADES: self._delivered}) + others
        return FanoutStatistics(delivered=delivered, lags=self._lags, lagging=len(self.lagging))

    def open(self, sink: Sink, *, limit_bytes: int) -> Mailbox:
        """Return the mailbox of a new reader, which lags when more than `limit_bytes` wait for it."""
        mailbox = Mailbox(sink, self, limit_bytes=limit_bytes, clock=self._clock)
        sink.listener = mailbox
        return mailbox

    def join(
        self,
        stream: StreamKey,
        mailbox: Mailbox,
        interval_seconds: float | None = None,
        arrival: ArrivalOrder | None = None,
    ) -> None:
        """Deliver the stream to the mailbox from the next trade on, or the newest trade of each interval.

        A reader in order of arrival gives the ids that are known and pending. They count only where the
        stream has no :meth:`arrival_order` yet. Without them, it reads in order of ids.
        """
        self.leave(stream, mailbox)
        key = stream
        if arrival is not None or interval_seconds is not None:
            key = self._orders.enter_arrival(stream, arrival or ArrivalOrder()).key
        if interval_seconds is not None:
            self._orders.conflate(key, mailbox, interval_seconds).rest(mailbox)
        elif mailbox in self.lagging:
            self.lagging[mailbox][key] = self._orders.conflate(key, mailbox, 0.0)
        else:
            self._cohorts.add(key, mailbox)

    def leave(self, stream: StreamKey, mailbox: Mailbox) -> None:
        """Stop delivering the stream to the mailbox. Idempotent."""
        for key in self._orders.keys(stream):
            self._cohorts.discard(key, mailbox)
            if mailbox in self.lagging:
                self.lagging[mailbox].pop(key, None)
            self._orders.release(key, mailbox, is_read=key in self._cohorts.counts)

    def forget(self, mailbox: Mailbox) -> None:
        """Forget a reader that has left all of its streams. Idempotent."""
        self.lagging.pop(mailbox, None)
        self.newest.forget(mailbox)
        self.candles.forget(mailbox)

    def has_readers(self, stream: StreamKey) -> bool:
        """Return whether the stream has readers. Without readers, nothing needs to be encoded."""
        if stream in self._cohorts.counts:
            return True
        return bool(self._published) and (stream in self._published or stream in self._arrivals)

    def has_readers_in_order(self, stream: StreamKey) -> bool:
        """Return whether the stream has readers in order of ids."""
        return stream in self._cohorts.counts or stream in self._published

    def is_new_arrival(self, stream: StreamKey, trade_id: int) -> bool:
        """Return whether there are readers in order of arrival, and the id is new to them."""
        arrival = self._arrivals.get(stream)
        return arrival is not None and arrival.ids.is_new(trade_id)

    def readers(self, stream: StreamKey) -> int:
        """Return the number of mailboxes that get the stream."""
        keys = self._orders.keys(stream)
        published = [self._published[key] for key in keys if key in self._published]
        return sum(map(self._cohorts.readers, keys)) + sum(len(each.conflators) for each in published)

    def arrival_order(self, stream: StreamKey) -> ArrivalOrder | None:
        """Return what the stream's readers in order of arrival were told; `None` when there are none."""
        arrival = self._arrivals.get(stream)
        return None if arrival is None else arrival.ids

    def complete_to(self, stream: StreamKey, mailbox: Mailbox) -> int | None:
        """Return the id up to which a lagging reader was told everything; `None` if nothing was skipped."""
        lagging = self.lagging.get(mailbox, {})
        return next((lagging[key].complete_to for key in self._orders.keys(stream) if key in lagging), None)

    def sent_at(self, mailbox: Mailbox) -> float:
        """Return when something was last sent to the mailbox, monotonic seconds."""
        return self._cohorts.sent_at(mailbox)

    # what is published

    def publish(self, stream: StreamKey, payload: bytes, trade_id: int) -> None:
        """Send a trade in order of ids, and in order of arrival unless it was published. The hot path."""
        frame = text_frame(payload)
        self._delivered += self._send(stream, frame)
        if self._published:
            published = self._published.get(stream)
            if published is not None:
                published.put(payload, trade_id, is_newest=True)
            arrival = self._arrivals.get(stream)
            if arrival is not None:
                self._arrive(arrival, frame, payload, trade_id, trade_id > arrival.newest_id)

    def publish_arrival(self, stream: StreamKey, payload: bytes, trade_id: int, *, is_newest: bool) -> None:
        """Send a trade in order of arrival only, unless it was published; see `TradePublisher`."""
        arrival = self._arrivals.get(stream)
        if arrival is not None:
            self._arrive(arrival, text_frame(payload), payload, trade_id, is_newest)

    def expect(self, stream: StreamKey, newest_id: int) -> None:
        """Tell the readers in order of arrival that the ids up to this one are pending."""
        arrival = self._arrivals.get(stream)
        if arrival is not None:
            self._expect(arrival, newest_id)

    def retract(self, stream: StreamKey, trade_id: int) -> None:
        """Tell the readers in order of arrival that a trade was false: its id is pending again."""
        arrival = self._arrivals.get(stream)
        if arrival is not None and arrival.retract(trade_id):
            self._send_gap(arrival, Gap(stream, trade_id, trade_id, "pending"), arrival.ids.complete_to)

    def publish_gap(self, gap: Gap) -> None:
        """Send a gap to every reader of the stream, in both orders, except those in `mode: latest`."""
        stream = gap.key
        published = self._published.get(stream)
        if published is not None or stream in self._cohorts.counts:
            payload = self._encode_gap(gap, gap.to_id)
            self._send(stream, text_frame(payload))
            if published is not None and gap.to_id < gap.from_id:
                published.restart(gap.to_id, payload)
            elif published is not None:
                published.declare(gap.from_id, gap.to_id)
        self._publish_arrival_gap(gap)

    def _publish_arrival_gap(self, gap: Gap) -> None:
        """Send a gap in order of arrival only, as far as its ids have neither come nor been declared."""
        arrival = self._arrivals.get(gap.key)
        if arrival is None:
            return
        if gap.to_id < gap.from_id:
            self._restart(arrival, gap)
            return
        self._expect(arrival, gap.from_id - 1)
        declared = arrival.declare(gap.from_id, gap.to_id)
        untold = [first - 1 for first, _ in declared[1:]]
        for (first, last), to_id in zip(declared, [*untold, arrival.ids.complete_to], strict=True):
            complete_to = min(to_id, arrival.ids.complete_to)
            self._send_gap(arrival, Gap(gap.key, first, last, gap.cause), complete_to)

    def post(self, mailbox: Mailbox, payload: bytes) -> None:
        """Queue one message for this reader only, behind its other messages."""
        self._schedule()
        self._cohorts.post(mailbox, text_frame(payload))

    def _arrive(
        self, arrival: Published, frame: bytes, payload: bytes, trade_id: int, is_newest: bool
    ) -> None:
        if trade_id != arrival.ids.next_id:
            self._expect(arrival, trade_id - 1)
        if not arrival.put(payload, trade_id, is_newest=is_newest):
            return
        self._delivered += self._send(arrival.key, frame)
        if is_newest and arrival.idle:
            self._latest.note_newest(arrival.take_idle())

    def _expect(self, arrival: Published, newest_id: int) -> None:
        pending = arrival.ids.expect(newest_id)
        if pending is not None:
            self._send_gap(arrival, Gap(arrival.stream, *pending, "pending"), arrival.ids.complete_to)

    def _restart(self, arrival: Published, gap: Gap) -> None:
        """Begin a new numbering. What is still pending in the old one cannot come any more."""
        ids = arrival.ids
        for first, last in ids.pending:
            self._publish_arrival_gap(Gap(gap.key, first, last, "upstream"))
        from_id = gap.from_id if ids.next_id is None else ids.next_id
        payload = self._encode_gap(Gap(gap.key, from_id, gap.to_id, gap.cause), gap.to_id)
        self._send(arrival.key, text_frame(payload))
        arrival.restart(gap.to_id, payload)

    def _send_gap(self, arrival: Published, gap: Gap, complete_to: int) -> None:
        if arrival.key in self._cohorts.counts:
            self._send(arrival.key, text_frame(self._encode_gap(gap, complete_to)))

    def _send(self, key: StreamKey, frame: bytes) -> int:
        count = self._cohorts.put(key, frame)
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

    # readers that lag (MailboxOwner)

    def handle_backlog(self, mailbox: Mailbox) -> None:
        """Queue only trades for a reader whose connection takes no more."""
        self.newest.handle_backlog(mailbox)
        self.candles.handle_backlog(mailbox)

    def handle_overflow(self, mailbox: Mailbox) -> None:
        """Conflate the streams of a reader that exceeds its limit."""
        self.candles.handle_overflow(mailbox)
        if mailbox in self.lagging:
            return
        self._lags += 1
        conflators = self.lagging[mailbox] = {}
        for key in self._cohorts.keys(mailbox):
            conflators[key] = self._orders.conflate(key, mailbox, 0.0)
            self._cohorts.discard(key, mailbox)

    def handle_caught_up(self, mailbox: Mailbox) -> None:
        """Send a reader that has caught up what was skipped, and deliver every trade again."""
        for key, conflator in self.lagging.pop(mailbox, {}).items():
            for payload in conflator.take():
                self.post(mailbox, payload)
            self._cohorts.add(key, mailbox)
            self._orders.release(key, mailbox, is_read=True)
        self.newest.handle_caught_up(mailbox)
        self.candles.handle_caught_up(mailbox)
