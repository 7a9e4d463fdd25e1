"""Who may ask what of the exchange, judged by the headers of a request. Pure."""

from __future__ import annotations

import hashlib
import hmac
from ipaddress import ip_address
from urllib.parse import urlsplit

from websockets.datastructures import Headers

__all__ = ["comes_from_a_browser", "is_from_a_page", "knows_the_secret"]


def knows_the_secret(headers: Headers, secret: str) -> bool:
    """Tell whether a request bears `Authorization: Bearer` with the secret, once; no page can send that.

    Digests are compared, in constant time: neither length nor beginning of the secret shows.
    """
    given = headers.get_all("Authorization")
    if len(given) != 1 or not secret:
        return False
    return hmac.compare_digest(_digest(given[0]), _digest(f"Bearer {secret}"))


def is_from_a_page(headers: Headers) -> bool:
    """Tell whether a web page made a request: browsers name its origin with every WebSocket handshake."""
    return "Origin" in headers


def comes_from_a_browser(headers: Headers) -> bool:
    """Tell whether a browser made a request, for a page or by its address, as far as headers show.

    `Sec-Fetch-Site` comes with what has no `Origin`: images, scripts, links. Neither comes with the GET of a
    page whose own host name was made to point here (DNS rebinding), but then `Host` is that name.
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
