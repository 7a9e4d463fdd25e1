"""Bounds of the arguments of faults that are requested over the control API or the command line. No I/O."""

from __future__ import annotations

from typing import Any

from livemarkets.simulator.market.source import SimulatorError

__all__ = ["check"]

_DAY_SECONDS = 86_400
_YEAR_MS = 31_536_000_000
_LARGEST_ID = 2**53
"""The largest integer that every JSON parser keeps exactly."""
_REASON_BYTES = 123
"""The longest reason in a close frame (RFC 6455, section 5.5)."""
_CLOSE_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
"""The valid codes in a close frame (RFC 6455, section 7.4)."""

_BOUNDS: dict[str, tuple[int, int]] = {
    "behind_seconds": (0, _DAY_SECONDS),
    "connection": (1, _LARGEST_ID),
    "count": (1, 100_000),
    "garbage count": (1, 1000),  # all of them are written at once
    "hole count": (1, 1_000_000),
    "delay_seconds": (0, _DAY_SECONDS),
    "factor": (0, 10_000),
    "first_id": (1, _LARGEST_ID),
    "ms": (-_YEAR_MS, _YEAR_MS),
    "notice_seconds": (0, _DAY_SECONDS),
    "retry_after_seconds": (0, _DAY_SECONDS),
    "seconds": (0, _DAY_SECONDS),
    "status": (400, 599),
    "rest_down status": (0, 599),  # 0 cuts the connection
    "trades": (1, 50_000),  # made in one turn of the event loop
}
"""Least and largest value of an argument, for every fault with it or for the named fault only."""


def check(command: str, key: str, value: Any) -> None:
    """Check an argument against its bounds. `None` is always allowed.

    Raises:
        SimulatorError: the argument is out of bounds. The text names the bounds.

    """
    bounds = _BOUNDS.get(f"{command} {key}", _BOUNDS.get(key))
    if bounds is not None and value is not None and not bounds[0] <= value <= bounds[1]:
        raise SimulatorError(f"{command}: {key} must be a number from {bounds[0]} to {bounds[1]}")
    is_close_code = key == "code" and (command == "close" or (command == "accept_close" and value != 0))
    if is_close_code and value not in _CLOSE_CODES:
        raise SimulatorError(
            f"{command}: {value} is not a valid close code; "
            "valid are 1000 to 1003, 1007 to 1014 and 3000 to 4999"
        )
    if key == "reason" and len(value.encode()) > _REASON_BYTES:
        raise SimulatorError(f"{command}: reason must have at most {_REASON_BYTES} bytes")
