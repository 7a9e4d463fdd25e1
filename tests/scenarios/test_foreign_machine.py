"""A state machine that treats the running app as the world might, and holds every promise against the truth.

The exchange is the one of `tests/support/foreign`. `make verify` runs more and longer cases.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.foreign import (
    ACKS,
    BAN_FORMS,
    CUTS,
    FRAMINGS,
    REFUSALS,
    REST_MANNERS,
    SICKNESSES,
    SYMBOLS,
    TEXTS,
    ForeignExchange,
)
from tests.support.foreign.reader import Reader
from tests.support.foreign.world import running_world
from tests.support.simulated_time import simulated_runner

NAMES = tuple(SYMBOLS)
GARBAGE = (
    "",
    "null",
    "[]",
    "17",
    "{",
    '{"stream":"nope@trade","data":{}}',
    '{"e":"trade"}',
    "\u0000",
    "[[[[",
)

symbols = st.sampled_from(NAMES)
several = st.lists(symbols, min_size=1, max_size=4, unique=True)


class Markets(RuleBasedStateMachine):
    """What the world may do to the app."""

    def __init__(self) -> None:
        super().__init__()
        self.time = contextlib.ExitStack()
        self.runner = self.time.enter_context(simulated_runner())
        self.stack = contextlib.AsyncExitStack()
        self.world = self.runner.run(self.stack.enter_async_context(running_world(client_buffer_bytes=65536)))

    @initialize(names=several, more=several)
    def begin(self, names: list[str], more: list[str]) -> None:
        self._do("two readers join", self.world.join(*names))
        self._do("", self.world.join(*more))

    # the market

    @rule(names=several, count=st.integers(1, 20))
    def trades_happen(self, names: list[str], count: int) -> None:
        self._fault(f"trade {names} x {count}", lambda e: e.market.trade(*self._trading(names), count=count))

    @rule(name=symbols, fills=st.integers(1, 200))
    def an_order_sweeps_the_book(self, name: str, fills: int) -> None:
        self._fault_of(f"order {name} {fills}", name, lambda e: e.market.order(name, fills))

    @rule(name=symbols)
    def a_storm_of_trades_comes(self, name: str) -> None:
        self._fault_of(f"storm {name}", name, lambda e: e.market.trade(name, count=3000))

    @rule(name=symbols, count=st.integers(1, 30), follows=st.booleans())
    def the_stream_loses_trades(self, name: str, count: int, follows: bool) -> None:
        def lose(exchange: ForeignExchange) -> None:
            exchange.faults.withhold(name, count=count)
            if follows:
                exchange.market.trade(name)

        self._fault_of(f"withhold {name} {count} {follows}", name, lose)

    @rule(name=symbols, count=st.integers(1, 5))
    def trades_come_again(self, name: str, count: int) -> None:
        self._fault(f"repeat {name} {count}", lambda e: e.faults.repeat(name, count))

    @rule(name=symbols, count=st.integers(2, 5))
    def trades_come_in_another_order(self, name: str, count: int) -> None:
        self._fault_of(f"reorder {name} {count}", name, lambda e: e.faults.reorder(name, count))

    @rule(name=symbols)
    def a_trade_makes_no_sense(self, name: str) -> None:
        self._fault_of(f"invalid {name}", name, lambda e: e.faults.invalid(name))

    @rule(name=symbols, count=st.integers(1, 3))
    def ids_are_left_out(self, name: str, count: int) -> None:
        self._fault_of(f"skip {name} {count}", name, lambda e: e.faults.skip(name, count))

    # the wire

    @rule(framing=st.sampled_from(FRAMINGS), text=st.sampled_from(TEXTS))
    def frames_are_written_otherwise(self, framing: str, text: str) -> None:
        self._fault(f"frames {framing}", lambda e: e.faults.frames(framing))
        self._fault(f"texts {text}", lambda e: e.faults.texts(text))

    @rule(manner=st.sampled_from(CUTS))
    def connections_are_cut(self, manner: str) -> None:
        self._fault(f"cut {manner}", lambda e: e.faults.cut(manner))

    @rule(statuses=st.lists(st.sampled_from(REFUSALS), min_size=1, max_size=3))
    def dials_are_refused(self, statuses: list[int]) -> None:
        self._fault(f"refuse {statuses}", lambda e: e.faults.refuse(*statuses))

    @rule(count=st.integers(1, 3))
    def dials_are_accepted_and_closed(self, count: int) -> None:
        self._fault(f"accept and close {count}", lambda e: e.faults.accept_and_close(count))

    @rule(address=st.integers(0, 1), sickness=st.sampled_from(SICKNESSES))
    def an_address_is_sick(self, address: int, sickness: str) -> None:
        self._fault(f"address {address} {sickness}", lambda e: e.faults.sicken(address, sickness))

    @rule()
    def the_exchange_goes_down_for_maintenance(self) -> None:
        self._fault("shutdown", lambda e: e.faults.shutdown())
        self._do("", asyncio.sleep(0.3))
        self._fault("cut 1001", lambda e: e.faults.cut("1001"))

    @rule(manners=st.lists(st.sampled_from(ACKS), min_size=1, max_size=3))
    def answers_are_strange(self, manners: list[str]) -> None:
        self._fault(f"acks {manners}", lambda e: e.faults.acks(*manners))

    @rule(text=st.sampled_from(GARBAGE))
    def garbage_comes(self, text: str) -> None:
        self._fault(f"garbage {text!r}", lambda e: e.faults.garbage(text))

    # REST

    @rule(seconds=st.sampled_from((0.5, 2.0, 30.0)))
    def the_database_lags(self, seconds: float) -> None:
        self._fault(f"lag {seconds}", lambda e: e.faults.lag(seconds))

    @rule(manner=st.sampled_from(REST_MANNERS), names=st.lists(symbols, max_size=2, unique=True))
    def rest_breaks(self, manner: str, names: list[str]) -> None:
        self._fault(f"rest {manner} {names}", lambda e: e.faults.break_rest(manner, *names))

    @rule(manner=st.sampled_from(REST_MANNERS), address=st.integers(0, 1))
    def rest_breaks_at_one_address(self, manner: str, address: int) -> None:
        self._fault(f"rest {manner} at {address}", lambda e: e.faults.break_rest(manner, address=address))

    @rule(form=st.sampled_from(BAN_FORMS), seconds=st.sampled_from((1.0, 3.0)))
    def we_are_banned(self, form: str, seconds: float) -> None:
        self._fault(f"ban {form} {seconds}", lambda e: e.faults.ban(seconds, form))

    @rule(form=st.sampled_from(BAN_FORMS), seconds=st.sampled_from((1.0, 3.0)))
    def we_are_banned_from_streams(self, form: str, seconds: float) -> None:
        self._fault(f"ban dials {form} {seconds}", lambda e: e.faults.ban_dials(seconds, form))

    @rule(name=symbols)
    def a_replica_lacks_the_middle(self, name: str) -> None:
        def lack(exchange: ForeignExchange) -> None:
            first = exchange.truth.newest(name) + 1
            exchange.faults.lack(name, first + 1, first + 5)
            exchange.faults.withhold(name, count=8)
            exchange.market.trade(name)

        self._fault_of(f"lack {name}", name, lack)

    @rule()
    def all_is_mended(self) -> None:
        self._fault("mend", lambda e: e.faults.clear())

    # the list

    @rule(name=symbols, status=st.sampled_from(("TRADING", "BREAK", "HALT", "CANCEL_ONLY", "UNHEARD_OF")))
    def a_symbol_is_halted(self, name: str, status: str) -> None:
        self._fault(f"status {name} {status}", lambda e: e.faults.set_status(name, status))

    @rule(name=symbols, is_listed=st.booleans())
    def a_symbol_is_delisted_and_listed_again(self, name: str, is_listed: bool) -> None:
        act = "relist" if is_listed else "delist"
        self._fault(f"{act} {name}", lambda e: getattr(e.faults, act)(name))

    @rule()
    def the_list_has_odd_entries(self) -> None:
        self._fault("odd entries", lambda e: e.faults.odd_entries())

    # the readers

    @precondition(lambda self: len(self.world.readers) < 5)
    @rule(names=several)
    def a_reader_joins(self, names: list[str]) -> None:
        self._do(f"join {names}", self.world.join(*names))

    @rule(number=st.integers(0, 4), names=several)
    def a_reader_subscribes(self, number: int, names: list[str]) -> None:
        async def subscribe(reader: Reader) -> None:
            if new := [name for name in names if name not in reader.held()]:
                await reader.subscribe(*new)

        self._with_reader(f"subscribe {names}", number, subscribe)

    @rule(number=st.integers(0, 4), names=several)
    def a_reader_unsubscribes(self, number: int, names: list[str]) -> None:
        async def unsubscribe(reader: Reader) -> None:
            if old := [name for name in names if name in reader.held()]:
                await reader.unsubscribe(*old)

        self._with_reader(f"unsubscribe {names}", number, unsubscribe)

    @rule(number=st.integers(0, 4), abruptly=st.booleans())
    def a_reader_comes_back(self, number: int, abruptly: bool) -> None:
        async def resume(reader: Reader) -> None:
            held = reader.held()
            await reader.leave(abruptly=abruptly)
            await reader.join()
            if held:
                await reader.subscribe(*held)

        self._with_reader(f"come back {abruptly}", number, resume)

    @rule(number=st.integers(0, 4), name=symbols, count=st.sampled_from((1, 700, 1500)))
    def a_reader_was_away(self, number: int, name: str, count: int) -> None:
        async def be_away(reader: Reader) -> None:
            held = reader.held()
            await reader.leave(abruptly=True)
            for each in self._trading([name]):
                self.world.exchange.market.trade(each, count=count)
            await reader.join()
            if held:
                await reader.subscribe(*held)

        self._with_reader(f"away {name} {count}", number, be_away)

    @rule(number=st.integers(0, 4))
    def a_reader_stalls(self, number: int) -> None:
        self._with_reader("stall", number, lambda reader: reader.stall())

    # time

    @rule(seconds=st.sampled_from((0.2, 0.6, 1.2)))
    def time_passes(self, seconds: float) -> None:
        self._do(f"{seconds} s pass", asyncio.sleep(seconds))

    @rule()
    def all_settles(self) -> None:
        self._do("settle", self.world.settle())

    def teardown(self) -> None:
        try:
            if not self.world.problems():
                self._do("settle at the end", self.world.settle())
        finally:
            self.runner.run(self.stack.aclose())
            self.time.close()

    def _trading(self, names: list[str]) -> list[str]:
        """Nothing trades of a symbol that is halted or delisted."""
        listings = self.world.exchange.market.listings
        return [name for name in names if listings[name].status == "TRADING" and listings[name].is_listed]

    def _fault(self, text: str, act: Callable[[ForeignExchange], object]) -> None:
        exchange = self.world.exchange

        async def step() -> None:
            act(exchange)

        self._do(text, step())

    def _fault_of(self, text: str, name: str, act: Callable[[ForeignExchange], object]) -> None:
        if self._trading([name]):
            self._fault(text, act)

    def _with_reader(
        self, text: str, number: int, act: Callable[[Reader], Coroutine[Any, Any, None]]
    ) -> None:
        chosen = [each for each in self.world.readers if each.is_reading]
        if chosen:
            reader = chosen[number % len(chosen)]
            self._do(f"{reader.name} {text}", act(reader))

    def _do(self, text: str, step: Coroutine[Any, Any, Any]) -> None:
        if text:
            self.world.note(text)

        async def with_a_moment() -> None:
            await step
            await asyncio.sleep(0.02)

        self.runner.run(with_a_moment())
        self.world.check()


_COMMON: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "derandomize": True,
    "phases": [Phase.generate],  # a case takes seconds, so nothing is made smaller; the trace says enough
    "suppress_health_check": list(HealthCheck),
    "print_blob": False,
}


@pytest.mark.long
def test_whatever_the_world_does_readers_get_the_truth_or_its_declaration() -> None:
    run_state_machine_as_test(Markets, settings=settings(max_examples=5, stateful_step_count=15, **_COMMON))


@pytest.mark.verify
def test_whatever_the_world_does_for_long_readers_get_the_truth_or_its_declaration() -> None:
    run_state_machine_as_test(Markets, settings=settings(max_examples=60, stateful_step_count=40, **_COMMON))
