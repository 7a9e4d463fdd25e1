"""`after`: everything since a trade id, then live, with no hole and no repeat at the seam."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.app import Tuning
from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.base import PAGE_TRADES, FetchedTrades, HistoryStatistics
from livemarkets.feed.exchange_feed import FeedLimits
from livemarkets.feed.ledger import Ledger, LedgerLimits, Released
from livemarkets.feed.resume import ResumeLimits, Resumer
from livemarkets.market.models import Gap, TradeTick
from livemarkets.market.stores import RecentTrades
from livemarkets.simulator import SimulatedMarket, Simulator
from tests.soak.reader import Reader
from tests.soak.simulated import SimulatedExchange
from tests.soak.truth import Verdict, judge
from tests.support.app import RunningApp, relaxed, running_app, running_exchange, settings_for
from tests.support.helpers import eventually
from tests.support.listener import Listener, listening
from tests.support.markets_client import MarketsClient, missing_ids
from tests.support.simulated_time import run_in_simulated_time, time_is_simulated
from tests.support.ticks import BTC, make_tick
from tests.support.upstream import quick

# The resumer alone, in simulated time


pytestmark = pytest.mark.long


class History:
    """What the exchange has, over REST."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = sorted(ids)
        self.calls: list[int] = []
        self.down_for = 0
        """So many calls fail from now on."""
        self.answer_seconds = 0.02
        self.knows_newest = True
        """Whether it says which id is the newest; of a symbol that has not traded for a day, it does not."""
        self.newest_only = False
        """Whether only the newest 1,000 are served, as without `historicalTrades`."""

    async def newest_ids(self, symbols: Sequence[str], **_: object) -> dict[str, int]:
        self._fail()
        return dict.fromkeys(symbols, self.ids[-1]) if self.ids and self.knows_newest else {}

    def statistics(self) -> HistoryStatistics:
        return HistoryStatistics(calls=0, failures=0)

    async def trades_from(self, symbol: str, from_id: int, **_: object) -> FetchedTrades:
        self.calls.append(from_id)
        await asyncio.sleep(self.answer_seconds)
        self._fail()
        newest = self.ids[-1] if self.ids else None
        if self.newest_only:
            found = self.ids[-PAGE_TRADES:]
            is_covered = bool(found) and found[0] <= from_id
        else:
            found = [trade_id for trade_id in self.ids if trade_id >= from_id][:PAGE_TRADES]
            is_covered = bool(found)
        ticks = [make_tick(trade_id, backfilled=True) for trade_id in found if trade_id >= from_id]
        return FetchedTrades(
            ticks,
            found[-1] if is_covered else from_id - 1,
            found[-1] if found else newest,
            reaches_newest=self.newest_only or len(found) < PAGE_TRADES,
        )

    def _fail(self) -> None:
        if self.down_for:
            self.down_for -= 1
            raise ExchangeUnreachable("REST is down")


class Resumption:
    """A resumer, its ledger and store, and the reader that it brings up."""

    def __init__(
        self,
        has: Sequence[int],
        *,
        kept: Sequence[int] = (),
        length: int = 1000,
        limits: ResumeLimits | None = None,
    ) -> None:
        self.history = History(has)
        self.trades = RecentTrades(length)
        self.ledger = Ledger(BTC, LedgerLimits())
        self.ledgers = {BTC: self.ledger}
        self.got: list[Released] = []
        self.sent: list[int] = []
        """The length of each part."""
        self.finished = 0
        self.resumer = Resumer(
            self.history,
            self.trades,
            self.ledgers,
            limits=limits or ResumeLimits(),
            clock=asyncio.get_running_loop().time,
        )
        for trade_id in kept:
            self.live(trade_id)

    def live(self, trade_id: int, ts: int | None = None) -> None:
        """A trade arrives on the stream."""
        for item in self.ledger.accept(make_tick(trade_id, ts=ts), 0.0).released:
            if isinstance(item, Gap):
                self.trades.note_gap(item)
            else:
                self.trades.append(BTC, item)
            if self.finished:
                self.got.append(item)

    async def resume(self, after: int) -> None:
        async for part in self.resumer.resume(BTC, after):
            if part.items or part.is_last or part.has_everything:
                self.sent.append(len(part.items))
            self.got += part.items
            if part.is_last:
                self.finished += 1
            else:
                await asyncio.sleep(0.01)

    @property
    def ids(self) -> list[int]:
        return [item.id for item in self.got if isinstance(item, TradeTick)]

    @property
    def gaps(self) -> list[tuple[int, int, str]]:
        return [(item.from_id, item.to_id, item.cause) for item in self.got if isinstance(item, Gap)]

    def check(self, after: int) -> None:
        """What the reader got goes on from `after` without a hole that nobody declared."""
        expected = after + 1
        for item in self.got:
            first, last = (item.from_id, item.to_id) if isinstance(item, Gap) else (item.id, item.id)
            assert first == expected, item
            expected = last + 1


def resumed(after: int, has: Sequence[int], before: Any = None, **options: Any) -> Resumption:
    """Resume to the end, and have one more live trade afterwards; `before` may change the scene."""

    async def run() -> Resumption:
        resumption = Resumption(has, **options)
        if before is not None:
            before(resumption)
        async with asyncio.timeout(120):
            await resumption.resume(after)
        if resumption.ledger.next_id is not None:
            resumption.live(resumption.ledger.next_id)
        assert resumption.finished == 1
        return resumption

    return run_in_simulated_time(run())


def test_from_memory_alone() -> None:
    found = resumed(104, range(1, 111), kept=range(101, 111))
    assert found.ids == list(range(105, 112))
    assert found.history.calls == []


def test_what_is_in_memory_comes_in_parts_however_much_it_is() -> None:
    """With `LIVE_FEED_LENGTH=100000`, one part held the event loop for 0.2 s (REVIEW A4)."""
    kept = [*range(101, 3000), *range(3011, 5001)]

    def lose(resumption: Resumption) -> None:
        for trade_id in range(101, 3000):
            resumption.live(trade_id)
        resumption.trades.note_gap(Gap(BTC, 3000, 3010, "upstream"))
        resumption.ledger = resumption.ledgers[BTC] = Ledger(BTC, LedgerLimits())
        for trade_id in range(3011, 5001):
            resumption.live(trade_id)

    found = resumed(150, range(1, 5001), lose, length=10_000)
    assert found.ids == [trade_id for trade_id in kept if trade_id > 150] + [5001]
    assert found.gaps == [(3000, 3010, "upstream")]
    assert found.history.calls == []
    assert max(found.sent) <= 1_001
    found.check(150)


def test_a_reader_that_has_everything_gets_what_comes() -> None:
    found = resumed(110, range(1, 111), kept=range(101, 111))
    assert found.ids == [111]
    assert found.sent == [0]


def test_over_rest_and_then_from_memory() -> None:
    found = resumed(50, range(1, 111), kept=range(101, 111))
    assert found.ids == list(range(51, 112))
    assert found.gaps == []
    assert len(found.history.calls) == 1
    assert [item.backfilled for item in found.got if isinstance(item, TradeTick)] == [True] * 50 + [
        False
    ] * 11


def test_several_pages_over_rest() -> None:
    found = resumed(0, range(1, 3511), kept=range(3501, 3511))
    assert found.ids == list(range(1, 3512))
    assert found.history.calls == [1, 999, 1998, 2610], "the last page has the newest trades"


def test_what_is_too_old_is_declared_as_history() -> None:
    limits = ResumeLimits(history_trades=500)
    found = resumed(99, range(1, 2001), kept=range(1991, 2001), limits=limits)
    assert found.gaps == [(100, 1500, "history")]
    assert found.ids == list(range(1501, 2002))


def test_what_rest_no_longer_has_is_declared() -> None:
    """Found by an answer that begins later than it was asked to: the exchange has no such ids any more."""
    found = resumed(99, range(300, 411), kept=range(401, 411))
    found.check(99)
    assert found.ids == list(range(300, 412))


def test_an_address_without_history_serves_its_newest_thousand() -> None:
    def without(resumption: Resumption) -> None:
        resumption.history.newest_only = True

    found = resumed(99, range(1, 3001), without, kept=range(2991, 3001))
    found.check(99)
    assert found.gaps == [(100, 2000, "history")]
    assert found.ids == list(range(2001, 3002))


def test_ids_that_the_exchange_left_out_are_its_own_hole() -> None:
    has = [*range(1, 60), *range(65, 111)]
    found = resumed(50, has, kept=range(101, 111))
    assert found.gaps == [(60, 64, "venue")]
    found.check(50)


def test_a_hole_right_before_memory_is_the_exchanges_too() -> None:
    has = [*range(1, 91), *range(101, 111)]
    found = resumed(50, has, kept=range(101, 111))
    assert found.gaps == [(91, 100, "venue")]
    found.check(50)


def test_a_hole_that_was_declared_live_is_declared_again_with_its_cause() -> None:
    def with_a_hole(resumption: Resumption) -> None:
        for trade_id in (*range(1, 6), 9, 10):
            resumption.live(trade_id)
        for item in resumption.ledger.give_up(100.0).released:
            if isinstance(item, Gap):
                resumption.trades.note_gap(item)
            else:
                resumption.trades.append(BTC, item)

    found = resumed(2, range(1, 11), with_a_hole)
    assert found.gaps == [(6, 8, "upstream")]
    assert found.ids == [3, 4, 5, 9, 10, 11]


def test_rest_that_is_down_for_a_while_is_waited_for() -> None:
    def down(resumption: Resumption) -> None:
        resumption.history.down_for = 8

    found = resumed(50, range(1, 111), down, kept=range(101, 111))
    assert found.ids == list(range(51, 112))
    assert found.gaps == []


def test_rest_that_stays_down_is_not_waited_for_for_ever() -> None:
    def down(resumption: Resumption) -> None:
        resumption.history.down_for = 1_000_000

    found = resumed(50, range(1, 111), down, kept=range(101, 111))
    assert found.gaps == [(51, 100, "history")]
    assert found.ids == list(range(101, 112))
    assert len(found.history.calls) < 100


def test_a_reader_that_is_ahead_waits_until_the_stream_has_caught_up() -> None:
    """It was served by another instance a moment ago."""

    async def run() -> Resumption:
        resumption = Resumption(range(1, 111), kept=range(101, 111))
        task = asyncio.create_task(resumption.resume(115))
        for trade_id in range(111, 121):
            await asyncio.sleep(0.3)
            resumption.live(trade_id)
        await task
        resumption.live(121)
        return resumption

    found = run_in_simulated_time(run())
    assert found.ids == list(range(116, 122))
    assert found.gaps == []


def test_a_reader_that_claims_what_never_was_is_told_so() -> None:
    found = resumed(5000, range(1, 111), kept=range(101, 111))
    assert found.gaps == [(5001, 110, "history")], "the numbers go on from 111"
    assert found.ids == [111]


def test_a_fresh_stream_is_begun_where_history_ends() -> None:
    """Nobody had the symbol until now, and no trade has come."""
    found = resumed(50, range(1, 111))
    assert found.ids == list(range(51, 112))
    assert found.ledger.next_id == 112


def test_a_fresh_stream_of_a_reader_who_has_everything() -> None:
    found = resumed(110, range(1, 111))
    assert found.ids == [111]
    assert found.gaps == []


@pytest.mark.parametrize("claimed", [112, 500])
def test_a_claim_moves_no_stream_that_others_read(claimed: int) -> None:
    """The first trade of a fresh stream goes down at once, whatever id some reader claims to have."""

    async def run() -> Resumption:
        resumption = Resumption(range(1, 111))
        task = asyncio.create_task(resumption.resume(claimed))
        await asyncio.sleep(1)
        assert resumption.ledger.next_id is None
        assert resumption.sent == [0], "the reader is told at once that it has everything"
        resumption.live(111)
        assert resumption.trades.count(BTC) == 1, "others have it"
        async with asyncio.timeout(60):
            await task
        assert resumption.history.calls == []
        return resumption

    found = run_in_simulated_time(run())
    assert found.gaps == [(claimed + 1, 111, "history")]


@pytest.mark.parametrize("kept", [range(101, 111), ()])
def test_an_id_that_never_was_is_answered_at_once(kept: Sequence[int]) -> None:
    """No other instance is so far ahead. Nothing is asked again and again until the stream gets there."""

    async def run() -> None:
        resumption = Resumption(range(1, 111), kept=kept)
        async with asyncio.timeout(1):
            await resumption.resume(10**15)
        resumption.live(111)
        assert resumption.gaps == [(10**15 + 1, 110, "history")]
        assert resumption.ids == [111]
        assert resumption.sent == [0, 1], "an empty snapshot first"
        assert resumption.history.calls == []

    run_in_simulated_time(run())


def test_an_answer_without_trades_moves_no_stream_that_others_read() -> None:
    """A history that lags has nothing from the reader's id on. That is no numbering that begins at 1."""

    async def run() -> Resumption:
        resumption = Resumption(())
        task = asyncio.create_task(resumption.resume(3_735_683_259))
        await asyncio.sleep(60)
        assert resumption.ledger.next_id is None
        resumption.live(3_735_683_000)
        assert resumption.trades.count(BTC) == 1, "others have it"
        async with asyncio.timeout(60):
            await task
        return resumption

    found = run_in_simulated_time(run())
    assert found.gaps == [(3_735_683_260, 3_735_683_000, "history")]


def test_a_symbol_that_never_traded_begins_at_its_first_id() -> None:
    found = resumed(0, ())
    assert (found.ids, found.gaps) == ([1], [])


@pytest.mark.parametrize("lag", [2, 3000])
def test_a_newest_id_that_lags_moves_no_stream_that_others_read(lag: int) -> None:
    """`aggTrades` is seconds behind the stream. Later, the same question is answered right."""

    async def run() -> Resumption:
        resumption = Resumption(range(1, 10_001 - lag))
        task = asyncio.create_task(resumption.resume(10_000))
        await asyncio.sleep(0.5)
        assert resumption.sent == [0], "the reader is told at once that it has everything"
        resumption.history.ids = list(range(1, 10_001))
        async with asyncio.timeout(60):
            await task
        resumption.live(10_001)
        return resumption

    found = run_in_simulated_time(run())
    assert (found.ids, found.gaps) == ([10_001], [])


def test_the_past_is_bounded_also_if_nobody_knows_where_it_ends() -> None:
    async def run() -> Resumption:
        resumption = Resumption(range(1, 60_001))
        resumption.history.knows_newest = False
        task = asyncio.create_task(resumption.resume(0))
        await asyncio.sleep(0.2)
        resumption.live(60_001)
        await task
        return resumption

    found = run_in_simulated_time(run())
    found.check(0)
    assert sum(to_id - from_id + 1 for from_id, to_id, _ in found.gaps) > 30_000
    assert len(found.history.calls) < 30


def test_trades_that_arrive_meanwhile_are_neither_lost_nor_repeated() -> None:
    async def run() -> Resumption:
        resumption = Resumption(range(1, 5001), kept=range(4991, 5001), length=200)
        task = asyncio.create_task(resumption.resume(0))
        for _ in range(2000):
            newest = resumption.history.ids[-1] + 1
            resumption.history.ids.append(newest)
            resumption.live(newest)
            await asyncio.sleep(0.001)
        await task
        return resumption

    found = run_in_simulated_time(run())
    found.check(0)
    assert found.gaps == []
    assert found.ids[-1] > 5010


def test_a_relisting_while_the_reader_was_away() -> None:
    def relisted(resumption: Resumption) -> None:
        for trade_id in range(1001, 1011):
            resumption.live(trade_id)
        late = make_tick(1_000_000).ts
        for trade_id in range(1, 8):
            resumption.live(trade_id, late + trade_id)
        resumption.history.ids = list(range(1, 8))

    found = resumed(1005, range(1001, 1011), relisted)
    assert found.gaps == [(1006, 0, "venue")]
    assert found.ids == list(range(1, 9))


def test_a_reader_that_takes_nothing_holds_up_nobody_else() -> None:
    async def run() -> None:
        resumption = Resumption(range(1, 5001), kept=range(4991, 5001))
        never = asyncio.Event()

        async def take_nothing() -> None:
            async for _ in resumption.resumer.resume(BTC, 0):
                await never.wait()

        stuck = [asyncio.create_task(take_nothing()) for _ in range(20)]
        await asyncio.sleep(5)
        async with asyncio.timeout(5):
            await resumption.resume(0)
        resumption.check(0)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)

    run_in_simulated_time(run())


def test_readers_who_come_at_once_share_what_rest_says() -> None:
    """After a restart of the server all of them resume, from about the same id."""

    async def run() -> None:
        resumption = Resumption(range(1, 5001), kept=range(4991, 5001))
        random = Random(3)
        got: dict[int, list[Released]] = {}

        async def one(number: int) -> None:
            after = 3000 + random.randrange(100)
            got[number] = [make_tick(after)]
            await asyncio.sleep(random.random() / 2)
            async for part in resumption.resumer.resume(BTC, after):
                got[number] += part.items
                if not part.is_last:
                    await asyncio.sleep(random.random() / 10)

        await asyncio.gather(*map(one, range(500)))
        for parts in got.values():
            ids = [part.id for part in parts if isinstance(part, TradeTick)]
            assert ids == list(range(ids[0], 5001))
        assert len(resumption.history.calls) < 50

    run_in_simulated_time(run())


def test_readers_who_wait_together_fail_together() -> None:
    """A REST that hangs takes each of them the time of one call, not of all calls."""

    async def run() -> None:
        limits = ResumeLimits(patience_seconds=15)
        resumption = Resumption(range(1, 111), kept=range(101, 111), limits=limits)
        resumption.history.down_for = 1_000_000
        resumption.history.answer_seconds = 5.0
        got: list[list[Released]] = [[] for _ in range(200)]
        began = asyncio.get_running_loop().time()

        async def one(parts: list[Released]) -> None:
            async for part in resumption.resumer.resume(BTC, 50):
                parts += part.items

        await asyncio.gather(*map(one, got))
        assert asyncio.get_running_loop().time() - began < 60
        assert all(parts[0] == Gap(BTC, 51, 100, "history") for parts in got)

    run_in_simulated_time(run())


@given(
    after=st.integers(0, 400),
    kept=st.integers(1, 60),
    holes=st.sets(st.integers(1, 340), max_size=80),
    failures=st.integers(0, 5),
    newest_only=st.booleans(),
)
def test_whatever_the_scene_every_id_comes_or_is_declared(
    after: int, kept: int, holes: set[int], failures: int, newest_only: bool
) -> None:
    has = [trade_id for trade_id in range(1, 401) if trade_id not in holes]

    def scene(resumption: Resumption) -> None:
        resumption.history.down_for = failures
        resumption.history.newest_only = newest_only

    found = resumed(after, has, scene, kept=[trade_id for trade_id in has if trade_id > 400 - kept])
    found.check(after)
    assert set(found.ids) >= {trade_id for trade_id in has if trade_id > after}


# End to end, through `/ws/markets`

SYMBOL = "BTCUSDT"
PAIR = ("BTCUSDT", "ETHUSDT")
TUNING = Tuning(client=quick(), feed=FeedLimits(resume=ResumeLimits(patience_seconds=6.0)))


@contextlib.asynccontextmanager
async def market(trades_per_second: float = 100.0, **options: Any) -> AsyncIterator[Simulator]:
    source = SimulatedMarket(seed=7, symbols=PAIR, trades_per_second=trades_per_second, **options)
    async with running_exchange(source) as exchange:
        yield exchange


@contextlib.asynccontextmanager
async def instance(exchange: Simulator, **fields: Any) -> AsyncIterator[RunningApp]:
    settings = settings_for(exchange, simulator_enabled=False, **fields)
    async with running_app(settings, tuning=TUNING, prepare=relaxed) as app:
        yield app


def newest_id(exchange: Simulator, symbol: str = SYMBOL) -> int:
    return exchange.source.history(symbol, exchange.now_ms()).recent(1)[0].id


async def goes_on(listener: Listener, exchange: Simulator, after: int, symbol: str = SYMBOL) -> None:
    """The record begins right after `after` and has everything up to what has been traded by now."""
    newest = newest_id(exchange, symbol)
    await eventually(
        lambda: listener.ids(symbol)[-1:] and listener.ids(symbol)[-1] >= newest, 20, because="the newest"
    )
    ids = listener.ids(symbol)
    assert ids[0] == after + 1
    assert missing_ids(ids) == []
    assert listener.gaps(symbol) == []


async def kill(listener: Listener) -> int:
    """Cut a client's connection; return the last id that it got."""
    listener.client.socket.transport.abort()
    await listener.client.socket.wait_closed()
    return listener.ids(SYMBOL)[-1]


@time_is_simulated
async def test_a_client_resumes_on_the_same_server() -> None:
    async with market() as exchange, instance(exchange) as app:
        async with listening(app, *PAIR) as first:
            await first.more(SYMBOL, 50)
            last = first.ids(SYMBOL)[-1]
        async with listening(app, SYMBOL) as other:  # the stream goes on meanwhile
            await other.more(SYMBOL, 50)
            async with listening(app, SYMBOL, after={SYMBOL: last}) as second:
                await goes_on(second, exchange, last)
        snapshots = [message for _, message in second.messages if message["type"] == "snapshot"]
        assert snapshots[0]["data"][0]["id"] == last + 1


@time_is_simulated
async def test_a_client_resumes_after_a_restart_and_on_another_instance() -> None:
    async with market() as exchange:
        async with instance(exchange) as app, listening(app, SYMBOL) as first:
            await first.more(SYMBOL, 50)
            last = first.ids(SYMBOL)[-1]
        exchange.faults.burst(symbol=SYMBOL, trades=2500)
        async with instance(exchange) as app, listening(app, SYMBOL, after={SYMBOL: last}) as second:
            await goes_on(second, exchange, last)
            further = second.ids(SYMBOL)[-1]
            async with (
                instance(exchange) as other,
                listening(other, SYMBOL, after={SYMBOL: further}) as third,
            ):
                await goes_on(third, exchange, further)
            backfilled = [tick for tick in second.ticks(SYMBOL) if tick.get("backfilled")]
            assert len(backfilled) >= 2500
            sizes = [len(m["data"]) for _, m in second.messages if m["type"] == "snapshot"]
            assert len(sizes) >= 5
            assert max(sizes) == 500


@time_is_simulated
async def test_beyond_memory_and_beyond_history() -> None:
    async with (
        market(20.0, history_length=1000) as exchange,
        instance(exchange, feed_length=100) as app,
        listening(app, SYMBOL) as first,
    ):
        await first.more(SYMBOL, 10)
        last = first.ids(SYMBOL)[-1]
        exchange.faults.burst(symbol=SYMBOL, trades=700)
        await goes_on_to(first, newest_id(exchange))
        async with listening(app, SYMBOL, after={SYMBOL: last}) as second:  # memory has 100
            await goes_on(second, exchange, last)
        exchange.faults.burst(symbol=SYMBOL, trades=4000)
        await goes_on_to(first, newest_id(exchange))
        async with listening(app, SYMBOL, after={SYMBOL: last}) as third:  # REST has 1,250 at most
            await goes_on_to(third, newest_id(exchange))
        ((from_id, to_id, _),) = third.gaps(SYMBOL)
        # The page that the second one had may serve the third too; then comes what REST has lost since.
        assert missing_ids([last, *third.ids(SYMBOL)]) == [(from_id - 1, to_id + 1)]


async def goes_on_to(listener: Listener, trade_id: int) -> None:
    await eventually(lambda: (listener.ids(SYMBOL) or [0])[-1] >= trade_id, 20, because=f"id {trade_id}")


@time_is_simulated
async def test_an_offset_from_long_ago_is_declared_as_history() -> None:
    async with (
        market() as exchange,
        instance(exchange) as app,
        listening(app, SYMBOL, after={SYMBOL: 1}) as listener,
    ):
        await listener.more(SYMBOL, 10, 30)
        gaps = listener.gaps(SYMBOL)
        assert gaps[0][0] == 2
        assert gaps[0][2] == "history"
        assert gaps[-1][1] + 1 == listener.ids(SYMBOL)[0]
        assert missing_ids(listener.ids(SYMBOL)) == []


@time_is_simulated
async def test_a_client_from_the_future_is_told_and_served() -> None:
    async with market() as exchange, instance(exchange) as app:
        ahead = newest_id(exchange) + 1_000_000
        async with listening(app, SYMBOL, after={SYMBOL: ahead}) as listener:
            await listener.more(SYMBOL, 10, 30)
            ((from_id, to_id, cause),) = listener.gaps(SYMBOL)
            assert (from_id, cause) == (ahead + 1, "history")
            assert listener.ids(SYMBOL)[0] == to_id + 1
            assert missing_ids(listener.ids(SYMBOL)) == []


@time_is_simulated
async def test_a_symbol_was_listed_anew_in_between() -> None:
    async with market() as exchange, instance(exchange) as app, listening(app, SYMBOL) as stayed:
        async with listening(app, SYMBOL) as first:
            await first.more(SYMBOL, 50)
            last = await kill(first)
        exchange.faults.relist(symbol=SYMBOL, first_id=1)
        await eventually(lambda: stayed.ids(SYMBOL)[-1] < 100_000, 20)
        async with listening(app, SYMBOL, after={SYMBOL: last}) as second:
            await second.more(SYMBOL, 20, 30)
        assert second.gaps(SYMBOL)[-1][1:] == (0, "venue")
        assert second.gaps(SYMBOL)[0][0] == last + 1
        ids = second.ids(SYMBOL)
        assert ids == list(range(1, len(ids) + 1))


@time_is_simulated
async def test_rest_is_down_for_a_while() -> None:
    async with market() as exchange:
        async with instance(exchange) as app, listening(app, SYMBOL) as first:
            await first.more(SYMBOL, 20)
            last = first.ids(SYMBOL)[-1]
        async with instance(exchange) as app:
            exchange.faults.rest_down(seconds=2.0, status=503)
            async with listening(app, SYMBOL, after={SYMBOL: last}) as second:
                await goes_on(second, exchange, last)


@time_is_simulated
async def test_a_client_that_gives_up_in_the_middle_is_let_go() -> None:
    async with market() as exchange, instance(exchange) as app:
        client = await app.connect()
        exchange.faults.rest_down(status=503)
        for _ in range(5):
            await client.subscribe(SYMBOL, after={SYMBOL: newest_id(exchange) - 3000})
            await client.unsubscribe(SYMBOL)
        exchange.faults.clear()
        await eventually(
            lambda: not [task for task in asyncio.all_tasks() if task.get_name() == f"bring up {SYMBOL}"]
        )
        await eventually(lambda: exchange.subscriptions() == set())
        messages: list[str] = []
        with contextlib.suppress(TimeoutError):
            while True:
                messages.append((await client.receive(0.5))["type"])
        assert set(messages) <= {"status", "heartbeat"}
        assert await client.works()


@time_is_simulated
async def test_asking_again_for_another_offset_replaces_the_first() -> None:
    async with market() as exchange, instance(exchange) as app:
        client: MarketsClient = await app.connect()
        listener = Listener(client)
        after = newest_id(exchange) - 2000
        request = {"type": "subscribe", "exchange": "binance", "channel": "trades", "symbol": SYMBOL}
        exchange.faults.rest_down(seconds=0.5, status=503)
        await client.send(**request, after={SYMBOL: after - 500})
        await client.send(**request, after={SYMBOL: after})
        task = asyncio.create_task(listener.run(), name="listener")
        try:
            await goes_on(listener, exchange, after)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@time_is_simulated
async def test_frozen_readers_hold_up_no_other_resumption() -> None:
    async with market(history_length=50_000) as exchange, instance(exchange) as app:
        assert newest_id(exchange)
        exchange.faults.burst(symbol=SYMBOL, trades=16_000)
        after = newest_id(exchange) - 15_000
        for _ in range(4):  # and REST's weight would not do for many more of them
            small = socket.socket()
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.connect(("127.0.0.1", app.port))
            frozen = await app.connect(sock=small)
            frozen.socket.transport.pause_reading()
            await frozen.send(
                type="subscribe", exchange="binance", channel="trades", symbol=SYMBOL, after={SYMBOL: after}
            )
        hub = app.services.hub
        await eventually(
            lambda: sum(not one.mailbox.room.is_set() for one in hub.connections) == 4,
            30,
            because=f"all are stuck, {[one.mailbox.room.is_set() for one in hub.connections]}",
        )
        async with listening(app, SYMBOL, after={SYMBOL: after}) as listener:
            await goes_on(listener, exchange, after)


@pytest.mark.parametrize("kills", [50, pytest.param(1000, marks=pytest.mark.verify)])
@time_is_simulated
async def test_clients_killed_at_random_moments_have_every_id_or_a_declared_hole(kills: int) -> None:
    """Twelve clients die again and again, while the exchange and the server have their own troubles."""
    random = Random(5)
    async with market(60.0, history_length=1_000_000) as exchange, instance(exchange) as app:
        truth = SimulatedExchange(exchange, PAIR)
        url = f"ws://127.0.0.1:{app.port}/ws/markets"
        readers = [Reader(f"client {n}", url, PAIR, Random(n), dies_every_seconds=0.25) for n in range(12)]
        tasks = [asyncio.create_task(reader.run(), name=reader.name) for reader in readers]
        faults = exchange.faults
        troubles = [
            lambda: faults.drop(),
            lambda: faults.lose(count=30),
            lambda: faults.hole(symbol=SYMBOL, count=5),
            lambda: faults.rest_down(seconds=0.5, status=503),
            lambda: faults.burst(symbol=SYMBOL, trades=600),
            lambda: faults.shutdown(notice_seconds=0.2),
        ]
        try:
            async with asyncio.timeout(110):
                while sum(reader.connections for reader in readers) < kills + len(readers):
                    await asyncio.sleep(0.5)
                    random.choice(troubles)()
            faults.clear()
            newest = {symbol: truth.newest(symbol) for symbol in PAIR}
            await eventually(
                lambda: all(r.reached(symbol) >= newest[symbol] for r in readers for symbol in PAIR), 40
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        total = Verdict()
        for reader in readers:
            assert not reader.errors
            for symbol in PAIR:
                total.add(judge(reader.events[symbol], truth.numberings(symbol), newest[symbol]))
        assert total.is_clean, total
        assert total.received > 10 * kills
        assert total.declared.keys() <= {"venue"}, "all the rest could be had"
        print(f"seed 5, {kills} kills: {total}")  # noqa: T201 (shown by `make verify`)


@pytest.mark.parametrize("count", [499, 500, 501, 1000, 1001, 2001])
@time_is_simulated
async def test_seams_between_pages_and_messages(count: int) -> None:
    """A page has 1,000 trades, a message 500: what lies on an edge comes once."""
    async with market(1e-6, history_seconds=0.0) as exchange, instance(exchange) as app:
        exchange.source.history(SYMBOL, exchange.now_ms())
        exchange.faults.burst(symbol=SYMBOL, trades=3000)
        after = newest_id(exchange) - count
        async with listening(app, SYMBOL, after={SYMBOL: after}) as listener:
            await goes_on(listener, exchange, after)
            exchange.faults.burst(symbol=SYMBOL, trades=5)
            await goes_on(listener, exchange, after)
            assert len(listener.ids(SYMBOL)) == count + 5
