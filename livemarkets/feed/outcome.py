"""What a ledger promises by its limits, and what one call of it changes. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from livemarkets.market.models import Gap, TradeTick

__all__ = ["NOTHING", "LedgerLimits", "Outcome", "Released", "add_gap"]

Released = TradeTick | Gap


class LedgerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes and time limits of one ledger."""

    hold_seconds: float = 0.25
    """How long to wait for late trades before the missing range is fetched."""
    patience_seconds: float = 15.0
    """How long a trade waits behind a hole, from its arrival. After that, a gap is declared for the hole."""
    proof_seconds: float = 5.0
    """Least time between two answers that lack an id and hold ids on both sides of it: then the exchange has
    no such id. A database may lack a trade for a moment, and have it later."""
    retry_seconds: float = 0.25
    """After an answer without the missing ids, they are asked for again after this time, then after twice
    this time, and so on."""
    retry_most_seconds: float = 2.0
    """The longest such time while a trade waits."""
    retry_idle_seconds: float = 30.0
    """The longest such time while no trade waits."""
    held_ticks: int = 50_000
    """How many ticks may be held behind a hole. Beyond that, a gap is declared at once."""
    contradictions: int = 3
    """How many lower ids must arrive after an isolated highest id before that one is considered false."""
    contradiction_seconds: float = 2.0
    """For how long they must have been arriving. Two overlapping connections differ by less."""
    far_ids: int = 1_000_000
    """An isolated id this far above all others is not believed alone. No symbol trades so often within the
    delay of a REST database."""
    relist_evidence: int = 3
    """How many consecutive lower ids with later times show that the exchange restarted its numbering."""

    def with_patience(self, seconds: float) -> LedgerLimits:
        """Return these limits with another patience. Its first half, at least 2 s, is enough for a proof."""
        return replace(
            self, patience_seconds=seconds, proof_seconds=min(self.proof_seconds, max(2.0, seconds / 2))
        )


class Outcome(NamedTuple):
    """What one call changed."""

    released: Sequence[Released] = ()
    """What is released now, in the order of ids."""
    arrived: Sequence[TradeTick] = ()
    """The ticks that were not known before, in the order in which they were taken."""
    opened: Sequence[tuple[int, int]] = ()
    """The ranges of ids, first and last, that became missing."""


NOTHING = Outcome()
"""Nothing changed."""


def add_gap(released: list[Released], gap: Gap) -> None:
    """Append a gap. It becomes one with the gap before it if both have the same cause."""
    last = released[-1] if released else None
    if isinstance(last, Gap) and (last.cause, last.to_id + 1) == (gap.cause, gap.from_id):
        released[-1] = Gap(gap.key, last.from_id, gap.to_id, gap.cause)
    else:
        released.append(gap)
