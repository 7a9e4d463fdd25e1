"""The way out, the same for streams and REST: the proxy, and the certificates that are trusted."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping

import httpcore
import httpx
from anyio.abc import SocketStream
from httpcore._backends.anyio import AnyIOStream

from livemarkets.errors import ExchangeUnreachable, UnusableProxy
from livemarkets.exchanges.failures import UNUSABLE, explain, root_cause
from livemarkets.network.certificates import trusted
from livemarkets.network.proxies import Proxy, ProxyRules
from livemarkets.network.tcp import open_tcp

__all__ = ["IDLE_SECONDS", "Outbound", "OutboundFailure"]

IDLE_SECONDS = 5.0
"""How long a connection to REST stays open without a call."""


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
            (:data:`livemarkets.network.proxies.VARIABLES`) and certificates
            (:data:`livemarkets.network.certificates.CERTIFICATE_VARIABLES`).
        idle_seconds: how long a connection to REST stays open without a call.

    Raises:
        UnusableProxy: the setting is no usable proxy.

    """

    def __init__(
        self,
        setting: str = "",
        variables: Mapping[str, str] | None = None,
        *,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.idle_seconds = idle_seconds
        self._variables = dict(variables or {})
        self._rules = ProxyRules(setting, self._variables)
        self._tls: ssl.SSLContext | None = None
        self._reading: asyncio.Future[ssl.SSLContext] | None = None

    def proxy_for(self, url: str) -> Proxy | None:
        """Return the proxy of a URL; `None` to connect directly.

        Raises:
            ExchangeUnreachable: the variable for this URL names no usable proxy.

        """
        try:
            return self._rules.proxy_for(url)
        except UnusableProxy as error:
            raise ExchangeUnreachable(str(error)) from None

    def describe_proxy(self, url: str) -> str | None:
        """Return the proxy of a URL without its password, or why it is unusable; `None` for none."""
        try:
            proxy = self.proxy_for(url)
        except ExchangeUnreachable as error:
            return error.reason
        return None if proxy is None else str(proxy)

    async def tls(self) -> ssl.SSLContext:
        """Return the context for TLS with the exchange.

        Reading the certificates takes up to a tenth of a second, so another thread does it, once for all who
        wait. After a failure the next caller reads them again.

        Raises:
            ExchangeUnreachable: a variable names certificates that cannot be read.

        """
        if self._tls is not None:
            return self._tls
        if self._reading is None:
            # A future of the thread pool, not a task: nobody who waits has to outlive the others.
            self._reading = asyncio.get_running_loop().run_in_executor(None, trusted, self._variables)
            self._reading.add_done_callback(self._keep_tls)
        return await asyncio.shield(self._reading)

    def http_client(self, *, timeout_seconds: float) -> httpx.AsyncClient:
        """Return a client for REST. It looks at no variable itself and follows no redirect."""
        return httpx.AsyncClient(
            transport=_Transport(self), timeout=timeout_seconds, follow_redirects=False, trust_env=False
        )

    def _keep_tls(self, reading: asyncio.Future[ssl.SSLContext]) -> None:
        self._reading = None
        if not reading.cancelled() and reading.exception() is None:
            self._tls = reading.result()


class _Transport(httpx.AsyncBaseTransport):
    """Sends each request directly or through the proxy of its URL."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._ways: dict[tuple[str, Proxy | None], _Way] = {}
        self._is_closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises:
            OutboundFailure: no connection could be opened. The exchange did not see the request.
            httpx.TransportError: the request failed later.

        """
        try:
            proxy = self._outbound.proxy_for(str(request.url))
            # Before the look-up: calls that begin together must not make a pool each.
            tls = await self._outbound.tls() if request.url.scheme == "https" else None
        except ExchangeUnreachable as error:
            raise OutboundFailure(error.reason) from None
        if self._is_closed:
            raise OutboundFailure("the client of REST was closed")
        key = request.url.scheme, proxy
        way = self._ways.get(key)
        if way is None:
            way = self._ways[key] = _Way(tls, proxy, self._outbound.idle_seconds)
        try:
            return await way.handle_async_request(request)
        except OutboundFailure:
            raise
        except httpx.ConnectTimeout:  # of the TLS handshake
            raise OutboundFailure(explain(TimeoutError(), proxy)) from None
        except httpx.ConnectError as error:
            raise OutboundFailure(explain(root_cause(error), proxy)) from None

    async def aclose(self) -> None:
        """Close the connections. Calls that wait for their certificates fail."""
        self._is_closed = True
        ways, self._ways = self._ways, {}
        for way in ways.values():
            await way.aclose()


class _Way(httpx.AsyncHTTPTransport):
    """A pool of connections that are opened as those of the streams are.

    The pool itself looks for idle connections only when another call comes. After the last call they would
    stay open, also those that the exchange has closed.
    """

    def __init__(self, tls: ssl.SSLContext | None, proxy: Proxy | None, idle_seconds: float) -> None:
        if tls is None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody: these connections have no TLS
        super().__init__(verify=tls, trust_env=False)
        self._idle_seconds = idle_seconds
        self._closing: asyncio.Task[None] | None = None
        # httpx has no argument for this. Its own way through a SOCKS proxy leaks a socket per failed call.
        self._connections = self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            network_backend=_Backend(proxy),
            max_keepalive_connections=20,
            keepalive_expiry=idle_seconds,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close_idle(), name="idle REST connections")
        return await super().handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._closing is not None:
            self._closing.cancel()
            await asyncio.wait({self._closing})
        await super().aclose()

    async def _close_idle(self) -> None:
        """Close connections that were idle for too long, until none is open."""
        try:
            while True:
                await asyncio.sleep(self._idle_seconds)
                for connection in self._connections.connections:
                    if connection.has_expired():
                        await connection.aclose()
                if all(connection.is_closed() for connection in self._connections.connections):
                    break
        finally:
            self._closing = None


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
