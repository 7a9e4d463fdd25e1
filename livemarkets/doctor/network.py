"""The network between this machine and an address: proxy, families, certificates. It judges nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import certifi

from livemarkets.doctor.record import Address
from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.failures import explain
from livemarkets.exchanges.outbound import Outbound
from livemarkets.network.tcp import open_tcp

__all__ = ["probe", "without_secrets"]

_FAMILIES = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
_PORTS = {"ws": 80, "wss": 443, "http": 80, "https": 443}


def without_secrets(url: str) -> str:
    """Return a URL without user, password and query, and with this machine's name replaced."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host and host.lower() == socket.gethostname().lower():
        host = "this-machine"
    shown = f"[{host}]" if ":" in host else host
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{shown}{port}{parts.path}"


async def probe(address: Address, url: str, outbound: Outbound, limit_seconds: float) -> None:
    """Fill in what the network does with an address.

    Args:
        address: filled in.
        url: the address with everything that the settings say.
        outbound: which proxy and which certificates.
        limit_seconds: the longest time to wait for one family, and for one handshake.

    """
    try:
        proxy = outbound.proxy_for(url)
    except ExchangeUnreachable as error:
        address.route = f"unusable: {error.reason}"
        return
    if proxy is not None:
        address.route = without_secrets(proxy.url)
        return  # the proxy looks names up and connects
    address.route = "direct"
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    await _try_families(address, host, port, limit_seconds)
    if parts.scheme in ("wss", "https"):
        for store, make in _stores(outbound).items():
            address.certificates[store] = await _handshake(host, port, make, limit_seconds)


async def _try_families(address: Address, host: str, port: int, limit_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(limit_seconds):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, ValueError) as error:
        address.families["name"] = explain(error)
        return
    targets: dict[int, Any] = {}
    for family, _, _, _, target in found:
        if family in _FAMILIES:
            targets.setdefault(family, target)
    for number, target in targets.items():
        began = time.monotonic()
        with socket.socket(number, socket.SOCK_STREAM) as opened:
            opened.setblocking(False)
            try:
                async with asyncio.timeout(limit_seconds):
                    await loop.sock_connect(opened, target)
                outcome: float | str = round(time.monotonic() - began, 3)
            except (OSError, TimeoutError) as error:
                outcome = explain(error)
        address.families[_FAMILIES[socket.AddressFamily(number)]] = outcome
        address.slowest_seconds = max(address.slowest_seconds, time.monotonic() - began)


def _stores(outbound: Outbound) -> dict[str, Callable[[], Awaitable[ssl.SSLContext]]]:
    return {
        "product": outbound.tls,
        "certifi": lambda: asyncio.to_thread(ssl.create_default_context, cafile=certifi.where()),
    }


async def _handshake(
    host: str, port: int, make: Callable[[], Awaitable[ssl.SSLContext]], limit_seconds: float
) -> str:
    try:
        async with asyncio.timeout(limit_seconds):
            tls = await make()
            connected = await open_tcp(host, port, None)
            try:
                _, writer = await asyncio.open_connection(sock=connected, ssl=tls, server_hostname=host)
            except BaseException:
                connected.close()
                raise
    except ExchangeUnreachable as error:
        return error.reason
    except (OSError, TimeoutError, ValueError) as error:
        return explain(error)
    version = writer.get_extra_info("ssl_object").version()
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(limit_seconds):
            await writer.wait_closed()
    return f"accepted ({version})"
