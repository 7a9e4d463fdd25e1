"""Answers WebSocket handshakes on paths where there is none."""

from __future__ import annotations

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

__all__ = ["UnknownSockets"]

_PAGES = "/_nicegui"


class UnknownSockets:
    """ASGI middleware that answers a handshake on an unknown path with 404, and passes on everything else.

    The web framework would answer 403, which says that somebody else may open a WebSocket there.

    Args:
        app: the ASGI app behind it. Handshakes of pages are passed on to it.
        known_path: the path of the WebSocket for programs, which the answer names; empty if there is none.

    """

    def __init__(self, app: ASGIApp, known_path: str) -> None:
        self._app = app
        self._known_path = known_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request or handshake, or refuse it."""
        if scope["type"] != "websocket" or scope["path"].startswith(_PAGES):
            await self._app(scope, receive, send)
            return
        text = "not found\n"
        if self._known_path:
            path = scope.get("root_path", "") + self._known_path
            text = f"not found: the WebSocket for programs is at {path}\n"
        await WebSocket(scope, receive, send).send_denial_response(PlainTextResponse(text, 404))
