"""The doctor asks REST for a fifth of the announced weight at most, and stops when it is told to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from livemarkets.doctor.limits import Limits
from livemarkets.doctor.observe import Observer
from livemarkets.doctor.record import Record
from livemarkets.doctor.rest import CHARGES, Rest
from livemarkets.exchanges.outbound import Outbound
from livemarkets.market.clock import Clock, system_clock
from livemarkets.simulator import SimulatedMarket, Simulator
from tests.doctor.bent import RULES, Bend, bent_exchange
from tests.doctor.bent import Answer as Told
from tests.doctor.observing import LIMITS

MINUTE_MS = 60_000


class Asking:
    """A simulator, and the doctor's client of its REST, with a clock that stands still."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.now_ms = 1_700_000_000_000
        self.record = Record(Limits(weight_per_minute=500), ("BTCUSDT",), 10.0)
        clock = Clock(lambda: self.now_ms / 1000, lambda: self.now_ms)
        self.address = simulator.rest_url
        urls = {self.address: self.address, "http://127.0.0.1:9": "http://127.0.0.1:9"}
        self.rest = Rest(self.record, clock, urls, Outbound())

    async def trades(self) -> bool:
        """Ask for trades; return whether it was asked."""
        return await self.rest.get(self.address, "trades", symbol="BTCUSDT", limit=1) is not None


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    simulator = Simulator(SimulatedMarket(5, rules=RULES))
    await simulator.start()
    asking = Asking(simulator)
    yield asking
    await asking.rest.aclose()
    await simulator.aclose()


async def test_it_uses_a_fifth_of_the_weight_of_a_minute(asking: Asking) -> None:
    assert [await asking.trades() for _ in range(5)] == [True] * 4 + [False]
    assert asking.rest.left_out == 1
    asking.now_ms += MINUTE_MS
    assert await asking.trades()


async def test_the_announced_weight_replaces_the_assumed_one(asking: Asking) -> None:
    await asking.rest.get(asking.address, "exchangeInfo")
    assert [await asking.trades() for _ in range(12)] == [True] * 12


async def test_it_leaves_the_weight_to_other_programs(asking: Asking) -> None:
    assert await asking.trades()
    # Whatever else runs at this address has used most of the minute.
    asking.rest._used_by_all = 400
    assert not await asking.trades()


@pytest.mark.parametrize("status", [418, 429])
async def test_after_a_pause_is_asked_for_it_asks_nothing_more(asking: Asking, status: int) -> None:
    asking.simulator.faults.rest_limit(status=status, count=1, retry_after_seconds=7)
    answer = await asking.rest.get(asking.address, "time")
    assert answer is not None
    assert (answer.status, answer.retry_after) == (status, "7")
    assert not await asking.trades()
    assert str(status) in asking.rest.stopped


async def test_an_address_that_is_dead_or_tells_no_json_is_a_failure_in_words(asking: Asking) -> None:
    answer = await asking.rest.get("http://127.0.0.1:9", "time")
    assert answer is not None
    assert (answer.status, answer.failure) == (None, "connection refused")


def test_every_call_has_a_price_in_weight() -> None:
    assert min(CHARGES.values()) >= 1


@pytest.mark.parametrize("kept", [0, 1])
async def test_it_asks_for_more_of_a_history_of_few_trades(kept: int) -> None:
    def cut(answer: Told) -> None:
        if answer.call == "trades" or (answer.call == "historicalTrades" and "fromId" not in answer.query):
            answer.body = answer.body[: kept if answer.call == "historicalTrades" else 0]

    async with bent_exchange([Bend("", answer=cut)]) as exchange:
        url = f"http://127.0.0.1:{exchange.port}"
        record = Record(LIMITS, ("BTCUSDT",), 1.0)
        observer = Observer(record, system_clock(), [], [url], Outbound("direct"), lambda line: None)
        await observer._ask(url, "BTCUSDT")
        await observer._rest.aclose()
    asked = [answer.label for answer in record.answers if answer.call == "historicalTrades"]
    assert asked == (["recent", "from", "beyond", "oldest"] if kept else ["recent"])
