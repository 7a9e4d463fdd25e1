"""The list of symbols in simulated time: refreshes, new symbols, symbols that leave, senseless lists."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal

import pytest
from loguru import logger

from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.base import ListedSymbols
from livemarkets.feed.symbol_list import ListLimits, SymbolList
from livemarkets.market.clock import Clock
from livemarkets.market.models import SymbolInfo
from tests.support.simulated_time import run_in_simulated_time

MINUTE = 60.0


def info(symbol: str, status: str = "TRADING") -> SymbolInfo:
    return SymbolInfo(
        symbol=symbol,
        base_asset=symbol[:-4],
        quote_asset=symbol[-4:],
        tick_size=Decimal("0.01"),
        step_size=Decimal("0.1"),
        is_trading=status == "TRADING",
        status=status,
    )


class Exchange:
    """A source of symbols that does as it is told, and writes down the calls."""

    def __init__(self, *symbols: str) -> None:
        self.listed = {symbol: info(symbol) for symbol in symbols}
        self.hidden: dict[str, SymbolInfo] = {}
        self.skipped = 0
        self.is_down = False
        self.answer_seconds = 0.1
        self.loads: list[float] = []
        self.questions: list[tuple[float, str]] = []

    async def symbols(self) -> ListedSymbols:
        self.loads.append(asyncio.get_running_loop().time())
        await self._answer()
        faults = ("'X': no baseAsset",) if self.skipped else ()
        return ListedSymbols(list(self.listed.values()), self.skipped, faults)

    async def symbol(self, symbol: str) -> SymbolInfo | None:
        self.questions.append((asyncio.get_running_loop().time(), symbol))
        await self._answer()
        return (self.listed | self.hidden).get(symbol)

    async def _answer(self) -> None:
        await asyncio.sleep(self.answer_seconds)
        if self.is_down:
            raise ExchangeUnreachable("connection refused")


class World:
    def __init__(self, exchange: Exchange, *wanted: str) -> None:
        self.exchange = exchange
        self.wanted = list(wanted)
        self.loads = 0
        now = asyncio.get_running_loop().time
        self.now = now
        self.list = SymbolList(
            "binance",
            exchange,
            lambda: self.wanted,
            self._count,
            limits=ListLimits(),
            clock=Clock(now, lambda: int(now() * 1000)),
            uniform=lambda low, high: high,
        )
        self.names = self.list.directory.names

    def _count(self) -> None:
        self.loads += 1

    async def after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@contextlib.asynccontextmanager
async def running(exchange: Exchange, *wanted: str) -> AsyncIterator[World]:
    world = World(exchange, *wanted)
    task = asyncio.create_task(world.list.run())
    try:
        await asyncio.sleep(1.0)
        yield world
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
def lines() -> Iterator[list[str]]:
    found: list[str] = []
    handler = logger.add(lambda line: found.append(str(line)), level="INFO", format="{message}")
    yield found
    logger.remove(handler)


def test_the_list_is_refreshed_every_five_minutes() -> None:
    async def main() -> None:
        async with running(Exchange("BTCUSDT")) as world:
            await world.after(31 * MINUTE)
            loads = world.exchange.loads
            assert len(loads) == 7
            assert all(299 <= later - earlier <= 301 for earlier, later in itertools.pairwise(loads))

    run_in_simulated_time(main())


def test_a_new_listing_is_found_when_somebody_wants_it() -> None:
    async def main() -> None:
        exchange = Exchange("BTCUSDT")
        async with running(exchange) as world:
            exchange.listed["NEWUSDT"] = info("NEWUSDT")
            began = world.now()
            await world.list.find(["NEWUSDT"], 2.0)
            assert world.names() == {"BTCUSDT", "NEWUSDT"}
            assert world.now() - began < 1.0
            assert exchange.questions == []

    run_in_simulated_time(main())


def test_unknown_symbols_cost_one_refresh_and_one_question_a_minute_whoever_asks() -> None:
    async def main() -> None:
        exchange = Exchange("BTCUSDT")
        async with running(exchange) as world:
            for second in range(600):
                await asyncio.gather(*(world.list.find([f"TYPO{second}X{at}"], 2.0) for at in range(20)))
                await world.after(1.0)
            assert 8 <= len(exchange.loads) <= 13
            assert 8 <= len(exchange.questions) <= 13

    run_in_simulated_time(main())


def test_who_asks_within_the_minute_does_not_wait() -> None:
    async def main() -> None:
        async with running(Exchange("BTCUSDT")) as world:
            await world.list.find(["TYPO"], 2.0)
            began = world.now()
            await world.list.find(["TYPO", "TYPO2"], 2.0)
            assert world.now() == began

    run_in_simulated_time(main())


def test_who_asks_for_a_listed_symbol_does_not_wait_and_causes_nothing() -> None:
    async def main() -> None:
        async with running(Exchange("BTCUSDT")) as world:
            began = world.now()
            await world.list.find(["BTCUSDT", "BTC/USDT"], 2.0)
            assert world.now() == began
            assert len(world.exchange.loads) == 1

    run_in_simulated_time(main())


def test_the_wait_for_an_unknown_symbol_is_bounded_and_the_answer_is_used_later() -> None:
    async def main() -> None:
        exchange = Exchange("BTCUSDT")
        async with running(exchange) as world:
            exchange.answer_seconds = 9.0
            exchange.listed["NEWUSDT"] = info("NEWUSDT")
            began = world.now()
            await asyncio.gather(*(world.list.find(["NEWUSDT"], 2.0) for _ in range(5)))
            assert world.now() - began == pytest.approx(2.0)
            assert "NEWUSDT" not in world.names()
            await world.after(20.0)
            assert "NEWUSDT" in world.names()

    run_in_simulated_time(main())


def test_a_symbol_that_the_list_hides_is_asked_for_alone_and_stays() -> None:
    """The list leaves out symbols with rare permissions."""

    async def main() -> None:
        exchange = Exchange("BTCUSDT")
        exchange.hidden["ODDUSDT"] = info("ODDUSDT")
        async with running(exchange) as world:
            await world.list.find(["ODDUSDT"], 2.0)
            assert world.names() == {"BTCUSDT", "ODDUSDT"}
            world.wanted.append("ODDUSDT")
            await world.after(60 * MINUTE)
            assert world.names() == {"BTCUSDT", "ODDUSDT"}
            assert world.list.absence("ODDUSDT") is None
            exchange.hidden["ODDUSDT"] = info("ODDUSDT", "HALT")
            await world.after(6 * MINUTE)
            odd = world.list.directory.get("ODDUSDT")
            assert odd is not None
            assert odd.status == "HALT"
            exchange.hidden.clear()  # and then it ends
            await world.after(15 * MINUTE)
            assert world.names() == {"BTCUSDT"}
            absence = world.list.absence("ODDUSDT")
            assert absence is not None
            assert absence.was_listed

    run_in_simulated_time(main())


def test_a_denied_symbol_is_not_asked_for_again_soon() -> None:
    async def main() -> None:
        exchange = Exchange("BTCUSDT")
        exchange.hidden["ODDUSDT"] = info("ODDUSDT")
        async with running(exchange) as world:
            await world.list.find(["TYPO"], 2.0)
            await world.after(2 * MINUTE)
            await world.list.find(["TYPO", "ODDUSDT"], 2.0)
            assert [symbol for _, symbol in exchange.questions] == ["TYPO", "ODDUSDT"]
            assert "ODDUSDT" in world.names()

    run_in_simulated_time(main())


def test_who_came_second_within_a_minute_has_its_symbol_a_minute_later() -> None:
    async def main() -> None:
        exchange = Exchange("BTCUSDT")
        exchange.hidden["ODDUSDT"] = info("ODDUSDT")
        async with running(exchange) as world:
            await world.list.find(["TYPO"], 2.0)
            await world.list.find(["ODDUSDT"], 2.0)
            assert "ODDUSDT" not in world.names()
            await world.after(MINUTE + 5.0)
            assert "ODDUSDT" in world.names()
            await world.after(30 * MINUTE)
            assert len(exchange.loads) <= 10

    run_in_simulated_time(main())


def test_a_search_loads_the_list_again_but_asks_for_no_symbol_alone() -> None:
    async def main() -> None:
        exchange = Exchange("BTCUSDT")
        async with running(exchange) as world:
            exchange.listed["NEWUSDT"] = info("NEWUSDT")
            await world.list.find(["NEWUSDT"], 2.0, ask=False)
            assert "NEWUSDT" in world.names()
            for _ in range(120):
                await world.list.find(["NEWU"], 2.0, ask=False)
                await world.after(1.0)
            assert exchange.questions == []
            assert len(exchange.loads) <= 4

    run_in_simulated_time(main())


def test_who_types_takes_no_turn_of_who_asks() -> None:
    async def main() -> None:
        exchange = Exchange("BTCUSDT")
        async with running(exchange) as world:
            await world.list.find(["NEWU"], 2.0, ask=False)
            assert world.list.refresh_soon() is False
            exchange.listed["NEWUSDT"] = info("NEWUSDT")
            await world.list.find(["NEWUSDT"], 2.0)
            assert "NEWUSDT" in world.names()
            for _ in range(50):
                await world.list.find(["NEWERUSDT"], 2.0, ask=False)
                await world.list.find(["NEWERUSDT"], 2.0)
                await world.after(1.0)
            assert len(exchange.loads) == 3

    run_in_simulated_time(main())


def test_a_symbol_has_left_when_two_lists_lack_it() -> None:
    async def main() -> None:
        exchange = Exchange("AUSDT", "BUSDT", "CUSDT", "DUSDT")
        async with running(exchange, "BUSDT") as world:
            del exchange.listed["BUSDT"], exchange.listed["CUSDT"]
            await world.after(5 * MINUTE)
            assert world.names() == {"AUSDT", "BUSDT", "CUSDT", "DUSDT"}  # one list may be incomplete
            await world.after(1 * MINUTE + 1)  # the second look comes soon
            assert world.names() == {"AUSDT", "DUSDT"}
            absence = world.list.absence("BUSDT")
            assert absence is not None
            assert (absence.lists, absence.was_listed) == (2, True)
            assert world.list.absence("CUSDT") is None  # nobody wants it
            exchange.listed["BUSDT"] = info("BUSDT")
            await world.after(10 * MINUTE)
            assert "BUSDT" in world.names()
            assert world.list.absence("BUSDT") is None

    run_in_simulated_time(main())


def test_a_list_that_lacks_a_symbol_once_changes_nothing() -> None:
    async def main() -> None:
        exchange = Exchange("AUSDT", "BUSDT", "CUSDT")
        async with running(exchange, "BUSDT") as world:
            missing = exchange.listed.pop("BUSDT")
            await world.after(5 * MINUTE)
            exchange.listed["BUSDT"] = missing
            await world.after(20 * MINUTE)
            assert "BUSDT" in world.names()
            assert world.list.absence("BUSDT") is None

    run_in_simulated_time(main())


@pytest.mark.parametrize("left", [0, 1, 4])
def test_an_empty_list_and_one_that_shrank_to_less_than_half_keep_the_old_one(
    left: int, lines: list[str]
) -> None:
    async def main() -> None:
        exchange = Exchange(*(f"X{at}USDT" for at in range(10)))
        async with running(exchange) as world:
            whole = exchange.listed
            exchange.listed = dict(list(whole.items())[:left])
            await world.after(50 * MINUTE)
            assert len(world.names()) == 10
            exchange.listed = whole
            await world.after(6 * MINUTE)
            assert world.list.age_seconds() < 301  # type: ignore[operator]

    run_in_simulated_time(main())
    assert len([line for line in lines if f"it has {left} symbols, and 10 are known" in line]) <= 7
    assert "binance: 10 symbols loaded\n" in lines[-1:]


def test_a_list_that_stays_short_is_believed_after_an_hour_but_never_an_empty_one() -> None:
    async def main() -> None:
        exchange = Exchange(*(f"X{at}USDT" for at in range(10)))
        async with running(exchange) as world:
            exchange.listed = {"X1USDT": info("X1USDT")}
            await world.after(70 * MINUTE)
            assert "X1USDT" in world.names()
            await world.after(10 * MINUTE)
            assert world.names() == {"X1USDT"}
            exchange.listed = {}
            await world.after(600 * MINUTE)
            assert world.names() == {"X1USDT"}

    run_in_simulated_time(main())


def test_a_day_without_rest_costs_a_few_lines_and_the_list_stays(lines: list[str]) -> None:
    async def main() -> None:
        exchange = Exchange("BTCUSDT")
        async with running(exchange) as world:
            exchange.is_down = True
            await world.after(24 * 60 * MINUTE)
            assert world.names() == {"BTCUSDT"}
            exchange.is_down = False
            await world.after(5 * MINUTE)
            assert world.list.age_seconds() < 301  # type: ignore[operator]

    run_in_simulated_time(main())
    assert len(lines) < 15
    assert "1 symbols loaded" in lines[-1]


def test_odd_entries_are_counted_and_named_once_and_not_at_every_refresh(lines: list[str]) -> None:
    async def main() -> None:
        exchange = Exchange("BTCUSDT")
        exchange.skipped = 2
        async with running(exchange) as world:
            await world.after(60 * MINUTE)
            assert world.list.skipped == 2

    run_in_simulated_time(main())
    assert [line for line in lines if "2 entries" in line and "no baseAsset" in line] == lines[-1:]


def test_a_wanted_symbol_that_the_first_list_lacks_is_asked_for_before_anybody_is_told() -> None:
    async def main() -> None:
        exchange = Exchange("BTCUSDT")
        exchange.hidden["ODDUSDT"] = info("ODDUSDT")
        async with running(exchange, "ODDUSDT") as world:
            assert world.loads == 1
            assert "ODDUSDT" in world.names()
        async with running(exchange, "TYPOUSDT") as world:
            absence = world.list.absence("TYPOUSDT")
            assert absence is not None
            assert not absence.was_listed

    run_in_simulated_time(main())


def test_the_streams_are_bounded_only_while_there_is_no_list() -> None:
    async def main() -> None:
        exchange = Exchange("BTCUSDT")
        exchange.is_down = True
        async with running(exchange) as world:
            assert world.list.has_room(2000)
            assert not world.list.has_room(2001)
            exchange.is_down = False
            await world.after(1 * MINUTE)
            assert world.list.has_room(100_000)

    run_in_simulated_time(main())
