"""Opens TCP connections for streams and REST alike: directly, or through an HTTP or SOCKS 5 proxy.

Sources: RFC 8305 ("Happy Eyeballs"), RFC 9110, section 9.3.6 (CONNECT), RFC 1928 and 1929 (SOCKS 5).
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from ipaddress import ip_address

from aiohappyeyeballs import start_connection

from livemarkets.errors import ExchangeUnreachable
from livemarkets.network.proxies import Proxy

__all__ = ["open_tcp"]

_NEXT_ADDRESS_SECONDS = 0.25
"""How long an IP address may be silent before the next one is tried beside it (RFC 8305, section 8)."""
_LONGEST_HEAD_BYTES = 65_536
_NO_AUTHENTICATION, _PASSWORD = 0, 2
_SOCKS_ERRORS = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "timeout",
    7: "command not supported",
    8: "kind of address not supported",
}


async def open_tcp(host: str, port: int, proxy: Proxy | None) -> socket.socket:
    """Return a connected socket that does not block. The caller limits the time and closes the socket.

    Raises:
        OSError: the host, or the proxy, could not be connected to.
        ExchangeUnreachable: the proxy answered, but did not connect. The reason names it.

    """
    if proxy is None:
        return await _connect(host, port)
    found = await _connect(proxy.host, proxy.port)
    try:
        await (_ask_socks if proxy.scheme == "socks5" else _ask_http)(found, proxy, host, port)
    except BaseException:
        found.close()
        raise
    return found


async def _connect(host: str, port: int) -> socket.socket:
    """Connect to the first IP address of a host that answers.

    Neither uvloop nor `websockets` does this: there, one dead IPv6 route uses up the whole time limit.
    """
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    try:
        return await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS)
    except RuntimeError as error:  # uvloop raises it for some errors of the system
        raise OSError(str(error)) from error


async def _ask_http(connected: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.username is not None:
        credentials = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    await loop.sock_sendall(connected, "\r\n".join([*lines, "", ""]).encode("ascii"))
    head = b""
    while b"\r\n\r\n" not in head:
        data = await loop.sock_recv(connected, 4096)  # the exchange says nothing before us
        head += data
        if not data or len(head) > _LONGEST_HEAD_BYTES:
            raise ExchangeUnreachable(f"the proxy {proxy} did not answer as an HTTP proxy")
    answer = re.match(rb"HTTP/1\.\d (\d{3})\b", head)
    if answer is None:
        raise ExchangeUnreachable(f"the proxy {proxy} did not answer as an HTTP proxy")
    status = int(answer[1])
    if status == 407:
        raise ExchangeUnreachable(f"the proxy {proxy} answered HTTP 407: {_credentials_wanted(proxy)}")
    if not 200 <= status < 300:
        raise ExchangeUnreachable(f"the proxy {proxy} answered HTTP {status}")


async def _ask_socks(connected: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()

    async def ask(request: bytes, size: int) -> bytes:
        await loop.sock_sendall(connected, request)
        return await read(size)

    async def read(size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = await loop.sock_recv(connected, size - len(data))
            if not more:
                raise ExchangeUnreachable(f"the proxy {proxy} closed the connection")
            data += more
        return data

    methods = [_NO_AUTHENTICATION] if proxy.username is None else [_NO_AUTHENTICATION, _PASSWORD]
    version, method = await ask(bytes((5, len(methods), *methods)), 2)
    if version != 5:
        raise ExchangeUnreachable(f"the proxy {proxy} did not answer as a SOCKS 5 proxy")
    if method not in methods:
        raise ExchangeUnreachable(f"the proxy {proxy} refused: {_credentials_wanted(proxy)}")
    if method == _PASSWORD:
        user, password = (proxy.username or "").encode(), proxy.password.encode()
        request = bytes((1, len(user))) + user + bytes((len(password),)) + password
        if (await ask(request, 2))[1] != 0:
            raise ExchangeUnreachable(f"the proxy {proxy} refused: {_credentials_wanted(proxy)}")
    _, code, _, kind = await ask(b"\x05\x01\x00" + _socks_address(host) + port.to_bytes(2, "big"), 4)
    if code != 0:
        why = _SOCKS_ERRORS.get(code, f"error {code}")
        raise ExchangeUnreachable(f"the proxy {proxy} did not connect: {why}")
    await read({1: 4, 4: 16}.get(kind) or (await read(1))[0])
    await read(2)


def _socks_address(host: str) -> bytes:
    """Return the address of a host. The proxy looks up names (`socks5h`): only it may know them."""
    try:
        address = ip_address(host)
    except ValueError:
        name = host.encode("ascii")
        return bytes((3, len(name))) + name
    return bytes((1 if address.version == 4 else 4,)) + address.packed


def _credentials_wanted(proxy: Proxy) -> str:
    if proxy.username is None:
        return "it wants a user name and a password"
    return "it does not accept the user name and the password"
