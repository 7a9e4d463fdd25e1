"""Numbers as text: the exchange's own digits, never a float, never scientific notation."""

from __future__ import annotations

from decimal import Decimal

__all__ = ["decimals_of", "percent", "significant_decimals", "trimmed"]


def decimals_of(step: Decimal) -> int:
    """Return how many decimals a multiple of `step` can have: 2 for 0.01, none for 1 or 10."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def significant_decimals(value: Decimal) -> int:
    """Return how many decimals `value` needs: 2 for 61837.63000000."""
    return decimals_of(value) if value else 0


def trimmed(value: Decimal, decimals: int) -> str:
    """Return the digits of `value` with at least `decimals` decimals, and more where they are not zero.

    Only zeros are ever cut off, and only zeros are ever added.
    """
    text = format(value, "f")
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(decimals, "0")
    return f"{whole}.{fraction}" if fraction else whole


def percent(value: Decimal) -> str:
    """Return a change in percent with two decimals and its sign; zero has none."""
    text = f"{abs(value):.2f}"
    if not text.strip("0."):
        return text
    return f"{'−' if value < 0 else '+'}{text}"
