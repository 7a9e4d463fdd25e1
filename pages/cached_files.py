"""Serves the page framework's files from memory, compressed once, and lets browsers keep them."""

from __future__ import annotations

from typing import NamedTuple

from nicegui import __version__ as framework_version
from nicegui import app as framework
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CachedFiles"]

_FILES = f"/_nicegui/{framework_version}/"
_CHANGING = f"{_FILES}dynamic_resources/"
_MOST_BYTES = 4_000_000
"""Of all files kept. Those of all pages have a quarter of it. The framework serves what does not fit."""
_PIECE_BYTES = 65_536
"""Sent at once, as the framework does: a slow browser has one piece in memory, not a file."""
_CONDITIONS = ("range", "if-range", "if-none-match", "if-modified-since")


class CachedFiles:
    """ASGI middleware that keeps the framework's files, and has browsers keep them too.

    Their addresses bear a version, so they never change. The framework reads and compresses a file anew for
    each request. For the forty files of a first visit, that takes longer than all else that the server does.
    And it lets browsers keep files only where there is no path prefix.

    Args:
        app: the ASGI app behind it.

    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[_Key, _Answer] = {}
        self._bytes = 0
        self._noted: set[_Key] = set()  # of which the answer is on its way, and is being noted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a file, or pass on any other request or handshake."""
        path = scope["path"].removeprefix(scope.get("root_path", "")) if scope["type"] == "http" else ""
        if not path.startswith(_FILES) or path.startswith(_CHANGING):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        key = _Key(path, is_compressed="gzip" in headers.get("Accept-Encoding", ""))
        if scope["method"] != "GET" or any(name in headers for name in _CONDITIONS) or key in self._noted:
            await self._app(scope, receive, _with_cache_control(send))
        elif (answer := self._kept.get(key)) is not None:
            await answer.send(send)
        else:
            await self._answer_and_keep(key, scope, receive, send)

    async def _answer_and_keep(self, key: _Key, scope: Scope, receive: Receive, send: Send) -> None:
        head: MutableHeaders | None = None
        pieces: list[bytes] = []
        is_whole = False

        async def note(message: Message) -> None:
            nonlocal head, is_whole
            if message["type"] == "http.response.start" and message["status"] == 200:
                head = MutableHeaders(raw=list(message["headers"]))
            elif message["type"] == "http.response.body" and head is not None:
                piece = message.get("body", b"")
                self._bytes += len(piece)
                pieces.append(piece)
                is_whole = not message.get("more_body", False)
                if self._bytes > _MOST_BYTES:
                    head = None
            await send(message)

        self._noted.add(key)
        try:
            await self._app(scope, receive, _with_cache_control(note))
        finally:
            self._noted.discard(key)
            if head is not None and is_whole and "Set-Cookie" not in head:
                self._kept[key] = _Answer.whole(head, b"".join(pieces))
            else:
                self._bytes -= sum(map(len, pieces))


class _Key(NamedTuple):
    path: str
    is_compressed: bool


class _Answer(NamedTuple):
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def whole(cls, headers: MutableHeaders, body: bytes) -> _Answer:
        headers["Content-Length"] = str(len(body))
        return cls(headers.raw, body)

    async def send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(self.headers)})
        for at in range(0, len(self.body) or 1, _PIECE_BYTES):
            end = at + _PIECE_BYTES
            has_more = end < len(self.body)
            await send({"type": "http.response.body", "body": self.body[at:end], "more_body": has_more})


def _with_cache_control(send: Send) -> Send:
    async def send_with_header(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] in (200, 304):
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            headers["Cache-Control"] = framework.config.cache_control_directives
            message = {**message, "headers": headers.raw}
        await send(message)

    return send_with_header
