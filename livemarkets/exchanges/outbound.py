"""The way out, the same for streams and REST: the proxy, and the certificates that are trusted."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path

import certifi
import httpcore
import httpx
from anyio.abc import SocketStream
from httpcore._backends.anyio import AnyIOStream

from livemarkets.errors import ExchangeUnreachable, UnusableProxy
from livemarkets.exchanges.failures import UNUSABLE, explain, root_cause
from livemarkets.network.proxies import Proxy, ProxyRules
from livemarkets.network.tcp import open_tcp

__all__ = ["CERTIFICATE_VARIABLES", "Outbound", "OutboundFailure"]

CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""The variables that OpenSSL reads. It ignores a file that is missing; here that is an error."""


class OutboundFailure(ExchangeUnreachable, httpx.ConnectError):
    """No connection for a REST call could be opened. The reason names the proxy, if there is one.

    It is an error of httpx's too, because it is raised inside a transport.
    """

    def __init__(self, reason: str) -> None:
        ExchangeUnreachable.__init__(self, reason)
        self._request = None


class Outbound:
    """Decides for each URL which proxy it goes through, and holds the one context for TLS.

    Args:
        setting: the value of `LIVE_PROXY_URL`.
        variables: the variables of the environment that are set, for proxies
            (:data:`livemarkets.network.proxies.VARIABLES`) and certificates (:data:`CERTIFICATE_VARIABLES`).

    Raises:
        UnusableProxy: the setting is no usable proxy.

    """

    def __init__(self, setting: str = "", variables: Mapping[str, str] | None = None) -> None:
        self._variables = dict(variables or {})
        self._rules = ProxyRules(setting, self._variables)
        self._tls: ssl.SSLContext | None = None

    def proxy_for(self, url: str) -> Proxy | None:
        """Return the proxy of a URL; `None` to connect directly.

        Raises:
            ExchangeUnreachable: the variable for this URL names no usable proxy.

        """
        try:
            return self._rules.proxy_for(url)
        except UnusableProxy as error:
            raise ExchangeUnreachable(str(error)) from None

    async def tls(self) -> ssl.SSLContext:
        """Return the context for TLS with the exchange.

        Reading the certificates takes up to a tenth of a second, so another thread does it, once.

        Raises:
            ExchangeUnreachable: a variable names certificates that cannot be read.

        """
        if self._tls is None:
            self._tls = await asyncio.to_thread(self._new_tls)
        return self._tls

    def http_client(self, *, timeout_seconds: float) -> httpx.AsyncClient:
        """Return a client for REST. It looks at no variable itself and follows no redirect."""
        return httpx.AsyncClient(
            transport=_Transport(self), timeout=timeout_seconds, follow_redirects=False, trust_env=False
        )

    def _new_tls(self) -> ssl.SSLContext:
        named = {name: self._variables.get(name, "").strip() for name in CERTIFICATE_VARIABLES}
        file, folder = named.values()
        if file or folder:
            for name, path in named.items():
                _check_readable(name, path)
            try:
                return ssl.create_default_context(cafile=file or None, capath=folder or None)
            except OSError as error:
                names = " and ".join(name for name, path in named.items() if path)
                why = error.strerror or error
                raise ExchangeUnreachable(f"the certificates of {names} cannot be used: {why}") from None
        context = ssl.create_default_context()
        if not _system_has_certificates(context):
            context.load_verify_locations(cafile=certifi.where())
        return context


def _check_readable(name: str, path: str) -> None:
    if not path:
        return
    try:
        if name == "SSL_CERT_FILE":
            with Path(path).open("rb"):
                return
        for folder in path.split(":"):
            next(Path(folder).iterdir(), None)
    except OSError as error:
        raise ExchangeUnreachable(
            f"{name} names certificates that cannot be read: {path[:200]!r}: {error.strerror}"
        ) from None


def _system_has_certificates(context: ssl.SSLContext) -> bool:
    """Return whether OpenSSL's own file or folder has certificates. The folder is read only when needed."""
    if context.cert_store_stats()["x509_ca"]:
        return True
    folder = Path(ssl.get_default_verify_paths().openssl_capath)
    return folder.is_dir() and next(folder.iterdir(), None) is not None


class _Transport(httpx.AsyncBaseTransport):
    """Sends each request directly or through the proxy of its URL."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._ways: dict[Proxy | None, _Way] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises:
            OutboundFailure: no connection could be opened. The exchange did not see the request.
            httpx.TransportError: the request failed later.

        """
        try:
            proxy = self._outbound.proxy_for(str(request.url))
            if proxy not in self._ways:
                tls = await self._outbound.tls()
                if proxy not in self._ways:  # another request may have been faster
                    self._ways[proxy] = _Way(tls, proxy)
            way = self._ways[proxy]
        except ExchangeUnreachable as error:
            raise OutboundFailure(error.reason) from None
        try:
            return await way.handle_async_request(request)
        except OutboundFailure:
            raise
        except httpx.ConnectTimeout:  # of the TLS handshake
            raise OutboundFailure(explain(TimeoutError(), proxy)) from None
        except httpx.ConnectError as error:
            raise OutboundFailure(explain(root_cause(error), proxy)) from None

    async def aclose(self) -> None:
        """Close the idle connections."""
        ways, self._ways = self._ways, {}
        for way in ways.values():
            await way.aclose()


class _Way(httpx.AsyncHTTPTransport):
    """A pool of connections that are opened as those of the streams are."""

    def __init__(self, tls: ssl.SSLContext, proxy: Proxy | None) -> None:
        super().__init__(verify=tls, trust_env=False)
        # httpx has no argument for this. Its own way through a SOCKS proxy leaks a socket per failed call.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            network_backend=_Backend(proxy),
            max_keepalive_connections=20,
            keepalive_expiry=5.0,
        )


class _Backend(httpcore.AnyIOBackend):
    def __init__(self, proxy: Proxy | None) -> None:
        self._proxy = proxy

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a host, as :func:`~livemarkets.network.tcp.open_tcp` does."""
        try:
            async with asyncio.timeout(timeout):
                connected = await open_tcp(host, port, self._proxy)
                try:
                    return AnyIOStream(await SocketStream.from_socket(connected))
                except BaseException:
                    connected.close()
                    raise
        except (OSError, ExchangeUnreachable, *UNUSABLE) as error:
            raise OutboundFailure(explain(error, self._proxy)) from None
