"""Gives the framework a request's path as ASGI defines it: with the path prefix of the app."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["FullPath"]


class FullPath:
    """ASGI layer directly in front of the framework.

    Our own layers read the path without the prefix. The framework expects `root_path` at its beginning: it
    would otherwise find no mounted part, such as static files, and would redirect without the prefix.

    Args:
        app: the ASGI app behind it.

    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request or handshake."""
        root_path: str = scope.get("root_path", "")
        if root_path and scope["type"] in ("http", "websocket"):
            scope = {**scope, "path": root_path + scope["path"]}
            if "raw_path" in scope:
                scope["raw_path"] = root_path.encode("latin-1") + scope["raw_path"]
        await self._app(scope, receive, send)
