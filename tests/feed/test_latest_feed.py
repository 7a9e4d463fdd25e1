"""The streams in which the newest wins: what is published, what their silence means, what tickers show."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec
import pytest

from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.base import Evidence, Silence, StreamState
from livemarkets.feed.latest_feed import LatestFeed
from livemarkets.feed.latest_streams import UpdateLimits
from livemarkets.feed.ledger import LedgerLimits
from livemarkets.feed.silence import SilenceDetector, SilenceLimits
from livemarkets.feed.trade_streams import TradeStreams
from livemarkets.market.clock import Clock
from livemarkets.market.latest_updates import LatestUpdates
from livemarkets.market.models import StreamKey
from livemarkets.market.stores import LatestPriceStore, RecentTrades
from livemarkets.market.updates import DepthUpdate, Update
from tests.support.simulated_time import run_in_simulated_time
from tests.support.ticks import BTC, ETH, make_tick
from tests.support.updates import (
    ALL_TICKERS,
    BTC_BOOK,
    BTC_DEPTH,
    BTC_TICKER,
    START_MS,
    make_book,
    make_delta,
    make_depth,
    make_row,
    make_ticker,
)

KEYS = (BTC_BOOK, BTC_DEPTH, BTC_TICKER, ALL_TICKERS)


class Values:
    """What an exchange answers who asks for present values; nothing while it cannot be reached."""

    def __init__(self) -> None:
        self.now: list[Update] = []
        self.asked: list[tuple[str, list[str]]] = []
        self.is_reachable = True
        self.answer_seconds = 0.0

    async def first_values(
        self, channel: str, symbols: Sequence[str], *, asker: str | None = None
    ) -> Sequence[Update]:
        self.asked.append((channel, list(symbols)))
        now = self.now
        await asyncio.sleep(self.answer_seconds)
        if not self.is_reachable:
            raise ExchangeUnreachable("gone")
        return now


class World:
    """A feed with a client and a publisher that write down what they are told."""

    def __init__(self, values: Values | None = None) -> None:
        self.now = asyncio.get_running_loop().time
        self.latest = LatestPriceStore()
        self.trades = TradeStreams(LedgerLimits(), self.latest, RecentTrades(10))
        self.published: list[tuple[StreamKey, Update]] = []
        self.newest: list[tuple[StreamKey, int]] = []
        self.suspected: list[tuple[float, StreamKey]] = []
        self.changes: list[list[StreamKey]] = []
        self.pending: set[StreamKey] = set()
        self.began: dict[StreamKey, float] = {}  # when streams were acknowledged, if not from the start
        self.feed = LatestFeed(
            self,
            LatestUpdates(),
            self,
            self.trades,
            lambda key, trade_id: self.newest.append((key, trade_id)),
            lambda: self.changes.append(self.feed.mute),
            values,
            lambda symbol: True,
            limits=UpdateLimits(),
            clock=Clock(self.now, self.now_ms),
        )

    def now_ms(self) -> int:
        return int(self.now() * 1000)

    def state_of(self, key: StreamKey) -> StreamState:
        return StreamState.PENDING if key in self.pending else StreamState.ACKNOWLEDGED

    def acknowledged_at(self, key: StreamKey) -> float | None:
        return None if key in self.pending else self.began.get(key, -1.0)

    def suspect(self, key: StreamKey, evidence: Evidence) -> None:
        assert evidence is Evidence.BEHIND
        self.suspected.append((self.now(), key))

    def publish_update(self, key: StreamKey, update: Update) -> None:
        self.published.append((key, update))

    def trade(self, trade_id: int) -> None:
        self.latest.put(BTC, msgspec.structs.replace(make_tick(trade_id), recv_ts=self.now_ms()))

    async def book_until(self, seconds: float) -> None:
        """Let the best bid and ask change ten times a second."""
        end = self.now() + seconds
        while self.now() < end:
            self.feed.on_update(BTC_BOOK, make_book(self.now_ms(), recv_ts=self.now_ms()))
            await asyncio.sleep(0.1)


def play(scene: Callable[[World], Coroutine[Any, Any, None]], values: Values | None = None) -> World:
    async def main() -> World:
        world = World(values)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(world.feed.run()), tasks.create_task(world.feed.questions.run())]
            await scene(world)
            for task in running:
                task.cancel()
        return world

    return run_in_simulated_time(main())


def test_an_update_is_stored_and_published_once() -> None:
    async def scene(world: World) -> None:
        world.feed.on_update(BTC_BOOK, make_book(1))  # not wanted yet
        for key in KEYS:
            world.feed.add(key)
        assert world.feed.keys() == list(KEYS)
        assert world.feed.count == 4
        for key, update in (
            (BTC_BOOK, make_book(2)),
            (BTC_BOOK, make_book(2)),
            (BTC_BOOK, make_book(1)),
            (BTC_DEPTH, make_depth(7)),
            (BTC_TICKER, make_ticker(1)),
            (ALL_TICKERS, make_delta(make_row(1))),
            (ALL_TICKERS, make_delta(make_row(1))),
        ):
            world.feed.on_update(key, update)
        assert world.published == [
            (BTC_BOOK, make_book(2)),
            (BTC_DEPTH, make_depth(7)),
            (BTC_TICKER, make_ticker(1)),
            (ALL_TICKERS, make_delta(make_row(1))),
        ]
        counts = {channel: (each.wanted, each.received) for channel, each in world.feed.statistics().items()}
        assert counts == {"tickers": (2, 3), "book": (1, 3), "depth": (1, 1)}
        for key in KEYS:
            world.feed.discard(key)
            world.feed.discard(key)
        assert (world.feed.keys(), len(world.feed.store)) == ([], 0)

    play(scene)


def test_a_ticker_shows_the_newest_trade_of_symbols_whose_trades_are_wanted() -> None:
    async def scene(world: World) -> None:
        world.feed.add(BTC_TICKER)
        world.feed.add(ALL_TICKERS)
        world.feed.on_update(BTC_TICKER, make_ticker(1, last_id=100))
        for key in (BTC, ETH):
            world.trades.add(key, lambda ledger: SilenceDetector(SilenceLimits(), 0.0))
        world.feed.on_update(BTC_TICKER, make_ticker(2, last_id=101))
        world.feed.on_update(BTC_TICKER, make_ticker(2, last_id=101))
        world.feed.on_update(BTC_TICKER, make_ticker(3, last_id=None))
        rows = make_row(4, "BTCUSDT", last_id=102), make_row(4, "XRPUSDT", last_id=9), make_row(4, "ETHUSDT")
        world.feed.on_update(ALL_TICKERS, make_delta(*rows))
        world.trades.discard(BTC)
        world.feed.on_update(BTC_TICKER, make_ticker(5, last_id=103))

    assert play(scene).newest == [(BTC, 101), (BTC, 102)]


def test_the_stream_of_all_tickers_is_mute_after_ten_seconds_and_again_and_again() -> None:
    async def scene(world: World) -> None:
        world.pending.add(ALL_TICKERS)
        world.feed.add(ALL_TICKERS)
        await asyncio.sleep(60)
        assert world.suspected == [], "it is not subscribed yet"
        world.pending.clear()
        for number in range(20):
            world.feed.on_update(ALL_TICKERS, make_delta(make_row(number)))
            await asyncio.sleep(1)
        assert world.feed.silence_of(ALL_TICKERS) is Silence.NONE
        began = world.now()
        await asyncio.sleep(85)
        times = [round(at - began) for at, _ in world.suspected]
        assert times == pytest.approx([9, 19, 39, 79], abs=2), "ever later: perhaps it is gone for good"
        assert world.feed.mute == [ALL_TICKERS]
        assert world.feed.silence_of(ALL_TICKERS) is Silence.UNUSUAL
        world.feed.on_update(ALL_TICKERS, make_delta(make_row(100)))
        await asyncio.sleep(2)

    assert play(scene).changes == [[ALL_TICKERS], []]


def test_the_silence_of_single_tickers_and_of_the_best_bid_and_ask_means_nothing() -> None:
    async def scene(world: World) -> None:
        for key in (BTC_BOOK, BTC_TICKER, BTC_DEPTH):
            world.feed.add(key)
        await asyncio.sleep(3600)
        assert world.feed.silence_of(BTC_BOOK) is Silence.NATURAL

    world = play(scene)
    assert (world.suspected, world.changes) == ([], [])


def test_depth_is_mute_when_the_order_book_changes_without_it() -> None:
    async def scene(world: World) -> None:
        world.feed.add(BTC_DEPTH)
        world.feed.on_update(BTC_DEPTH, make_depth(1, recv_ts=world.now_ms()))
        await asyncio.sleep(60)
        assert world.changes == [], "nothing happens in this market"
        world.trade(1)
        await asyncio.sleep(2)
        assert world.changes == [[BTC_DEPTH]]
        world.feed.on_update(BTC_DEPTH, make_depth(2, recv_ts=world.now_ms()))
        await asyncio.sleep(2)
        assert world.changes == [[BTC_DEPTH], []]
        world.feed.add(BTC_BOOK)
        await world.book_until(8)
        world.feed.on_update(BTC_DEPTH, make_depth(3, recv_ts=world.now_ms()))
        await world.book_until(8)
        assert len(world.changes) == 2
        await world.book_until(5)

    assert play(scene).changes[2:] == [[BTC_DEPTH]]


def test_depth_that_is_sent_again_without_a_change_is_not_mute() -> None:
    async def scene(world: World) -> None:
        world.feed.add(BTC_DEPTH)
        world.feed.add(BTC_BOOK)
        for _ in range(300):
            world.feed.on_update(BTC_DEPTH, make_depth(1, recv_ts=world.now_ms()))
            await world.book_until(0.1)

    assert play(scene).changes == []


def test_a_mute_stream_that_is_no_longer_wanted_is_forgotten() -> None:
    async def scene(world: World) -> None:
        world.feed.add(ALL_TICKERS)
        await asyncio.sleep(15)
        world.feed.discard(ALL_TICKERS)
        assert world.feed.silence_of(ALL_TICKERS) is Silence.NATURAL
        assert not world.feed.is_mute(ALL_TICKERS)

    assert play(scene).changes == [[ALL_TICKERS], []]


# after an interruption


async def interrupt(world: World, *keys: StreamKey, seconds: float = 0.2) -> None:
    """Let streams be away for a moment; the client's status says so."""
    world.pending |= set(keys)
    world.feed.note_interruptions()
    await asyncio.sleep(seconds)
    world.pending -= set(keys)
    world.began |= dict.fromkeys(keys, world.now())
    world.feed.note_interruptions()


async def bring(world: World, *updates: tuple[StreamKey, Update]) -> None:
    for key, update in updates:
        world.feed.add(key)
        world.feed.on_update(key, update)
    await asyncio.sleep(3)


def test_what_changed_during_an_interruption_is_asked_for() -> None:
    """Nothing else would tell: the exchange sends the best bid and ask when they change next."""
    values = Values()

    async def scene(world: World) -> None:
        await bring(world, (BTC_BOOK, make_book(7)))
        assert values.asked == [], "the stream itself has brought a value"
        changed = msgspec.structs.replace(make_book(9), update_id=None)
        values.now = [changed]
        await interrupt(world, BTC_BOOK)
        await asyncio.sleep(3)
        assert values.asked == [("book", ["BTCUSDT"])], "once for now"
        assert world.feed.newest(BTC_BOOK) == world.published[-1][1] == changed
        world.feed.on_update(BTC_BOOK, make_book(8))
        assert world.feed.newest(BTC_BOOK) == make_book(8), "what the stream brings replaces it"

    play(scene, values)


def test_an_order_book_is_asked_for_and_compared_by_its_number() -> None:
    """REST and the stream count the same changes; an answer may be older than what the stream brought."""
    values = Values()

    async def scene(world: World) -> None:
        await bring(world, (BTC_DEPTH, make_depth(7)))
        for answered, shown in ((6, 7), (9, 9)):
            values.now = [make_depth(answered)]
            await interrupt(world, BTC_DEPTH)
            await asyncio.sleep(3)
            assert world.feed.newest(BTC_DEPTH) == make_depth(shown)
        told = len(world.published)
        for late_or_again in (8, 9):
            world.feed.on_update(BTC_DEPTH, make_depth(late_or_again))
        assert len(world.published) == told
        assert world.feed.newest(BTC_DEPTH) == make_depth(9)
        assert values.asked == [("depth", ["BTCUSDT"])] * 2

    play(scene, values)


def test_an_exchange_whose_answers_are_numbered_otherwise_costs_five_seconds() -> None:
    """A stranger may count its answers and its stream apart: what the stream brings is shown all the same."""
    values = Values()

    async def scene(world: World) -> None:
        values.now = [msgspec.structs.replace(make_depth(10**9), recv_ts=world.now_ms())]
        world.feed.add(BTC_DEPTH)
        await asyncio.sleep(1)
        for number in range(60):
            world.feed.on_update(BTC_DEPTH, make_depth(number, recv_ts=world.now_ms()))
            await asyncio.sleep(0.1)
        shown = world.feed.newest(BTC_DEPTH)
        assert isinstance(shown, DepthUpdate)
        assert shown.update_id == 59

    play(scene, values)


def test_each_new_order_book_is_asked_for_alone() -> None:
    values = Values()
    symbols = ("BTCUSDT", "ETHUSDT", "SOLUSDT")

    async def scene(world: World) -> None:
        world.began = dict.fromkeys((StreamKey("binance", "depth", each) for each in symbols), 1000.0)
        for symbol in symbols:
            world.feed.add(StreamKey("binance", "depth", symbol))
        await asyncio.sleep(4)
        assert values.asked[:3] == [("depth", [symbol]) for symbol in symbols]

    play(scene, values)


def test_a_subscription_that_began_without_a_pause_is_an_interruption() -> None:
    """One connection took over from another, or nobody looked in between."""
    values = Values()

    async def scene(world: World) -> None:
        await bring(world, (BTC_BOOK, make_book(7)))
        values.now = [make_book(9)]
        world.began[BTC_BOOK] = world.now()
        await asyncio.sleep(3)
        assert world.feed.newest(BTC_BOOK) == make_book(9)

    play(scene, values)


def test_an_answer_to_a_question_from_before_the_interruption_does_not_count() -> None:
    values = Values()

    async def scene(world: World) -> None:
        await bring(world, (BTC_BOOK, make_book(7)))
        values.now, values.answer_seconds = [make_book(8)], 2.0
        await interrupt(world, BTC_BOOK)
        await asyncio.sleep(1)
        assert values.asked == [("book", ["BTCUSDT"])]
        values.now = [make_book(9)]  # it is under way when the next cut comes
        await interrupt(world, BTC_BOOK)
        await asyncio.sleep(6)
        assert world.feed.newest(BTC_BOOK) == make_book(9)

    play(scene, values)


def test_a_new_stream_is_asked_for_again_when_it_is_subscribed() -> None:
    """What changed between the first question and the subscription, nobody would tell."""
    values = Values()

    async def scene(world: World) -> None:
        values.now = [make_book(7)]
        world.pending.add(BTC_BOOK)
        world.feed.add(BTC_BOOK)
        await asyncio.sleep(3)
        assert world.feed.newest(BTC_BOOK) == make_book(7)
        values.now = [make_book(9)]
        await interrupt(world, BTC_BOOK)
        await asyncio.sleep(3)
        assert world.feed.newest(BTC_BOOK) == make_book(9)

    play(scene, values)


def test_an_exchange_whose_answers_lag_is_asked_once_more() -> None:
    values = Values()

    async def scene(world: World) -> None:
        await bring(world, (BTC_BOOK, make_book(7)))
        values.now = [make_book(7)]
        await interrupt(world, BTC_BOOK)
        await asyncio.sleep(5)
        values.now = [make_book(9)]
        await asyncio.sleep(10)
        assert world.feed.newest(BTC_BOOK) == make_book(9)
        await asyncio.sleep(600)
        assert len(values.asked) == 2

    play(scene, values)


def test_a_new_stream_does_not_wait_for_those_that_were_interrupted() -> None:
    values = Values()
    many = [StreamKey("binance", "book", f"S{number}USDT") for number in range(100)]

    async def scene(world: World) -> None:
        for key in many:
            world.feed.add(key)
        await asyncio.sleep(30)
        values.asked.clear()
        world.began |= dict.fromkeys(many, world.now())
        await asyncio.sleep(1.1)
        world.feed.add(BTC_BOOK)
        await asyncio.sleep(1.3)
        assert "BTCUSDT" in values.asked[-1][1]
        assert len(values.asked) <= 3, "and five questions are needed for the others"

    play(scene, values)


def test_what_did_not_change_during_an_interruption_is_not_told_again() -> None:
    values = Values()

    async def scene(world: World) -> None:
        await bring(world, (BTC_BOOK, make_book(7)), (BTC_TICKER, make_ticker(7)))
        told = len(world.published)
        for key, value in (
            (BTC_BOOK, msgspec.structs.replace(make_book(7), update_id=None, recv_ts=START_MS + 9)),
            (BTC_TICKER, msgspec.structs.replace(make_ticker(7), ts=START_MS + 99, recv_ts=START_MS + 99)),
        ):
            values.now = [value]
            await interrupt(world, key)
            await asyncio.sleep(3)
        assert {channel for channel, _ in values.asked} == {"book", "tickers"}
        assert len(world.published) == told
        assert world.feed.newest(BTC_BOOK) == make_book(7)

    play(scene, values)


def test_a_stream_that_brings_something_after_an_interruption_is_not_asked_for() -> None:
    values = Values()

    async def scene(world: World) -> None:
        await bring(world, (BTC_BOOK, make_book(7)))
        await interrupt(world, BTC_BOOK)
        world.feed.on_update(BTC_BOOK, make_book(8))
        await asyncio.sleep(3)

    play(scene, values)
    assert values.asked == []


def test_the_question_after_an_interruption_is_repeated_until_it_is_answered() -> None:
    values = Values()

    async def scene(world: World) -> None:
        await bring(world, (BTC_BOOK, make_book(7)))
        values.is_reachable = False
        await interrupt(world, BTC_BOOK)
        await asyncio.sleep(600)
        assert 10 < len(values.asked) < 40, "ever less often"
        values.is_reachable = True
        values.now = [make_book(9)]
        await asyncio.sleep(60)

    assert play(scene, values).feed.newest(BTC_BOOK) == make_book(9)


def test_of_all_tickers_those_that_traded_during_an_interruption_are_told() -> None:
    """Whatever the stream brings afterwards is about those that trade then."""
    values = Values()

    async def scene(world: World) -> None:
        rows = make_row(1, "BTCUSDT", last_id=1), make_row(1, "ETHUSDT", last_id=1)
        await bring(world, (ALL_TICKERS, make_delta(*rows)))
        traded = make_row(5, "ETHUSDT", last_id=2)
        values.now = [make_delta(make_row(5, "BTCUSDT", last_id=1), traded)]
        await interrupt(world, ALL_TICKERS)
        world.feed.on_update(ALL_TICKERS, make_delta(make_row(3, "SOLUSDT", last_id=1)))
        await asyncio.sleep(3)
        assert values.asked == [("tickers", ["*"])]
        assert world.published[-1] == (ALL_TICKERS, make_delta(traded))
        await interrupt(world, ALL_TICKERS)
        await asyncio.sleep(30)
        assert len(values.asked) == 1, "at most one such question a minute"
        await asyncio.sleep(40)
        assert len(values.asked) == 2

    play(scene, values)
