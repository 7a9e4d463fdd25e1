"""Who is let in, before anything else sees a request: origins, the access token, limits, security headers.

Plain ASGI, around everything that is served: a middleware for HTTP requests never sees a WebSocket.
Whatever is not named here as open needs the token, so a new route is guarded from its first day.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs, quote

import msgspec
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from livemarkets.rate_limit import TokenBuckets, UsageCounter
from livemarkets.security.addresses import client_address
from livemarkets.security.origins import is_allowed_origin
from livemarkets.security.token_auth import (
    BEARER_PREFIX,
    SESSION_COOKIE,
    TokenAuth,
    TokenCheck,
    bearer_tokens,
)

__all__ = ["CONTENT_SECURITY_POLICY", "MARKETS_PATH", "PageLimits", "SecurityMiddleware"]

MARKETS_PATH = "/ws/markets"
_OPEN = {"/healthz", "/login", "/logout"}
_NO_PAGES = ("/api/", "/ws/", "/_nicegui", "/metrics", "/readyz", "/favicon")
"""Who asks here without the token is a program, or part of a page: it gets 401 and no login form."""
_PAGE_SOCKET = "/_nicegui_ws/"
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}

# The pages' framework compiles templates in the browser and starts from an inline script: without the two
# `unsafe-` sources of scripts no page lives.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # not no-referrer: with it a form's own origin arrives as null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PAGE_HEADERS = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-store"}


_RETRY = {"Retry-After": "5", "Refresh": "5"}
"""When to come again: the first is for programs, the second is what a browser does by itself."""


class PageLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one address may take of the pages.

    A page is built, and kept in memory for up to 70 seconds, before it is known whether a browser opens it.
    """

    burst: float = 100
    """Pages at once."""
    per_second: float = 1.0
    """Pages in the long run."""
    sockets: int = 500
    """Open pages: the sockets by which they are kept up to date."""


class SecurityMiddleware:
    """ASGI middleware: lets in, or answers 401, 403, 429 or the way to `/login`.

    Args:
        app: what is behind it.
        access: the token and its sessions.
        allowed_origins: browser origins that may open `/ws/markets` beside the app's own.
        note_refusal: called for each refused handshake of `/ws/markets`.
        limits: what one address may take of the pages.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        app: ASGIApp,
        access: TokenAuth,
        allowed_origins: Sequence[str],
        note_refusal: Callable[[], None],
        *,
        limits: PageLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._access = access
        self._allowed_origins = tuple(allowed_origins)
        self._note_refusal = note_refusal
        self._limits = limits or PageLimits()
        self._pages = TokenBuckets(
            rate_per_second=self._limits.per_second, burst=self._limits.burst, clock=clock
        )
        self._page_sockets = UsageCounter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request or handshake in, or answer it here."""
        if scope["type"] == "websocket":
            refusal = self._refusal(HTTPConnection(scope))
            # The token has done its work; it goes no further than here.
            scope["subprotocols"] = [
                offer for offer in scope.get("subprotocols", ()) if not offer.startswith(BEARER_PREFIX)
            ]
            if refusal is not None:
                if scope["path"] == MARKETS_PATH:
                    self._note_refusal()
                await WebSocket(scope, receive, send).send_denial_response(refusal)
                return
            if scope["path"].startswith(_PAGE_SOCKET):
                await self._serve_page_socket(scope, receive, send)
                return
        elif scope["type"] == "http":
            send = _with_security_headers(send)
            request = HTTPConnection(scope)
            refusal = self._refusal(request) or self._page_refusal(request)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _serve_page_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = client_address(HTTPConnection(scope))
        if self._page_sockets.in_use(address) >= self._limits.sockets:
            denial = PlainTextResponse("too many open pages from this address\n", 429, _RETRY)
            await WebSocket(scope, receive, send).send_denial_response(denial)
            return
        with self._page_sockets.use(address):
            await self._app(scope, receive, send)

    def _page_refusal(self, request: HTTPConnection) -> Response | None:
        if not _begins_a_page(request.scope) or self._pages.take(client_address(request)):
            return None
        return PlainTextResponse("too many page requests from this address\n", 429, _RETRY)

    def _refusal(self, request: HTTPConnection) -> Response | None:
        if not self._may_come_from_there(request):
            return PlainTextResponse("origin not allowed\n", 403)
        if not self._access.is_on or request.scope["path"] in _OPEN:
            return None
        tokens = bearer_tokens(
            request.headers.getlist("authorization"), request.scope.get("subprotocols", ())
        )
        if tokens:
            return self._judge(tokens, client_address(request))
        if self._access.is_session(request.cookies.get(SESSION_COOKIE, "")):
            return None
        return _ask_for_the_token(request)

    def _may_come_from_there(self, request: HTTPConnection) -> bool:
        """Cross-site requests are refused wherever they could read or change anything."""
        scope = request.scope
        path: str = scope["path"]
        if scope["type"] == "http" and scope["method"] in _SAFE_METHODS and not path.startswith(_PAGE_SOCKET):
            return True
        if len(request.headers.getlist("origin")) > 1:
            return False
        return is_allowed_origin(request.headers, self._allowed_origins if path == MARKETS_PATH else ())

    def _judge(self, tokens: Sequence[str], address: str) -> Response | None:
        verdict = self._access.judge(tokens[0], address) if len(tokens) == 1 else TokenCheck.WRONG
        if verdict is TokenCheck.RIGHT:
            return None
        if verdict is TokenCheck.TOO_MANY:
            return PlainTextResponse("too many wrong tokens\n", 429, {"Retry-After": "60"})
        return _unauthorized("wrong access token\n")


def _begins_a_page(scope: Scope) -> bool:
    """Tell whether this builds a page, or begins a session of a page's socket by polling."""
    path: str = scope["path"]
    if path.startswith(_PAGE_SOCKET):
        return "sid" not in parse_qs(scope["query_string"].decode("latin-1"))
    return scope["method"] == "GET" and path not in _OPEN and not path.startswith(_NO_PAGES)


def _unauthorized(text: str) -> Response:
    return PlainTextResponse(text, 401, {"WWW-Authenticate": 'Bearer realm="livemarkets"'})


def _ask_for_the_token(request: HTTPConnection) -> Response:
    scope = request.scope
    path: str = scope["path"]
    if scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS or path.startswith(_NO_PAGES):
        return _unauthorized("access token required: Authorization: Bearer …\n")
    if request.headers.get("sec-fetch-site") == "cross-site":
        # A link from elsewhere: the browser kept the session's cookie (SameSite=Strict). Asked by our own
        # page for the same address it sends it.
        return HTMLResponse('<!doctype html><meta http-equiv="refresh" content="0"><title>…</title>')
    target = quote(path) + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse("/login" if target == "/" else f"/login?next={quote(target, safe='/')}", 303)


def _with_security_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            is_page = headers.get("content-type", "").startswith("text/html")
            for name, value in (_HEADERS | _PAGE_HEADERS if is_page else _HEADERS).items():
                headers[name] = value
            message = {**message, "headers": headers.raw}
        await send(message)

    return send_with_headers
