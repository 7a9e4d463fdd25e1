"""The verdict on what a client got, held against what the exchange really traded, numbering by numbering."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Event:
    """What a client got: a trade, or the declaration of a hole."""

    kind: str
    first: int
    last: int
    text: str = ""
    """Price and size of a trade, the cause of a hole."""


@dataclass
class Verdict:
    """One client's record of one symbol held against the truth."""

    received: int = 0
    backfilled: int = 0
    lost: int = 0
    repeated: int = 0
    disordered: int = 0
    altered: int = 0
    falsely_declared: int = 0
    """Declared as not existing at the exchange, though they do."""
    declared: Counter[str] = field(default_factory=Counter)
    """Trades, by the cause of the gap that declared them."""
    avoidable: int = 0
    """Declared as not to be had, though REST still served them: those of the present numbering."""
    renumbered: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, other: Verdict) -> None:
        """Add another record's figures."""
        for name in (
            "received",
            "backfilled",
            "lost",
            "repeated",
            "disordered",
            "altered",
            "falsely_declared",
            "avoidable",
            "renumbered",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.declared += other.declared
        self.examples = (self.examples + other.examples)[:20]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong that was not declared."""
        return not (
            self.lost
            or self.repeated
            or self.disordered
            or self.altered
            or self.falsely_declared
            or self.avoidable
        )


def judge(events: list[Event], numberings: list[dict[int, str]], newest: int) -> Verdict:
    """Hold what one client got of one symbol against the truth, up to the id `newest`."""
    verdict = Verdict()
    expected: int | None = None
    at, seen = 0, set[int]()
    is_new = True  # a numbering begins here; which one, its first trade tells
    for event in events:
        if event.kind == "trade":
            if is_new:
                found = _numbering_of(event, numberings, at)
                at, seen, is_new = found, seen if found == at else set(), False
            _judge_trade(verdict, event, expected, numberings, at, seen)
        elif event.last < event.first:
            verdict.renumbered += 1
            is_new, expected = True, None
        else:
            _judge_gap(verdict, event, expected, numberings, at, seen)
        reached = event.last + 1
        expected = reached if expected is None else max(expected, reached)
    if at == len(numberings) - 1 and expected is not None and expected <= newest:
        verdict.lost += newest + 1 - expected
        verdict.examples.append(f"the end is missing: {expected} to {newest}")
    return verdict


def _judge_trade(
    verdict: Verdict,
    event: Event,
    expected: int | None,
    numberings: list[dict[int, str]],
    at: int,
    seen: set[int],
) -> None:
    verdict.received += 1
    verdict.backfilled += event.text.endswith("backfilled")
    if expected is not None and event.first != expected:
        _complain(verdict, event, expected, seen)
    elif event.first in seen:
        verdict.repeated += 1
        verdict.examples.append(f"again: {event}")
    seen.add(event.first)
    truly = numberings[at].get(event.first)
    is_last_moment = at < len(numberings) - 1 and event.first > max(numberings[at], default=0)
    if truly != event.text.removesuffix(" backfilled") and not (truly is None and is_last_moment):
        verdict.altered += 1
        verdict.examples.append(f"altered: {event}, truly {truly}")


def _judge_gap(
    verdict: Verdict,
    event: Event,
    expected: int | None,
    numberings: list[dict[int, str]],
    at: int,
    seen: set[int],
) -> None:
    verdict.declared[event.text] += event.last - event.first + 1
    if expected is not None and event.first != expected:
        _complain(verdict, event, expected, seen)
    existing = sum(1 for trade_id in numberings[at] if event.first <= trade_id <= event.last)
    if not existing:
        return
    if event.text == "venue":
        verdict.falsely_declared += existing
        verdict.examples.append(f"declared as not existing, {existing} of them wrongly: {event}")
    elif at == len(numberings) - 1:
        verdict.avoidable += existing
        verdict.examples.append(f"declared though it could be had: {event}")


def _numbering_of(event: Event, numberings: list[dict[int, str]], at: int) -> int:
    """Which numbering a trade belongs to, not before `at`; a relisting ends before its history is taken."""
    text = event.text.removesuffix(" backfilled")
    for number in range(at, len(numberings)):
        if numberings[number].get(event.first) == text:
            return number
    return min(at + 1, len(numberings) - 1)


def _complain(verdict: Verdict, event: Event, expected: int, seen: set[int]) -> None:
    if event.first > expected:
        verdict.lost += event.first - expected
    elif event.first in seen:
        verdict.repeated += 1
    else:
        verdict.disordered += 1
    verdict.examples.append(f"expected {expected}, got {event}")
