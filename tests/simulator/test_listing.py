"""The list of symbols changes while the exchange runs."""

from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.simulator import SimulatedMarket, Simulator, SimulatorError
from livemarkets.simulator.market.listing import Listing, ListingError
from livemarkets.simulator.market.symbols import DEFAULT_RULES
from tests.simulator.conftest import Client, Started

Dial = Callable[..., Awaitable[Client]]
Rest = Callable[..., Awaitable[httpx.Response]]
RULES = {rules.symbol: rules for rules in DEFAULT_RULES}


@pytest.fixture
async def simulator(start: Started) -> Simulator:
    return await start()


async def statuses(rest: Rest, simulator: Simulator, **parameters: str) -> dict[str, str]:
    answer = await rest(simulator, "exchangeInfo", **parameters)
    assert answer.status_code == 200, answer.text
    return {entry["symbol"]: entry["status"] for entry in answer.json()["symbols"]}


async def test_a_halted_symbol_stays_listed_and_has_no_trades_until_it_is_traded_again(
    simulator: Simulator, dial: Dial, rest: Rest
) -> None:
    client = await dial(simulator, "/stream?streams=btcusdt@trade/ethusdt@trade")
    await client.trades(4)
    simulator.faults.set_status(symbol="BTCUSDT", state="CANCEL_ONLY")
    assert (await statuses(rest, simulator))["BTCUSDT"] == "CANCEL_ONLY"
    newest = simulator.source.history("BTCUSDT", simulator.now_ms()).recent(1)[0].id
    while client.last_id != newest:  # what was sent before is read
        await client.trades(1)
    assert {trade["s"] for trade in await client.trades(40)} == {"ETHUSDT"}
    simulator.faults.set_status(symbol="BTCUSDT", state="TRADING")
    while (trade := (await client.trades(1))[0])["s"] != "BTCUSDT":
        pass
    assert trade["t"] == newest + 1
    ids = [newest + 1, *(trade["t"] for trade in await client.trades(40) if trade["s"] == "BTCUSDT")]
    assert all(later == earlier + 1 for earlier, later in pairwise(ids))
    assert (await statuses(rest, simulator))["BTCUSDT"] == "TRADING"


async def test_a_delisted_symbol_is_silent_and_unknown_and_can_be_listed_again(
    simulator: Simulator, dial: Dial, rest: Rest
) -> None:
    client = await dial(simulator, "/stream?streams=btcusdt@trade/ethusdt@trade")
    await client.trades(4)
    simulator.faults.delist(symbol="ETHUSDT")
    assert "ETHUSDT" not in await statuses(rest, simulator)
    for call in ("exchangeInfo", "trades"):
        answer = await rest(simulator, call, symbol="ETHUSDT")
        assert (answer.status_code, answer.json()["code"]) == (400, -1121)
    newest = simulator.source.history("BTCUSDT", simulator.now_ms()).recent(1)[0].id
    while client.last_id < newest:  # what was sent before is read
        await client.trades(1)
    assert {trade["s"] for trade in await client.trades(20)} == {"BTCUSDT"}
    simulator.faults.enlist(symbol="ETHUSDT")
    assert (await statuses(rest, simulator))["ETHUSDT"] == "TRADING"
    assert "ETHUSDT" in {trade["s"] for trade in await client.trades(60)}


async def test_a_new_symbol_is_listed_and_trades_for_those_who_subscribed_it_before(
    simulator: Simulator, dial: Dial, rest: Rest
) -> None:
    client = await dial(simulator, "/stream?streams=新usdt@trade")
    simulator.faults.enlist(symbol="新USDT")
    assert (await client.trades(3))[0]["s"] == "新USDT"
    answer = await rest(simulator, "exchangeInfo", symbol="新USDT")
    days = (await rest(simulator, "klines", symbol="新USDT", interval="1d", limit="1000")).json()
    assert len(days) <= 2  # the one on which it was listed, and perhaps midnight has passed
    (entry,) = answer.json()["symbols"]
    assert (entry["baseAsset"], entry["quoteAsset"], entry["status"]) == ("新", "USDT", "TRADING")


async def test_a_hidden_symbol_is_told_to_those_alone_who_ask_for_it(
    simulator: Simulator, dial: Dial, rest: Rest
) -> None:
    simulator.faults.hide(symbol="ETHUSDT")
    assert "ETHUSDT" not in await statuses(rest, simulator, showPermissionSets="false")
    assert await statuses(rest, simulator, symbol="ETHUSDT") == {"ETHUSDT": "TRADING"}
    client = await dial(simulator, "/stream?streams=ethusdt@trade")
    await client.trades(2)


@pytest.mark.parametrize(
    ("command", "arguments", "error"),
    [
        ("set_status", {"symbol": "NOPE"}, "set_status: the exchange does not list NOPE"),
        ("set_status", {"symbol": "BTCUSDT", "state": "break"}, "set_status: a status has 1 to 32 capital"),
        ("set_status", {"symbol": "BTCUSDT", "state": "X" * 33}, "set_status: a status has 1 to 32 capital"),
        ("delist", {"symbol": "NOPE"}, "delist: the exchange does not list NOPE"),
        ("hide", {"symbol": "NOPE"}, "hide: the exchange does not list NOPE"),
        ("enlist", {"symbol": "BTCUSDT"}, "enlist: the exchange lists BTCUSDT already"),
        ("enlist", {"symbol": "NEWUSDT", "like": "NOPE"}, "enlist: the exchange does not list NOPE"),
        ("enlist", {"symbol": "new"}, "enlist: a symbol has 2 to 50 letters"),
        ("enlist", {"symbol": "A/B"}, "enlist: a symbol has 2 to 50 letters"),
        ("enlist", {"symbol": "X" * 51}, "enlist: a symbol has 2 to 50 letters"),
    ],
)
async def test_a_change_that_makes_no_sense_is_refused(
    simulator: Simulator, command: str, arguments: dict[str, str], error: str
) -> None:
    with pytest.raises(SimulatorError, match=error):
        getattr(simulator.faults, command)(**arguments)


def test_the_list_is_bounded() -> None:
    listing = Listing(RULES)
    for number in range(5000 - len(RULES)):
        listing.enlist(f"X{number}USDT", "BTCUSDT")
    with pytest.raises(ListingError):
        listing.enlist("ONEMORE", "BTCUSDT")


@given(st.lists(st.tuples(st.sampled_from(["halt", "trade"]), st.integers(1, 300)), max_size=30))
def test_halts_make_no_hole_in_the_ids_and_no_trades_of_the_past(steps: list[tuple[str, int]]) -> None:
    market = SimulatedMarket(symbols=("BTCUSDT",), rate=3.0, history_seconds=1.0)
    now_ms = 1_723_161_255_000.0
    market.want({"btcusdt@trade"}, now_ms)
    first = market.history("BTCUSDT", now_ms).recent(1)[0].id
    for step, wait_ms in steps:
        market.listing.set_status("BTCUSDT", "BREAK" if step == "halt" else "TRADING")
        events: list[Any] = market.advance(now_ms + wait_ms)
        if step == "halt":
            assert events == []
        now_ms += wait_ms
    ids = [trade.id for trade in market.history("BTCUSDT", now_ms).since(first, 10**6)]
    assert ids == list(range(first, first + len(ids)))
