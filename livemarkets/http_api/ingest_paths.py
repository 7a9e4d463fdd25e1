"""What an ingest serves: whether it is well, and nothing for readers, who belong to the edges."""

from __future__ import annotations

from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

__all__ = ["IngestPaths"]

_STATUS = "/labs/status"
_SERVED = frozenset(
    {
        "/api/diagnostics",
        "/api/status",
        "/healthz",
        "/login",
        "/logout",
        "/metrics",
        "/openapi.json",
        "/readyz",
        _STATUS,
    }
)
_PAGES = "/_nicegui"
_TEXT = "not found: this node is an ingest (LIVE_ROLE=ingest); readers connect to an edge\n"


class IngestPaths:
    """ASGI middleware that answers the paths that only an edge serves with 404, and says why.

    Args:
        app: the ASGI app behind it.

    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request or handshake, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path in _SERVED or path.startswith(_PAGES):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            refusal = PlainTextResponse(_TEXT, 404)
            await WebSocket(scope, receive, send).send_denial_response(refusal)
        elif path == "/":
            await RedirectResponse(scope.get("root_path", "") + _STATUS)(scope, receive, send)
        else:
            await PlainTextResponse(_TEXT, 404)(scope, receive, send)
