"""Which browser pages may open our sockets. Pure.

A browser sends the page's origin with every WebSocket handshake and lets any page open any socket: without
this check a foreign site could read the feed with its visitor's rights (cross-site WebSocket hijacking).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

__all__ = ["is_allowed_origin"]


def is_allowed_origin(headers: Mapping[str, str], allowed: Sequence[str]) -> bool:
    """Tell whether a handshake may go on.

    Args:
        headers: of the request, looked up in lower case.
        allowed: origins such as `https://example.com`, beside the app's own.

    A client that sends no Origin is not a browser page and passes. The app's own origin is the one whose
    host and port are those of the Host header.

    """
    origin = headers.get("origin")
    if origin is None or origin in allowed:
        return True
    try:
        netloc = urlsplit(origin).netloc
    except ValueError:
        return False
    return bool(netloc) and netloc == headers.get("host")
