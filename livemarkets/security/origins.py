"""Checks which web pages may open our WebSockets. No I/O.

A browser lets any page open any WebSocket, and sends the page's origin with the handshake. Without this
check, another site could read data with its visitor's rights (cross-site WebSocket hijacking).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

__all__ = ["Origin", "is_allowed_origin", "is_own_page_or_program", "parse_origin"]

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Origin(NamedTuple):
    """Scheme, host and port of a web page (RFC 6454, section 4), in lower case, with the default port."""

    scheme: str
    host: str
    port: int | None
    """`None` if the scheme has no default port and none is given."""


def parse_origin(text: str) -> Origin | None:
    """Parse an `Origin` header, `https://example.com` or `http://localhost:3000`; `None` if it is none."""
    try:
        address = urlsplit(text.lower())
        port = address.port
    except ValueError:
        return None
    if not address.hostname or text.lower() != f"{address.scheme}://{address.netloc}":
        return None
    if address.username is not None or address.password is not None:
        return None
    return Origin(
        address.scheme, address.hostname, port if port is not None else _DEFAULT_PORTS.get(address.scheme)
    )


def is_allowed_origin(
    headers: Mapping[str, str], allowed: Sequence[str], *, is_from_proxy: bool = False
) -> bool:
    """Return whether a request's origin is allowed.

    A request without an Origin header does not come from a web page and is allowed. The app's own origin has
    the host and port of the Host header. The scheme is not compared, because a proxy may end TLS.

    Args:
        headers: the request's headers, looked up in lower case.
        allowed: origins such as `https://example.com`, besides the app's own.
        is_from_proxy: whether a trusted proxy passed the request on. Such a proxy may drop the port of the
            Host header. A Host without a port then stands for every port.

    """
    text = headers.get("origin")
    if text is None:
        return True
    origin = parse_origin(text)
    if origin is None:
        return False
    if any(parse_origin(entry) == origin for entry in allowed):
        return True
    own = parse_origin(f"{origin.scheme}://{headers.get('host', '')}")
    if own is None or own.host != origin.host:
        return False
    names_no_port = not headers.get("host", "").rpartition("]")[2].count(":")
    return own.port == origin.port or (is_from_proxy and names_no_port)


def is_own_page_or_program(headers: Mapping[str, str], *, is_from_proxy: bool = False) -> bool:
    """Return whether no web page of another origin caused a request.

    Browsers say by `Sec-Fetch-Site` whose page caused it, also where they send no `Origin`, as for an image.
    `none` is an address that a person typed. Programs send neither.

    Args:
        headers: the request's headers, looked up in lower case.
        is_from_proxy: as for :func:`is_allowed_origin`.

    """
    if headers.get("sec-fetch-site", "none").lower() not in ("same-origin", "none"):
        return False
    return is_allowed_origin(headers, (), is_from_proxy=is_from_proxy)
