"""Which call goes next, and how much of the exchange's limit is used."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.base import Purpose, RateLimitStatistics
from livemarkets.exchanges.governor import Governor
from livemarkets.market.clock import Clock
from tests.support.simulated_time import run_in_simulated_time

HOLE, CHECK, RESUME, LIST = Purpose


class Calls:
    """Calls through a governor, in simulated time. The loop's time 1000 is the start of a minute."""

    def __init__(self, *, check_seconds: float = 5.0) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time
        clock = Clock(loop.time, lambda: round((loop.time() - 1000.0) * 1000))
        self.governor = Governor(
            clock,
            wait_seconds={
                HOLE: 10 * check_seconds + 250.0,
                CHECK: check_seconds,
                RESUME: 10_000.0,
                LIST: 300.0,
            },
        )
        self.began: list[tuple[float, str]] = []
        self.weights: list[tuple[float, int]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def call(
        self,
        name: str,
        purpose: Purpose = RESUME,
        *,
        weight: int = 25,
        asker: str | None = None,
        seconds: float = 0.1,
        counted: int | None = None,
    ) -> asyncio.Task[None]:
        async def run() -> None:
            async with self.governor.turn(weight, purpose, asker) as turn:
                self.began.append((self.now() - 1000.0, name))
                self.weights.append((self.now(), weight))
                await asyncio.sleep(seconds)
                if counted is not None:
                    self.governor.note_count(counted, turn)

        task = asyncio.create_task(run(), name=name)
        self.tasks.append(task)
        return task

    async def end(self) -> None:
        await asyncio.gather(*self.tasks)

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.began]

    @property
    def limit(self) -> RateLimitStatistics:
        return self.governor.statistics()

    async def use(self, weight: int, purpose: Purpose = LIST, asker: str | None = None) -> None:
        """Use a weight at once, with any purpose."""
        async with self.governor.turn(0, purpose, asker) as turn:
            turn.again(weight)


def simulated(test: Callable[[Calls], Awaitable[Any]]) -> Callable[[], None]:
    def run() -> None:
        async def main() -> None:
            await test(Calls())

        run_in_simulated_time(main())

    return run


@simulated
async def test_calls_that_wait_go_by_urgency(calls: Calls) -> None:
    calls.governor.pause(1)
    for name, purpose in (("list", LIST), ("resume", RESUME), ("check", CHECK), ("hole", HOLE)):
        calls.call(name, purpose)
    await calls.end()
    assert calls.names == ["hole", "check", "resume", "list"]


@simulated
async def test_places_are_kept_back_for_holes(calls: Calls) -> None:
    for number in range(30):
        calls.call(f"resumption {number}", RESUME, seconds=10.0)
    await asyncio.sleep(0.01)
    calls.call("hole", HOLE)
    await asyncio.sleep(0.01)
    assert "hole" in calls.names, "it goes at once, though the others take all that they may"
    assert len(calls.names) < 10
    for task in calls.tasks:
        task.cancel()


@simulated
async def test_weight_is_kept_back_for_each_purpose(calls: Calls) -> None:
    for number in range(200):
        calls.call(f"resumption {number}", RESUME)
    await asyncio.sleep(30)
    assert calls.limit.waiting[RESUME] > 0
    assert RESUME in calls.limit.limited
    before = len(calls.names)
    for purpose, weight in ((HOLE, 25), (CHECK, 80), (LIST, 20)):
        calls.call(purpose.name, purpose, weight=weight)
    await asyncio.sleep(0.001)
    assert calls.names[before:] == ["HOLE", "CHECK", "LIST"]
    await calls.end()


@simulated
async def test_calls_that_wait_behind_more_urgent_ones_are_limited_too(calls: Calls) -> None:
    """They would have weight if no hole waited for it: a resumption must not take that for a dead REST."""
    await calls.use(1740, HOLE)
    await calls.use(770, RESUME)
    calls.call("hole", HOLE, weight=80)
    calls.call("resumption", RESUME, weight=25)
    await asyncio.sleep(0.01)
    assert calls.names == []
    assert calls.limit.limited == {HOLE, RESUME}
    for task in calls.tasks:
        task.cancel()


@simulated
async def test_calls_that_wait_for_a_place_are_not_limited(calls: Calls) -> None:
    """While REST says nothing, all places are taken."""
    for number in range(30):
        calls.call(f"hole {number}", HOLE, seconds=100)
        calls.call(f"resumption {number}", RESUME, seconds=100)
    await asyncio.sleep(0.01)
    assert calls.limit.waiting[RESUME] > 0 < calls.limit.waiting[HOLE]
    assert calls.limit.limited == frozenset()
    for task in calls.tasks:
        task.cancel()


@simulated
async def test_half_is_used_while_nobody_knows_what_others_use(calls: Calls) -> None:
    assert calls.limit.usable == 3000
    await calls.call("one", counted=25)
    assert calls.limit.usable == 5400
    calls.governor.weight.note_limit(1200)
    assert calls.limit.usable == 1080
    for nonsense in (0, -1, 5, 10**12):
        calls.governor.weight.note_limit(nonsense)
    assert calls.limit.usable == 1080


@simulated
async def test_what_the_exchange_counted_for_other_programs_is_believed(calls: Calls) -> None:
    await calls.call("one", LIST, counted=5370)
    calls.call("hole", HOLE)
    calls.call("resumption", RESUME)
    await asyncio.sleep(30)
    assert calls.names == ["one", "hole"], "there is weight for one more"
    await asyncio.sleep(32)
    assert calls.names == ["one", "hole", "resumption"], "the exchange's minute is over"


@pytest.mark.parametrize("nonsense", [0, -5, 6001, 10**9])
def test_a_count_that_makes_no_sense_is_ignored(nonsense: int) -> None:
    @simulated
    async def check(calls: Calls) -> None:
        found = []
        for name, counted in (("one", nonsense), ("two", 50), ("three", nonsense)):
            await calls.call(name, counted=counted)
            found.append(calls.limit.counted)
        assert found == [None, 50, 50]

    check()


@simulated
async def test_a_count_that_is_lower_than_ours_changes_nothing(calls: Calls) -> None:
    await calls.use(1000)
    await calls.call("one", LIST, counted=30)
    assert calls.limit.used == 1025
    assert calls.governor.weight.others(calls.now()) == 0


@simulated
async def test_the_asker_who_used_least_goes_first(calls: Calls) -> None:
    for number in range(20):
        calls.call(f"greedy {number}", asker="greedy")
    await asyncio.sleep(0.05)
    calls.call("modest", asker="modest")
    await calls.end()
    assert calls.names.index("modest") < 12


@simulated
async def test_one_asker_has_half_of_a_minute_at_most(calls: Calls) -> None:
    for number in range(100):
        calls.call(f"greedy {number}", asker="greedy")
    await asyncio.sleep(50)
    assert len(calls.names) == 60, "1,500 of 3,000"
    assert RESUME in calls.limit.limited
    calls.call("modest", asker="modest")
    await asyncio.sleep(0.05)
    assert calls.names[-1] == "modest", "a call beyond the bound waits, and holds up nobody else"
    await calls.end()
    assert len(calls.names) == 101
    assert calls.began[-1][0] < 65


@simulated
async def test_an_asker_is_remembered_for_ten_minutes(calls: Calls) -> None:
    await calls.use(1000, asker="came back")
    await asyncio.sleep(590)
    await calls.use(100, asker="another")
    for number in range(30):
        calls.call(f"filler {number}", RESUME)
    await asyncio.sleep(0.01)
    calls.call("came back", asker="came back")
    calls.call("another", asker="another")
    await calls.end()
    assert calls.names.index("another") < calls.names.index("came back")


@simulated
async def test_a_pause_is_kept_by_all(calls: Calls) -> None:
    calls.governor.pause(20)
    calls.call("hole", HOLE)
    await asyncio.sleep(0)
    assert calls.limit.pause_seconds == 20
    assert calls.limit.limited == {HOLE}
    with pytest.raises(ExchangeUnreachable) as caught:
        await calls.call("hasty", CHECK)
    assert caught.value.retry_after_seconds == 20
    calls.tasks.pop()
    calls.governor.pause(5)
    await calls.end()
    assert calls.names == ["hole"]
    assert calls.began[0][0] == pytest.approx(20.0, abs=0.1)


@simulated
async def test_calls_that_wait_are_told_of_a_pause_that_is_longer_than_they_may_wait(calls: Calls) -> None:
    await calls.use(2990)
    task = calls.call("check", CHECK)
    await asyncio.sleep(1)
    calls.governor.pause(3600)
    with pytest.raises(ExchangeUnreachable) as caught:
        await task
    assert caught.value.retry_after_seconds == 3600
    assert calls.now() == pytest.approx(1001.0)


@simulated
async def test_pauses_of_unknown_length_double(calls: Calls) -> None:
    lengths = []
    for _ in range(4):
        lengths.append(calls.governor.pause(None))
        assert calls.governor.pause(0) == lengths[-1], "an answer that was under way says nothing new"
        await asyncio.sleep(lengths[-1])
    assert lengths == [30, 60, 120, 240]
    calls.governor.note_answer()
    assert calls.governor.pause(None) == 30


@simulated
async def test_a_cancelled_call_frees_its_place(calls: Calls) -> None:
    await calls.use(2990)
    waiting = [calls.call(f"cancelled {number}") for number in range(5)]
    await asyncio.sleep(1)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert calls.limit.waiting[RESUME] == 0
    running = [calls.call(f"running {number}", HOLE, weight=1, seconds=100) for number in range(10)]
    await asyncio.sleep(1)
    running[0].cancel()
    # cancelled in the same turn in which it gets its turn
    lucky = calls.call("lucky", HOLE, weight=1)
    await asyncio.sleep(0)
    lucky.cancel()
    await asyncio.gather(*running, lucky, return_exceptions=True)
    used = calls.limit.used
    calls.tasks.clear()
    await asyncio.sleep(61)
    assert calls.limit.used == 0 <= used
    await calls.call("later", LIST)


@simulated
async def test_a_call_that_did_not_reach_the_exchange_costs_nothing(calls: Calls) -> None:
    async with calls.governor.turn(25, RESUME, "reader") as turn:
        assert calls.limit.used == 25
        turn.note_not_reached()
        assert calls.limit.used == 0
        turn.again(25)
        assert calls.limit.used == 25
    await asyncio.sleep(61)
    assert calls.limit.used == 0


def functions_called(work: Callable[[], object]) -> int:
    """How many functions a piece of work calls, in Python and in C."""
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    gc.disable()  # a collection calls what other tests have left
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


async def cost(askers: int, *, has_places: bool, work: Callable[[Calls], object]) -> int:
    """What a piece of work costs while so many askers wait: for weight, or for a place."""
    calls = Calls()
    if has_places:
        await calls.use(2990, HOLE)
    else:
        for number in range(20):
            calls.call(f"earlier {number}", HOLE if number % 2 else RESUME, weight=1, seconds=100)
    await asyncio.sleep(0.01)
    for number in range(askers):
        calls.call(f"call {number}", RESUME, asker=f"asker {number}")
    await asyncio.sleep(0.01)
    assert calls.limit.waiting[RESUME] >= askers
    assert (RESUME in calls.limit.limited) is has_places
    found = functions_called(lambda: work(calls))
    for task in calls.tasks:
        task.cancel()
    await asyncio.gather(*calls.tasks, return_exceptions=True)
    return found


@pytest.mark.parametrize("has_places", [True, False], ids=["wait for weight", "wait for a place"])
@pytest.mark.parametrize(
    "work",
    [lambda calls: calls.governor.statistics(), lambda calls: calls.governor._give_turns()],
    ids=["the question who waits", "a look at who may go"],
)
def test_a_question_costs_as_much_however_many_wait(
    work: Callable[[Calls], object], has_places: bool
) -> None:
    """Every reader that resumes asks, again and again, whether its call would wait."""
    few, many = (
        run_in_simulated_time(cost(askers, has_places=has_places, work=work)) for askers in (30, 3000)
    )
    assert many <= few + 10


def test_turns_for_many_askers_are_given_in_one_pass() -> None:
    """Not one pass for each turn, and none for those who cannot go."""

    async def check() -> None:
        calls = Calls()
        calls.governor.pause(100)
        for number in range(3000):
            calls.call(f"call {number}", RESUME, asker=f"asker {number}")
        await asyncio.sleep(0.01)
        calls.governor._paused_until = 0.0
        found = functions_called(calls.governor._give_turns)
        await asyncio.sleep(0.01)
        assert len(calls.names) > 3
        assert found < 4 * 3000
        for task in calls.tasks:
            task.cancel()
        await asyncio.gather(*calls.tasks, return_exceptions=True)

    run_in_simulated_time(check())


def test_a_long_pause_refuses_all_who_wait_but_not_all_at_once() -> None:
    async def check() -> None:
        calls = Calls()
        await calls.use(2990, HOLE)
        for number in range(2000):
            calls.call(f"call {number}", RESUME, asker=f"asker {number}")
        await asyncio.sleep(0.01)
        began = calls.now()
        calls.governor.pause(1e6)
        assert 0 < 2000 - calls.limit.waiting[RESUME] <= 500
        outcomes = await asyncio.gather(*calls.tasks, return_exceptions=True)
        assert {type(each) for each in outcomes} == {ExchangeUnreachable}
        assert calls.now() - began < 0.1

    run_in_simulated_time(check())


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(Purpose)),
            st.sampled_from([2, 25, 40, 80]),
            st.sampled_from([None, "a", "b"]),
            st.floats(0.0, 3.0),
        ),
        min_size=1,
        max_size=150,
    ),
    st.booleans(),
)
def test_never_more_weight_in_any_minute_and_every_call_has_its_turn(
    wanted: list[tuple[Purpose, int, str | None, float]], is_counted: bool
) -> None:
    async def check() -> None:
        calls = Calls(check_seconds=10_000.0)
        calls.governor.weight.note_limit(1000)
        for number, (purpose, weight, asker, pause) in enumerate(wanted):
            counted = weight if is_counted else None
            calls.call(str(number), purpose, weight=weight, asker=asker, counted=counted)
            await asyncio.sleep(pause)
        await calls.end()
        assert len(calls.names) == len(wanted)
        for start, _ in calls.weights:
            in_minute = sum(weight for at, weight in calls.weights if start <= at < start + 60.0)
            assert in_minute <= (900 if is_counted else 500)

    run_in_simulated_time(check())
