"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from msgspec import Struct

__all__ = ["End", "Timings", "pause_seconds"]

_RETRY_AFTER_MS = re.compile(r"retry_after_ms\W{0,3}(\d{1,9})\b")
_TOO_SLOW = 1013
_FINAL_CLOSE_CODES = frozenset({1002, 1003, *range(1007, 1011)})
"""The client did something that it would do again."""
_PASSING_STATUSES = frozenset({408, 425, 429})


class Timings(Struct, frozen=True, kw_only=True):
    """How long the client waits, in seconds. The defaults are those that the protocol asks for."""

    first_pause_seconds: float = 1.0
    """The longest pause before the first attempt that follows a lost connection; it doubles each time."""
    longest_pause_seconds: float = 30.0
    too_slow_pause_seconds: float = 30.0
    """After the close code 1013."""
    open_seconds: float = 10.0
    """How long an attempt to connect may take."""
    close_seconds: float = 2.0
    """How long the end of a connection may take."""
    silence_seconds: float | None = None
    """After this time without a message the connection counts as lost; `None`: three heartbeats."""


class End(Struct, frozen=True):
    """Why a connection, or an attempt to connect, has ended."""

    code: int
    reason: str
    retry_after_seconds: float | None = None
    """What the server asks for."""
    is_final: bool = False
    """Whether another attempt would end likewise."""

    @classmethod
    def of_close(cls, code: int, reason: str) -> End:
        """Return the end by a close frame."""
        asked = _RETRY_AFTER_MS.search(reason)
        seconds = None if asked is None else int(asked[1]) / 1000
        return cls(code, reason or "closed by the server", seconds, is_final=code in _FINAL_CLOSE_CODES)

    @classmethod
    def of_status(cls, status: int, retry_after: str | None) -> End:
        """Return the end by an HTTP answer; `retry_after` is its header."""
        seconds = float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
        is_final = 400 <= status < 500 and status not in _PASSING_STATUSES
        return cls(status, f"the server answered with HTTP {status}", seconds, is_final=is_final)


def pause_seconds(
    end: End, attempt: int, timings: Timings, uniform: Callable[[float, float], float] = random.uniform
) -> float:
    """Return the pause before the next attempt: full jitter, unless the server asks for something else.

    Args:
        end: how the last one ended.
        attempt: how many have followed each other without any data, 0 for the first.
        timings: the bounds.
        uniform: a random number between two.

    """
    if end.code == _TOO_SLOW and end.retry_after_seconds is None:
        return uniform(timings.too_slow_pause_seconds / 2, timings.too_slow_pause_seconds)
    longest = min(timings.longest_pause_seconds, timings.first_pause_seconds * 2 ** min(attempt, 30))
    if end.retry_after_seconds is None:
        return uniform(0.0, longest)
    if end.code >= 1000 and attempt == 0:
        return end.retry_after_seconds  # the server has given each client another one
    return end.retry_after_seconds + uniform(0.0, longest)
