"""The subscriptions of one connection: which control message to send next. Sans-I/O.

The difference between the wanted and the acknowledged streams becomes SUBSCRIBE and UNSUBSCRIBE messages,
with many streams in one message, spaced in time. A change that is reverted before its message is sent costs
nothing. After a reconnect, a new session with the same wanted set subscribes everything again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from livemarkets.exchanges.binance.messages import Reply, encode_request

__all__ = ["Session", "SessionTimings"]

Method = Literal["SUBSCRIBE", "UNSUBSCRIBE"]


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


class _Request(msgspec.Struct, frozen=True):
    method: Method
    streams: frozenset[str]
    sent_at: float


class Session:
    """The subscriptions of one connection.

    Times are monotonic seconds, passed in by the caller.
    """

    def __init__(self, timings: SessionTimings) -> None:
        self.timings = timings
        self.wanted: frozenset[str] = frozenset()
        self.acknowledged: set[str] = set()
        self.rejected: dict[str, str] = {}
        """Stream → the exchange's error text."""
        self.lost_answers = 0
        """Replies lost since the last one that arrived."""
        self._retry_at: dict[str, float] = {}
        self._doubtful: set[str] = set()  # not acknowledged, but the exchange may send them anyway
        # Parts of refused batches, to be requested separately.
        self._suspects: dict[Method, list[frozenset[str]]] = {"SUBSCRIBE": [], "UNSUBSCRIBE": []}
        self._requests: dict[int, _Request] = {}
        self._next_id = 1
        self._next_send = 0.0

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
        forgotten = self.acknowledged.intersection(streams)
        self.acknowledged -= forgotten
        self._doubtful |= forgotten

    def reserve(self, now: float) -> bool:
        """Use the rate limit for another message, such as a ping. Return `False` when it is too early."""
        if now < self._next_send:
            return False
        self._next_send = now + self.timings.spacing_seconds
        return True

    def next_due(self, now: float) -> float | None:
        """Return when :meth:`next_request` is due; `None` when there is nothing to wait for."""
        times = [request.sent_at + self.timings.ack_timeout_seconds for request in self._requests.values()]
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
        self._requests[request_id] = _Request(method, streams, now)
        self._next_send = now + self.timings.spacing_seconds
        return encode_request(method, sorted(streams), request_id)

    def handle_reply(self, reply: Reply, now: float) -> str | None:
        """Process a reply. Return a text for the log if the exchange refused something, else `None`."""
        request = self._match(reply)
        if request is None:
            return f"error reply to an unknown request: {reply.error}" if reply.error else None
        self.lost_answers = 0
        if reply.error is None:
            self._doubtful -= request.streams
            if request.method == "SUBSCRIBE":
                self.acknowledged |= request.streams
            else:
                self.acknowledged -= request.streams
            return None
        return self._handle_refusal(request, reply.error, now)

    def _match(self, reply: Reply) -> _Request | None:
        if reply.id is None and reply.error is not None and len(self._requests) == 1:
            # An error without an id can only belong to the one request without a reply.
            return self._requests.popitem()[1]
        return self._requests.pop(reply.id, None) if reply.id is not None else None

    def _handle_refusal(self, request: _Request, error: str, now: float) -> str:
        method, streams = request.method, request.streams
        if len(streams) > 1:  # one invalid stream fails the batch: halve the batch to isolate it
            ordered = sorted(streams)
            half = len(ordered) // 2
            self._suspects[method] += [frozenset(ordered[:half]), frozenset(ordered[half:])]
            return f"{method} of {_names(streams)} was refused, trying it in parts: {error}"
        (stream,) = streams
        self._retry_at[stream] = now + self.timings.rejection_seconds
        if method == "UNSUBSCRIBE":  # the exchange probably has no such subscription, but may have one
            self.acknowledged.discard(stream)
            self._doubtful.add(stream)
        elif stream in self.wanted:
            self.rejected[stream] = error
        return f"{method} of {stream} was refused: {error}"

    def _expire(self, now: float) -> None:
        limit = now - self.timings.ack_timeout_seconds
        for request_id, request in list(self._requests.items()):
            if request.sent_at <= limit:
                del self._requests[request_id]
                self.lost_answers += 1
                # The request may have had its effect or not; the present difference is requested again.
                self.acknowledged -= request.streams
                self._doubtful |= request.streams
        for stream, retry_at in list(self._retry_at.items()):
            if retry_at <= now:
                del self._retry_at[stream]
                self.rejected.pop(stream, None)

    def _difference(self, now: float) -> tuple[Method, frozenset[str]] | None:
        """Return the next request. UNSUBSCRIBE comes first: the streams per connection are limited."""
        busy: set[str] = set().union(*(request.streams for request in self._requests.values()))
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


def _names(streams: frozenset[str]) -> str:
    return ", ".join(sorted(streams)) if len(streams) <= 5 else f"{len(streams)} streams"
