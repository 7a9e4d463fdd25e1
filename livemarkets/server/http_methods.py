"""Answers HEAD and OPTIONS on every route, and completes the header `Allow`."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HttpMethods"]

_WRONG_METHOD = 405
_READS = "GET"


class HttpMethods:
    """ASGI middleware for what HTTP requires of every path (RFC 9110, 9.3 and 10.2.1).

    The routes behind it need to know GET and POST alone. HEAD is handled as GET, and the server leaves out
    the body. OPTIONS gets 204 where a route would refuse it with 405. `Allow` then has all methods.

    Nothing here allows a foreign origin to read an answer: there is no CORS header.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request, handshake or lifespan."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] == "HEAD":  # the server looks at its own scope and sends no body
            await self._app({**scope, "method": _READS}, receive, send)
        else:
            await self._app(scope, receive, _Answer(send, asks=scope["method"] == "OPTIONS").send)


class _Answer:
    def __init__(self, send: Send, *, asks: bool) -> None:
        self._send = send
        self._asks = asks
        self._has_no_body = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == _WRONG_METHOD:
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            headers["allow"] = _completed(headers.get("allow", _READS))
            message = {**message, "headers": headers.raw}
            if self._asks:
                self._has_no_body = True
                message["status"] = 204
                for name in ("content-length", "content-type"):
                    del headers[name]
        elif message["type"] == "http.response.body" and self._has_no_body:
            message = {**message, "body": b""}
        await self._send(message)


def _completed(allow: str) -> str:
    """Return a list of methods with those that every route has."""
    methods = dict.fromkeys(filter(None, (method.strip() for method in allow.split(","))))
    if _READS in methods:
        methods["HEAD"] = None
    methods["OPTIONS"] = None
    return ", ".join(methods)
