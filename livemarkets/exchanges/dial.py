"""Opens a WebSocket to an exchange: directly at the first IP address that answers, or through the proxy."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohappyeyeballs import start_connection
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from livemarkets.exchanges.failures import UNUSABLE, unreachable
from livemarkets.exchanges.outbound import Outbound
from livemarkets.exchanges.stream_socket import StreamSocket
from livemarkets.proxies import Proxy

__all__ = ["dial"]

_NEXT_ADDRESS_SECONDS = 0.25
"""How long an IP address may be silent before the next one is tried beside it (RFC 8305, section 8)."""
_LONGEST_MESSAGE_BYTES = 4 * 2**20


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow no redirect: which proxy a URL goes through was decided for the address that is set."""
        return exc


async def dial(
    url: str,
    outbound: Outbound,
    *,
    on_texts: Callable[[list[bytes]], None],
    open_seconds: float,
    close_seconds: float,
) -> ClientConnection:
    """Return an open connection.

    Args:
        url: the complete address.
        outbound: which proxy and which certificates.
        on_texts: called with the text frames of one read (:class:`StreamSocket`).
        open_seconds: limit for name lookup, TCP, proxy, TLS and WebSocket handshakes together.
        close_seconds: limit for the closing handshake.

    Raises:
        ExchangeUnreachable: the connection could not be opened. The reason names the proxy on the way.

    """
    proxy = outbound.proxy_for(url)
    options: dict[str, Any] = {"ssl": outbound.tls()} if url.startswith("wss:") else {}
    connecting = _Connect(
        url,
        compression=None,
        ping_interval=None,  # pings count against the message limit, so we send our own
        open_timeout=None,
        close_timeout=close_seconds,
        max_size=_LONGEST_MESSAGE_BYTES,
        create_connection=partial(StreamSocket, on_texts=on_texts),  # type: ignore[arg-type]
        proxy=_address(proxy),
        **options,
    )
    try:
        async with asyncio.timeout(open_seconds):
            return await _open(connecting, proxy, outbound)
    except (OSError, WebSocketException, *UNUSABLE) as error:
        raise unreachable(error, proxy) from None


async def _open(connecting: _Connect, proxy: Proxy | None, outbound: Outbound) -> ClientConnection:
    if proxy is not None:
        if proxy.scheme == "https":
            connecting.create_connection_kwargs["proxy_ssl"] = outbound.tls()
        return await connecting
    found = await _connect_tcp(connecting.ws_uri.host, connecting.ws_uri.port)
    connecting.create_connection_kwargs["sock"] = found
    try:
        return await connecting
    except BaseException:
        found.close()
        raise


async def _connect_tcp(host: str, port: int) -> socket.socket:
    """Connect to the first IP address of a host that answers (RFC 8305, "Happy Eyeballs").

    Neither uvloop nor `websockets` does this: there, one dead IPv6 route uses up the whole time limit.
    """
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    try:
        return await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS)
    except RuntimeError as error:  # uvloop raises it for some errors of the system
        raise OSError(str(error)) from error


def _address(proxy: Proxy | None) -> str | None:
    """Return the proxy's address for `websockets`. Only `socks5h` lets the proxy look up names."""
    if proxy is None:
        return None
    return proxy.secret_url.replace("socks5://", "socks5h://", 1)
