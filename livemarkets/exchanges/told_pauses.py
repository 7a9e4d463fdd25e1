"""How long a refusal of the exchange forbids further attempts, in handshakes and REST calls. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

__all__ = ["told_pause_seconds"]

_LONGEST_PAUSE_SECONDS = 7 * 86_400.0
"""A ban lasts up to 3 days (`rest-api.md`, "IP Limits")."""
_DIGITS = 20
_BODY_BYTES = 4096
_BANNED_UNTIL = re.compile(rb"banned until ([0-9]{10,16})\b")


def told_pause_seconds(
    headers: Mapping[str, str], body: bytes = b"", *, now_ms: int | None = None
) -> float | None:
    """Return the pause in seconds, at most a week; `None` if the refusal tells no time in the future.

    The later of `Retry-After` (`rest-api.md`, "IP Limits": seconds; RFC 9110, 10.2.3: or a date) and
    `banned until` in the body, ms since the epoch (`errors.md`, -1003).

    Args:
        headers: of the response, looked up in any case.
        body: of the response.
        now_ms: ms since the epoch. Dates are counted from the response's own `Date`, so that a wrong clock on
            this machine makes no ban shorter. Without that header, they are counted from `now_ms`. Without
            both, a date makes no sense.

    """
    since = _seconds_of(headers.get("Date", ""))
    if since is None and now_ms is not None:
        since = now_ms / 1000
    told = []
    retry_after = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]+", retry_after):
        told.append(float(retry_after[:_DIGITS]))
    if since is not None:
        until = _seconds_of(retry_after)
        if until is not None:
            told.append(until - since)
        if banned := _BANNED_UNTIL.search(body[:_BODY_BYTES]):
            told.append(int(banned[1]) / 1000 - since)
    longest = max(told, default=0.0)
    return min(longest, _LONGEST_PAUSE_SECONDS) if longest > 0 else None


def _seconds_of(date: str) -> float | None:
    """Return an HTTP date in seconds since the epoch; `None` if it is none."""
    try:
        parsed = parsedate_to_datetime(date)
        return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
