"""The place of `/ws/markets` among the layers of a request."""

from __future__ import annotations

from collections.abc import Awaitable

from fastapi import WebSocket
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from livemarkets.protocol.dialects import right_message
from livemarkets.security.middleware import MARKETS_PATH
from livemarkets.ws_markets.hub import MarketsHub

__all__ = ["MarketsRoute"]

_UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade"}


class MarketsRoute:
    """ASGI middleware that passes `/ws/markets` to its hub, and everything else to the app.

    A plain request on that path gets 426, and is told what the path is for.

    A route in the app's router would be wrapped by every middleware for requests: twice the memory per
    connection, and each client message would resume 24 coroutines instead of 10.
    """

    def __init__(self, app: ASGIApp, hub: MarketsHub) -> None:
        self._app = app
        self._hub = hub

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection, or answer one request. No coroutine, for each stays in memory."""
        if scope["type"] not in ("websocket", "http") or scope["path"] != MARKETS_PATH:
            return self._app(scope, receive, send)
        if scope["type"] == "websocket":
            return self._hub.serve(WebSocket(scope, receive, send))
        return self._answer(scope["method"])(scope, receive, send)

    def _answer(self, method: str) -> Response:
        """Return the answer to a request that does not ask for a WebSocket."""
        if method != "GET":
            return PlainTextResponse("method not allowed\n", 405, {"Allow": "GET"})
        text = (
            "This is a WebSocket: connect with ws:// or wss:// in place of http:// or https://. "
            f"Then send, for example, {right_message({}, tuple(self._hub.feeds))}\n"
            "The manual is docs/ws-markets.md.\n"
        )
        return PlainTextResponse(text, 426, _UPGRADE)
