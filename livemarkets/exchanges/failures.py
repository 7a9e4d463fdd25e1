"""Describes failures of connections and calls to users, and returns the delay that the exchange asks for."""

from __future__ import annotations

import os
import re
import socket
import ssl

from websockets.exceptions import ConnectionClosed, InvalidStatus

from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.told_pauses import told_pause_seconds
from livemarkets.network.proxies import Proxy

__all__ = [
    "BAN_STATUSES",
    "UNUSABLE",
    "describe",
    "explain",
    "first_of",
    "retry_after",
    "root_cause",
    "unreachable",
]

_ERRNO = re.compile(r"\[Errno ([0-9]{1,4})\]")

UNUSABLE = (ValueError,)
"""Errors that libraries raise for an invalid address, before they connect."""


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error in a possibly nested exception group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def unreachable(error: BaseException, proxy: Proxy | None = None) -> ExchangeUnreachable:
    """Convert an error to :exc:`ExchangeUnreachable`, with a reason for users.

    Args:
        error: what happened.
        proxy: the outbound proxy on the way. The reason names it, since it may be the cause.

    """
    if isinstance(error, ExchangeUnreachable):
        return error
    status = error.response.status_code if isinstance(error, InvalidStatus) else None
    return ExchangeUnreachable(explain(error, proxy), retry_after(error), is_ban=status in BAN_STATUSES)


def retry_after(error: BaseException) -> float | None:
    """Return how long a refused handshake forbids the next one, in seconds; `None` where it does not say."""
    if not isinstance(error, InvalidStatus):
        return None
    return told_pause_seconds(error.response.headers, bytes(error.response.body or b""))


BAN_STATUSES = frozenset({418, 429})
"""HTTP statuses by which the exchange refuses this IP address at all of its addresses (`rest-api.md`,
"IP Limits")."""

_STATUS_REASONS = {
    403: "refused by the exchange's firewall",
    404: "no stream endpoint at this address",
    418: "this address is banned temporarily",
    429: "too many connection attempts",
    451: "not available in this country",
}


def explain(error: BaseException, proxy: Proxy | None = None) -> str:
    """Return why a connection failed, for users. It names the outbound proxy, without its password."""
    if isinstance(error, ExchangeUnreachable):
        return error.reason
    if proxy is None:
        return _explain(error)
    return f"{_explain(error)} (through the proxy {proxy})"


def _explain(error: BaseException) -> str:
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
    if isinstance(error, UNUSABLE):
        return f"invalid address: {_shorten(str(error))}"
    if isinstance(error, OSError):
        return _explain_errno(error)
    return f"not a WebSocket endpoint ({_shorten(str(error))})"


def _explain_errno(error: OSError) -> str:
    """Return the system's text for an error. Some libraries put a text of their own in its place.

    A host with several addresses may fail in several ways. Their numbers are then only in the text.
    """
    if isinstance(error, ssl.SSLError):
        numbers = []
    elif error.errno is not None:
        numbers = [error.errno]
    else:
        numbers = [int(number) for number in _ERRNO.findall(str(error))]
    texts = [os.strerror(number).lower() for number in dict.fromkeys(numbers) if number > 0]
    return ", ".join(texts) or _shorten(error.strerror or type(error).__name__).lower()


def _shorten(text: str) -> str:
    return " ".join(text.split())[:200]


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
    while not isinstance(seen, ExchangeUnreachable):  # that one is explained already
        inner = (
            seen.exceptions[0] if isinstance(seen, BaseExceptionGroup) else seen.__cause__ or seen.__context__
        )
        if inner is None:
            break
        seen = inner
        if isinstance(seen, OSError):
            found = seen
    return found
