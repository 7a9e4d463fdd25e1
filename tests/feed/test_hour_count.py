"""Counts of the last hour."""

from __future__ import annotations

from livemarkets.feed.hour_count import HourCount

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


def test_what_is_older_than_an_hour_is_forgotten() -> None:
    count = HourCount()
    assert (count.in_hour(0), count.newest_ts) == (0, None)
    count.add(3, 10)
    count.add(4, MINUTE_MS)
    assert count.in_hour(HOUR_MS) == 7
    assert count.in_hour(HOUR_MS + 10) == 4
    assert count.newest_ts == MINUTE_MS
    assert count.in_hour(HOUR_MS + MINUTE_MS) == 0
    assert count.newest_ts is None


def test_many_within_a_minute_leave_together() -> None:
    count = HourCount()
    for ms in range(0, 2 * HOUR_MS, 1000):
        count.add(1, ms)
    assert count.in_hour(2 * HOUR_MS) in range(3540, 3661)


def test_a_counter_is_counted_by_what_it_rose() -> None:
    count = HourCount()
    count.note_total(5, 0)
    count.note_total(5, MINUTE_MS)
    count.note_total(9, 2 * MINUTE_MS)
    assert count.in_hour(HOUR_MS - 1) == 9
    assert count.in_hour(HOUR_MS) == 4
    count.note_total(1, HOUR_MS)  # the ledger took some back
    count.note_total(3, HOUR_MS)
    assert count.in_hour(HOUR_MS) == 6
