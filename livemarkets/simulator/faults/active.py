"""Faults that stay active for a number of occurrences or a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["AckFault", "ActiveFault", "Refusal", "RestFault", "once"]


F = TypeVar("F")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """How a handshake is refused: with an HTTP status, or accepted and closed with `close_code`.

    A close code of 0 drops the connection without a close frame.
    """

    status: int = 503
    retry_after_seconds: int | None = None
    close_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AckFault:
    """A fault of the replies to control messages."""

    delay_seconds: float = 0.0
    silent: bool = False
    wrong_id: bool = False
    error: str | None = None
    error_code: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RestFault:
    """A fault of REST: an HTTP status, or a dropped connection for status 0."""

    status: int = 0
    retry_after_seconds: int | None = None


class ActiveFault(Generic[F]):
    """At most one active fault of a kind.

    Args:
        clock: monotonic seconds; those of this machine if there is none.

    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or time.monotonic
        self._fault: F | None = None
        self._left: int | None = None
        self._until: float | None = None

    def set(self, fault: F, count: int | None, seconds: float | None) -> None:
        """Activate a fault, for `count` occurrences or `seconds`; without both, until it is cleared."""
        self._fault = fault
        self._left = count
        self._until = None if seconds is None else self._clock() + seconds

    def clear(self) -> None:
        """End the fault. Idempotent."""
        self._fault = None

    def take(self) -> F | None:
        """Return the active fault and count one occurrence; `None` when there is none."""
        if self._fault is None:
            return None
        fault = self._fault
        if self._until is not None and self._clock() >= self._until:
            self._fault = None
            return None
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._fault = None
        return fault


def once(count: int | None, seconds: float | None) -> tuple[int | None, float | None]:
    """Return the limits of a fault; without any limit it occurs once."""
    return (1, None) if count is None and seconds is None else (count, seconds)
