"""Holes in ledgers and where their trades are had, with an exchange's history that lives in memory."""

import asyncio
import bisect
import contextlib
import time
from collections.abc import AsyncIterator, Iterable

import pytest

from livemarkets.errors import ExchangeError, ExchangeUnreachable, MalformedMessage, RestError
from livemarkets.exchanges.base import PAGE_TRADES, FetchedTrades
from livemarkets.feed.backfill import Backfiller
from livemarkets.feed.ledger import Ledger, LedgerLimits, Released
from livemarkets.market.models import Gap, StreamKey, TradeTick
from tests.support.helpers import eventually
from tests.support.ticks import BTC, ETH, make_tick

LIMITS = LedgerLimits(hold_seconds=0.02, patience_seconds=5.0)
SPEED = 20
"""How much faster than in reality time passes where a test waits for a lag of many seconds."""


class History:
    """What an exchange has traded; answers like :class:`livemarkets.exchanges.binance.rest.BinanceRest`."""

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self.ids = sorted(ids)
        self.errors: list[ExchangeError] = []
        """What happens to the next calls instead."""
        self.newest_only: int | None = None
        """Serve so many of the newest trades, as an address without history does."""
        self.calls: list[tuple[str, int]] = []
        self.at_once = 0
        self.most_at_once = 0

    async def trades_from(self, symbol: str, from_id: int) -> FetchedTrades:
        self.calls.append((symbol, from_id))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0.001)
        finally:
            self.at_once -= 1
        if self.errors:
            raise self.errors.pop(0)
        if self.newest_only is None:
            found, proven = [n for n in self.ids if n >= from_id][:PAGE_TRADES], True
        else:
            newest = self.ids[-self.newest_only :]
            found, proven = [n for n in newest if n >= from_id], bool(newest) and newest[0] <= from_id
        newest_id = found[-1] if found else None
        ticks = [make_tick(n, symbol=symbol, backfilled=True) for n in found]
        return FetchedTrades(ticks, newest_id if newest_id is not None and proven else from_id - 1, newest_id)


class LaggingHistory(History):
    """An exchange whose REST knows a trade some time after the stream has brought it."""

    def __init__(self, lag_seconds: float) -> None:
        super().__init__()
        self._lag_seconds = lag_seconds
        self._traded: list[float] = []

    def trade(self) -> None:
        self.ids.append(len(self.ids) + 1)
        self._traded.append(time.monotonic())

    async def trades_from(self, symbol: str, from_id: int) -> FetchedTrades:
        await asyncio.sleep(0.001)
        known = self.ids[: bisect.bisect_right(self._traded, time.monotonic() - self._lag_seconds)]
        found = known[max(0, from_id - 1) :][:PAGE_TRADES]
        newest_id = found[-1] if found else None
        ticks = [make_tick(n, symbol=symbol, backfilled=True) for n in found]
        return FetchedTrades(ticks, from_id - 1 if newest_id is None else newest_id, newest_id)


class Bench:
    """A backfiller at work, and what came out of the ledgers."""

    def __init__(self, history: History, speed: float = 1.0) -> None:
        self.history = history
        self.out: dict[StreamKey, list[Released]] = {}
        self.backfiller = Backfiller(history, self.take, time.monotonic, check_seconds=0.05 / speed)

    def take(self, released: Iterable[Released]) -> None:
        for item in released:
            key = item.key if isinstance(item, Gap) else (BTC if item.symbol == "BTCUSDT" else ETH)
            self.out.setdefault(key, []).append(item)

    def arrive(self, ledger: Ledger, *ids: int) -> None:
        """Let trades come from the stream, as the feed does it."""
        for trade_id in ids:
            self.take(ledger.accept(make_tick(trade_id, symbol=ledger.key.symbol), time.monotonic()))
            if ledger.held:
                self.backfiller.tend(ledger)

    def shown(self, key: StreamKey = BTC) -> list[int | tuple[int, int, str]]:
        return [
            (item.from_id, item.to_id, item.cause) if isinstance(item, Gap) else item.id
            for item in self.out.get(key, [])
        ]

    def ids(self) -> list[int]:
        return [item.id for item in self.out[BTC] if isinstance(item, TradeTick)]

    def gaps(self) -> list[tuple[int, int, str]]:
        return [(gap.from_id, gap.to_id, gap.cause) for gap in self.out[BTC] if isinstance(gap, Gap)]

    async def shows(self, *expected: int | tuple[int, int, str], key: StreamKey = BTC) -> None:
        def is_so() -> bool:
            assert self.shown(key) == list(expected)
            return True

        await eventually(is_so)


@contextlib.asynccontextmanager
async def at_work(history: History, speed: float = 1.0) -> AsyncIterator[Bench]:
    bench = Bench(history, speed)
    task = asyncio.create_task(bench.backfiller.run(), name="backfill under test")
    try:
        yield bench
        assert not task.done(), "it ended by itself"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert history.at_once == 0
    assert not [other for other in asyncio.all_tasks() if other.get_name().startswith("backfill ")]


async def test_a_hole_is_filled() -> None:
    async with at_work(History(range(1, 10))) as bench:
        bench.arrive(Ledger(BTC, LIMITS), 1, 2, 7)
        await bench.shows(*range(1, 10))
        assert bench.backfiller.fetched >= 4
        await eventually(lambda: bench.backfiller.open_holes == 0)
        backfilled = {item.id for item in bench.out[BTC] if not isinstance(item, Gap) and item.backfilled}
        assert {3, 4, 5, 6} <= backfilled
        assert 7 not in backfilled


async def test_a_hole_that_closes_by_itself_is_not_asked_about() -> None:
    history = History(range(1, 10))
    async with at_work(history) as bench:
        ledger = Ledger(BTC, LedgerLimits(hold_seconds=60))
        bench.arrive(ledger, 1, 3)
        await eventually(lambda: bench.backfiller.open_holes == 1)
        bench.arrive(ledger, 2)
        await eventually(lambda: bench.backfiller.open_holes == 0)
    assert history.calls == []


async def test_several_holes_of_a_stream_are_one_job() -> None:
    history = History(range(1, 1001))
    async with at_work(history) as bench:
        bench.arrive(Ledger(BTC, LIMITS), 1, *range(10, 1001, 10))
        await bench.shows(*range(1, 1001))
    assert history.most_at_once == 1
    assert len(history.calls) == 1, "one page brought it all"


async def test_streams_do_not_wait_for_each_other() -> None:
    history = History(range(1, 10))
    async with at_work(history) as bench:
        bench.arrive(Ledger(BTC, LIMITS), 1, 5)
        bench.arrive(Ledger(ETH, LIMITS), 2, 9)
        await bench.shows(*range(1, 10))
        await bench.shows(*range(2, 10), key=ETH)


async def test_a_hole_longer_than_a_page_is_filled_page_by_page() -> None:
    history = History(range(1, 3002))
    async with at_work(history) as bench:
        bench.arrive(Ledger(BTC, LIMITS), 1, 3000)
        await bench.shows(*range(1, 3002))
    assert [from_id for _, from_id in history.calls] == [2, 1002, 2002]


async def test_what_the_exchange_does_not_have_is_its_own_hole() -> None:
    async with at_work(History([1, 2, 6, 7, 8])) as bench:
        bench.arrive(Ledger(BTC, LIMITS), 1, 2, 6)
        await bench.shows(1, 2, (3, 5, "venue"), 6, 7, 8)


async def test_of_a_hole_beyond_the_ceiling_the_newest_part_is_had() -> None:
    limits = LedgerLimits(hold_seconds=0.02, backfill_trades=10)
    async with at_work(History(range(1, 101))) as bench:
        bench.arrive(Ledger(BTC, limits), 1, 100)
        await bench.shows(1, (2, 89, "upstream"), *range(90, 101))


async def test_an_address_with_the_newest_trades_only_gives_what_it_has() -> None:
    history = History(range(1, 101))
    history.newest_only = 10
    async with at_work(history) as bench:
        bench.arrive(Ledger(BTC, LIMITS), 1, 100)
        await bench.shows(1, (2, 90, "upstream"), *range(91, 101))


async def test_an_address_with_the_newest_trades_only_is_enough_for_a_short_hole() -> None:
    history = History(range(1, 101))
    history.newest_only = 10
    async with at_work(history) as bench:
        bench.arrive(Ledger(BTC, LIMITS), 94, 99)
        await bench.shows(*range(94, 101))


async def test_rest_that_is_down_is_asked_again() -> None:
    history = History(range(1, 10))
    history.errors = [
        ExchangeUnreachable("timeout"),
        MalformedMessage("malformed REST response", "no"),
        RestError(500, None, ""),
    ]
    async with at_work(history) as bench:
        bench.arrive(Ledger(BTC, LIMITS), 1, 9)
        await bench.shows(*range(1, 10))


async def test_a_pause_that_the_exchange_asks_for_is_kept() -> None:
    history = History(range(1, 10))
    history.errors = [ExchangeUnreachable("HTTP 429", retry_after_seconds=0.8)]
    async with at_work(history) as bench:
        began = time.monotonic()
        bench.arrive(Ledger(BTC, LIMITS), 1, 9)
        await bench.shows(*range(1, 10))
        assert time.monotonic() - began > 0.75


async def test_rest_that_lags_behind_the_stream_is_waited_for() -> None:
    history = History(range(1, 4))
    async with at_work(history) as bench:
        bench.arrive(Ledger(BTC, LIMITS), 1, 2, 3, 8)
        await eventually(lambda: len(history.calls) >= 2)
        assert bench.shown() == [1, 2, 3]
        history.ids = list(range(1, 9))
        await bench.shows(*range(1, 9))


async def test_patience_ends_and_the_stream_goes_on() -> None:
    history = History()
    history.errors = [ExchangeUnreachable("timeout")] * 1000
    async with at_work(history) as bench:
        ledger = Ledger(BTC, LedgerLimits(hold_seconds=0.02, patience_seconds=0.3))
        bench.arrive(ledger, 1, 5, 6)
        await bench.shows(1, (2, 4, "upstream"), 5, 6)
        bench.arrive(ledger, 7)
        await bench.shows(1, (2, 4, "upstream"), 5, 6, 7)


async def test_an_id_from_nowhere_is_forgotten_and_nothing_declared() -> None:
    history = History(range(1, 6))
    async with at_work(history) as bench:
        ledger = Ledger(BTC, LIMITS)
        bench.arrive(ledger, 1, 2**40, 2, 3, 4, 5)
        await eventually(lambda: ledger.held == 0)
        await eventually(lambda: bench.backfiller.open_holes == 0)
        bench.arrive(ledger, 6, 7)
        await bench.shows(1, 2, 3, 4, 5, 6, 7)


@pytest.mark.long
@pytest.mark.parametrize("lag_seconds", [3, 20, 45])
async def test_rest_that_lags_costs_nothing_that_the_stream_brought(lag_seconds: float) -> None:
    """Its trades come from a database, some seconds after the stream brought them."""
    history = LaggingHistory(lag_seconds / SPEED)
    limits = LedgerLimits(
        hold_seconds=0.25 / SPEED, patience_seconds=15 / SPEED, contradiction_seconds=2 / SPEED
    )
    lost = range(50, 60)
    async with at_work(history, SPEED) as bench:
        ledger = Ledger(BTC, limits)

        def trade_on() -> bool:
            history.trade()
            if history.ids[-1] not in lost:
                bench.arrive(ledger, history.ids[-1])
            return history.ids[-1] >= 1000 and ledger.missing() is None

        await eventually(trade_on, 30, interval_seconds=1 / SPEED / 20)
    ids, gaps = bench.ids(), bench.gaps()
    brought = set(range(1, ids[-1] + 1)) - set(lost)
    assert brought <= set(ids), "something that the stream brought was lost"
    fetched = {item.id for item in bench.out[BTC] if isinstance(item, TradeTick) and item.backfilled}
    assert fetched <= set(lost), "something that the stream brought was fetched again"
    patient = lag_seconds < limits.patience_seconds * SPEED
    assert gaps == ([] if patient else [(50, 59, "upstream")])
    assert ids == sorted(ids)


async def test_an_id_from_nowhere_is_dropped_without_rest_too() -> None:
    history = History()
    history.errors = [ExchangeUnreachable("timeout")] * 1000
    async with at_work(history) as bench:
        ledger = Ledger(BTC, LedgerLimits(hold_seconds=0.02, patience_seconds=0.3, contradiction_seconds=0.1))
        bench.arrive(ledger, 1, 5000, 2, 3, 4, 5)
        await eventually(lambda: bench.backfiller.open_holes == 0)
        bench.arrive(ledger, 6)
        await bench.shows(1, 2, 3, 4, 5, 6)


async def test_rest_of_another_exchange_does_not_hold_a_stream_for_ever() -> None:
    """It denies every id that the stream brings."""
    async with at_work(History(range(1, 50))) as bench:
        limits = LedgerLimits(hold_seconds=0.02, patience_seconds=0.5)
        ledger = Ledger(BTC, limits)
        bench.arrive(ledger, 1000)
        trade_id = 1001

        def goes_on() -> bool:
            nonlocal trade_id
            trade_id += 1
            bench.arrive(ledger, trade_id)
            return any(isinstance(item, Gap) for item in bench.out[BTC])

        await eventually(goes_on, 15.0, interval_seconds=0.05)
        ids: list[int] = []
        for item in bench.out[BTC]:
            ids += range(item.from_id, item.to_id + 1) if isinstance(item, Gap) else [item.id]
        assert ids == list(range(1000, ids[-1] + 1))


async def test_a_stream_that_nobody_wants_is_forgotten_at_once() -> None:
    history = History(range(1, 10))
    history.errors = [ExchangeUnreachable("timeout")] * 1000
    async with at_work(history) as bench:
        ledger = Ledger(BTC, LIMITS)
        bench.arrive(ledger, 1, 9)
        await eventually(lambda: len(history.calls) >= 1)
        bench.backfiller.forget(ledger)
        bench.backfiller.forget(ledger)
        assert bench.backfiller.open_holes == 0
        calls = len(history.calls)
        bench.arrive(Ledger(ETH, LIMITS), 1, 9)
        await eventually(lambda: ("ETHUSDT", 2) in history.calls)
        assert [symbol for symbol, _ in history.calls[calls:]].count("BTCUSDT") == 0


async def test_hole_after_hole_after_hole() -> None:
    """Each new one opens while the backfiller is just done with the one before."""
    history = History()
    async with at_work(history) as bench:
        ledger = Ledger(BTC, LIMITS)
        next_id = 1
        for _ in range(20):
            bench.arrive(ledger, next_id, next_id + 5)
            history.ids = list(range(1, next_id + 6))
            await eventually(lambda: ledger.missing() is None, interval_seconds=0.001)
            next_id += 6
        await bench.shows(*range(1, next_id))
    assert not any(isinstance(item, Gap) for item in bench.out[BTC])
