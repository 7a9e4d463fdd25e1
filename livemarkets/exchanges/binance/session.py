"""The subscriptions of one connection: which control message to send next. Sans-I/O.

The difference between the wanted and the acknowledged streams becomes SUBSCRIBE and UNSUBSCRIBE messages,
with many streams in one message, spaced in time. A change that is reverted before its message is sent costs
nothing. After a reconnect, a new session with the same wanted set subscribes everything again.

A trade is as good as an answer: its stream is subscribed. An exchange that answers late or never is not left
while it sends trades.
"""

from __future__ import annotations

from collections.abc import Iterable, KeysView
from typing import Literal

import msgspec

from livemarkets.exchanges.binance.messages import Reply, encode_request

__all__ = ["Request", "Session", "SessionTimings"]

Method = Literal["SUBSCRIBE", "UNSUBSCRIBE"]

_EXPIRED_AT_MOST = 64
"""Requests that were given up but may still be answered."""


class SessionTimings(msgspec.Struct, frozen=True, kw_only=True):
    """Rate and time limits of a session."""

    spacing_seconds: float = 0.3
    """Interval between two control messages. The exchange allows 5 incoming messages per second, including
    pings and pongs (`web-socket-streams.md`, "WebSocket Limits"): at most 4 control messages and a pong."""
    ack_timeout_seconds: float = 5.0
    """Limit for a reply. After that, the reply counts as lost and the request is repeated."""
    rejection_seconds: float = 60.0
    """Delay before a refused stream is requested again."""
    streams_per_message: int = 200
    """Streams per control message, which keeps a message at about 4 KB."""


class Request(msgspec.Struct, eq=False):
    """A request that may still be answered."""

    id: int
    method: Method
    streams: set[str]
    """Those about which nothing is known yet."""
    sent_at: float


class _Run(msgspec.Struct, frozen=True):
    """The latest requests of one stream that have the same method."""

    method: Method
    first_id: int
    began_at: float
    is_first: bool


class Session:
    """The subscriptions of one connection.

    Times are monotonic seconds, passed in by the caller.
    """

    def __init__(self, timings: SessionTimings) -> None:
        self.timings = timings
        self.wanted: frozenset[str] = frozenset()
        self.acknowledged_at: dict[str, float] = {}
        """Stream → since when the exchange has it subscribed, as far as is known."""
        self.rejected: dict[str, str] = {}
        """Stream → the exchange's error text."""
        self.lost_answers = 0
        """Replies lost since the last reply or trade that arrived."""
        self.ignored_requests = 0
        """Replies lost since the last reply that arrived."""
        self.has_answers = False
        """Whether any request was answered."""
        self.unanswered: dict[int, Request] = {}
        """Requests whose reply is awaited, by id. Trades concern the session only while there are some."""
        self._retry_at: dict[str, float] = {}
        self._doubtful: set[str] = set()  # not acknowledged, but the exchange may send them anyway
        # Parts of refused batches, to be requested separately.
        self._suspects: dict[Method, list[frozenset[str]]] = {"SUBSCRIBE": [], "UNSUBSCRIBE": []}
        self._expired: dict[int, Request] = {}  # their replies may still come, oldest first
        self._runs: dict[str, _Run] = {}
        self._anonymous: list[tuple[str, float]] = []  # errors without an id, and when they came
        self._next_id = 1
        self._next_send = 0.0

    @property
    def acknowledged(self) -> KeysView[str]:
        """The streams that the exchange has subscribed."""
        return self.acknowledged_at.keys()

    def is_acknowledged(self) -> bool:
        """Return whether every wanted stream is acknowledged or refused. Others may still be subscribed."""
        return self.wanted - self.rejected.keys() <= self.acknowledged

    def set_wanted(self, streams: Iterable[str]) -> None:
        """Set the streams that this connection should be subscribed to."""
        self.wanted = frozenset(streams)
        for stream in self.rejected.keys() - self.wanted:
            del self.rejected[stream]
            self._retry_at.pop(stream, None)

    def forget(self, streams: Iterable[str]) -> None:
        """Treat streams as not acknowledged, so that mute streams are subscribed again."""
        forgotten = self.acknowledged & set(streams)
        self._unacknowledge(forgotten)
        self._doubtful |= forgotten

    def reserve(self, now: float) -> bool:
        """Use the rate limit for another message, such as a ping. Return `False` when it is too early."""
        if now < self._next_send:
            return False
        self._next_send = now + self.timings.spacing_seconds
        return True

    def next_due(self, now: float) -> float | None:
        """Return when :meth:`next_request` is due; `None` when there is nothing to wait for."""
        times = [request.sent_at + self.timings.ack_timeout_seconds for request in self.unanswered.values()]
        times += self._retry_at.values()
        if self._difference(now) is not None:
            times.append(self._next_send)
        return min(times, default=None)

    def next_request(self, now: float) -> bytes | None:
        """Return the control message to send now; `None` when there is none or it is too early."""
        self._expire(now)
        if now < self._next_send:
            return None
        difference = self._difference(now)
        if difference is None:
            return None
        method, streams = difference
        request_id, self._next_id = self._next_id, self._next_id + 1
        self.unanswered[request_id] = Request(request_id, method, set(streams), now)
        self._next_send = now + self.timings.spacing_seconds
        for stream in streams:
            run = self._runs.get(stream)
            if run is None or run.method != method:
                self._runs[stream] = _Run(method, request_id, now, run is None)
        return encode_request(method, sorted(streams), request_id)

    def note_data(self, streams: Iterable[str], now: float) -> bool:
        """Take trades as the answer to the SUBSCRIBE of their streams. Return whether that changed anything.

        A stream that was unsubscribed before may have trades under way from that time. For such a stream,
        trades are an answer only when they come later than :attr:`SessionTimings.ack_timeout_seconds` after
        the new SUBSCRIBE.
        """
        self.lost_answers = 0
        proved = {stream for stream in streams if self._is_proof(stream, now)}
        if not proved:
            return False
        self._acknowledge(proved, now)
        return True

    def _is_proof(self, stream: str, now: float) -> bool:
        run = self._runs.get(stream)
        if run is None or run.method != "SUBSCRIBE" or stream in self.acknowledged:
            return False
        return run.is_first or now - run.began_at > self.timings.ack_timeout_seconds

    def _acknowledge(self, streams: set[str], now: float) -> None:
        for stream in streams:
            self.acknowledged_at.setdefault(stream, now)
        self._doubtful -= streams
        for request in self.unanswered.values():
            request.streams -= streams

    def _unacknowledge(self, streams: Iterable[str]) -> None:
        for stream in streams:
            self.acknowledged_at.pop(stream, None)

    def handle_reply(self, reply: Reply, now: float) -> str | None:
        """Process a reply. Return a text for the log if the exchange refused something, else `None`."""
        if reply.id is None:
            if reply.error is None:
                return None
            self._anonymous.append((reply.error, now))
            return self._assign_errors(now)
        request = self.unanswered.pop(reply.id, None)
        if request is None:
            return self._handle_late(reply, now)
        self._note_answer()
        if reply.error is not None:
            return self._handle_refusal(request, reply.error, now)
        if request.method == "SUBSCRIBE":
            self._acknowledge(request.streams, now)
        else:
            self._doubtful -= request.streams
            self._unacknowledge(request.streams)
        return self._assign_errors(now)

    def _note_answer(self) -> None:
        self.has_answers, self.lost_answers, self.ignored_requests = True, 0, 0

    def _handle_late(self, reply: Reply, now: float) -> str | None:
        """Process a reply to a request that was given up. The opposite may have been requested since."""
        request = self._expired.pop(reply.id or 0, None)
        if request is not None:
            self._note_answer()
        if reply.error is not None:
            return f"error reply to an unknown request: {reply.error}"
        if request is not None and request.method == "SUBSCRIBE":
            self._acknowledge({one for one in request.streams if self._is_in_run(one, request)}, now)
        return None

    def _is_in_run(self, stream: str, request: Request) -> bool:
        run = self._runs.get(stream)
        return run is not None and run.method == request.method and request.id >= run.first_id

    def _assign_errors(self, now: float) -> str | None:
        """Find the requests that errors without an id belong to: there are as many as are unanswered."""
        if not self._anonymous:
            return None
        candidates = [one for one in self.unanswered.values() if one.sent_at <= self._anonymous[-1][1]]
        if len(candidates) > len(self._anonymous):
            return None
        errors, self._anonymous = self._anonymous, []
        texts = []
        for request, (error, _) in zip(candidates, errors, strict=False):
            del self.unanswered[request.id]
            self._note_answer()
            texts.append(self._handle_refusal(request, error, now))
        texts += [f"error reply to an unknown request: {error}" for error, _ in errors[len(candidates) :]]
        return "; ".join(texts)

    def _handle_refusal(self, request: Request, error: str, now: float) -> str:
        method, streams = request.method, request.streams
        if not streams:
            return f"{method} was refused though its streams have trades: {error}"
        if len(streams) > 1:  # one invalid stream fails the batch: halve the batch to isolate it
            ordered = sorted(streams)
            half = len(ordered) // 2
            self._suspects[method] += [frozenset(ordered[:half]), frozenset(ordered[half:])]
            return f"{method} of {_names(streams)} was refused, trying it in parts: {error}"
        (stream,) = streams
        self._retry_at[stream] = now + self.timings.rejection_seconds
        if method == "UNSUBSCRIBE":  # the exchange probably has no such subscription, but may have one
            self._unacknowledge([stream])
            self._doubtful.add(stream)
        elif stream in self.wanted:
            self.rejected[stream] = error
        return f"{method} of {stream} was refused: {error}"

    def _expire(self, now: float) -> None:
        limit = now - self.timings.ack_timeout_seconds
        for request_id, request in list(self.unanswered.items()):
            if request.sent_at <= limit:
                del self.unanswered[request_id]
                self._give_up(request)
        for stream, retry_at in list(self._retry_at.items()):
            if retry_at <= now:
                del self._retry_at[stream]
                self.rejected.pop(stream, None)

    def _give_up(self, request: Request) -> None:
        if not request.streams:  # all are known by their trades
            return
        self.lost_answers += 1
        self.ignored_requests += 1
        # The request may have had its effect or not; the present difference is requested again.
        self._unacknowledge(request.streams)
        self._doubtful |= request.streams
        self._expired[request.id] = request
        if len(self._expired) > _EXPIRED_AT_MOST:
            del self._expired[next(iter(self._expired))]
        if not self.unanswered:
            self._anonymous.clear()

    def _difference(self, now: float) -> tuple[Method, frozenset[str]] | None:
        """Return the next request. UNSUBSCRIBE comes first: the streams per connection are limited."""
        busy: set[str] = set().union(*(request.streams for request in self.unanswered.values()))
        leaving = (self.acknowledged | self._doubtful) - self.wanted - busy - self._retry_at.keys()
        if leaving:
            return "UNSUBSCRIBE", self._portion("UNSUBSCRIBE", leaving)
        missing = self.wanted - self.acknowledged - self.rejected.keys() - busy
        return ("SUBSCRIBE", self._portion("SUBSCRIBE", missing)) if missing else None

    def _portion(self, method: Method, streams: set[str] | frozenset[str]) -> frozenset[str]:
        """Return the streams of the next message. Parts of refused batches come first."""
        suspects = self._suspects[method]
        while suspects:
            if part := suspects[-1] & streams:
                return part
            suspects.pop()
        return frozenset(sorted(streams)[: self.timings.streams_per_message])


def _names(streams: set[str]) -> str:
    return ", ".join(sorted(streams)) if len(streams) <= 5 else f"{len(streams)} streams"
