"""Faults that stay in force for a number of occasions or a span of time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["AckFault", "ActiveFault", "Refusal", "RestFault"]


F = TypeVar("F")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """How a handshake is refused: with an HTTP status, or accepted and closed with `close_code`.

    A close code of 0 means a cut without a close frame.
    """

    status: int = 503
    retry_after_seconds: int | None = None
    close_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AckFault:
    """What is wrong with the replies to control messages."""

    delay_seconds: float = 0.0
    silent: bool = False
    wrong_id: bool = False
    error: str | None = None
    error_code: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RestFault:
    """What is wrong with REST: an HTTP status, or with status 0 a cut connection."""

    status: int = 0
    retry_after_seconds: int | None = None


class ActiveFault(Generic[F]):
    """At most one fault of a kind, until it has been used up or its time is over.

    Args:
        clock: monotonic seconds.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._fault: F | None = None
        self._left: int | None = None
        self._until: float | None = None

    def set(self, fault: F, count: int | None, seconds: float | None) -> None:
        """Put a fault in force; with neither limit it stays until it is cleared."""
        self._fault = fault
        self._left = count
        self._until = None if seconds is None else self._clock() + seconds

    def clear(self) -> None:
        """End it."""
        self._fault = None

    def take(self) -> F | None:
        """Return the fault that this occasion falls under, and count the occasion."""
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
