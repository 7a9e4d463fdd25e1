"""When the next attempt may be made, at which address, and what is said meanwhile: for a whole exchange."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.binance.attempts import Attempt, Attempts, AttemptTimings
from livemarkets.exchanges.budgets import ConnectBudget

TIMEOUT = ExchangeUnreachable("timeout")
BANNED = ExchangeUnreachable("HTTP 418", 600.0, is_ban=True)
FIRST, SECOND, THIRD = URLS = ("wss://first", "wss://second", "wss://third")


def attempts_at(*urls: str) -> Attempts:
    """Attempts whose delays are as long as they may be."""
    return Attempts(urls, ConnectBudget(), AttemptTimings(), lambda least, most: most)


@pytest.fixture
def attempts() -> Attempts:
    return attempts_at(*URLS)


def connected(attempts: Attempts, now: float, *, is_planned: bool = False) -> Attempt:
    """A connection that opened and brought a trade."""
    attempt = attempts.begin(now, is_planned=is_planned)
    attempts.note_open(attempt)
    attempts.note_proof(attempt, now)
    return attempt


def test_delays_double_until_a_connection_has_worked_for_a_while(attempts: Attempts) -> None:
    now, delays = 1000.0, []
    for _ in range(8):
        delays.append(attempts.note_failure(attempts.begin(now), TIMEOUT, now))
        now += delays[-1]
        assert attempts.due_at(now) == now
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert (attempts.reason, attempts.failures, attempts.is_down) == ("timeout", 8, True)
    short = connected(attempts, now)
    assert (attempts.reason, attempts.is_down) == (None, False)
    assert attempts.note_failure(short, TIMEOUT, now + 9) == 5, "a handshake and a trade prove little"
    long = connected(attempts, now + 100)
    assert attempts.note_failure(long, TIMEOUT, now + 110) == 0.5
    assert attempts.note_failure(attempts.begin(now + 111), TIMEOUT, now + 111) == 0.5


@pytest.mark.parametrize("seconds", [600.0, 0.0])
def test_a_ban_holds_for_every_shard_and_whoever_comes_or_goes(attempts: Attempts, seconds: float) -> None:
    error = ExchangeUnreachable("HTTP 418", seconds, is_ban=True)
    one, other = attempts.begin(10.0), attempts.begin(10.0)
    attempts.note_failure(one, error, 11.0)
    attempts.note_end(other)  # nobody wants its streams any more
    assert attempts.due_at(11.0) == pytest.approx(11.0 + max(seconds, 0.5))
    attempts.note_failure(attempts.begin(11.5), TIMEOUT, 12.0)
    assert attempts.due_at(12.0) == pytest.approx(max(11.0 + seconds, 13.0)), "nothing makes it shorter"


def test_a_ban_holds_for_the_other_legs_too() -> None:
    budget = ConnectBudget()
    one, other = (Attempts(URLS, budget, AttemptTimings(), lambda least, most: most) for _ in range(2))
    one.note_failure(one.begin(10.0), BANNED, 10.0)
    assert other.due_at(10.0) == pytest.approx(610.0)
    assert other.ban_seconds(10.0) == 600.0
    assert other.failures == 0


def test_a_leg_returns_to_its_address_when_that_may_work_again(attempts: Attempts) -> None:
    assert attempts.returns_at(SECOND) == math.inf, "without legs it may stay"
    leg = Attempts(URLS, ConnectBudget(), AttemptTimings(return_seconds=5.0), lambda least, most: most)
    leg.note_failure(leg.begin(1.0), TIMEOUT, 1.0)
    elsewhere = connected(leg, 2.0)
    assert elsewhere.url == SECOND
    assert (leg.returns_at(FIRST), leg.returns_at(SECOND)) == (math.inf, 11.0)
    probe = leg.begin(11.0, is_planned=True, is_return=True)
    assert probe.url == FIRST
    before = leg.failures, leg.reason, leg.is_down
    assert leg.note_failure(probe, TIMEOUT, 12.0) == 0.0
    assert (leg.failures, leg.reason, leg.is_down) == before, "the exchange works, as was known before"
    assert leg.returns_at(SECOND) == 32.0, "it is tried ever more seldom"
    ban = leg.begin(32.0, is_planned=True, is_return=True)
    assert leg.note_failure(ban, BANNED, 32.0) == pytest.approx(600.0)


def test_an_address_that_opens_and_is_mute_is_returned_to_ever_more_seldom() -> None:
    leg = Attempts(URLS, ConnectBudget(), AttemptTimings(return_seconds=30.0), lambda least, most: most)
    now, pauses = 1000.0, []
    for _ in range(8):
        connected(leg, now, is_planned=True)  # the preferred address works at first
        leg.note_mute(FIRST, now + 1)
        due_at = leg.returns_at(SECOND)
        pauses.append(due_at - now)
        now = due_at
        leg.begin(now, is_planned=True, is_return=True)
    assert pauses == [11, 30, 60, 120, 240, 480, 600, 600]
    now += 2000
    leg.begin(now, is_planned=True, is_return=True)
    assert leg.returns_at(SECOND) == now + 30, "after a calm while it is quick again"


def test_a_ban_without_a_length_grows(attempts: Attempts) -> None:
    now, delays = 0.0, []
    for _ in range(6):
        error = ExchangeUnreachable("HTTP 429", is_ban=True)
        delays.append(attempts.note_failure(attempts.begin(now), error, now))
        now += delays[-1]
    assert delays == [30, 60, 120, 240, 480, 600]
    connected(attempts, now)
    assert attempts.note_failure(attempts.begin(now), ExchangeUnreachable("HTTP 429", is_ban=True), now) == 30


def test_another_refusal_that_names_a_time_concerns_its_address(attempts: Attempts) -> None:
    """Such as that of a proxy before one of the addresses, which says to come back in a week."""
    busy = ExchangeUnreachable("HTTP 503", 604_800.0)
    refused = attempts.begin(0.0)
    assert attempts.note_failure(refused, busy, 0.0) == 0.5
    assert attempts.due_at(0.5) == 0.5
    other = attempts.begin(0.5)
    assert (refused.url, other.url) == (FIRST, SECOND)
    assert attempts.note_failure(other, busy, 0.5) == 1.0
    third = attempts.begin(1.5)
    assert attempts.note_failure(third, busy, 1.5) == 28.5, "all have asked for a pause; no longer than 30 s"
    assert attempts.due_at(20.0) == 30.0
    assert attempts.begin(30.0).url == FIRST


def test_a_refusal_that_names_a_time_is_kept_from_every_shard_at_its_address(attempts: Attempts) -> None:
    for _ in range(4):
        for url in (SECOND, THIRD):  # they rest for longer
            attempts.addresses.note_failure(url, 0.0)
    attempts.note_failure(attempts.begin(0.0), ExchangeUnreachable("HTTP 503", 20.0), 0.0)
    chosen = [attempts.begin(now).url for now in (11.0, 19.0, 20.0)]
    assert chosen == [SECOND, SECOND, FIRST]


def test_one_address_waits_as_long_as_it_asks_for_but_no_longer_than_the_cap() -> None:
    attempts = attempts_at(FIRST)
    assert attempts.note_failure(attempts.begin(0.0), ExchangeUnreachable("HTTP 503", 20.0), 0.0) == 20
    assert attempts.note_failure(attempts.begin(20.0), ExchangeUnreachable("HTTP 403", 9e5), 20.0) == 30
    connected(attempts, 50.0)
    assert attempts.note_failure(attempts.begin(61.0), TIMEOUT, 61.0) == 0.5


def test_one_attempt_at_a_time_finds_out_whether_the_exchange_is_back(attempts: Attempts) -> None:
    assert attempts.due_at(0.0) == 0.0
    first, second = attempts.begin(0.0), attempts.begin(0.0)
    assert attempts.due_at(0.0) == 0.0, "as long as nothing fails, nothing waits"
    attempts.note_failure(first, TIMEOUT, 1.0)
    assert attempts.due_at(2.0) is None
    attempts.note_open(second)
    assert attempts.due_at(2.0) == 2.0


@pytest.mark.parametrize("life_seconds", [None, 0.0, 9.0])
def test_an_address_that_opens_and_then_fails_is_passed_over(
    attempts: Attempts, life_seconds: float | None
) -> None:
    """It accepts and closes, or answers nothing, or works for moments only."""
    now, urls = 0.0, []
    for _ in range(3):
        attempt = attempts.begin(now)
        urls.append(attempt.url)
        attempts.note_open(attempt)
        if life_seconds is not None:
            attempts.note_proof(attempt, now)
        now += life_seconds or 0.0
        now += attempts.note_failure(attempt, TIMEOUT, now)
    assert urls[:2] == [FIRST, SECOND]


def test_an_address_that_failed_is_tried_again_later(attempts: Attempts) -> None:
    attempts.note_failure(attempts.begin(0.0), TIMEOUT, 0.0)
    active = connected(attempts, 1.0)
    assert active.url == SECOND
    assert attempts.begin(5.0, is_planned=True).url == SECOND
    assert attempts.begin(60.0, is_planned=True).url == FIRST, "a rotation risks nothing"
    assert attempts.begin(60.0).url == SECOND, "after a loss, the address that worked is the better choice"


@pytest.mark.parametrize("life_seconds", [10.0, 86_400.0])
def test_a_close_after_a_good_life_is_no_failure_of_the_address(
    attempts: Attempts, life_seconds: float
) -> None:
    attempt = connected(attempts, 0.0)
    closed = ExchangeUnreachable("closed by the exchange with 1012")
    assert attempts.note_failure(attempt, closed, life_seconds) == 0.5
    assert not attempts.is_down
    assert attempts.begin(life_seconds + 1).url == FIRST


def test_the_loss_of_several_connections_at_once_is_one_loss(attempts: Attempts) -> None:
    held = [connected(attempts, 0.0) for _ in range(4)]
    delays = [attempts.note_failure(one, TIMEOUT, 100.0) for one in held]
    assert delays == [0.5] * 4
    assert (attempts.failures, attempts.is_down) == (1, False)


def test_a_mute_address_is_passed_over(attempts: Attempts) -> None:
    attempt = connected(attempts, 0.0)
    attempts.note_mute(attempt.url, 100.0)
    assert attempts.begin(100.0, is_planned=True).url == SECOND


def test_data_on_an_older_connection_does_not_show_that_a_new_one_can_be_opened(attempts: Attempts) -> None:
    old = attempts.begin(0.0)
    attempts.note_open(old)
    attempts.note_failure(attempts.begin(1.0), TIMEOUT, 2.0)
    attempts.note_proof(old, 3.0)
    assert (attempts.is_down, attempts.reason, attempts.failures) == (True, "timeout", 1)


def test_the_first_loss_of_an_open_connection_is_not_down(attempts: Attempts) -> None:
    states = []
    for now in (0.0, 10.0):
        attempt = attempts.begin(now)
        attempts.note_open(attempt)
        attempts.note_failure(attempt, TIMEOUT, now)
        states.append(attempts.is_down)
    assert states == [False, True]


def test_failures_of_long_ago_are_forgotten(attempts: Attempts) -> None:
    for _ in range(9):
        attempts.note_failure(attempts.begin(0.0), TIMEOUT, 0.0)
    attempt = attempts.begin(1000.0)
    assert (attempts.failures, attempts.is_down, attempts.reason) == (0, False, None)
    assert attempts.note_failure(attempt, TIMEOUT, 1000.0) == 0.5


def test_addresses_can_be_replaced_at_any_time(attempts: Attempts) -> None:
    active = connected(attempts, 0.0)
    attempts.use_addresses(["ws://new"])
    assert attempts.begin(1.0).url == "ws://new"
    attempts.note_failure(active, TIMEOUT, 2.0)


def test_new_addresses_are_dialled_at_once(attempts: Attempts) -> None:
    """What failed at the old ones says nothing of them: the embedded exchange started again elsewhere."""
    for _ in range(9):
        attempts.note_failure(attempts.begin(0.0), BANNED, 0.0)
    attempts.note_failure(attempts.begin(0.0), ExchangeUnreachable("full", 60.0), 0.0)
    assert attempts.due_at(1.0) == 600.0
    attempts.use_addresses([*attempts.addresses, "ws://new"])
    assert attempts.due_at(1.0) == 600.0
    attempts.use_addresses(["ws://newer"])
    assert attempts.due_at(1.0) == 1.0


class World:
    """Shards that dial an exchange of moods, in simulated time."""

    def __init__(self, seed: int, shards: int, timings: AttemptTimings) -> None:
        self.random = Random(seed)
        self.attempts = Attempts(URLS, ConnectBudget(), timings, self.random.uniform)
        self.now = 5000.0
        moods = ("banned", "closed", "lives", "mute") if self.random.random() < 0.5 else ("closed",)
        self.fates = ("refused",) * 20 + moods
        self.dials: list[float] = []
        self.banned_until = 0.0
        self.wanted = [True] * shards
        self.held: list[tuple[Attempt, float, str] | None] = [None] * shards

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            for number in range(len(self.wanted)):
                self._step(number)
            self.now += self.random.choice((0.01, 0.1, 0.5))

    def _step(self, number: int) -> None:
        if self.random.random() < 0.02:
            self.wanted[number] ^= True
        held = self.held[number]
        if held is not None:
            self._live(number, *held)
        elif self.wanted[number]:
            due_at = self.attempts.due_at(self.now)
            if due_at is not None and due_at <= self.now:
                assert self.now >= self.banned_until, "the exchange had asked for a pause"
                self.dials.append(self.now)
                fate = self.random.choice(self.fates)
                seconds = self.random.choice((0.0, 0.0, 0.0, 0.2, 3.0, 30.0 if fate == "lives" else 0.0))
                self.held[number] = (self.attempts.begin(self.now), self.now + seconds, fate)

    def _live(self, number: int, attempt: Attempt, until: float, fate: str) -> None:
        if fate in ("closed", "lives", "mute") and not attempt.is_open:
            self.attempts.note_open(attempt)
        if fate == "lives":
            self.attempts.note_proof(attempt, self.now)
        if self.now >= until or (fate == "lives" and not self.wanted[number]):
            self.held[number] = None
            if fate == "lives" and not self.wanted[number]:
                self.attempts.note_end(attempt)
                return
            pause = self.random.choice((None, 0.0, 2.0, 20.0, 600.0)) if fate == "banned" else None
            self.banned_until = max(self.banned_until, self.now + (pause or 0.0))
            error = ExchangeUnreachable(fate, pause, is_ban=fate == "banned")
            assert self.attempts.note_failure(attempt, error, self.now) >= 0


HASTY = AttemptTimings(backoff_initial_seconds=0.01, backoff_cap_seconds=0.01, ban_seconds=0.0)
"""Delays so short that nothing but the budget keeps the limit."""


@given(st.integers(0, 2**32), st.integers(1, 4), st.sampled_from((AttemptTimings(), HASTY)))
def test_the_limit_and_every_ban_are_kept_whatever_happens(
    seed: int, shards: int, timings: AttemptTimings
) -> None:
    """`web-socket-streams.md`, "WebSocket Limits": 300 attempts in any 5 minutes."""
    world = World(seed, shards, timings)
    world.run(400.0)
    for first, last in zip(world.dials, world.dials[299:], strict=False):
        assert last - first > 300


def test_connections_that_live_a_minute_and_dials_that_are_refused_cost_few_attempts() -> None:
    """Ten minutes in which every connection lives 20 to 90 s and half of the dials are refused."""
    random, now, dials = Random(3), 0.0, []
    attempts = Attempts(URLS, ConnectBudget(), AttemptTimings(), random.uniform)
    away = 0.0
    while now < 600:
        due_at = attempts.due_at(now)
        assert due_at is not None
        away, now = away + due_at - now, due_at
        dials.append(now)
        attempt = attempts.begin(now)
        if random.random() < 0.5:
            attempts.note_failure(attempt, TIMEOUT, now)
            continue
        attempts.note_open(attempt)
        attempts.note_proof(attempt, now)
        now += random.uniform(20, 90)
        attempts.note_failure(attempt, TIMEOUT, now)
    assert max(sum(0 <= at - since < 300 for at in dials) for since in dials) < 60
    assert away < 60
