"""The streams of candles of an exchange, with its history, its trades, and readers who want past candles."""

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.base import Evidence, Purpose, Silence, StreamState
from livemarkets.feed.candle_feed import CandleFeed
from livemarkets.feed.candle_limits import CandleLimits
from livemarkets.feed.ledger import Ledger, LedgerLimits
from livemarkets.feed.past_candles import CandlePart
from livemarkets.feed.silence import SilenceDetector, SilenceLimits
from livemarkets.feed.trade_streams import TradeStreams
from livemarkets.market.candles import Candle, CandleGap
from livemarkets.market.clock import Clock
from livemarkets.market.models import StreamKey, TradeTick
from livemarkets.market.stores import LatestPriceStore, RecentTrades
from tests.support.candles import BTC_1M, MINUTE_MS, START_MS, TrueMarket, candle_of, make_candle
from tests.support.simulated_time import run_in_simulated_time
from tests.support.ticks import BTC, make_tick

MINUTES = 30


class World:
    """An exchange with one stream of candles and a history, and a publisher that writes down what it is told.

    The stream sends every 2 s while `is_open`; the history lags by `lag_seconds`, and fails if `is_down`.
    """

    def __init__(self, begin_minute: int = 10) -> None:
        self._now = asyncio.get_running_loop().time
        self._begin = self._now() - begin_minute * 60
        self.market = TrueMarket([[5, 20, 50] for _ in range(MINUTES)])
        self.latest, self.recent = LatestPriceStore(), RecentTrades(1000)
        self.trades = TradeStreams(LedgerLimits(), self.latest, self.recent)
        self.is_open, self.is_down, self.lag_seconds = True, False, 0.0
        self.published: list[Candle | CandleGap] = []
        self.newest: list[tuple[StreamKey, int]] = []
        self.suspected: list[tuple[float, StreamKey]] = []
        self.mute: list[bool] = []
        self.calls: list[tuple[int | None, int | None, int, Purpose]] = []
        self.feed = CandleFeed(
            self,
            self,
            self,
            self.trades,
            lambda key, trade_id: self.newest.append((key, trade_id)),
            lambda: self.mute.append(bool(self.feed.mute)),
            limits=CandleLimits(),
            clock=Clock(self._now, self.now_ms),
        )
        self.feed.add(BTC_1M)

    @property
    def second(self) -> float:
        return self._now() - self._begin

    def now_ms(self) -> int:
        return START_MS + int(self.second * 1000)

    async def stream(self) -> None:
        """Send the running candle, and the end of each."""
        before: Candle | None = None
        while True:
            newest = self.market.newest(self.second)
            assert newest is not None
            frames = [newest]
            if before is not None and before.open_ts != newest.open_ts:
                frames.insert(0, self.market.at((before.open_ts - START_MS) // MINUTE_MS, self.second))
            before = newest
            for frame in frames if self.is_open else ():
                self.feed.on_candle(BTC_1M, frame)
            await asyncio.sleep(2.0)

    def state_of(self, key: StreamKey) -> StreamState:
        return StreamState.ACKNOWLEDGED

    def acknowledged_at(self, key: StreamKey) -> float | None:
        return 0.0

    def suspect(self, key: StreamKey, evidence: Evidence) -> None:
        assert evidence is Evidence.BEHIND
        self.suspected.append((self.second, key))

    def publish_candle(self, key: StreamKey, candle: Candle) -> None:
        assert key is BTC_1M
        self.published.append(candle)

    def publish_candle_gap(self, gap: CandleGap) -> None:
        self.published.append(gap)

    async def candles(
        self,
        symbol: str,
        interval: str,
        *,
        limit: int,
        start_ts: int | None = None,
        end_ts: int | None = None,
        purpose: Purpose = Purpose.HOLE,
        asker: str | None = None,
    ) -> list[Candle]:
        assert (symbol, interval) == ("BTCUSDT", "1m")
        self.calls.append((start_ts, end_ts, limit, purpose))
        await asyncio.sleep(0.1)
        if self.is_down:
            raise ExchangeUnreachable("down")
        found = self.market.history(start_ts or 0, self.second - self.lag_seconds)
        found = [each for each in found if end_ts is None or each.open_ts <= end_ts]
        return found[:limit] if start_ts is not None else found[-limit:]

    def closed(self) -> list[int]:
        """The numbers of the candles that were published as closed."""
        return [number_of(each) for each in self.published if isinstance(each, Candle) and each.closed]

    def watch_trades(self) -> None:
        limits = SilenceLimits()
        self.trades.add(BTC, lambda ledger: SilenceDetector(limits, self._now()))


def number_of(candle: Candle) -> int:
    return (candle.open_ts - START_MS) // MINUTE_MS


def at_ms(number: int) -> int:
    return START_MS + number * MINUTE_MS


def play(scene: Callable[[World], Coroutine[Any, Any, None]]) -> World:
    async def main() -> World:
        world = World()
        async with asyncio.TaskGroup() as tasks:
            ran = [tasks.create_task(world.feed.run()), tasks.create_task(world.stream())]
            await scene(world)
            for task in ran:
                task.cancel()
        return world

    return run_in_simulated_time(main())


def test_a_stream_that_misses_nothing_needs_no_history() -> None:
    async def scene(world: World) -> None:
        await asyncio.sleep(300)

    world = play(scene)
    assert world.closed() == [10, 11, 12, 13, 14]
    assert world.calls == []
    statistics = world.feed.statistics()
    assert (statistics.wanted, statistics.gaps, statistics.revised, statistics.waiting) == (1, 0, 0, 0)
    assert statistics.received > 150


@pytest.mark.parametrize("lag_seconds", [0.0, 20.0])
def test_what_closed_during_a_cut_is_fetched_and_comes_first(lag_seconds: float) -> None:
    async def scene(world: World) -> None:
        world.lag_seconds = lag_seconds
        await asyncio.sleep(30)
        world.is_open = False
        await asyncio.sleep(200)
        world.is_open = True
        await asyncio.sleep(40)

    world = play(scene)
    assert world.closed() == [10, 11, 12, 13]
    assert not any(isinstance(each, CandleGap) for each in world.published)


def test_the_end_of_a_candle_is_fetched_while_the_stream_is_mute() -> None:
    async def scene(world: World) -> None:
        await asyncio.sleep(30)
        world.is_open = False
        await asyncio.sleep(100)
        assert world.closed() == [10, 11]
        assert world.feed.is_mute(BTC_1M)
        assert world.feed.silence_of(BTC_1M) is Silence.UNUSUAL
        world.is_open = True
        await asyncio.sleep(4)
        assert not world.feed.is_mute(BTC_1M)

    world = play(scene)
    assert {key for _, key in world.suspected} == {BTC_1M}
    assert world.mute[0]
    assert not world.mute[-1]


def test_a_stream_that_lacks_what_trades_show_is_mute_within_seconds() -> None:
    async def scene(world: World) -> None:
        world.watch_trades()
        await asyncio.sleep(8)
        assert world.suspected == []
        newest = world.feed.newest(BTC_1M)
        assert newest is not None
        assert newest.last_id is not None
        world.is_open = False
        world.latest.put(BTC, make_tick(newest.last_id + 1))
        await asyncio.sleep(8)
        assert world.feed.mute == [BTC_1M]

    world = play(scene)
    (at, key), *_ = world.suspected
    assert key == BTC_1M
    assert at < 616


def test_a_numbering_that_begins_anew_is_no_lack() -> None:
    async def scene(world: World) -> None:
        world.is_open = False
        for number, last_id in ((10, 5000), (11, 7), (12, 9)):
            candle = make_candle(number, 2, ids=(last_id - 1, last_id), closed=number < 12)
            world.feed.on_candle(BTC_1M, replace(candle, ts=world.now_ms(), recv_ts=world.now_ms()))
        await asyncio.sleep(30)
        assert world.feed.mute == []

    assert play(scene).suspected == []


def test_calls_for_a_stream_that_is_away_for_long_go_last() -> None:
    async def scene(world: World) -> None:
        await asyncio.sleep(10)
        world.is_open = False
        await asyncio.sleep(200)

    purposes = [purpose for *_, purpose in play(scene).calls]
    assert purposes[0] is Purpose.CHECK
    assert set(purposes[4:]) == {Purpose.LIST}


def test_silence_alone_is_not_stale() -> None:
    async def scene(world: World) -> None:
        await asyncio.sleep(51)
        world.is_open = False
        await asyncio.sleep(7)
        assert world.feed.silence_of(BTC_1M) is Silence.NATURAL

    assert play(scene).suspected == []


def test_a_stream_whose_history_is_down_goes_on_after_a_gap() -> None:
    async def scene(world: World) -> None:
        await asyncio.sleep(30)
        world.is_down, world.is_open = True, False
        await asyncio.sleep(60)
        world.is_open = True
        await asyncio.sleep(100)

    world = play(scene)
    (gap,) = [each for each in world.published if isinstance(each, CandleGap)]
    assert (gap.from_open_ts, gap.to_open_ts, gap.cause) == (at_ms(10), at_ms(11) - 1, "upstream")
    assert world.closed() == [11, 12]
    assert 6 < len(world.calls) < 30  # it is asked less and less often


def test_a_silent_stream_is_asked_about_seldom() -> None:
    async def scene(world: World) -> None:
        world.market = TrueMarket([[] for _ in range(MINUTES)])
        await asyncio.sleep(4)
        world.is_open = False
        await asyncio.sleep(600)

    world = play(scene)
    assert world.closed() == list(range(10, 19)) or world.closed() == list(range(10, 20))
    assert len(world.calls) < 45
    assert world.suspected == []


def test_candles_are_compared_with_our_own_trades() -> None:
    ticks = [
        replace(make_tick(trade_id), side="buy" if trade_id % 3 else "sell", size=Decimal(trade_id) / 1000)
        for trade_id in range(1, 6001)
    ]

    async def scene(world: World) -> None:
        world.is_open, world.is_down = False, True
        world.watch_trades()
        ledger = world.trades.ledgers[BTC]
        for number, start in enumerate(range(0, 6000, 1500)):
            for end in range(start + 300, start + 1501, 300):  # memory never holds all of them
                if end != 4500:  # these come after the candle
                    give(world, ledger, ticks[end - 300 : end])
                candle = candle_of(ticks[start:end], 10 + number, closed=end == start + 1500)
                world.feed.on_candle(BTC_1M, replace(candle, high=candle.high + (number == 1)))
                await asyncio.sleep(2)
            if number == 2:
                assert world.feed.statistics().agreed == 1
                give(world, ledger, ticks[4200:4500])
                await asyncio.sleep(2)

    statistics = play(scene).feed.statistics()
    assert (statistics.agreed, statistics.disagreed) == (3, 1)


def give(world: World, ledger: Ledger, ticks: list[TradeTick]) -> None:
    for tick in ticks:
        ledger.accept(tick, 0.0)
        world.recent.append(BTC, tick)


def test_a_candle_with_trades_that_are_not_at_hand_is_not_judged() -> None:
    async def scene(world: World) -> None:
        world.watch_trades()
        give(world, world.trades.ledgers[BTC], [make_tick(1000)])
        await asyncio.sleep(130)

    statistics = play(scene).feed.statistics()
    assert (statistics.agreed, statistics.disagreed) == (0, 0)


def test_the_newest_id_is_evidence_for_the_stream_of_trades() -> None:
    async def scene(world: World) -> None:
        await asyncio.sleep(10)
        assert world.newest == []  # nobody wants trades
        world.watch_trades()
        await asyncio.sleep(10)

    assert play(scene).newest[-1] == (BTC, 31)


def test_nothing_is_left_of_a_stream_that_is_no_longer_wanted() -> None:
    async def scene(world: World) -> None:
        await asyncio.sleep(10)
        world.feed.discard(BTC_1M)
        world.feed.discard(BTC_1M)
        assert (world.feed.keys(), world.feed.count, world.feed._newest_ids) == ([], 0, {})
        world.published.clear()
        await asyncio.sleep(10)
        assert world.published == []

    play(scene)


# readers


def test_one_call_serves_all_readers_who_want_past_candles() -> None:
    async def scene(world: World) -> None:
        await asyncio.sleep(30)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(20):
                tasks.create_task(world.feed.past.ensure(BTC_1M, 5, None))
        line = world.feed.line(BTC_1M)
        assert line is not None
        assert [number_of(each) for each in line.closed] == [5, 6, 7, 8, 9]
        assert all(each.closed for each in line.closed)
        assert line.memory.reaches(at_ms(5) - 1)
        assert not line.memory.reaches(at_ms(4))

    world = play(scene)
    assert world.calls == [(None, at_ms(10), 6, Purpose.RESUME)]


def test_past_candles_of_a_stream_that_has_brought_nothing_yet() -> None:
    async def scene(world: World) -> None:
        world.is_open = False
        await world.feed.past.ensure(BTC_1M, 5, None)
        line = world.feed.line(BTC_1M)
        assert line is not None
        assert [number_of(each) for each in line.closed] == [4, 5, 6, 7, 8]  # 9 may change yet
        assert line.running is not None
        assert number_of(line.running) == 9
        await asyncio.sleep(12)
        assert world.closed() == [9]

    play(scene)


def test_a_market_with_fewer_candles_than_wanted_is_asked_once() -> None:
    async def scene(world: World) -> None:
        await asyncio.sleep(30)
        await world.feed.past.ensure(BTC_1M, 500, None)
        await world.feed.past.ensure(BTC_1M, 1000, None)
        line = world.feed.line(BTC_1M)
        assert line is not None
        assert len(line.closed) == 10

    assert len(play(scene).calls) == 1


def test_nothing_is_asked_for_a_reader_without_a_snapshot() -> None:
    async def scene(world: World) -> None:
        await world.feed.past.ensure(BTC_1M, 0, None)

    assert play(scene).calls == []


def test_a_reader_does_not_wait_for_ever() -> None:
    async def scene(world: World) -> None:
        world.is_down = True
        await asyncio.sleep(2)
        before = world.second
        await world.feed.past.ensure(BTC_1M, 5, None)
        assert 15 <= world.second - before < 18
        parts = [part async for part in world.feed.past.resume(BTC_1M, at_ms(3), None)]
        assert parts == [
            CandlePart([CandleGap(BTC_1M, at_ms(3) + 1, at_ms(10) - 1, "history")], at_ms(10) - 1)
        ]

    play(scene)


@pytest.mark.parametrize("lag_seconds", [0.0, 5.0])
def test_a_resumption_ends_where_memory_begins(lag_seconds: float) -> None:
    async def scene(world: World) -> None:
        world.lag_seconds = lag_seconds
        await asyncio.sleep(20)
        told, told_to = [], at_ms(2)
        async for part in world.feed.past.resume(BTC_1M, told_to, "somebody"):
            told += [number_of(each) for each in part.items if isinstance(each, Candle) and each.closed]
            told_to = part.told_to
        line = world.feed.line(BTC_1M)
        assert line is not None
        told += [number_of(each) for each in line.memory.after(told_to)]
        assert told == [3, 4, 5, 6, 7, 8, 9]

    play(scene)


def test_a_reader_that_is_ahead_is_waited_for() -> None:
    async def scene(world: World) -> None:
        await asyncio.sleep(55)
        assert [part async for part in world.feed.past.resume(BTC_1M, at_ms(10), None)] == []
        assert world.closed() == [10]
        before = world.second
        assert [part async for part in world.feed.past.resume(BTC_1M, at_ms(999), None)] == []
        assert 15 <= world.second - before < 18

    play(scene)


def test_a_resumption_reaches_back_only_so_far() -> None:
    async def scene(world: World) -> None:
        world.feed.past._limits = CandleLimits(history_candles=3)
        await asyncio.sleep(20)
        gap, rest = [part async for part in world.feed.past.resume(BTC_1M, 0, None)]
        assert gap == CandlePart([CandleGap(BTC_1M, 1, at_ms(7) - 1, "history")], at_ms(7) - 1)
        assert [number_of(each) for each in rest.items if isinstance(each, Candle)] == [7, 8, 9]

    play(scene)
