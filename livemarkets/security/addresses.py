"""The client addresses to which limits apply."""

from __future__ import annotations

import ipaddress

from starlette.requests import HTTPConnection

__all__ = ["address_of", "client_address", "unmapped"]


def client_address(request: HTTPConnection) -> str:
    """Return the client's address in the form of :func:`address_of`; `unknown` when there is none."""
    return address_of(request.client.host) if request.client else "unknown"


def address_of(host: str) -> str:
    """Return the address to which limits apply: an IPv4 address, or the /64 network of an IPv6 address."""
    host = unmapped(host)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


def unmapped(host: str) -> str:
    """Return an IPv4 address as such that a socket for both kinds of addresses writes as an IPv6 address.

    `::ffff:127.0.0.1` is `127.0.0.1`. Any other text is returned unchanged.
    """
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return host
    return host if address.ipv4_mapped is None else str(address.ipv4_mapped)
