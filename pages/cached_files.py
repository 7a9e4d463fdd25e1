"""Lets browsers cache the page framework's files under a path prefix too."""

from __future__ import annotations

from nicegui import __version__ as framework_version
from nicegui import app as framework
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CachedFiles"]

_FILES = f"/_nicegui/{framework_version}/"
_CHANGING = f"{_FILES}dynamic_resources/"


class CachedFiles:
    """ASGI middleware that adds the framework's own `Cache-Control` to its files.

    Their addresses bear a version, so they never change. The framework recognises them only without a prefix.

    Args:
        app: the ASGI app behind it.

    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request or handshake."""
        prefix: str = scope.get("root_path", "")
        path = scope["path"].removeprefix(prefix) if prefix and scope["type"] == "http" else ""
        if path.startswith(_FILES) and not path.startswith(_CHANGING):
            send = _with_cache_control(send)
        await self._app(scope, receive, send)


def _with_cache_control(send: Send) -> Send:
    async def send_with_header(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] in (200, 304):
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            headers["Cache-Control"] = framework.config.cache_control_directives
            message = {**message, "headers": headers.raw}
        await send(message)

    return send_with_header
