"""The web framework's app, with layers of our own in front of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["LayeredApp"]


class LayeredApp(FastAPI):
    """A FastAPI app behind ASGI layers.

    The framework's own middleware would stand in front of them. A connection to `/ws/markets` lasts for days,
    and each coroutine that it passes stays in memory.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._outermost: ASGIApp = super().__call__

    def put_in_front(self, layer: Callable[..., ASGIApp], **options: Any) -> None:
        """Add a layer, which is made of the app behind it. A request passes the last one first."""
        self._outermost = layer(self._outermost, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, handshake or lifespan."""
        await self._outermost(scope, receive, send)
