"""Checks which web pages may open our WebSockets. No I/O.

A browser lets any page open any WebSocket, and sends the page's origin with the handshake. Without this
check, another site could read data with its visitor's rights (cross-site WebSocket hijacking).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

__all__ = ["is_allowed_origin"]


def is_allowed_origin(headers: Mapping[str, str], allowed: Sequence[str]) -> bool:
    """Return whether a request's origin is allowed.

    A request without an Origin header does not come from a web page and is allowed. The app's own origin has
    the host and port of the Host header.

    Args:
        headers: the request's headers, looked up in lower case.
        allowed: origins such as `https://example.com`, besides the app's own.

    """
    origin = headers.get("origin")
    if origin is None or origin in allowed:
        return True
    try:
        netloc = urlsplit(origin).netloc
    except ValueError:
        return False
    return bool(netloc) and netloc == headers.get("host")
