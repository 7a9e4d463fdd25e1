"""What resumptions share, and how long they wait, in simulated time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.errors import ExchangeUnreachable, RestError
from livemarkets.exchanges.base import (
    PAGE_TRADES,
    FetchedTrades,
    HistoryStatistics,
    Purpose,
    RateLimitStatistics,
)
from livemarkets.exchanges.governor import Governor
from livemarkets.feed.history_page import HistoryPage
from livemarkets.feed.ledger import Ledger, LedgerLimits, Released
from livemarkets.feed.resume import ResumeLimits, Resumer
from livemarkets.market.clock import Clock
from livemarkets.market.models import Gap, StreamKey, TradeTick
from livemarkets.market.stores import RecentTrades
from tests.support.simulated_time import run_in_simulated_time
from tests.support.ticks import BTC, make_tick

pytestmark = pytest.mark.long


class Exchange:
    """A history of many symbols that can be slow, behind, dead or held up by the rate limit."""

    def __init__(self, newest: int = 10_000) -> None:
        self.newest = newest
        self.lag = 0
        """So many of the newest trades are not in the history yet."""
        self.absent: set[int] = set()
        self.invalid: set[int] = set()
        self.seconds = 0.1
        self.error: Exception | None = None
        self.hangs = False
        self.limited: frozenset[Purpose] = frozenset()
        self.governor: Governor | None = None
        self.pages: list[tuple[str, int]] = []
        self.questions: list[list[str]] = []
        self.askers: set[str | None] = set()
        self.running = 0

    async def newest_ids(self, symbols: Sequence[str], **_: Any) -> dict[str, int]:
        self.questions.append(list(symbols))
        await self._answer()
        return dict.fromkeys(symbols, self.newest)

    async def trades_from(
        self, symbol: str, from_id: int, *, asker: str | None = None, **_: Any
    ) -> FetchedTrades:
        self.pages.append((symbol, from_id))
        self.askers.add(asker)
        turn = self.governor.turn(25, Purpose.RESUME, asker) if self.governor else contextlib.nullcontext()
        async with turn:
            await self._answer()
        has = [n for n in range(from_id, self.newest - self.lag + 1) if n not in self.absent][:PAGE_TRADES]
        return FetchedTrades(
            [make_tick(n, backfilled=True) for n in has if n not in self.invalid],
            has[-1] if has else from_id - 1,
            has[-1] if has else None,
            reaches_newest=len(has) < PAGE_TRADES,
            invalid_ids=frozenset(self.invalid.intersection(has)),
        )

    async def _answer(self) -> None:
        self.running += 1
        try:
            await asyncio.sleep(10_000 if self.hangs else self.seconds)
        finally:
            self.running -= 1
        if self.error is not None:
            raise self.error

    def statistics(self) -> HistoryStatistics:
        limit = RateLimitStatistics(
            used=0, usable=0, counted=None, waiting={}, limited=self.limited, pause_seconds=0.0
        )
        return HistoryStatistics(calls=0, failures=0, rate_limit=limit)


class Readers:
    """Readers that resume, and what each got."""

    def __init__(self, exchange: Exchange, **limits: Any) -> None:
        self.exchange = exchange
        self.trades = RecentTrades(1000)
        self.ledgers: dict[StreamKey, Ledger] = {}
        self.now = asyncio.get_running_loop().time
        self.resumer = Resumer(
            exchange, self.trades, self.ledgers, limits=ResumeLimits(**limits), clock=self.now
        )

    def stream(self, symbol: str = "BTCUSDT", *, live: Sequence[int] = ()) -> StreamKey:
        key = StreamKey.trades("binance", symbol)
        if key not in self.ledgers:
            self.ledgers[key] = Ledger(key, LedgerLimits())
        for trade_id in live:
            for item in self.ledgers[key].accept(make_tick(trade_id), 0.0).released:
                assert isinstance(item, TradeTick)
                self.trades.append(key, item)
        return key

    async def resume(self, key: StreamKey, after: int, asker: str | None = None) -> list[Released]:
        got: list[Released] = []
        async for part in self.resumer.resume(key, after, asker):
            got += part.items
        return got


def ids(got: Sequence[Released]) -> list[int]:
    return [item.id for item in got if isinstance(item, TradeTick)]


def gaps(got: Sequence[Released]) -> list[tuple[int, int, str]]:
    return [(item.from_id, item.to_id, item.cause) for item in got if isinstance(item, Gap)]


@pytest.mark.long
def test_a_crowd_after_a_restart_asks_everything_once() -> None:
    """REVIEW B2: 800 readers of one symbol asked 745 times for the newest id, and all were told of losses."""

    async def main() -> None:
        readers = Readers(Exchange())
        symbols = [f"A{number}USDT" for number in range(20)]
        random = Random(1)

        async def one(number: int) -> None:
            await asyncio.sleep(random.random())
            for symbol in symbols:
                after = 5_000 + random.randrange(300)
                got = await readers.resume(readers.stream(symbol), after, f"address {number}")
                assert ids(got) == list(range(after + 1, 10_001))

        await asyncio.gather(*map(one, range(50)))
        exchange = readers.exchange
        assert set(Counter(exchange.pages).values()) == {1}
        assert len(exchange.pages) == 20 * 6
        assert len(exchange.questions) < 60
        assert None not in exchange.askers

    run_in_simulated_time(main())


@pytest.mark.parametrize("after", [9_099, 9_100, 9_900, 9_998, 9_999, 8_990, 8_991, 8_992])
def test_readers_at_the_ends_of_pages_share_them_too(after: int) -> None:
    async def main() -> None:
        readers = Readers(Exchange())
        key = readers.stream()
        await asyncio.gather(*(readers.resume(key, after) for _ in range(20)))
        assert set(Counter(readers.exchange.pages).values()) == {1}
        assert len(readers.exchange.pages) <= 3

    run_in_simulated_time(main())


@pytest.mark.parametrize("after", [9_000, 9_001, 9_050, 9_099, 9_100])
def test_what_one_page_can_have_costs_one_page(after: int) -> None:
    """A client that resumed 50 symbols, 1,000 trades behind each, used up its share of REST by 100 pages."""

    async def main() -> None:
        readers = Readers(Exchange())
        got = await readers.resume(readers.stream(), after)
        assert ids(got) == list(range(after + 1, 10_001))
        assert len(readers.exchange.pages) == 1

    run_in_simulated_time(main())


def test_the_newest_ids_of_all_symbols_are_asked_for_by_one_call() -> None:
    async def main() -> None:
        readers = Readers(Exchange())
        keys = [readers.stream(f"A{number}USDT") for number in range(200)]
        await asyncio.gather(*(readers.resume(key, 9_980) for key in keys))
        assert list(map(len, readers.exchange.questions)) == [200]

    run_in_simulated_time(main())


def test_a_reader_that_has_everything_costs_no_page() -> None:
    async def main() -> None:
        readers = Readers(Exchange())
        assert await readers.resume(readers.stream(), 10_000) == []
        assert readers.exchange.pages == []

    run_in_simulated_time(main())


def test_an_id_is_absent_only_after_two_answers() -> None:
    async def main() -> None:
        exchange = Exchange()
        exchange.absent = {9_500, 9_501, 9_700}
        readers = Readers(exchange)
        asyncio.get_running_loop().call_later(1.5, exchange.absent.discard, 9_700)
        got = await readers.resume(readers.stream(), 9_400)
        assert gaps(got) == [(9_500, 9_501, "venue")]
        assert 9_700 in ids(got), "a replica of the database lacked it for a moment"
        assert len(exchange.pages) == 2

    run_in_simulated_time(main())


def test_readers_who_never_stay_for_the_second_answer_get_the_page_all_the_same() -> None:
    """The first answer is kept, so that the next reader waits only for the rest of the time."""

    async def main() -> None:
        exchange = Exchange()
        exchange.absent = {9_500}
        readers = Readers(exchange)
        key = readers.stream(live=[10_000])
        got: list[Released] = []
        for _ in range(6):
            try:
                async with asyncio.timeout(0.6):
                    got = await readers.resume(key, 9_400)
            except TimeoutError:
                await asyncio.sleep(0.2)
        assert [item for item in got if isinstance(item, Gap)] == [Gap(key, 9_500, 9_500, "venue")]
        assert len(exchange.pages) == 2

    run_in_simulated_time(main())


def test_invalid_trades_and_trades_that_are_no_longer_served_have_causes_of_their_own() -> None:
    async def main() -> None:
        exchange = Exchange()
        exchange.invalid = {9_600, 9_601, 9_603}
        exchange.absent = set(range(1, 9_550))
        readers = Readers(exchange)
        got = await readers.resume(readers.stream(), 9_400)
        assert gaps(got) == [
            (9_401, 9_549, "history"),
            (9_600, 9_601, "invalid"),
            (9_603, 9_603, "invalid"),
        ]
        assert ids(got)[-1] == 10_000

    run_in_simulated_time(main())


DEAD: dict[str, dict[str, Any]] = {
    "refuses": {"error": ExchangeUnreachable("connection refused"), "seconds": 0.0},
    "fails slowly": {"error": ExchangeUnreachable("timeout"), "seconds": 10.0},
    "says nothing": {"hangs": True},
    "is banned": {"error": ExchangeUnreachable("banned", 3600.0), "seconds": 0.0},
    "is behind a firewall": {"error": RestError(403, None, "no"), "seconds": 0.0},
}


@pytest.mark.parametrize("kind", DEAD)
def test_a_dead_rest_stops_no_live_trade_for_longer_than_the_patience(kind: str) -> None:
    """REVIEW B3: 164 of 200 symbols were silent after two minutes."""

    async def main() -> None:
        exchange = Exchange()
        for name, value in DEAD[kind].items():
            setattr(exchange, name, value)
        readers = Readers(exchange)
        keys = [readers.stream(f"A{number}USDT", live=range(9_991, 10_001)) for number in range(200)]
        began = readers.now()
        for got in await asyncio.gather(*(readers.resume(key, 9_000) for key in keys)):
            assert gaps(got) == [(9_001, 9_990, "history")]
            assert ids(got) == list(range(9_991, 10_001))
        assert 15.0 <= readers.now() - began <= 18.0
        assert exchange.running == 0
        assert len(exchange.pages) + len(exchange.questions) < 3_000

    run_in_simulated_time(main())


def test_ten_minutes_of_a_dead_rest_cost_few_calls_however_many_resume() -> None:
    async def main() -> None:
        exchange = Exchange()
        exchange.error, exchange.seconds = ExchangeUnreachable("connection refused"), 0.0
        readers = Readers(exchange)
        keys = [readers.stream(f"A{number}USDT") for number in range(50)]
        tasks = [asyncio.create_task(readers.resume(key, 9_000)) for key in keys]
        await asyncio.sleep(600)
        assert not any(task.done() for task in tasks), "nobody knows where these streams are"
        assert len(exchange.pages) + len(exchange.questions) < 600
        exchange.error = None
        for got in await asyncio.gather(*tasks):
            assert ids(got) == list(range(9_001, 10_001))

    run_in_simulated_time(main())


class Failing(Exchange):
    """An exchange that cannot be reached, and knows which of its errors are still in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[weakref.ref[Exception]] = []

    async def _answer(self) -> None:
        error = ExchangeUnreachable("connection refused")
        self.errors.append(weakref.ref(error))
        raise error


def test_nothing_stays_of_calls_that_failed() -> None:
    """REVIEW B10: the last error of every symbol was kept for ever, with the frames that it had passed."""

    async def main() -> None:
        exchange = Failing()
        readers = Readers(exchange)
        keys = [readers.stream(f"A{number}USDT", live=[10_000]) for number in range(20)]
        tasks = [asyncio.create_task(readers.resume(key, 9_000)) for key in keys]
        await asyncio.sleep(10)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(exchange.errors) > 3
        gc.collect()
        assert [error() for error in exchange.errors if error() is not None] == []

    run_in_simulated_time(main())


def test_rest_that_is_behind_the_stream_is_waited_for() -> None:
    async def main() -> None:
        exchange = Exchange()
        exchange.lag = 500
        readers = Readers(exchange)
        asyncio.get_running_loop().call_later(30.0, setattr, exchange, "lag", 0)
        got = await readers.resume(readers.stream(live=range(9_991, 10_001)), 9_000)
        assert ids(got) == list(range(9_001, 10_001))
        assert len(exchange.pages) < 40

    run_in_simulated_time(main())


@pytest.mark.parametrize(("is_limited", "seconds"), [(True, 120), (False, 15)])
def test_waiting_for_the_rate_limit_is_no_failure_of_rest(is_limited: bool, seconds: int) -> None:
    async def main() -> None:
        exchange = Exchange()
        exchange.hangs = True
        exchange.limited = frozenset({Purpose.RESUME} if is_limited else ())
        readers = Readers(exchange)
        began = readers.now()
        got = await readers.resume(readers.stream(live=range(9_991, 10_001)), 9_000)
        assert gaps(got) == [(9_001, 9_990, "history")]
        assert readers.now() - began == pytest.approx(seconds, abs=2)
        assert len(exchange.pages) <= 1, "it does not give up its place"

    run_in_simulated_time(main())


def test_the_call_that_goes_when_the_rate_limit_allows_it_again_is_waited_for() -> None:
    """For a moment nothing is held up any more, and nothing has been answered for long."""

    async def main() -> None:
        exchange = Exchange()
        exchange.seconds = 30.5  # of which the call waits 30 s for its turn
        exchange.limited = frozenset({Purpose.RESUME})
        loop = asyncio.get_running_loop()
        loop.call_later(30.0, setattr, exchange, "limited", frozenset())
        loop.call_later(30.2, setattr, exchange, "seconds", 0.1)
        readers = Readers(exchange)
        got = await readers.resume(readers.stream(live=range(9_991, 10_001)), 9_000)
        assert gaps(got) == []
        assert ids(got) == list(range(9_001, 10_001))

    run_in_simulated_time(main())


def test_a_reader_that_used_up_its_share_holds_up_nobody_else() -> None:
    """The call that was never made for it is no failure of the exchange."""

    async def main() -> None:
        exchange = Exchange()
        readers = Readers(exchange)
        loop = asyncio.get_running_loop()
        waits = dict.fromkeys(Purpose, 6.0)
        governor = Governor(Clock(loop.time, lambda: int(loop.time() * 1000)), wait_seconds=waits)
        exchange.governor = governor
        greedy = [
            asyncio.create_task(readers.resume(readers.stream(f"G{n}USDT", live=[10_001]), 9_000, "greedy"))
            for n in range(300)
        ]
        await asyncio.sleep(10)
        assert exchange.running == 0, "the greedy one has used up its share"
        began = readers.now()
        got = await readers.resume(readers.stream(live=[10_001]), 9_000, "another")
        assert ids(got) == list(range(9_001, 10_002))
        assert readers.now() - began < 1
        for task in greedy:
            task.cancel()

    run_in_simulated_time(main())


def test_nothing_is_asked_for_readers_who_have_left() -> None:
    async def main() -> None:
        exchange = Exchange()
        exchange.hangs = True
        readers = Readers(exchange)
        key = readers.stream(live=[10_000])
        tasks = [asyncio.create_task(readers.resume(key, 9_000)) for _ in range(3)]
        await asyncio.sleep(1)
        assert exchange.running == 1
        tasks.pop().cancel()
        await asyncio.sleep(1)
        assert exchange.running == 1, "two others wait for it"
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0.01)
        assert exchange.running == 0
        exchange.hangs = False
        assert ids(await readers.resume(key, 9_000)) == list(range(9_001, 10_001))

    run_in_simulated_time(main())


@given(
    after=st.integers(0, 3_000),
    newest=st.integers(1, 4_000),
    kept=st.integers(0, 30),
    absent=st.sets(st.integers(1, 4_000), max_size=5),
    invalid=st.sets(st.integers(1, 4_000), max_size=5),
    others=st.lists(st.integers(0, 3_000), max_size=3),
)
def test_every_id_comes_once_or_is_declared(
    after: int, newest: int, kept: int, absent: set[int], invalid: set[int], others: list[int]
) -> None:
    async def main() -> None:
        exchange = Exchange(newest)
        exchange.absent, exchange.invalid = absent - {newest}, invalid - {newest} - absent
        readers = Readers(exchange)
        live = range(max(1, newest - kept + 1), newest + 1)
        exchange.absent -= set(live)
        exchange.invalid -= set(live)
        key = readers.stream(live=live)
        async with asyncio.timeout(60):
            (got, *_) = await asyncio.gather(*(readers.resume(key, one) for one in [after, *others]))
        expected = after + 1
        for item in got:
            first, last = (item.from_id, item.to_id) if isinstance(item, Gap) else (item.id, item.id)
            assert first == expected
            expected = last + 1
            if isinstance(item, Gap) and item.cause == "venue":
                assert set(range(first, last + 1)) <= exchange.absent
            if isinstance(item, Gap) and item.cause == "invalid":
                assert set(range(first, last + 1)) <= exchange.invalid
        assert expected == newest + 1
        assert set(ids(got)) >= {
            one for one in range(after + 1, newest + 1) if one not in exchange.absent | exchange.invalid
        }

    run_in_simulated_time(main())


@pytest.mark.long
def test_pages_that_are_kept_are_bounded_and_dropped_when_nobody_resumes() -> None:
    async def main() -> None:
        exchange = Exchange(25_000)
        readers = Readers(exchange)
        for number in range(20):
            await readers.resume(readers.stream(f"A{number}USDT"), 5_000)
        shared = readers.resumer._shared
        assert 200_000 < shared._trades_kept <= 250_000
        await asyncio.sleep(6)
        assert shared._trades_kept == 0
        assert not shared._pages
        assert not shared._questions

    run_in_simulated_time(main())


def test_a_part_of_a_page_is_made_once_for_all_who_read_it_whole() -> None:
    page = HistoryPage(1, FetchedTrades([make_tick(n) for n in range(1, 11)], 10, 10), 0.0)
    part, reached = page.part_from(BTC, 1, None)
    assert reached == 11
    assert page.part_from(BTC, 1, 50)[0] is part
    assert page.part_from(BTC, 1, 5) != (part, reached)
    assert ids(page.part_from(BTC, 4, 8)[0].items) == [4, 5, 6, 7]
