"""Numbers as text: the exchange's own digits, never a float, never scientific notation."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

__all__ = ["AlignedNumbers", "decimals_of", "percent", "read_amount", "significant_decimals", "trimmed"]

_MOST_DIGITS = 18
"""Before and after the decimal point, of a number that a person types."""
_MOST_CHARACTERS = 60
"""Of the text of such a number: with spaces and separators, more than its digits need."""


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
    whole, _, fraction = _plain(value).partition(".")
    if len(fraction) != decimals:
        fraction = fraction.rstrip("0").ljust(decimals, "0")
    return f"{whole}.{fraction}" if fraction else whole


def _plain(value: Decimal) -> str:
    """Return the digits of `value`. To format takes four times as long as to write it as it came."""
    text = str(value)
    return format(value, "f") if "E" in text else text


class AlignedNumbers:
    """Numbers of one kind as text: each has as many decimals as any before it needed.

    Args:
        decimals: how many the first one has at least.
    """

    __slots__ = ("decimals",)

    def __init__(self, decimals: int) -> None:
        self.decimals = decimals

    def text(self, value: Decimal) -> str:
        """Return the digits of the next number. A page with many rows does it a thousand times a second."""
        text, decimals = _plain(value), self.decimals
        end = text.find(".") + 1 + decimals
        if end > decimals > 0 and len(text) >= end and not text[end:].strip("0"):
            return text[:end]
        text = trimmed(value, decimals)
        self.decimals = len(text.partition(".")[2])
        return text


def percent(value: Decimal) -> str:
    """Return a change in percent with two decimals and its sign; zero has none."""
    text = f"{abs(value):.2f}"
    if not text.strip("0."):
        return text
    return f"{'−' if value < 0 else '+'}{text}"


def read_amount(text: str) -> Decimal | None:
    """Read a price, a size or a value that a person typed; empty text is 0. `None` when it is none."""
    if len(text) > _MOST_CHARACTERS:
        return None
    plain = text.strip().replace(" ", "")
    # A comma is a decimal point where it stands alone, and separates thousands where three digits follow.
    head, comma, tail = plain.partition(",")
    is_decimal = comma and "," not in tail and "." not in tail and (len(tail) != 3 or head == "0")
    plain = plain.replace(",", "." if is_decimal else "")
    try:
        amount = Decimal(plain or "0")
    except InvalidOperation:
        return None
    if not amount.is_finite() or amount < 0:
        return None
    exponent = amount.as_tuple().exponent
    is_short = amount.adjusted() < _MOST_DIGITS and isinstance(exponent, int) and exponent >= -_MOST_DIGITS
    return amount if is_short or not amount else None
