"""Times in microseconds, on request of a client (web-socket-streams.md and rest-api.md, General information).

The market has milliseconds. Every number of 13 digits that it sends is a time: no id has so many digits.
"""

from __future__ import annotations

import re

__all__ = ["MICROSECOND", "TIME_UNITS", "in_microseconds", "in_milliseconds"]

MICROSECOND = "MICROSECOND"
TIME_UNITS = {
    **dict.fromkeys(("MICROSECOND", "microsecond"), MICROSECOND),
    **dict.fromkeys(("MILLISECOND", "millisecond"), "MILLISECOND"),
}
"""The accepted spellings (CHANGELOG.md, 2024-12-17)."""

_NUMBER = rb"(\d{13})(?=[,}\]])"
_KLINE_END = re.compile(rb'("t":\d{13},"T":|"closeTime":(?=\d{10}999)|",)' + _NUMBER)
_TIME = re.compile(rb"([:\[])" + _NUMBER)
_FIRST_MICROSECOND = 10**14


def in_microseconds(text: bytes) -> bytes:
    """Return JSON with its times in microseconds.

    The end of a kline is the last microsecond of its last millisecond.
    """
    return _TIME.sub(rb"\g<1>\g<2>000", _KLINE_END.sub(rb"\g<1>\g<2>999", text))


def in_milliseconds(time: int, *, rounds_up: bool = False) -> int:
    """Return a time parameter in milliseconds. It may be given in milliseconds or in microseconds."""
    if time < _FIRST_MICROSECOND:
        return time
    return -(-time // 1000) if rounds_up else time // 1000
