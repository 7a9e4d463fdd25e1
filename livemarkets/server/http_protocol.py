"""A uvicorn HTTP protocol that neither waits for ever nor reads without end.

uvicorn's own sets no time in which a request has to arrive, and its parser no size of a header or number of
headers: a peer that sends one byte a minute, or one header without an end, would be served as long as it
likes. This one is given to uvicorn as `http=`.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["BoundedHttpProtocol"]

_REQUEST_SECONDS = 10.0
"""From the connection, or the first byte of a further request, to the request's last byte."""
_HEAD_BYTES = 32_768
_HEADERS = 100
_REQUEST_BYTES = 2_097_152
"""Head and body: the largest that the pages' framework sends by HTTP is 1 MB."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits: 400 beyond them, the end of the connection when time is up."""

    _timer: asyncio.TimerHandle | None = None
    _is_in_head = True
    _request_bytes = 0
    _head_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Expect a request."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, within the limits."""
        if self.transport.is_closing():
            return
        self._start_timer()
        super().data_received(data)
        self._request_bytes += len(data)
        limit = _HEAD_BYTES if self._is_in_head else _REQUEST_BYTES
        if self._request_bytes > limit and self._timer is not None and not self.transport.is_closing():
            self.send_400_response("Request too large.")

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, if the request may ask for that (RFC 6455, 4.2.1)."""
        if self.scope["http_version"] == "1.0":
            self.send_400_response("WebSocket requires HTTP/1.1.")
            return
        self._stop_timer()
        super().handle_websocket_upgrade()

    # Parser callbacks. An exception here is answered with 400.

    def on_message_begin(self) -> None:
        """A request begins, perhaps behind another one in the same bytes."""
        super().on_message_begin()
        self._is_in_head = True
        self._request_bytes = self._head_bytes = 0
        self._start_timer()

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header, or a trailer."""
        self._count_head(len(name) + len(value))
        if len(self.headers) >= _HEADERS:
            raise ValueError("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._is_in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there: from here on, time is ours."""
        self._stop_timer()
        super().on_message_complete()

    def _count_head(self, length_bytes: int) -> None:
        self._head_bytes += length_bytes
        if self._head_bytes > _HEAD_BYTES:
            raise ValueError("the request head is too large")

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(_REQUEST_SECONDS, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
