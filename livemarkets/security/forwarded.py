"""What trusted proxies in front of the app report: the client, the scheme, the host, the path prefix.

A proxy on the list `LIVE_TRUSTED_PROXIES` is believed. The same headers from anybody else are ignored. The
rest of the app then reads the ASGI scope as if the client had connected directly.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Iterable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from livemarkets.security.addresses import unmapped

__all__ = ["FROM_PROXY", "ForwardedHeaders", "TrustedProxies"]

FROM_PROXY = "livemarkets.from_proxy"
"""The key of the ASGI scope that says that a trusted proxy passed the request on."""
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


class TrustedProxies:
    """Addresses and networks of proxies."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(entry, strict=False) for entry in entries]

    def __contains__(self, host: object) -> bool:
        try:
            address = ipaddress.ip_address(unmapped(str(host)))
        except ValueError:
            return False
        return any(address in network for network in self._networks)


class ForwardedHeaders:
    """ASGI middleware that applies `X-Forwarded-*` headers of trusted proxies, and removes the path prefix.

    A slash at the end of a path is removed too, so that `/labs/` is `/labs`.

    `X-Forwarded-For` and `X-Forwarded-Proto` replace the client's address and the scheme,
    `X-Forwarded-Host` replaces the `Host` header. With a root path, a request reaches the app without it,
    whether the proxy removed it or passed it on.

    Args:
        app: the ASGI app behind it.
        trusted: the addresses and networks of trusted proxies.
        root_path: the prefix under which the app is served, such as `/markets`; empty for none. While it is
            empty, `X-Forwarded-Prefix` of a trusted proxy is the prefix.

    """

    def __init__(self, app: ASGIApp, trusted: Iterable[str], root_path: str = "") -> None:
        entries = list(trusted)
        self._app: ASGIApp = ProxyHeadersMiddleware(app, entries)  # type: ignore[arg-type, assignment]
        self._trusted = TrustedProxies(entries)
        self._root_path = root_path

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass on one request or handshake. No coroutine, for each stays in memory with its connection."""
        if scope["type"] in ("http", "websocket"):
            self._apply(scope)
        return self._app(scope, receive, send)

    def _apply(self, scope: Scope) -> None:
        headers = MutableHeaders(scope=scope)
        root_path = self._root_path
        if scope["client"]:
            scope["client"] = (unmapped(scope["client"][0]), scope["client"][1])
        if scope["client"] and scope["client"][0] in self._trusted:
            scope[FROM_PROXY] = True
            host = headers.get("x-forwarded-host", "").rpartition(",")[2].strip()
            if _HOST.fullmatch(host):
                headers["host"] = host
            prefix = headers.get("x-forwarded-prefix", "").strip().rstrip("/")
            if not root_path and _PREFIX.fullmatch(prefix):
                root_path = prefix
        # The page builder would add this header to the root path once more.
        if "x-forwarded-prefix" in headers:
            del headers["x-forwarded-prefix"]
        if root_path:
            scope["root_path"] = root_path
            scope["path"] = _without(scope["path"], root_path)
            if "raw_path" in scope:
                scope["raw_path"] = _without(scope["raw_path"].decode("latin-1"), root_path).encode("latin-1")
        # The web framework would redirect; a WebSocket, such as `/ws/markets/`, cannot be redirected.
        if not scope["path"].startswith("/_nicegui"):
            scope["path"] = scope["path"].rstrip("/") or "/"
            if "raw_path" in scope:
                scope["raw_path"] = scope["raw_path"].rstrip(b"/") or b"/"


def _without(path: str, prefix: str) -> str:
    if path == prefix:
        return "/"
    return path[len(prefix) :] if path.startswith(f"{prefix}/") else path
