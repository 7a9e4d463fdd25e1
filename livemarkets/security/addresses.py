"""Who asks: what counts as one address."""

from __future__ import annotations

import ipaddress

from starlette.requests import HTTPConnection

__all__ = ["address_of", "client_address"]


def client_address(request: HTTPConnection) -> str:
    """Return who is at the other end, as far as limits tell addresses apart."""
    return address_of(request.client.host) if request.client else "unknown"


def address_of(host: str) -> str:
    """Return what counts as one address: an IPv4 address, or an IPv6 customer's /64."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
