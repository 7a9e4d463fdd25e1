"""Opens a WebSocket to an exchange, directly or through the proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from livemarkets.exchanges.failures import UNUSABLE, unreachable
from livemarkets.exchanges.outbound import Outbound
from livemarkets.exchanges.stream_socket import StreamSocket
from livemarkets.network.tcp import open_tcp

__all__ = ["dial"]

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
) -> StreamSocket:
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
    options: dict[str, Any] = {"ssl": await outbound.tls()} if url.startswith("wss:") else {}
    connecting = _Connect(
        url,
        compression=None,
        ping_interval=None,  # pings count against the message limit, so we send our own
        open_timeout=None,
        close_timeout=close_seconds,
        max_size=_LONGEST_MESSAGE_BYTES,
        proxy=None,  # the socket leads through it already
        create_connection=partial(StreamSocket, on_texts=on_texts),  # type: ignore[arg-type]
        **options,
    )
    try:
        async with asyncio.timeout(open_seconds):
            connected = await open_tcp(connecting.ws_uri.host, connecting.ws_uri.port, proxy)
            try:
                connecting.create_connection_kwargs["sock"] = connected
                return cast(StreamSocket, await connecting)
            except BaseException:
                connected.close()
                raise
    except (OSError, WebSocketException, *UNUSABLE) as error:
        raise unreachable(error, proxy) from None
