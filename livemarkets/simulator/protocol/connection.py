"""One client's connection at the exchange: pings, limits, and faults of the connection."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.protocol import Event, State

from livemarkets.simulator.protocol.http_connection import ABORT_AFTER_SECONDS, HttpConnection
from livemarkets.simulator.protocol.limits import ExchangeLimits, SlidingWindow
from livemarkets.simulator.protocol.time_unit import in_microseconds

__all__ = ["ExchangeConnection", "text_frame"]

_HELD_BYTES = 2**20
"""Limit of unread bytes that a half-open connection keeps for the end of the fault."""
_SHORT_HEADERS = tuple(
    b"\x81" + (bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2, "big")) for size in range(2048)
)


def text_frame(payload: bytes) -> bytes:
    """Return an unmasked WebSocket text frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 2048:
        return _SHORT_HEADERS[size] + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class ExchangeConnection(HttpConnection):
    """A client's connection.

    Complete frames are written synchronously to the transport. So a frame is encoded once for all
    connections, and the frames of one turn are sent in one write.
    """

    number = 0
    """A consecutive number; 0 before the handshake is accepted."""
    combined = False
    """Whether events are wrapped as `{"stream":…,"data":…}`."""
    in_microseconds = False
    """Whether the times of events are in microseconds."""
    doomed_code: int | None = None
    """Fault: the connection is closed with this code as soon as it is open (0: dropped)."""
    silent = False
    """Fault: only pings and pongs are sent."""
    half_open = False
    """Fault: nothing is sent or read, but the TCP connection stays open."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.streams: dict[str, None] = {}
        self.muted: set[str] = set()
        self.outbox: list[bytes] = []
        self.opened_at = self.loop.time()
        self._limits: ExchangeLimits | None = None
        self._incoming = SlidingWindow(0, 1.0)
        self._report: Callable[[str], None] = lambda kind: None
        self._pings: dict[bytes, float] = {}
        self._held = bytearray()

    @property
    def is_open(self) -> bool:
        """Whether frames can be sent."""
        return self.protocol.state is State.OPEN

    @property
    def age_seconds(self) -> float:
        """Time since the connection was opened."""
        return self.loop.time() - self.opened_at

    def watch(self, number: int, limits: ExchangeLimits, report: Callable[[str], None]) -> None:
        """Start the pings, the limits and the maximum age.

        Args:
            number: the connection's number.
            limits: limits of the client.
            report: called with the kind of each violation.

        """
        self.number = number
        self._limits = limits
        self._report = report
        self._incoming = SlidingWindow(limits.messages_per_second, 1.0)
        self._later(limits.ping_interval_seconds, self._ping)
        self.end_at_age(limits.max_age_seconds)

    def end_at_age(self, seconds: float) -> None:
        """Close the connection when it reaches this age."""
        self._later(max(seconds - self.age_seconds, 0.0), lambda: self.end(1001, "Connection is too old"))

    def reply(self, payload: bytes) -> None:
        """Send one control reply at once."""
        if self.is_open and not (self.silent or self.half_open):
            self.transport.write(text_frame(payload))

    def framed(self, text: bytes) -> bytes:
        """Return the frame of an event's text, with times in this connection's unit."""
        return text_frame(in_microseconds(text) if self.in_microseconds else text)

    def flush(self) -> int:
        """Write the outbox. Return how many bytes the client has not read yet."""
        parts, self.outbox = self.outbox, []
        if not self.is_open or self.silent or self.half_open:
            return 0
        self.transport.write(parts[0] if len(parts) == 1 else b"".join(parts))
        return self.transport.get_write_buffer_size()

    def end(self, code: int, reason: str = "") -> None:
        """Send a close frame, and drop the connection if the client does not answer."""
        if self.is_open:
            self.protocol.fail(code, reason)
            with contextlib.suppress(OSError, RuntimeError):
                self.send_data()
            self._later(ABORT_AFTER_SECONDS, self.transport.abort)

    def wake(self) -> None:
        """End the faults `silent` and `half_open`, and read what the client has sent meanwhile."""
        self.silent = self.half_open = False
        held, self._held = bytes(self._held), bytearray()
        if held:
            self.data_received(held)

    def data_received(self, data: bytes) -> None:
        """Process received bytes, unless the connection is half-open."""
        if not self.half_open:
            super().data_received(data)
        elif len(self._held) + len(data) <= _HELD_BYTES:
            self._held += data
        else:
            self.drop()

    def process_event(self, event: Event) -> None:
        """Apply the limits to an incoming frame, then process it."""
        if self._limits is not None and isinstance(event, Frame):
            if event.opcode is Opcode.PONG:
                self._ponged(bytes(event.data))
            if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.PONG) and (
                not self._incoming.admit(self.loop.time())
            ):
                self._report("messages_per_second")
                self.end(1008, "Too many requests")
                return
        super().process_event(event)

    def _ping(self) -> None:
        """Send a ping with the time as its payload, or close if an older ping was not answered in time."""
        if self._limits is None or not self.is_open:
            return
        now = self.loop.time()
        oldest = next(iter(self._pings.values()), now)
        if now - oldest >= self._limits.ping_timeout_seconds:
            self._report("ping_timeout")
            self.end(1008, "Pong timeout")
            return
        if not self.half_open:
            payload = str(int(now * 1000)).encode()
            self._pings[payload] = now
            self.protocol.send_ping(payload)
            with contextlib.suppress(OSError, RuntimeError):
                self.send_data()
        self._later(self._limits.ping_interval_seconds, self._ping)

    def _ponged(self, payload: bytes) -> None:
        """Remove the answered ping and all before it. An unsolicited pong is ignored."""
        if payload in self._pings:
            for earlier in list(self._pings):
                del self._pings[earlier]
                if earlier == payload:
                    break
