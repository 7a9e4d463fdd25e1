"""The web framework's app, with layers of our own in front of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["LayeredApp"]

_METHODS = ("GET", "POST")
"""The methods that routes have; :mod:`livemarkets.server.http_methods` adds HEAD and OPTIONS."""


class LayeredApp(FastAPI):
    """A FastAPI app behind ASGI layers.

    The framework's own middleware would stand in front of them. A connection to `/ws/markets` lasts for days,
    and each coroutine that it passes stays in memory.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._outermost: ASGIApp = self._serve

    def put_in_front(self, layer: Callable[..., ASGIApp], **options: Any) -> None:
        """Add a layer, which is made of the app behind it. A request passes the last one first."""
        self._outermost = layer(self._outermost, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, handshake or lifespan."""
        await self._outermost(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle what has passed the layers.

        A path of ours with a wrong method gets 405 here. The framework would hand it to the mounted app of
        the pages, which does not know the path.
        """
        methods = self._methods_instead(scope) if scope["type"] == "http" else []
        if methods:
            wrong = PlainTextResponse("method not allowed\n", 405, {"Allow": ", ".join(methods)})
            await wrong(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _methods_instead(self, scope: Scope) -> list[str]:
        """Return the methods of a path that does not have the method of the request; empty if it has it."""
        if self._match(scope) is not Match.PARTIAL:
            return []
        return [method for method in _METHODS if self._match({**scope, "method": method}) is Match.FULL]

    def _match(self, scope: Scope) -> Match:
        """Return whether a path is ours (`PARTIAL`) and has the method (`FULL`)."""
        routes = (route for route in self.router.routes if not isinstance(route, Mount))
        found = [route.matches(scope)[0] for route in routes]
        return max(found, key=lambda match: match.value, default=Match.NONE)
