"""What one connection has to ask for next: wanted against acknowledged streams. Sans-I/O.

The difference between what is wanted and what the exchange acknowledged becomes SUBSCRIBE and
UNSUBSCRIBE messages, many streams in one, spaced in time. A wish that is taken back before its
turn comes costs nothing. After a reconnect a fresh session with the same wanted set does it all again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from livemarkets.exchanges.binance.messages import Reply, encode_request

__all__ = ["Session", "SessionTimings"]

Method = Literal["SUBSCRIBE", "UNSUBSCRIBE"]


class SessionTimings(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a session talks and how long it waits."""

    spacing_seconds: float = 0.3
    """Between two control messages. The limit is 5 incoming messages a second, pings and pongs included
    (`web-socket-streams.md`, "WebSocket Limits"); 4 control messages and a pong keep it."""
    ack_timeout_seconds: float = 5.0
    """An answer that takes longer is counted as lost and the request is repeated."""
    rejection_seconds: float = 60.0
    """How long a stream that the exchange refused is not asked for again."""
    streams_per_message: int = 200
    """So that a message stays about 4 KB."""


class _Request(msgspec.Struct, frozen=True):
    method: Method
    streams: frozenset[str]
    sent_at: float


class Session:
    """The subscriptions of one connection.

    Times are monotonic seconds that the caller passes in.
    """

    def __init__(self, timings: SessionTimings) -> None:
        self.timings = timings
        self.wanted: frozenset[str] = frozenset()
        self.acknowledged: set[str] = set()
        self.rejected: dict[str, str] = {}
        """Stream → the exchange's words."""
        self.lost_answers = 0
        """Answers that did not come, since the last that did."""
        self._retry_at: dict[str, float] = {}
        self._doubtful: set[str] = set()  # not acknowledged, but the exchange may send them all the same
        # Parts of refused batches, to be asked for apart.
        self._suspects: dict[Method, list[frozenset[str]]] = {"SUBSCRIBE": [], "UNSUBSCRIBE": []}
        self._requests: dict[int, _Request] = {}
        self._next_id = 1
        self._next_send = 0.0

    def is_acknowledged(self) -> bool:
        """Whether every wanted stream is subscribed, though some unwanted one may be so still."""
        return self.wanted - self.rejected.keys() <= self.acknowledged

    def set_wanted(self, streams: Iterable[str]) -> None:
        """Say what this connection should be subscribed to from now on."""
        self.wanted = frozenset(streams)
        for stream in self.rejected.keys() - self.wanted:
            del self.rejected[stream]
            self._retry_at.pop(stream, None)

    def forget(self, streams: Iterable[str]) -> None:
        """Treat streams as not acknowledged, so that they are asked for again (a mute stream)."""
        forgotten = self.acknowledged.intersection(streams)
        self.acknowledged -= forgotten
        self._doubtful |= forgotten

    def reserve(self, now: float) -> bool:
        """Take a turn for a message that is not a subscription (a ping). False when it is too early."""
        if now < self._next_send:
            return False
        self._next_send = now + self.timings.spacing_seconds
        return True

    def next_due(self, now: float) -> float | None:
        """When :meth:`next_request` should be called, `None` when there is nothing to wait for."""
        times = [request.sent_at + self.timings.ack_timeout_seconds for request in self._requests.values()]
        times += self._retry_at.values()
        if self._difference(now) is not None:
            times.append(self._next_send)
        return min(times, default=None)

    def next_request(self, now: float) -> bytes | None:
        """Return the control message to send now, `None` when there is none or it is not yet time."""
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
        """Take in an answer. Return a line for the log when the exchange complained."""
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
            return self._requests.popitem()[
                1
            ]  # an error without an id can only mean the one request under way
        return self._requests.pop(reply.id, None) if reply.id is not None else None

    def _handle_refusal(self, request: _Request, error: str, now: float) -> str:
        method, streams = request.method, request.streams
        if len(streams) > 1:  # one bad stream spoils the batch: halve it until it stands alone
            ordered = sorted(streams)
            half = len(ordered) // 2
            self._suspects[method] += [frozenset(ordered[:half]), frozenset(ordered[half:])]
            return f"{method} of {_names(streams)} was refused, trying it in parts: {error}"
        (stream,) = streams
        self._retry_at[stream] = now + self.timings.rejection_seconds
        if method == "UNSUBSCRIBE":  # most likely it knows no such stream, but that is not certain
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
                # It may have been carried out or not; whichever is wanted now is asked for again.
                self.acknowledged -= request.streams
                self._doubtful |= request.streams
        for stream, retry_at in list(self._retry_at.items()):
            if retry_at <= now:
                del self._retry_at[stream]
                self.rejected.pop(stream, None)

    def _difference(self, now: float) -> tuple[Method, frozenset[str]] | None:
        """What to ask for next. Leaving comes first: the streams a connection may have are limited."""
        busy: set[str] = set().union(*(request.streams for request in self._requests.values()))
        leaving = (self.acknowledged | self._doubtful) - self.wanted - busy - self._retry_at.keys()
        if leaving:
            return "UNSUBSCRIBE", self._portion("UNSUBSCRIBE", leaving)
        missing = self.wanted - self.acknowledged - self.rejected.keys() - busy
        return ("SUBSCRIBE", self._portion("SUBSCRIBE", missing)) if missing else None

    def _portion(self, method: Method, streams: set[str] | frozenset[str]) -> frozenset[str]:
        """Choose what goes into one message: what is left of a refused batch comes first."""
        suspects = self._suspects[method]
        while suspects:
            if part := suspects[-1] & streams:
                return part
            suspects.pop()
        return frozenset(sorted(streams)[: self.timings.streams_per_message])


def _names(streams: frozenset[str]) -> str:
    return ", ".join(sorted(streams)) if len(streams) <= 5 else f"{len(streams)} streams"
