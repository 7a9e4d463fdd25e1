"""One stream as the staleness monitor sees it. No I/O."""

from __future__ import annotations

import math

from livemarkets.feed.ledger import Ledger
from livemarkets.feed.silence import SilenceDetector

__all__ = ["MonitoredStream"]


class MonitoredStream:
    """What is known of one stream: whether it was interrupted, is mute, or is said to have newer trades."""

    __slots__ = (
        "baseline",
        "began_at",
        "claim",
        "interrupted_at",
        "is_acknowledged",
        "is_mute",
        "ledger",
        "next_claim",
        "silence",
    )

    def __init__(self, ledger: Ledger, silence: SilenceDetector) -> None:
        self.ledger = ledger
        self.silence = silence
        self.baseline: int | None = None  # the newest id at the first check, before any trade
        self.claim: tuple[int, float] | None = None  # an id that is said to be the newest, and since when
        self.next_claim: tuple[int, float] | None = None  # the highest that was said to be since then
        self.interrupted_at: float | None = None  # acknowledged at this time, not asked about since
        self.began_at = -math.inf  # when the exchange confirmed the newest subscription that was seen
        self.is_acknowledged = False
        self.is_mute = False

    def is_behind(self, newest: int | None) -> bool:
        """Return whether the exchange has newer trades, if `newest` is its newest id."""
        if newest is None:
            return False
        if self.ledger.next_id is not None:
            return self.ledger.newest_seen() < newest
        if self.baseline is None:
            self.baseline = newest
        return newest > self.baseline

    def note_claim(self, newest: int, now: float) -> None:
        """Note an id that something showed as the newest. Its trade may still be on its way."""
        if self.ledger.next_id is None or newest <= self.ledger.newest_seen():
            return
        if self.claim is None:
            self.claim = newest, now
        elif newest > (self.next_claim or self.claim)[0]:
            self.next_claim = newest, now

    def take_claim(self, before: float) -> int | None:
        """Return the id that was claimed, if that was not after `before`. The next claim takes its place."""
        if self.claim is None or self.claim[1] > before:
            return None
        newest, self.claim, self.next_claim = self.claim[0], self.next_claim, None
        return newest
