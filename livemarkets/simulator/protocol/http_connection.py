"""One client's connection while it carries HTTP: requests, their answers, and a handshake at the end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from livemarkets.simulator.protocol.http_wire import (
    Answer,
    HttpRequest,
    RequestReader,
    WireError,
    encode_answer,
    handshake_head,
)

__all__ = ["ABORT_AFTER_SECONDS", "HttpConnection", "RequestHandler"]

ABORT_AFTER_SECONDS = 1.0
"""Time limit for a client to end a connection that the exchange has ended. After that, it is dropped."""
_IDLE_SECONDS = 75.0
"""How long a connection without a request stays open."""


class RequestHandler(Protocol):
    """What answers the HTTP requests of the connections."""

    rest_seconds: float
    """How long an answer takes."""

    def opened(self, connection: HttpConnection) -> None:
        """A client has connected."""

    def closed(self, connection: HttpConnection) -> None:
        """A connection has ended."""

    def answer(self, connection: HttpConnection, request: HttpRequest) -> Answer | None:
        """Return the answer to a request that is no handshake; `None` to drop the connection."""

    def refusal(self, connection: HttpConnection, request: HttpRequest) -> Answer | None:
        """Return the refusal of a handshake; `None` to accept it."""


class HttpConnection(ServerConnection):
    """A client's connection. It begins with any number of requests, the last of which may be a handshake.

    The WebSocket library reads no more than a handshake, so it gets that alone.

    Args:
        requests: what answers them.
        args: arguments of the library.
        kwargs: arguments of the library.

    """

    target = ""
    """The address of the handshake: path and query. Empty before it is accepted."""

    def __init__(self, requests: RequestHandler, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._requests = requests
        self._reader: RequestReader | None = RequestReader()
        self._is_deaf = False
        self._idle: asyncio.TimerHandle | None = None
        self._timers: list[asyncio.TimerHandle] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request."""
        super().connection_made(transport)
        self._requests.opened(self)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """Process received bytes."""
        if self._is_deaf:
            return
        if self._reader is None:
            super().data_received(data)
        else:
            self._reader.feed(data)
            self._next_requests(self._reader)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._requests.closed(self)
        for timer in (*self._timers, *([self._idle] if self._idle else [])):
            timer.cancel()
        self._timers.clear()
        super().connection_lost(exc)

    def drop(self) -> None:
        """Drop the TCP connection with a reset."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _later(self, seconds: float, callback: Callable[[], object]) -> None:
        if self.protocol.state is not State.CLOSED:
            self._timers = [timer for timer in self._timers if not timer.cancelled()]
            self._timers.append(self.loop.call_later(seconds, callback))

    def _await_request(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = self.loop.call_later(_IDLE_SECONDS, self.transport.abort)

    def _next_requests(self, reader: RequestReader) -> None:
        """Answer the requests that are complete. A slow answer stops the reading, so the order is kept."""
        try:
            while (
                not self._is_deaf and self.transport.is_reading() and (request := reader.next()) is not None
            ):
                if request.is_handshake:
                    self._shake_hands(request, reader)
                    return
                if self._requests.rest_seconds:
                    self.transport.pause_reading()
                    self._later(self._requests.rest_seconds, partial(self._answer_late, request, reader))
                else:
                    self._answer(request)
        except WireError as error:
            self._say(Answer(error.status, error.text.encode(), content_type="text/plain; charset=utf-8"))
            return
        if reader.wants_continue and not self._is_deaf:
            reader.wants_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _answer_late(self, request: HttpRequest, reader: RequestReader) -> None:
        self._answer(request)
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self._next_requests(reader)

    def _answer(self, request: HttpRequest) -> None:
        answer = self._requests.answer(self, request)
        if answer is None:
            self.drop()
            return
        self._say(answer, keeps_alive=request.keeps_alive, without_body=request.method == "HEAD")

    def _shake_hands(self, request: HttpRequest, reader: RequestReader) -> None:
        refusal = self._requests.refusal(self, request)
        if refusal is not None:
            self._say(refusal)
            return
        if self._idle is not None:
            self._idle.cancel()
        self._reader = None
        self.target = request.target
        super().data_received(handshake_head(request) + reader.rest())

    def _say(self, answer: Answer, *, keeps_alive: bool = False, without_body: bool = False) -> None:
        """Send an answer. Then wait for the next request, or end the connection."""
        self.transport.write(encode_answer(answer, keeps_alive=keeps_alive, without_body=without_body))
        self._await_request()
        if not keeps_alive:
            # A connection that is closed with unread bytes is reset, and the client may lose the answer.
            self._is_deaf = True
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self._later(ABORT_AFTER_SECONDS, self.transport.close)
