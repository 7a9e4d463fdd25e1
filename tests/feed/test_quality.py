"""The quality of streams, in simulated time and with a made-up exchange."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from livemarkets.exchanges.base import StreamState
from livemarkets.feed.ledger import Ledger, LedgerLimits
from livemarkets.feed.quality import QualityMonitor
from livemarkets.market.candles import Candle
from livemarkets.market.clock import Clock
from livemarkets.market.models import Gap, QualityState, StreamKey, StreamQuality
from livemarkets.market.stores import LatestPriceStore
from tests.feed import test_symbol_list
from tests.feed.test_symbol_list import MINUTE, Exchange, info
from tests.support.simulated_time import run_in_simulated_time
from tests.support.ticks import make_tick

HOUR = 60 * MINUTE


def key_of(symbol: str) -> StreamKey:
    return StreamKey.trades("binance", symbol)


class World(test_symbol_list.World):
    """A list of symbols, some wanted streams, and what was told of them."""

    def __init__(self, exchange: Exchange, *wanted: str) -> None:
        super().__init__(exchange, *wanted)
        self.latest = LatestPriceStore()
        self.mute: set[StreamKey] = set()
        self.refused: dict[StreamKey, str] = {}
        self.candles: dict[StreamKey, Candle] = {}
        self.waiting: set[StreamKey] = set()
        self.pending: set[StreamKey] = set()
        clock = Clock(self.now, lambda: int(self.now() * 1000))
        self.monitor = QualityMonitor(self.list, self, self.latest, self, self.mute.__contains__, clock=clock)
        self.told: list[StreamQuality] = []
        self.monitor.add_listener(self._note)
        self.ledgers = {}
        for symbol in wanted:
            ledger = Ledger(key_of(symbol), LedgerLimits())
            self.ledgers[symbol] = ledger
            self.monitor.add(ledger.key, ledger)

    def state_of(self, key: StreamKey) -> StreamState:
        if key in self.refused:
            return StreamState.REJECTED
        return StreamState.PENDING if key in self.pending else StreamState.ACKNOWLEDGED

    def rejection(self, key: StreamKey) -> str | None:
        return self.refused.get(key)

    def get(self, key: StreamKey) -> Candle | None:
        return self.candles.get(key)

    def is_recovering(self, key: StreamKey) -> bool:
        return key in self.waiting

    def _count(self) -> None:
        super()._count()
        self.monitor.doubt_all()

    def _note(self, quality: StreamQuality, is_new_state: bool) -> None:
        if is_new_state:
            self.told.append(quality)

    def trade(self, symbol: str, trade_id: int, *, backfilled: bool = False) -> None:
        """Have a trade arrive now."""
        now_ms = int(self.now() * 1000)
        tick = make_tick(trade_id, symbol=symbol, ts=now_ms - 8, backfilled=backfilled)
        self.ledgers[symbol].accept(tick, self.now())
        self.latest.put(key_of(symbol), tick)
        if self.ledgers[symbol].missing() is not None:
            self.monitor.doubt(key_of(symbol))

    def state(self, symbol: str) -> QualityState:
        quality = self.monitor.of(key_of(symbol))
        assert quality is not None
        return quality.state

    def states(self, symbol: str) -> list[str]:
        """What was told of a stream, in order."""
        return [quality.state.value for quality in self.told if quality.key.symbol == symbol]


@contextlib.asynccontextmanager
async def running(exchange: Exchange, *wanted: str, has_list: bool = True) -> AsyncIterator[World]:
    world = World(exchange, *wanted)
    tasks = [asyncio.create_task(world.monitor.run())]
    if has_list:
        tasks.append(asyncio.create_task(world.list.run()))
    try:
        await asyncio.sleep(1.0)
        yield world
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def test_a_symbol_is_halted_traded_again_and_delisted() -> None:
    async def main() -> None:
        exchange = Exchange("BTCUSDT", "ETHUSDT")
        async with running(exchange, "BTCUSDT", "ETHUSDT") as world:
            world.trade("BTCUSDT", 1)
            for status in ("BREAK", "HALT", "CANCEL_ONLY", "END_OF_DAY", "SLEEPWALKING"):
                exchange.listed["BTCUSDT"] = info("BTCUSDT", status)
                await world.after(6 * MINUTE)
                quality = world.monitor.of(key_of("BTCUSDT"))
                assert quality is not None
                assert quality.state is QualityState.HALTED
                assert quality.reason == f"binance lists it with the status {status}"
                assert not world.monitor.is_expected(key_of("BTCUSDT"))
            exchange.listed["BTCUSDT"] = info("BTCUSDT")
            await world.after(6 * MINUTE)
            assert world.monitor.is_expected(key_of("BTCUSDT"))
            world.trade("BTCUSDT", 2)
            del exchange.listed["BTCUSDT"]
            await world.after(7 * MINUTE)
            assert world.states("BTCUSDT") == ["live", "halted", "live", "delisted"]
            assert world.states("ETHUSDT") == ["live"]
            since = [quality.since for quality in world.told]
            assert since == sorted(since)
            assert world.monitor.counts() == {
                **dict.fromkeys(("halted", "unknown", "stale", "recovering"), 0),
                "delisted": 1,
                "live": 1,
            }

    run_in_simulated_time(main())


def test_a_halt_is_over_when_trades_come_and_the_list_is_asked_again() -> None:
    async def main() -> None:
        exchange = Exchange("BTCUSDT")
        exchange.listed["BTCUSDT"] = info("BTCUSDT", "BREAK")
        async with running(exchange, "BTCUSDT") as world:
            assert world.state("BTCUSDT") is QualityState.HALTED
            await world.after(2 * MINUTE)
            exchange.listed["BTCUSDT"] = info("BTCUSDT")
            world.trade("BTCUSDT", 1)
            await world.after(1.0)
            assert world.state("BTCUSDT") is QualityState.LIVE
            assert len(exchange.loads) == 2

    run_in_simulated_time(main())


def test_a_symbol_that_trades_whatever_the_list_says_of_it_does_not_flap() -> None:
    async def main() -> None:
        exchange = Exchange("BTCUSDT")
        exchange.listed["BTCUSDT"] = info("BTCUSDT", "BREAK")
        async with running(exchange, "BTCUSDT") as world:
            await world.after(2 * MINUTE)
            for at in range(1, 100):
                world.trade("BTCUSDT", at)
                await world.after(10.0)
            assert world.states("BTCUSDT") == ["halted", "live"]
            await world.after(10 * MINUTE)  # now the list is right
            assert world.states("BTCUSDT") == ["halted", "live", "halted"]
            world.trade("BTCUSDT", 100)
            await world.after(1.0)
            exchange.listed["BTCUSDT"] = info("BTCUSDT", "HALT")  # the exchange says it anew
            await world.after(6 * MINUTE)
            assert world.states("BTCUSDT") == ["halted", "live"] * 2 + ["halted"]

    run_in_simulated_time(main())


def test_a_refused_stream_is_unknown_until_a_further_request_is_answered() -> None:
    async def main() -> None:
        async with running(Exchange("BTCUSDT"), "BTCUSDT") as world:
            key = key_of("BTCUSDT")
            for _ in range(3):
                world.pending.discard(key)
                world.refused[key] = "no such stream"
                world.monitor.doubt(key)
                await world.after(1.0)
                world.pending.add(key)
                del world.refused[key]
                await world.after(1.0)
            assert world.states("BTCUSDT") == ["live", "unknown"]
            world.pending.discard(key)
            await world.after(1.0)
            assert world.states("BTCUSDT") == ["live", "unknown", "live"]

    run_in_simulated_time(main())


def test_a_symbol_that_leaves_the_list_but_still_trades_is_not_delisted() -> None:
    async def main() -> None:
        exchange = Exchange("AUSDT", "BTCUSDT", "CUSDT")
        async with running(exchange, "BTCUSDT") as world:
            world.trade("BTCUSDT", 1)
            del exchange.listed["BTCUSDT"]
            for at in range(2, 100):
                await world.after(20.0)
                world.trade("BTCUSDT", at)
            assert world.states("BTCUSDT") == ["live"]
            assert world.monitor.delivers(key_of("BTCUSDT"))
            await world.after(10 * MINUTE)
            assert world.states("BTCUSDT") == ["live"]  # it traded since the first list without it

    run_in_simulated_time(main())


def test_without_a_list_a_stream_is_unknown_until_it_brings_a_trade() -> None:
    async def main() -> None:
        async with running(Exchange("BTCUSDT"), "BTCUSDT", "TYPOUSDT", has_list=False) as world:
            assert world.state("BTCUSDT") is world.state("TYPOUSDT") is QualityState.UNKNOWN
            world.trade("BTCUSDT", 1)
            await world.after(1.0)
            assert world.states("BTCUSDT") == ["live"]
            assert world.states("TYPOUSDT") == []
            (troubled,) = world.monitor.troubled()
            assert troubled.key.symbol == "TYPOUSDT"
            assert world.monitor.is_expected(key_of("TYPOUSDT"))
            await world.after(5 * MINUTE)

    run_in_simulated_time(main())


def test_when_the_list_comes_a_symbol_that_does_not_exist_is_told_and_no_longer_expected() -> None:
    """Binance acknowledges streams of symbols that do not exist."""

    async def main() -> None:
        exchange = Exchange("BTCUSDT")
        exchange.is_down = True
        heard: list[tuple[StreamQuality, bool]] = []
        async with running(exchange, "BTCUSDT", "TYPOUSDT") as world:
            world.monitor.add_listener(lambda quality, is_new: heard.append((quality, is_new)))
            exchange.is_down = False
            await world.after(2 * MINUTE)
            assert world.state("BTCUSDT") is QualityState.LIVE
            told = [(quality, is_new) for quality, is_new in heard if quality.key.symbol == "TYPOUSDT"]
            assert [(quality.state.value, quality.is_listed, is_new) for quality, is_new in told] == [
                ("unknown", False, False)
            ]
            assert told[0][0].reason == "binance does not list TYPOUSDT"
            assert not world.monitor.is_expected(key_of("TYPOUSDT"))
            exchange.listed["TYPOUSDT"] = info("TYPOUSDT")
            await world.after(6 * MINUTE)
            assert world.state("TYPOUSDT") is QualityState.LIVE  # it was a new listing after all

    run_in_simulated_time(main())


def test_the_first_state_that_holds_counts() -> None:
    async def main() -> None:
        exchange = Exchange("AUSDT", "BTCUSDT", "CUSDT")
        async with running(exchange, "BTCUSDT") as world:
            key = key_of("BTCUSDT")
            world.trade("BTCUSDT", 1)
            world.trade("BTCUSDT", 5)
            await world.after(1.0)
            assert world.state("BTCUSDT") is QualityState.RECOVERING
            world.mute.add(key)
            await world.after(1.0)
            assert world.state("BTCUSDT") is QualityState.STALE
            world.refused[key] = "no such stream"
            await world.after(1.0)
            assert world.state("BTCUSDT") is QualityState.UNKNOWN
            exchange.listed["BTCUSDT"] = info("BTCUSDT", "HALT")
            await world.after(6 * MINUTE)
            assert world.state("BTCUSDT") is QualityState.HALTED
            del exchange.listed["BTCUSDT"]
            await world.after(8 * MINUTE)
            assert world.state("BTCUSDT") is QualityState.DELISTED
            assert world.states("BTCUSDT") == ["live", "recovering", "stale", "unknown", "halted", "delisted"]

    run_in_simulated_time(main())


def test_how_complete_a_stream_is_and_what_it_lost_in_the_last_hour() -> None:
    async def main() -> None:
        async with running(Exchange("BTCUSDT"), "BTCUSDT") as world:
            key = key_of("BTCUSDT")
            quality = world.monitor.of(key)
            assert quality is not None
            assert (quality.complete_to, quality.last_id, quality.lost, quality.lost_ts) == (
                None,
                None,
                0,
                None,
            )
            world.trade("BTCUSDT", 11)
            world.trade("BTCUSDT", 15)
            quality = world.monitor.of(key)
            assert quality is not None
            assert (quality.complete_to, quality.last_id) == (11, 15)
            world.monitor.note_gap(Gap(key, 12, 14, "upstream"))
            lost_ts = int(world.now() * 1000)
            world.monitor.note_gap(Gap(key, 20, 29, "venue"))
            world.monitor.note_gap(Gap(key, 99, 1, "venue"))
            world.monitor.note_gap(Gap(key_of("ETHUSDT"), 1, 9, "upstream"))
            await world.after(HOUR / 2)
            world.monitor.note_gap(Gap(key, 30, 30, "upstream"))
            quality = world.monitor.of(key)
            assert quality is not None
            assert (quality.lost, quality.lost_ts) == (4, int(world.now() * 1000))
            assert lost_ts < int(world.now() * 1000)
            await world.after(HOUR / 2 + 1)
            quality = world.monitor.of(key)
            assert quality is not None
            assert quality.lost == 1
            await world.after(HOUR)
            quality = world.monitor.of(key)
            assert quality is not None
            assert (quality.lost, quality.lost_ts) == (0, None)

    run_in_simulated_time(main())


def test_losses_that_go_on_for_longer_than_an_hour_are_counted_for_an_hour() -> None:
    async def main() -> None:
        async with running(Exchange("BTCUSDT"), "BTCUSDT") as world:
            key = key_of("BTCUSDT")
            for at in range(360):
                world.monitor.note_gap(Gap(key, at, at, "upstream"))
                await world.after(30.0)
            quality = world.monitor.of(key)
            assert quality is not None
            assert 117 <= quality.lost <= 121

    run_in_simulated_time(main())


@pytest.mark.long
def test_losses_of_a_day_take_little_memory() -> None:
    async def main() -> None:
        async with running(Exchange("BTCUSDT"), "BTCUSDT") as world:
            for _ in range(10_000):
                await world.after(3.0)
                world.monitor.note_gap(Gap(key_of("BTCUSDT"), 1, 2, "upstream"))
                world.monitor.of(key_of("BTCUSDT"))
            assert len(world.monitor._streams[key_of("BTCUSDT")].lost) <= 61

    run_in_simulated_time(main())


def test_a_hole_that_closes_at_once_is_not_told_and_live_streams_are_not_looked_at() -> None:
    async def main() -> None:
        async with running(Exchange("BTCUSDT", "ETHUSDT"), "BTCUSDT", "ETHUSDT") as world:
            for at in range(1, 1000, 2):
                world.trade("BTCUSDT", at + 1)
                world.trade("BTCUSDT", at)
                await world.after(0.25)
            assert world.states("BTCUSDT") == ["live"]
            assert world.monitor._doubted == {}

    run_in_simulated_time(main())


def test_a_stream_that_is_no_longer_wanted_is_forgotten() -> None:
    async def main() -> None:
        async with running(Exchange("BTCUSDT"), "BTCUSDT") as world:
            world.monitor.discard(key_of("BTCUSDT"))
            world.monitor.doubt(key_of("BTCUSDT"))
            await world.after(1.0)
            assert world.monitor.of(key_of("BTCUSDT")) is None
            assert world.monitor.is_expected(key_of("BTCUSDT"))
            assert world.monitor.troubled() == []
            assert world.monitor._doubted == {}

    run_in_simulated_time(main())


def test_what_was_fetched_and_repeated_in_the_last_hour_is_told() -> None:
    """Also when nobody asks in between."""

    async def main() -> None:
        async with running(Exchange("BTCUSDT"), "BTCUSDT") as world:
            world.trade("BTCUSDT", 1)
            world.trade("BTCUSDT", 1)
            ledger = world.ledgers["BTCUSDT"]
            ledger.holes.fetched += 40
            quality = world.monitor.of(key_of("BTCUSDT"))
            assert quality is not None
            assert (quality.fetched, quality.repeated) == (40, 1)

            await asyncio.sleep(HOUR - 2 * MINUTE)
            world.trade("BTCUSDT", 1)
            ledger.holes.fetched += 2
            await asyncio.sleep(4 * MINUTE)
            quality = world.monitor.of(key_of("BTCUSDT"))
            assert quality is not None
            assert (quality.fetched, quality.repeated) == (2, 1)

    run_in_simulated_time(main())
