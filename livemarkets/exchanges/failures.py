"""Describes failures of connections and calls to users, and returns the delay that the exchange asks for."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidProxy, InvalidStatus

from livemarkets.errors import ExchangeUnreachable

__all__ = [
    "UNUSABLE",
    "describe",
    "explain",
    "first_of",
    "is_loopback",
    "parse_retry_after",
    "retry_after",
    "root_cause",
    "unreachable",
]

_LONGEST_PAUSE_SECONDS = 86_400.0

UNUSABLE = (ImportError, ValueError)
"""Errors that libraries raise for an invalid address or proxy, before they connect."""


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine. Such a URL must not go through a proxy."""
    host = urlsplit(url).hostname or ""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error in a possibly nested exception group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def unreachable(error: BaseException) -> ExchangeUnreachable:
    """Convert an error to :exc:`ExchangeUnreachable`, with a reason for users."""
    if isinstance(error, ExchangeUnreachable):
        return error
    return ExchangeUnreachable(explain(error), retry_after(error))


def retry_after(error: BaseException) -> float | None:
    """Return the Retry-After of a refused handshake in seconds, `None` where there is none."""
    if not isinstance(error, InvalidStatus):
        return None
    return parse_retry_after(error.response.headers.get("Retry-After", ""))


def parse_retry_after(value: str) -> float | None:
    """Return a Retry-After header in seconds, at most one day; `None` for anything but a whole number.

    Source: Binance spot API documents, `rest-api.md` ("IP Limits"): the value is a number of seconds.
    """
    return min(float(value), _LONGEST_PAUSE_SECONDS) if value.isdecimal() else None


_STATUS_REASONS = {
    403: "refused by the exchange's firewall",
    418: "this address is banned temporarily",
    429: "too many connection attempts",
    451: "not available in this country",
}


def explain(error: BaseException) -> str:
    """Return why a connection failed, for users."""
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        return f"HTTP {status} ({_STATUS_REASONS[status]})" if status in _STATUS_REASONS else f"HTTP {status}"
    if isinstance(error, socket.gaierror):
        return "name lookup failed"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    if isinstance(error, ConnectionClosed):
        return _explain_close(error)
    if isinstance(error, (InvalidProxy, *UNUSABLE)):
        return f"invalid address or proxy: {error}"
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    return f"not a WebSocket endpoint ({error})"


def _explain_close(error: ConnectionClosed) -> str:
    if error.rcvd is None:
        return "connection lost"
    return f"closed by the exchange with {error.rcvd.code}" + (
        f" ({error.rcvd.reason})" if error.rcvd.reason else ""
    )


def describe(error: Exception) -> str:
    """Return type and text of an unexpected error, shortened."""
    return f"{type(error).__name__}: {error}"[:200]


def root_cause(error: BaseException) -> BaseException:
    """Return the innermost OSError beneath httpx's, httpcore's and anyio's errors, or the error itself."""
    found, seen = error, error
    while True:
        inner = (
            seen.exceptions[0] if isinstance(seen, BaseExceptionGroup) else seen.__cause__ or seen.__context__
        )
        if inner is None:
            return found
        seen = inner
        if isinstance(seen, OSError):
            found = seen
