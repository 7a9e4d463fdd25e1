"""Decides what to do about a stream that may be mute: nothing, resubscribe or rotate. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

from livemarkets.exchanges.base import Evidence, Silence
from livemarkets.market.models import StreamKey

__all__ = ["Remedy", "Suspicions"]


class Remedy(Enum):
    """What to do about a stream."""

    NOTHING = "nothing"
    RESUBSCRIBE = "resubscribe"
    ROTATE = "rotate"


class Suspicions:
    """Remembers which streams were resubscribed, so that a remedy without effect is not repeated.

    Args:
        silence_of: returns what the silence of a stream means at present.
        resubscribe_seconds: if a stream is mute again within this time after it was resubscribed, its
            connection is replaced.

    """

    def __init__(self, silence_of: Callable[[StreamKey], Silence], *, resubscribe_seconds: float) -> None:
        self._silence_of = silence_of
        self._resubscribe_seconds = resubscribe_seconds
        self._resubscribed_at: dict[StreamKey, float] = {}

    def judge(
        self, key: StreamKey, evidence: Evidence, neighbours: Iterable[StreamKey], now: float
    ) -> Remedy:
        """Return what to do about a stream.

        Args:
            key: the stream.
            evidence: why it may be mute.
            neighbours: the other streams of its connection.
            now: monotonic seconds.

        """
        silences = {self._silence_of(other) for other in neighbours}
        is_bad_connection = Silence.UNUSUAL in silences and Silence.NONE not in silences
        if evidence is Evidence.SILENT:
            return Remedy.ROTATE if is_bad_connection else Remedy.NOTHING
        last = self._resubscribed_at.get(key)
        self._resubscribed_at[key] = now
        was_tried = last is not None and now - last < self._resubscribe_seconds
        return Remedy.ROTATE if was_tried or is_bad_connection else Remedy.RESUBSCRIBE

    def forget(self, key: StreamKey) -> None:
        """Forget a stream that is no longer wanted."""
        self._resubscribed_at.pop(key, None)
