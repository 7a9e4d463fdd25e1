"""How long a refusal says to wait, in each form that was seen (REVIEW B15, FIELD-2 experiment 18)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.exchanges.told_pauses import told_pause_seconds

NOW_MS = 1_764_115_200_000  # Wed, 26 Nov 2025 00:00:00 GMT
BODY = b'{"code":-1003,"msg":"Way too many requests; IP(1.2.3.4) banned until %d. Please use websockets."}'


@pytest.mark.parametrize(
    ("retry_after", "body", "seconds"),
    [
        ("120", b"", 120),
        (" 7 ", b"", 7),
        ("Wed, 26 Nov 2025 00:01:30 GMT", b"", 90),
        ("", BODY % (NOW_MS + 45_000), 45),
        ("10", BODY % (NOW_MS + 45_000), 45),
        ("60", BODY % (NOW_MS + 45_000), 60),
        ("9" * 300, b"", 604_800),
        ("0", b"", None),
        ("-5", b"", None),
        ("１２", b"", None),
        ("soon", b"", None),
        ("Tue, 25 Nov 2025 00:00:00 GMT", b"", None),
        ("", BODY % (NOW_MS - 1), None),
        ("", b"<html>banned until tomorrow</html>", None),
        ("", b"", None),
    ],
)
def test_the_later_of_header_and_body_counts(retry_after: str, body: bytes, seconds: float | None) -> None:
    headers = {"Retry-After": retry_after, "Date": "Wed, 26 Nov 2025 00:00:00 GMT"}
    assert told_pause_seconds(headers, body) == seconds
    assert told_pause_seconds({"Retry-After": retry_after}, body, now_ms=NOW_MS) == seconds


def test_a_wrong_clock_here_makes_no_ban_shorter() -> None:
    headers = {"Date": "Wed, 26 Nov 2025 00:00:00 GMT"}
    assert told_pause_seconds(headers, BODY % (NOW_MS + 45_000), now_ms=NOW_MS + 3_600_000) == 45


def test_without_any_clock_a_date_makes_no_sense() -> None:
    assert told_pause_seconds({"Retry-After": "Wed, 26 Nov 2025 00:01:30 GMT"}) is None
    assert told_pause_seconds({"Retry-After": "5"}, BODY % NOW_MS) == 5


@given(st.text(max_size=60), st.text(max_size=60), st.binary(max_size=80))
def test_any_refusal_gives_a_pause_of_at_most_a_week_or_none(header: str, date: str, body: bytes) -> None:
    told = told_pause_seconds({"Retry-After": header, "Date": date}, b"banned until " + body, now_ms=NOW_MS)
    assert told is None or 0 < told <= 604_800
