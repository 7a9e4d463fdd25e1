"""Checks every request before the app: origin, access token, limits per address. Adds security headers.

It is plain ASGI, because Starlette's HTTP middleware does not see WebSockets. Every path that is not listed
here as open requires the token, so that a new route is protected by default.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs, quote

from loguru import logger
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from livemarkets.rate_limit import LogLimiter, Refusals, TokenBuckets, UsageCounter
from livemarkets.security.addresses import client_address
from livemarkets.security.forwarded import FROM_PROXY
from livemarkets.security.origins import is_allowed_origin
from livemarkets.security.page_limits import PageLimits
from livemarkets.security.page_socket import PAGE_SOCKET, PacedSocket
from livemarkets.security.token_auth import (
    BEARER_PREFIX,
    SESSION_COOKIE,
    TokenAuth,
    TokenCheck,
    bearer_tokens,
)
from livemarkets.server.frame_writer import EXTENSION, FrameWriter
from livemarkets.server.open_files import SHORT_OF_FILES
from livemarkets.server.turns import Turns

__all__ = ["CONTENT_SECURITY_POLICY", "MARKETS_PATH", "SHOWS_REASONS", "SecurityMiddleware"]

MARKETS_PATH = "/ws/markets"
SHOWS_REASONS = "livemarkets.shows_reasons"
"""The key of the ASGI scope of a request for `/readyz` that may be told reasons: it came with the token."""
_READINESS = "/readyz"
_OPEN = {"/healthz", "/login", "/logout"}
_HEALTH = {"/healthz", "/readyz", "/metrics"}
_NO_PAGES = ("/api/", "/ws/", "/_nicegui", "/metrics", "/readyz", "/favicon", "/asyncapi", "/openapi")
"""Paths of programs and of parts of a page. Without the token they get 401 instead of the login form."""
_PAGE_SOCKET = "/_nicegui_ws/"
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}

# NiceGUI compiles templates in the browser and starts from an inline script, so the pages need both `unsafe-`
# sources of scripts.
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
    "Referrer-Policy": "same-origin",  # with no-referrer, a form's Origin header would be null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PAGE_HEADERS = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-store"}


_REPEAT_SECONDS = 60.0
"""How often the refusal of one origin is logged."""
_SHOWN_CHARACTERS = 100
_RETRY = {"Retry-After": "5", "Refresh": "5"}
"""When to retry, in seconds: `Retry-After` for programs, `Refresh` for browsers."""


class SecurityMiddleware:
    """ASGI middleware that passes a request to the app, or answers 401, 403, 429 or a redirect to `/login`.

    Args:
        app: the ASGI app behind it.
        access: checks tokens and sessions.
        allowed_origins: browser origins that may open `/ws/markets` and the pages' own socket, besides the
            app's own.
        note_refusal: called with the reason for each refused handshake of `/ws/markets`: `origin`, `token` or
            `files`.
        refusals: counts what is refused to pages.
        page_turns: spreads what pages do over the turns of the event loop.
        page_sockets: counts the open sockets of pages per address.
        limits: limits of pages per address; `None` for the defaults.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        app: ASGIApp,
        access: TokenAuth,
        allowed_origins: Sequence[str],
        note_refusal: Callable[[str], None],
        *,
        refusals: Refusals,
        page_turns: Turns,
        page_sockets: UsageCounter,
        limits: PageLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._access = access
        self._allowed_origins = tuple(allowed_origins)
        self._note_refusal = note_refusal
        self._refusals = refusals
        self._page_turns = page_turns
        self._limits = limits or PageLimits()
        self._pages = TokenBuckets(
            rate_per_second=self._limits.per_second, burst=self._limits.burst, clock=clock
        )
        self._clock = clock
        self._page_sockets = page_sockets
        self._log_limiter = LogLimiter(interval_seconds=_REPEAT_SECONDS, clock=clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request or handshake to the app, or refuse it."""
        if scope["type"] == "websocket":
            refusal, reason = self._refusal(HTTPConnection(scope))
            # Remove the token, so that it is neither logged nor selected as a subprotocol.
            scope["subprotocols"] = [
                offer for offer in scope.get("subprotocols", ()) if not offer.startswith(BEARER_PREFIX)
            ]
            if refusal is not None:
                if scope["path"] == MARKETS_PATH:
                    self._note_refusal(reason)
                await WebSocket(scope, receive, send).send_denial_response(refusal)
                return
            if scope["path"].startswith(_PAGE_SOCKET):
                await self._serve_page_socket(scope, receive, send)
                return
        elif scope["type"] == "http":
            send = _with_security_headers(send)
            request = HTTPConnection(scope)
            refusal = self._refusal(request)[0] or self._page_refusal(request)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
            if _begins_a_page(scope):
                await self._page_turns.wait()
        await self._app(scope, receive, send)

    async def _serve_page_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = client_address(HTTPConnection(scope))
        if self._page_sockets.in_use(address) >= self._limits.sockets:
            self._refusals.note("page_socket", "address")
            denial = PlainTextResponse("too many open pages from this address\n", 429, _RETRY)
            await WebSocket(scope, receive, send).send_denial_response(denial)
            return
        with self._page_sockets.use(address):
            writer = scope.get("extensions", {}).get(EXTENSION)
            if not isinstance(writer, FrameWriter):  # another server, or polling: nothing can be paced here
                await self._app(scope, receive, send)
                return
            paced = PacedSocket(
                receive, send, writer.close, self._refusals, turns=self._page_turns, clock=self._clock
            )
            scope[PAGE_SOCKET] = paced
            try:
                await self._app(scope, paced.receive, paced.send)
            finally:
                del scope[PAGE_SOCKET]  # the server's connection keeps the scope: a cycle

    def _page_refusal(self, request: HTTPConnection) -> Response | None:
        if not _begins_a_page(request.scope) or self._pages.take(client_address(request)):
            return None
        self._refusals.note("page", "address")
        return PlainTextResponse("too many page requests from this address\n", 429, _RETRY)

    def _refusal(self, request: HTTPConnection) -> tuple[Response | None, str]:
        """Return the answer to a request that is refused, and the reason in a word; `None` if it is not."""
        if request.scope["path"] not in _HEALTH and SHORT_OF_FILES in request.scope:
            return self._refuse_for_files(), "files"
        if not self._may_come_from_there(request):
            return self._refuse_origin(request), "origin"
        refusal = self._token_refusal(request)
        if request.scope["path"] == _READINESS:  # its status is for everybody, also with an old token
            if refusal is None:
                request.scope[SHOWS_REASONS] = True
            return None, ""
        return refusal, "token"

    def _refuse_for_files(self) -> Response:
        held_back = self._log_limiter.suppressed_since_last("files")
        if held_back is not None:
            logger.error(
                "open files are nearly used up: new connections get HTTP 503, except health checks; raise "
                "the limit of open files (ulimit -n, LimitNOFILE){}",
                f" ({held_back} more since the last line)" if held_back else "",
            )
        return PlainTextResponse("too many open connections\n", 503, _RETRY | {"Connection": "close"})

    def _token_refusal(self, request: HTTPConnection) -> Response | None:
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
        """Return whether the origin is allowed. Cross-site requests must not read or change anything."""
        scope = request.scope
        path: str = scope["path"]
        if scope["type"] == "http" and scope["method"] in _SAFE_METHODS and not path.startswith(_PAGE_SOCKET):
            return True
        if len(request.headers.getlist("origin")) > 1:
            return False
        is_socket = path == MARKETS_PATH or path.startswith(_PAGE_SOCKET)
        return is_allowed_origin(
            request.headers,
            self._allowed_origins if is_socket else (),
            is_from_proxy=FROM_PROXY in scope,
        )

    def _refuse_origin(self, request: HTTPConnection) -> Response:
        """Answer 403 and log it. Both texts name both sides, because a proxy often changes one of them."""
        origin = ascii(request.headers.get("origin", ""))[1:-1][:_SHOWN_CHARACTERS]
        host = ascii(request.headers.get("host", ""))[1:-1][:_SHOWN_CHARACTERS]
        held_back = self._log_limiter.suppressed_since_last(f"{origin} {host}")
        if held_back is not None:
            logger.warning(
                "refused a browser page of {} at {}: its origin is not that of this app (header Host: {}), "
                "and LIVE_ALLOWED_ORIGINS does not list it{}",
                origin or "several origins",
                request.scope["path"][:_SHOWN_CHARACTERS],
                host or "missing",
                f" ({held_back} similar messages not logged)" if held_back else "",
            )
        text = (
            f"origin not allowed: the page's origin is {origin}, but this app was addressed as Host {host}. "
            "A proxy in front must pass on the header Host, port included, or LIVE_TRUSTED_PROXIES must name "
            "the proxy, or LIVE_ALLOWED_ORIGINS must list the origin.\n"
        )
        return PlainTextResponse(text, 403)

    def _judge(self, tokens: Sequence[str], address: str) -> Response | None:
        verdict = self._access.judge(tokens[0], address) if len(tokens) == 1 else TokenCheck.WRONG
        if verdict is TokenCheck.RIGHT:
            return None
        if verdict is TokenCheck.TOO_MANY:
            return PlainTextResponse("too many wrong tokens\n", 429, {"Retry-After": "60"})
        return _unauthorized("wrong access token\n")


def _begins_a_page(scope: Scope) -> bool:
    """Return whether the request builds a page, or starts a polling session of a page's socket."""
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
        # After a link on another site, the browser does not send the session cookie (SameSite=Strict). It
        # sends the cookie when a page of our own requests the same address.
        return HTMLResponse('<!doctype html><meta http-equiv="refresh" content="0"><title>…</title>')
    target = quote(path) + (f"?{request.url.query}" if request.url.query else "")
    login = f"{scope.get('root_path', '')}/login"
    return RedirectResponse(login if target == "/" else f"{login}?next={quote(target, safe='/')}", 303)


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
