"""The wanted streams of one exchange in which the newest wins, and what is known of each. No I/O."""

from __future__ import annotations

import asyncio
import math

import msgspec

from livemarkets.market.models import StreamKey

__all__ = ["LatestStream", "UpdateLimits"]


class UpdateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the streams in which the newest wins."""

    mute_seconds: float = 10.0
    """After so long without the updates that its channel promises, a stream is mute."""
    sweep_seconds: float = 1.0
    """How often this is looked at."""
    first_seconds: float = 1.0
    """How long a reader waits for a first value at most."""


class LatestStream:
    """One wanted stream."""

    __slots__ = (
        "ask_again_at",
        "began_at",
        "brought_at",
        "is_acknowledged",
        "is_doubted",
        "is_mute",
        "key",
        "known",
        "last_at",
        "since_ms",
        "suspect_seconds",
        "suspected_at",
    )

    def __init__(self, key: StreamKey, now: float, now_ms: int) -> None:
        self.key = key
        self.is_acknowledged = False
        self.began_at = -math.inf
        """When the exchange confirmed the newest subscription that was seen."""
        self.brought_at = -math.inf
        """When it brought something."""
        self.last_at = now
        """When it brought something, or its silence began to count."""
        self.since_ms = now_ms
        self.suspected_at = now
        self.suspect_seconds = 0.0
        """How long until it is suspected again."""
        self.is_mute = False
        self.is_doubted = False
        """Whether a subscription began, and nothing shows yet that what is stored of it is still true."""
        self.ask_again_at = now
        """When the exchange may be asked again, after a question without an answer that counts."""
        self.known: asyncio.Event | None = None
        """Set when a first value is there, or none will come."""
