"""Compares what a client reported with what the exchange sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from tests.compat.truth import Key, Truth, Values

__all__ = ["KINDS", "Outcome", "outcome_of"]

KINDS = ("trade", "candle", "ticker", "best", "book", "history")
"""What a client should report."""
_UNKNOWN_AT_MOST = 0.5
"""Share of order books and past candles without a counterpart: a client may join updates in its own way."""
_MAY_BE_UNKNOWN = ("book", "history")


@dataclass
class Outcome:
    """What came out for one client."""

    client: str
    equal: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def cell(self, kind: str) -> str:
        """Return the result of a kind for the table."""
        return str(self.equal[kind]) if self.equal[kind] else "–"


def outcome_of(client: str, lines: Iterable[bytes], truth: Truth, expected: Iterable[str]) -> Outcome:
    """Compare the reports of a client, one a line."""
    outcome = Outcome(client)
    seen: dict[str, list[int]] = {kind: [] for kind in KINDS}
    closed: Counter[Key] = Counter()
    for line in lines:
        report = _decoded(line)
        if report is None:
            continue
        kind = report.pop("kind")
        if kind == "error":
            outcome.problems.append(f"{report['where']}: {report['text'].strip().splitlines()[-1]}")
            continue
        key, values = _key_and_values(kind, report)
        if kind == "candle":
            closed[key] += 1
        seen[kind].append(int(key[-1]))
        known = truth.known.get(key)
        if known is None:
            outcome.unknown[kind] += 1
        elif _differs(known, values):
            outcome.problems.append(f"{key}: {values} is not {known}")
        else:
            outcome.equal[kind] += 1
    _judge(outcome, seen, closed, expected)
    return outcome


def _judge(
    outcome: Outcome, seen: dict[str, list[int]], closed: Counter[Key], expected: Iterable[str]
) -> None:
    trades = sorted(set(seen["trade"]))
    if trades and trades != list(range(trades[0], trades[-1] + 1)):
        outcome.problems.append("trades are missing")
    outcome.problems += [f"{key} ended {count} times" for key, count in closed.items() if count > 1]
    if closed and not any(interval == "1m" for _, interval, _ in closed):
        outcome.problems.append("no candle of a minute ended")
    for kind in expected:
        if not outcome.equal[kind]:
            outcome.problems.append(f"nothing of kind {kind} came")
        elif kind not in _MAY_BE_UNKNOWN and outcome.unknown[kind]:
            outcome.problems.append(f"{outcome.unknown[kind]} of kind {kind} are none of the exchange's")
        elif outcome.unknown[kind] > outcome.equal[kind] * _UNKNOWN_AT_MOST:
            outcome.problems.append(f"{outcome.unknown[kind]} of kind {kind} cannot be compared")


def _decoded(line: bytes) -> Values | None:
    """Return a report; `None` for what a client prints besides."""
    try:
        report = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return report if isinstance(report, dict) and "kind" in report else None


def _key_and_values(kind: str, report: Values) -> tuple[Key, Values]:
    if kind == "trade":
        key: Key = (kind, str(report.pop("id")))
        values = {name: _number(report[name]) for name in ("price", "size")}
        return key, values | {name: report[name] for name in ("time", "maker")}
    if kind == "book":
        return (kind, str(report["at"])), {
            side: [(_number(price), _number(size)) for price, size in report[side]]
            for side in ("bids", "asks")
        }
    names = [kind, *([report.pop("interval")] if "interval" in report else []), str(report.pop("at"))]
    return tuple(names), {name: _number(value) for name, value in report.items()}


def _differs(known: Values, values: Values) -> bool:
    return any(known[name] != value for name, value in values.items())


def _number(value: Any) -> Decimal:
    return Decimal(str(value))
