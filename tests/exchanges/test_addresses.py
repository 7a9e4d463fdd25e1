"""The memory of addresses: who failed is passed over, and tried again later."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from livemarkets.exchanges.addresses import Addresses, of_leg
from livemarkets.exchanges.statistics import without_credentials


def test_a_failed_address_is_passed_over_and_tried_again_later() -> None:
    addresses = Addresses(["a", "b"], rest_seconds=10.0)
    addresses.note_failure("a", 100.0)
    assert addresses.in_order(100.0) == ["b", "a"]
    assert addresses.is_resting("a", 109.9)
    assert addresses.in_order(110.0) == ["a", "b"]


def test_the_rest_doubles_up_to_its_limit_and_a_success_ends_it() -> None:
    addresses = Addresses(["a"], rest_seconds=10.0, longest_rest_seconds=35.0)
    for seconds in (10.0, 20.0, 35.0, 35.0):
        addresses.note_failure("a", 0.0)
        assert addresses.is_resting("a", seconds - 0.1)
        assert not addresses.is_resting("a", seconds)
    addresses.note_success("a")
    assert not addresses.is_resting("a", 0.0)


def test_while_all_rest_the_one_that_rests_least_is_first() -> None:
    addresses = Addresses(["a", "b"], rest_seconds=10.0)
    addresses.note_failure("b", 0.0)
    addresses.note_failure("a", 1.0)
    assert addresses.in_order(2.0) == ["b", "a"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 1000)), max_size=30))
def test_every_address_stays_on_offer_whatever_happens(events: list[tuple[str, bool, float]]) -> None:
    addresses = Addresses("abc")
    for url, is_failure, now in sorted(events, key=lambda event: event[2]):
        if is_failure:
            addresses.note_failure(url, now)
        else:
            addresses.note_success(url)
        assert sorted(addresses.in_order(now)) == list("abc")
        assert all(not addresses.is_resting(url, now + 300.0) for url in addresses)


def test_each_address_is_described_without_secrets() -> None:
    addresses = Addresses(
        ["wss://eve:secret@one.example:9443/path?key=1#x", "wss://two.example"], rest_seconds=10.0
    )
    addresses.note_failure("wss://two.example", 100.0)
    first, second = addresses.describe(104.0, lambda url: "socks5://proxy:1080" if "two" in url else None)
    assert (first.url, first.failures, first.rest_seconds) == ("wss://one.example:9443/path", 0, 0.0)
    assert first.proxy is None
    assert (second.url, second.failures, second.rest_seconds) == ("wss://two.example", 1, 6.0)
    assert second.proxy == "socks5://proxy:1080"
    assert without_credentials("wss://[broken") == "(not an address)"


def test_each_leg_prefers_another_address_and_those_of_no_leg_come_next() -> None:
    assert [of_leg("abcd", number, 2) for number in (1, 2)] == [tuple("acdb"), tuple("bcda")]
    assert [of_leg("ab", number, 2) for number in (1, 2)] == [("a", "b"), ("b", "a")]
    assert [of_leg(["a"], number, 2) for number in (1, 2)] == [("a",), ("a",)]
    assert [of_leg("ab", number, 3)[0] for number in (1, 2, 3)] == ["a", "b", "a"]
    assert of_leg((), 2, 2) == ()
