"""What to do about a stream that may be mute: nothing, ask for it again, or replace its connection. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

from livemarkets.exchanges.base import Evidence, Silence
from livemarkets.market.models import StreamKey

__all__ = ["Remedy", "Suspicions"]


class Remedy(Enum):
    """What a suspicion leads to."""

    NOTHING = "nothing"
    RESUBSCRIBE = "resubscribe"
    ROTATE = "rotate"


class Suspicions:
    """Remembers which streams were asked for again, so that what did not help is not repeated.

    Args:
        silence_of: tells what the silence of a stream means now.
        resubscribe_seconds: a stream that is mute again within this time after it was asked for anew has a
            bad connection.

    """

    def __init__(self, silence_of: Callable[[StreamKey], Silence], *, resubscribe_seconds: float) -> None:
        self._silence_of = silence_of
        self._resubscribe_seconds = resubscribe_seconds
        self._resubscribed_at: dict[StreamKey, float] = {}

    def judge(
        self, key: StreamKey, evidence: Evidence, neighbours: Iterable[StreamKey], now: float
    ) -> Remedy:
        """Say what to do about `key`.

        Args:
            key: the suspected stream.
            evidence: what the suspicion rests on.
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
        """Forget a stream that nobody wants any more."""
        self._resubscribed_at.pop(key, None)
