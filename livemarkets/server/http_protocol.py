"""A uvicorn HTTP protocol with limits for the time and the size of a request. Pass it to uvicorn as `http=`.

uvicorn's own protocol has no time limit for a request, and no limit for the size and number of headers. A
peer that sends one byte per minute, or an endless header, would occupy a connection for any time.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from livemarkets.server.open_files import KEPT_BACK, LAST_FILES, SHORT_OF_FILES, files_left

__all__ = ["BoundedHttpProtocol"]

_REQUEST_SECONDS = 10.0
"""Limit from the start of the connection, or the first byte of a later request, to the last byte."""
_SHORT_REQUEST_SECONDS = 1.0
"""The same limit while few open files are left: a peer that sends nothing must not keep one."""
_HEAD_BYTES = 32_768
_HEADERS = 100
_REQUEST_BYTES = 2_097_152
"""Limit for head and body. NiceGUI's largest request has 1 MB."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits: 400 for too large a request, an abort after the time limit."""

    _timer: asyncio.TimerHandle | None = None
    _is_in_head = True
    _is_short_of_files = False
    _request_bytes = 0
    _head_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time limit of the first request."""
        super().connection_made(transport)  # type: ignore[arg-type]
        left = files_left(transport)
        self._is_short_of_files = left < KEPT_BACK
        if left < LAST_FILES:
            self.transport.abort()
        else:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time limit."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data, within the limits."""
        if self.transport.is_closing():
            return
        self._start_timer()
        super().data_received(data)
        self._request_bytes += len(data)
        limit = _HEAD_BYTES if self._is_in_head else _REQUEST_BYTES
        if self._request_bytes > limit and self._timer is not None and not self.transport.is_closing():
            self.send_400_response("Request too large.")

    def handle_websocket_upgrade(self) -> None:
        """Switch to the WebSocket protocol, if the request has HTTP/1.1 (RFC 6455, 4.2.1)."""
        if self.scope["http_version"] == "1.0":
            self.send_400_response("WebSocket requires HTTP/1.1.")
            return
        self._stop_timer()
        super().handle_websocket_upgrade()
        self.parser = None  # type: ignore[assignment]  # it refers to this object: see run.py

    # Parser callbacks. An exception here is answered with 400.

    def on_message_begin(self) -> None:
        """A request begins. Pipelined requests may arrive in one read."""
        super().on_message_begin()
        if self._is_short_of_files:
            self.scope[SHORT_OF_FILES] = True  # type: ignore[literal-required]
        self._is_in_head = True
        self._request_bytes = self._head_bytes = 0
        self._start_timer()

    def on_url(self, url: bytes) -> None:
        """Process a part of the request's target."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Process a header or a trailer."""
        self._count_head(len(name) + len(value))
        if len(self.headers) >= _HEADERS:
            raise ValueError("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._is_in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is complete: the time limit does not apply to our response."""
        self._stop_timer()
        super().on_message_complete()

    def _count_head(self, length_bytes: int) -> None:
        self._head_bytes += length_bytes
        if self._head_bytes > _HEAD_BYTES:
            raise ValueError("the request head is too large")

    def _start_timer(self) -> None:
        if self._timer is None:
            seconds = _SHORT_REQUEST_SECONDS if self._is_short_of_files else _REQUEST_SECONDS
            self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
