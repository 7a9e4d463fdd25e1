"""Reads answers of REST that may have any shape. No I/O."""

from __future__ import annotations

from typing import Any

from livemarkets.doctor.record import Answer

__all__ = ["ids_of", "newest_id", "rows"]


def rows(answer: Answer | None) -> list[dict[str, Any]]:
    """Return the objects of an answer that is a list; empty for anything else."""
    body = answer.body if answer is not None else None
    return [row for row in body if isinstance(row, dict)] if isinstance(body, list) else []


def ids_of(answer: Answer | None) -> list[int]:
    """Return the trade ids of an answer of `trades` or `historicalTrades`, in its order."""
    return [row["id"] for row in rows(answer) if type(row.get("id")) is int]


def newest_id(*answers: Answer | None) -> int | None:
    """Return the greatest trade id of such answers; `None` without one."""
    return max((one for answer in answers for one in ids_of(answer)), default=None)
