"""Access checks of the exchange, based on the headers of a request. No I/O."""

from __future__ import annotations

import hashlib
import hmac
from ipaddress import ip_address
from urllib.parse import urlsplit

from websockets.datastructures import Headers

__all__ = ["comes_from_a_browser", "is_from_a_page", "knows_the_secret"]


def knows_the_secret(headers: Headers, secret: str) -> bool:
    """Return whether a request has exactly one Authorization header, with the secret as its bearer token.

    Digests are compared in constant time, so that neither length nor prefix of the secret can be measured.
    """
    given = headers.get_all("Authorization")
    if len(given) != 1 or not secret:
        return False
    return hmac.compare_digest(_digest(given[0]), _digest(f"Bearer {secret}"))


def is_from_a_page(headers: Headers) -> bool:
    """Return whether a web page made the request. Browsers send `Origin` with every WebSocket handshake."""
    return "Origin" in headers


def comes_from_a_browser(headers: Headers) -> bool:
    """Return whether a browser made the request, as far as headers show.

    Requests without `Origin`, such as images, scripts and links, have `Sec-Fetch-Site`. With DNS rebinding a
    GET request may have neither, but then `Host` is not a loopback name.
    """
    return is_from_a_page(headers) or "Sec-Fetch-Site" in headers or not _is_loopback(headers.get_all("Host"))


def _is_loopback(hosts: list[str]) -> bool:
    try:
        (host,) = hosts
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()
