from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.number_format import AlignedNumbers, decimals_of, read_amount, significant_decimals, trimmed


@pytest.mark.parametrize(
    ("step", "decimals"),
    [("0.01", 2), ("0.01000000", 2), ("1", 0), ("1.00000000", 0), ("10", 0), ("1E-8", 8)],
)
def test_a_step_has_as_many_decimals_as_its_last_digit_needs(step: str, decimals: int) -> None:
    assert decimals_of(Decimal(step)) == decimals


@pytest.mark.parametrize(
    ("digits", "decimals", "text"),
    [
        ("61837.63000000", 2, "61837.63"),
        ("61837.60000000", 2, "61837.60"),
        ("61837.63100000", 2, "61837.631"),  # a digit is never dropped
        ("0.00001402", 8, "0.00001402"),
        ("0.00000010", 8, "0.00000010"),  # where Decimal itself would write 1.0E-7
        ("75.00000000", 0, "75"),
        ("0E-8", 2, "0.00"),
    ],
)
def test_only_zeros_are_cut_off(digits: str, decimals: int, text: str) -> None:
    assert trimmed(Decimal(digits), decimals) == text


@given(
    st.decimals(min_value=0, max_value=10**9, places=8, allow_nan=False, allow_infinity=False),
    st.integers(min_value=0, max_value=8),
)
def test_the_text_is_worth_the_number(value: Decimal, decimals: int) -> None:
    text = trimmed(value, decimals)

    assert Decimal(text) == value
    assert "E" not in text
    assert len(text.partition(".")[2]) >= decimals
    assert significant_decimals(value) <= max(decimals, len(text.partition(".")[2]))


@given(
    st.lists(
        st.sampled_from([0, 2, 5, 8]).flatmap(
            lambda places: st.decimals(0, 10**9, places=places, allow_nan=False, allow_infinity=False)
        ),
        max_size=6,
    ),
    st.integers(min_value=0, max_value=8),
)
def test_numbers_below_each_other_have_the_decimals_of_the_longest_so_far(
    values: list[Decimal], decimals: int
) -> None:
    numbers = AlignedNumbers(decimals)
    for value in values:
        decimals = max(decimals, significant_decimals(value))
        assert numbers.text(value) == trimmed(value, decimals)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("", "0"),
        (" 62000 ", "62000"),
        ("62,000", "62000"),
        ("1,234,567.5", "1234567.5"),
        ("62 000", "62000"),
        ("0,5", "0.5"),
        ("0,125", "0.125"),
        ("0.00001402", "0.00001402"),
        ("1e3", "1000"),
    ],
)
def test_a_number_is_read_as_people_write_it(text: str, amount: str) -> None:
    assert read_amount(text) == Decimal(amount)


@pytest.mark.parametrize(
    "text", ["much", "-1", "nan", "inf", "1e999999", "1e-999999", "1.2.3", "0x10", "0" * 61]
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert read_amount(text) is None
