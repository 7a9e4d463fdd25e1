"""An assumption about the exchange, and what was found. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from livemarkets.doctor.record import Record

__all__ = [
    "Check",
    "Finding",
    "Numbers",
    "Verdict",
    "failed",
    "judge",
    "median",
    "not_seen",
    "passed",
]

Verdict = Literal["pass", "fail", "not_seen"]
Numbers = dict[str, int | float | str | None]


class Finding(msgspec.Struct, frozen=True):
    """What one check found.

    Args:
        verdict: `pass`, `fail`, or `not_seen` when nothing happened that could tell.
        seen: what was seen, or why nothing was, as a sentence without prices.
        numbers: the same for programs; no prices.

    """

    verdict: Verdict
    seen: str
    numbers: Numbers = {}


class Check(msgspec.Struct, frozen=True):
    """One assumption about the exchange.

    Args:
        id: stable name, `family.what`.
        assumption: the assumption as a sentence.
        used_by: the module that relies on it.
        find: judges the record.

    """

    id: str
    assumption: str
    used_by: str
    find: Callable[[Record], Finding]


def passed(seen: str, **numbers: int | float | str | None) -> Finding:
    """Return that the assumption held."""
    return Finding("pass", seen, numbers)


def failed(seen: str, **numbers: int | float | str | None) -> Finding:
    """Return that the assumption did not hold."""
    return Finding("fail", seen, numbers)


def not_seen(why: str, **numbers: int | float | str | None) -> Finding:
    """Return that nothing happened that could tell."""
    return Finding("not_seen", why, numbers)


def judge(checks: Iterable[Check], record: Record) -> list[tuple[Check, Finding]]:
    """Return the finding of every check. An error in a check is its failure, and stops no other check."""
    return [(check, _find(check, record)) for check in checks]


def _find(check: Check, record: Record) -> Finding:
    try:
        return check.find(record)
    except Exception as error:  # the exchange sent something that no check has thought of
        return failed(f"the check cannot read what came: {type(error).__name__}")


def median(values: Iterable[float]) -> float:
    """Return the median.

    Raises:
        ValueError: there are no values.

    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("the median of nothing")
    return ordered[len(ordered) // 2]
