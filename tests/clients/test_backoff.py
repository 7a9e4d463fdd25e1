"""How long the client waits before it connects again, and when it does not."""

from __future__ import annotations

import pytest

from livemarkets_client.backoff import End, Timings, pause_seconds
from livemarkets_client.states import Code


def longest(low: float, high: float) -> float:
    return high


def shortest(low: float, high: float) -> float:
    return low


def bounds(end: End, attempt: int) -> tuple[float, float]:
    return tuple(pause_seconds(end, attempt, Timings(), pick) for pick in (shortest, longest))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("end", "attempt", "expected"),
    [
        (End(Code.LOST, ""), 0, (0, 1)),
        (End(Code.LOST, ""), 3, (0, 8)),
        (End(Code.LOST, ""), 3000, (0, 30)),
        (End.of_close(1012, "restarting: reconnect"), 0, (0, 1)),
        (End.of_close(1012, "restarting: reconnect, retry_after_ms=2345"), 0, (2.345, 2.345)),
        (End.of_close(1012, 'restarting {"retry_after_ms": 2345}'), 1, (2.345, 4.345)),
        (End.of_close(1013, "too slow: reconnect later"), 0, (15, 30)),
        (End.of_close(1013, "too slow retry_after_ms=500"), 0, (0.5, 0.5)),
        (End.of_status(503, "5"), 0, (5, 6)),
        (End.of_status(503, "Wed, 21 Oct 2026 07:28:00 GMT"), 0, (0, 1)),
        (End.of_status(502, None), 2, (0, 4)),
    ],
)
def test_the_pause_is_random_and_what_the_server_asks_for(
    end: End, attempt: int, expected: tuple[float, float]
) -> None:
    assert bounds(end, attempt) == pytest.approx(expected)
    assert not end.is_final


@pytest.mark.parametrize(
    "end",
    [
        *(End.of_close(code, "") for code in (1002, 1007, 1008, 1009)),
        *(End.of_status(status, None) for status in (400, 401, 403, 404)),
    ],
    ids=lambda end: str(end.code),
)
def test_what_would_end_likewise_is_not_tried_again(end: End) -> None:
    assert end.is_final
