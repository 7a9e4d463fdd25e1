"""Mute streams are noticed and quiet ones left alone: in simulated time, and at a real exchange."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import pytest

from livemarkets.app import Tuning
from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.base import Evidence, StreamState
from livemarkets.exchanges.binance.suspicion import Remedy, Suspicions
from livemarkets.feed.exchange_feed import FeedLimits
from livemarkets.feed.ledger import Ledger, LedgerLimits, Outcome
from livemarkets.feed.silence import SilenceDetector, SilenceLimits
from livemarkets.feed.staleness import StalenessLimits, StalenessMonitor
from livemarkets.market.models import StreamKey
from livemarkets.simulator import SimulatedMarket, Simulator
from tests.support.app import RunningApp, running_app, running_exchange, settings_for
from tests.support.helpers import eventually
from tests.support.listener import Listener, listening
from tests.support.markets_client import missing_ids
from tests.support.recordings import BITCOIN_AND_ETHER, recording
from tests.support.simulated_time import run_in_simulated_time, time_is_simulated
from tests.support.ticks import make_tick
from tests.support.upstream import quick

pytestmark = pytest.mark.long


HALF_AN_HOUR = 1800.0
NOTICED_SECONDS = 3.0
"""What is promised for BTCUSDT at its usual rhythm."""


def trades_of(symbol: str) -> StreamKey:
    return StreamKey.trades("binance", symbol)


class Exchange:
    """A made-up exchange that is the watcher's upstream and its second opinion, and writes down the calls."""

    def __init__(self) -> None:
        self.clock = asyncio.get_running_loop().time
        self.newest: dict[str, int | None] = {}
        self.muted: set[str] = set()
        self.incurable: set[str] = set()
        """Muted streams that subscribing again does not cure."""
        self.unacknowledged: set[str] = set()
        self.began: dict[str, float] = {}  # when streams were acknowledged, if not from the start
        self.is_rest_down = False
        self.answer_seconds = 0.01
        self.asking = self.asked_at_once = 0
        self.asked: list[tuple[float, str]] = []
        self.halted: set[str] = set()
        """Symbols that the exchange lists, but does not trade at present."""
        self.done: list[tuple[float, str, str]] = []
        """When, `resubscribe` or `rotate`, and which symbol."""
        self.tended: list[str] = []
        self.calls: list[tuple[float, int]] = []
        """When newest ids were asked for, and for how many symbols."""
        self.changes: list[tuple[float, list[str]]] = []
        """When the set of mute streams changed, and to what."""
        self.watcher = StalenessMonitor(
            self,
            self,
            self._take,
            lambda: self.changes.append((self.clock(), [key.symbol for key in self.watcher.mute])),
            lambda key: key.symbol not in self.halted,
            limits=StalenessLimits(),
            clock=self.clock,
        )
        self._streams: dict[str, tuple[Ledger, SilenceDetector]] = {}
        self._suspicions = Suspicions(self.watcher.silence_of, resubscribe_seconds=20.0)
        self._tasks: list[asyncio.Task[None]] = []

    # ExchangeClient

    def state_of(self, key: StreamKey) -> StreamState:
        return StreamState.PENDING if key.symbol in self.unacknowledged else StreamState.ACKNOWLEDGED

    def acknowledged_at(self, key: StreamKey) -> float | None:
        return None if key.symbol in self.unacknowledged else self.began.get(key.symbol, 0.0)

    def suspect(self, key: StreamKey, evidence: Evidence) -> None:
        """Do what a client of one connection does."""
        others = [other for other in map(trades_of, self._streams) if other != key]
        remedy = self._suspicions.judge(key, evidence, others, self.clock())
        if remedy is Remedy.NOTHING:
            return
        self.done.append((self.clock(), remedy.value, key.symbol))
        if remedy is Remedy.ROTATE:
            self.muted.clear()
        elif key.symbol not in self.incurable:
            self.muted.discard(key.symbol)

    # TradeHistory

    async def newest_ids(self, symbols: Sequence[str]) -> dict[str, int]:
        assert len(symbols) == len(set(symbols)) > 0
        self.asked += [(self.clock(), symbol) for symbol in symbols]
        self.calls.append((self.clock(), len(symbols)))
        self.asking += 1
        self.asked_at_once = max(self.asked_at_once, self.asking)
        await asyncio.sleep(self.answer_seconds)
        self.asking -= 1
        if self.is_rest_down:
            raise ExchangeUnreachable("REST is down")
        return {s: newest for s in symbols if (newest := self.newest[s]) is not None}

    # ExchangeFeed

    def _take(self, ledger: Ledger, outcome: Outcome) -> None:
        self.tended.append(ledger.key.symbol)

    # what tests do

    def ledger(self, symbol: str) -> Ledger:
        return self._streams[symbol][0]

    def reconnect(self, *lost: str) -> None:
        """The connection is lost for a moment, and with it the next trade of these symbols."""
        self.unacknowledged |= set(self.newest)
        for symbol in lost:
            self.newest[symbol] = (self.newest[symbol] or 0) + 1

    def acknowledge(self, *symbols: str) -> None:
        acknowledged = self.unacknowledged & set(symbols or self.newest)
        self.unacknowledged -= acknowledged
        self.began |= dict.fromkeys(acknowledged, self.clock())
        if not self.unacknowledged:
            self.watcher.note_status(is_live=True)

    @property
    def verbs(self) -> list[str]:
        return [verb for _, verb, _ in self.done]

    def questions(self, symbol: str) -> int:
        return sum(asked == symbol for _, asked in self.asked)

    def watch(self, symbol: str, *, every_seconds: float | None = None, newest: int | None = 100) -> None:
        """Watch a stream that trades so often, or never."""
        self.newest[symbol] = newest
        ledger = Ledger(trades_of(symbol), LedgerLimits())
        self._streams[symbol] = (ledger, self.watcher.add(ledger))
        if every_seconds is not None:
            self.begin(self._trade_for_ever(symbol, every_seconds))

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    def trade(self, symbol: str) -> None:
        """A trade happens; it arrives unless the stream is muted."""
        self.newest[symbol] = newest = (self.newest[symbol] or 0) + 1
        if symbol not in self.muted:
            ledger, silence = self._streams[symbol]
            silence.last_at = self.clock()
            silence.arrivals += 1
            ledger.accept(make_tick(newest, symbol=symbol), self.clock())

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            assert isinstance(outcome, asyncio.CancelledError | None), outcome

    async def _trade_for_ever(self, symbol: str, every_seconds: float) -> None:
        while True:
            await asyncio.sleep(every_seconds)
            self.trade(symbol)


def in_simulated_time(play: Callable[[Exchange], Coroutine[Any, Any, None]]) -> Exchange:
    """Run a play with a venue and its watcher; return the venue with what it wrote down."""

    async def run() -> Exchange:
        venue = Exchange()
        venue.begin(venue.watcher.run())
        await play(venue)
        await venue.aclose()
        return venue

    return run_in_simulated_time(run())


def test_an_illiquid_symbol_may_be_silent_for_half_an_hour() -> None:
    """No reconnect, no new subscription, and only a handful of questions."""

    async def play(venue: Exchange) -> None:
        venue.watch("BTCUSDT", every_seconds=0.1)
        venue.watch("RAREBTC")
        for _ in range(20):
            await asyncio.sleep(40)
            venue.trade("RAREBTC")
        venue.asked.clear()
        await asyncio.sleep(HALF_AN_HOUR)

    venue = in_simulated_time(play)
    assert venue.done == []
    assert venue.changes == []
    assert 3 <= venue.questions("RAREBTC") <= 10
    assert venue.questions("BTCUSDT") == 0


@pytest.mark.parametrize("newest", [None, 100])
def test_a_symbol_that_never_traded_may_be_silent_too(newest: int | None) -> None:
    async def play(venue: Exchange) -> None:
        venue.watch("RAREBTC", newest=newest)
        await asyncio.sleep(HALF_AN_HOUR)

    venue = in_simulated_time(play)
    assert not venue.done
    assert not venue.changes
    assert venue.questions("RAREBTC") <= 10


def test_a_halted_symbol_is_not_asked_about() -> None:
    """FIELD-2, experiment 7: nor after a reconnect, nor does it cost the connection."""

    async def play(venue: Exchange) -> None:
        venue.watch("BTCUSDT", every_seconds=0.1)
        venue.watch("HALTUSDT")
        for _ in range(60):
            await asyncio.sleep(1)
            venue.trade("HALTUSDT")
        venue.halted.add("HALTUSDT")
        await asyncio.sleep(HALF_AN_HOUR)
        venue.reconnect()
        await asyncio.sleep(1)
        venue.acknowledge()
        await asyncio.sleep(HALF_AN_HOUR)
        assert venue.questions("HALTUSDT") == 0
        venue.halted.clear()
        await asyncio.sleep(HALF_AN_HOUR)

    venue = in_simulated_time(play)
    assert venue.questions("HALTUSDT") > 0, "its silence means something again"
    assert venue.done == []
    assert venue.changes == []


def test_a_whole_exchange_may_be_silent() -> None:
    """Trading halted: what was lively a moment ago is asked about, and believed."""

    async def play(venue: Exchange) -> None:
        for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
            venue.watch(symbol)
        for _ in range(600):
            await asyncio.sleep(0.1)
            for symbol in venue.newest:
                venue.trade(symbol)
        await asyncio.sleep(HALF_AN_HOUR)

    venue = in_simulated_time(play)
    assert not venue.done
    assert not venue.changes
    assert len(venue.asked) <= 3 * 16


def test_a_mute_stream_is_noticed_and_subscribed_again() -> None:
    began = 0.0

    async def play(venue: Exchange) -> None:
        nonlocal began
        venue.watch("BTCUSDT", every_seconds=0.1)
        venue.watch("ETHUSDT", every_seconds=0.1)
        await asyncio.sleep(60)
        began = venue.clock()
        venue.muted.add("BTCUSDT")
        await asyncio.sleep(60)

    venue = in_simulated_time(play)
    ((acted_at, verb, symbol),) = venue.done
    assert (verb, symbol) == ("resubscribe", "BTCUSDT")
    (noticed_at, mute), (healed_at, none) = venue.changes
    assert (mute, none) == (["BTCUSDT"], [])
    assert noticed_at == acted_at <= began + NOTICED_SECONDS
    assert healed_at <= noticed_at + 0.5
    assert venue.tended == ["BTCUSDT"]


def test_what_subscribing_again_does_not_cure_costs_the_connection() -> None:
    async def play(venue: Exchange) -> None:
        venue.watch("BTCUSDT", every_seconds=0.1)
        venue.watch("ETHUSDT", every_seconds=0.1)
        await asyncio.sleep(60)
        venue.incurable.add("BTCUSDT")
        venue.muted.add("BTCUSDT")
        await asyncio.sleep(60)

    venue = in_simulated_time(play)
    assert venue.verbs == ["resubscribe", "rotate"]
    assert venue.done[1][0] - venue.done[0][0] <= NOTICED_SECONDS
    assert [mute for _, mute in venue.changes] == [["BTCUSDT"], []], "it stays stale meanwhile"


def test_a_connection_all_of_whose_streams_are_mute_is_replaced() -> None:
    async def play(venue: Exchange) -> None:
        for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
            venue.watch(symbol, every_seconds=0.1)
        await asyncio.sleep(60)
        venue.muted |= set(venue.newest)
        await asyncio.sleep(60)

    venue = in_simulated_time(play)
    assert set(venue.verbs) == {"rotate"}
    assert venue.watcher.mute == []


def test_without_a_second_opinion_silent_neighbours_convict_the_connection() -> None:
    async def play(venue: Exchange) -> None:
        for symbol, every_seconds in (("BTCUSDT", 0.1), ("ETHUSDT", 0.7), ("SOLUSDT", 1.3)):
            venue.watch(symbol, every_seconds=every_seconds)
        venue.watch("RAREBTC")  # its silence says nothing
        await asyncio.sleep(120)
        venue.is_rest_down = True
        venue.muted |= {"BTCUSDT", "ETHUSDT", "SOLUSDT"}
        await asyncio.sleep(30)

    venue = in_simulated_time(play)
    assert venue.verbs == ["rotate"]


def test_without_a_second_opinion_one_silent_stream_is_no_proof() -> None:
    async def play(venue: Exchange) -> None:
        venue.watch("BTCUSDT", every_seconds=0.1)
        venue.watch("ETHUSDT", every_seconds=0.1)
        await asyncio.sleep(60)
        venue.is_rest_down = True
        venue.muted.add("BTCUSDT")
        await asyncio.sleep(20)
        assert not venue.done
        assert not venue.changes
        venue.is_rest_down = False
        await asyncio.sleep(40)

    venue = in_simulated_time(play)
    assert venue.verbs == ["resubscribe"], "asked again as soon as somebody can answer"
    assert [mute for _, mute in venue.changes] == [["BTCUSDT"], []]


def test_a_trade_that_is_on_its_way_is_no_alarm() -> None:
    """REST was faster than the stream, by less than the grace."""

    async def play(venue: Exchange) -> None:
        venue.watch("BTCUSDT", every_seconds=0.1)
        venue.watch("SLOWBTC")
        venue.trade("SLOWBTC")
        await eventually(lambda: venue.questions("SLOWBTC"), 60, interval_seconds=0.001)
        venue.newest["SLOWBTC"] = 102
        await asyncio.sleep(0.2)
        venue.newest["SLOWBTC"] = 101
        venue.trade("SLOWBTC")
        await asyncio.sleep(10)

    venue = in_simulated_time(play)
    assert not venue.done
    assert not venue.changes


def test_a_stream_that_is_mute_from_the_beginning_is_noticed() -> None:
    """There is no trade to compare with, but the exchange's newest id must not rise."""

    async def play(venue: Exchange) -> None:
        venue.muted.add("BTCUSDT")
        venue.watch("BTCUSDT", every_seconds=0.1)
        await asyncio.sleep(120)

    venue = in_simulated_time(play)
    assert venue.verbs == ["resubscribe"]
    assert venue.watcher.mute == []


def test_a_stream_that_is_not_subscribed_is_nobodys_concern() -> None:
    async def play(venue: Exchange) -> None:
        venue.watch("BTCUSDT", every_seconds=0.1)
        await asyncio.sleep(60)
        venue.unacknowledged.add("BTCUSDT")
        venue.muted.add("BTCUSDT")
        await asyncio.sleep(600)
        assert venue.asked == []
        venue.unacknowledged.clear()
        venue.muted.clear()
        await asyncio.sleep(10)

    venue = in_simulated_time(play)
    assert len(venue.asked) <= 1, "after its return; its silence counts from there"


def test_a_stream_that_is_let_go_is_no_longer_mute() -> None:
    async def play(venue: Exchange) -> None:
        venue.watch("BTCUSDT", every_seconds=0.1)
        await asyncio.sleep(60)
        venue.incurable.add("BTCUSDT")
        venue.muted.add("BTCUSDT")
        await eventually(lambda: venue.watcher.mute, 60)
        venue.watcher.discard(trades_of("BTCUSDT"))
        await asyncio.sleep(10)

    venue = in_simulated_time(play)
    assert [mute for _, mute in venue.changes] == [["BTCUSDT"], []]
    assert len(venue.done) == 1


def test_a_stream_that_is_let_go_while_it_is_asked_about_is_left_alone() -> None:
    async def play(venue: Exchange) -> None:
        venue.watch("BTCUSDT", every_seconds=0.1)
        await asyncio.sleep(60)
        venue.muted.add("BTCUSDT")
        await eventually(lambda: venue.asked, 60, interval_seconds=0.001)
        venue.watcher.discard(trades_of("BTCUSDT"))
        await asyncio.sleep(10)

    venue = in_simulated_time(play)
    assert not venue.done
    assert not venue.changes
    assert not venue.tended


def test_a_stream_that_is_let_go_before_the_question_is_sent_costs_nobody_the_answer() -> None:
    """The question is a task of its own: a stream may be gone when the task begins."""

    async def play(venue: Exchange) -> None:
        for symbol in ("BTCUSDT", "ETHUSDT"):
            venue.watch(symbol, every_seconds=0.1)
        to_ask = venue.watcher.to_ask

        def to_ask_and_let_go(now: float) -> list[StreamKey]:
            keys = to_ask(now)
            if keys:
                asyncio.get_running_loop().call_soon(venue.watcher.discard, trades_of("BTCUSDT"))
            return keys

        venue.watcher.to_ask = to_ask_and_let_go  # type: ignore[method-assign]
        await asyncio.sleep(60)
        venue.muted |= {"BTCUSDT", "ETHUSDT"}
        await eventually(lambda: "ETHUSDT" in [key.symbol for key in venue.watcher.mute], 60)

    venue = in_simulated_time(play)
    assert venue.changes[-1][1] == ["ETHUSDT"]


def test_many_silent_streams_are_asked_about_together() -> None:
    """It was one call of weight 4 each: 1,000 of them used up the minute (REVIEW B11)."""
    symbols = [f"RARE{number}BTC" for number in range(1000)]

    async def play(venue: Exchange) -> None:
        venue.answer_seconds = 0.5
        for symbol in symbols:
            venue.watch(symbol)
            await asyncio.sleep(0.01)
        await asyncio.sleep(180)

    venue = in_simulated_time(play)
    assert venue.asked_at_once == 1
    assert {symbol for _, symbol in venue.asked} == set(symbols)
    assert not venue.done
    for minute in range(4):
        calls = [count for at, count in venue.calls if minute * 60 <= at - 1000 < minute * 60 + 60]
        # rest-api.md, "24hr ticker": weight 2 for up to 20 symbols, 40 up to 100, else 80
        assert sum(2 if count <= 20 else 40 if count <= 100 else 80 for count in calls) <= 600


def test_after_a_reconnect_one_question_finds_what_was_missed() -> None:
    """Also for streams that say nothing more (REVIEW B12). Those with the oldest last trade come first."""
    symbols = [f"S{number}USDT" for number in range(200)]
    missed = symbols[60:120]
    began = 0.0

    async def play(venue: Exchange) -> None:
        nonlocal began
        for symbol in reversed(symbols):
            venue.watch(symbol)
        await asyncio.sleep(1)
        for symbol in reversed(symbols):
            venue.trade(symbol)
        await asyncio.sleep(10)
        for symbol in missed[::-1]:
            venue.trade(symbol)
        await asyncio.sleep(10)
        venue.reconnect(*missed)
        await asyncio.sleep(5)
        venue.acknowledge(*symbols[:100])
        began = venue.clock()
        await asyncio.sleep(0.3)
        venue.acknowledge()
        await asyncio.sleep(2)
        assert all(venue.ledger(symbol).missing() == (103, 103) for symbol in missed)

    venue = in_simulated_time(play)
    assert [count for _, count in venue.calls] == [200]
    assert venue.calls[0][0] - began < 0.5
    assert len(venue.tended) == len(set(venue.tended)) == len(missed)
    assert set(venue.tended) == set(missed)
    assert not venue.done, "they were interrupted, not mute"
    assert not venue.changes


def test_what_is_missing_longest_is_fetched_first() -> None:
    async def play(venue: Exchange) -> None:
        for number, symbol in enumerate(("CUSDT", "AUSDT", "BUSDT")):
            venue.watch(symbol, newest=300 - 100 * number)  # the time of a trade rises with its id here
            venue.trade(symbol)
        await asyncio.sleep(1)
        venue.reconnect("AUSDT", "BUSDT", "CUSDT")
        await asyncio.sleep(1)
        venue.acknowledge()
        await asyncio.sleep(2)

    assert in_simulated_time(play).tended == ["BUSDT", "AUSDT", "CUSDT"]


def test_a_symbol_that_is_refused_does_not_hold_up_the_question_of_others() -> None:
    async def play(venue: Exchange) -> None:
        for symbol in ("BTCUSDT", "NOSUCH"):
            venue.watch(symbol)
        venue.trade("BTCUSDT")
        venue.reconnect("BTCUSDT")
        await asyncio.sleep(1)
        venue.acknowledge("BTCUSDT")
        await asyncio.sleep(1.5)

    assert in_simulated_time(play).tended == ["BTCUSDT"]


def test_a_subscription_that_began_without_a_pause_is_asked_about() -> None:
    """One connection took over from another that may have been dead."""

    async def play(venue: Exchange) -> None:
        venue.watch("BTCUSDT")
        await asyncio.sleep(1)
        venue.trade("BTCUSDT")
        await asyncio.sleep(1)
        venue.newest["BTCUSDT"] = 102
        venue.began["BTCUSDT"] = venue.clock()
        await asyncio.sleep(3)

    assert in_simulated_time(play).tended == ["BTCUSDT"]


def test_what_traded_on_the_new_connection_before_it_took_over_is_not_asked_about() -> None:
    async def play(venue: Exchange) -> None:
        venue.watch("BTCUSDT")
        await asyncio.sleep(1)
        venue.trade("BTCUSDT")
        acknowledged_at = venue.clock()
        await asyncio.sleep(1)
        venue.trade("BTCUSDT")
        await asyncio.sleep(1)
        venue.began["BTCUSDT"] = acknowledged_at
        await asyncio.sleep(3)

    assert in_simulated_time(play).asked == []


def test_who_trades_again_need_not_be_asked_about() -> None:
    async def play(venue: Exchange) -> None:
        for symbol in ("BTCUSDT", "ETHUSDT"):
            venue.watch(symbol)
        venue.watch("NEWUSDT")  # it has no trade that could be missed
        await asyncio.sleep(1)
        for symbol in ("BTCUSDT", "ETHUSDT"):
            venue.trade(symbol)
        await asyncio.sleep(1)
        venue.reconnect()
        await asyncio.sleep(1)
        venue.acknowledge("BTCUSDT", "NEWUSDT")
        await asyncio.sleep(0.3)
        venue.trade("BTCUSDT")
        await asyncio.sleep(0.3)
        venue.acknowledge()
        await asyncio.sleep(2)

    assert [symbol for _, symbol in in_simulated_time(play).asked] == ["ETHUSDT"]


def test_a_question_without_an_answer_is_asked_again() -> None:
    async def play(venue: Exchange) -> None:
        venue.watch("BTCUSDT")
        venue.trade("BTCUSDT")
        venue.reconnect("BTCUSDT")
        venue.is_rest_down = True
        await asyncio.sleep(1)
        venue.acknowledge()
        await asyncio.sleep(600)
        assert len(venue.calls) < 60
        venue.is_rest_down = False
        await asyncio.sleep(31)

    venue = in_simulated_time(play)
    assert venue.tended == ["BTCUSDT"]


def test_whatever_bears_a_newer_id_shows_what_is_missing() -> None:
    """A ticker, a candle: at no cost, after a moment for the trade itself."""

    async def play(venue: Exchange) -> None:
        venue.watch("BTCUSDT", every_seconds=0.2)
        venue.watch("RAREBTC")
        venue.trade("RAREBTC")
        await asyncio.sleep(10)
        btc, rare = trades_of("BTCUSDT"), trades_of("RAREBTC")
        for _ in range(100):  # a ticker that is a little ahead of the trades
            venue.watcher.note_newest(btc, venue.ledger("BTCUSDT").newest_seen() + 1)
            venue.watcher.note_newest(rare, 101)
            await asyncio.sleep(0.1)
        assert venue.tended == []
        venue.watcher.note_newest(rare, 2**60)
        venue.watcher.note_newest(trades_of("NOBODY"), 7)
        await asyncio.sleep(1)
        assert venue.ledger("RAREBTC").missing() is None, "nobody is believed alone who is so far ahead"
        venue.watcher.note_newest(rare, 103)
        await asyncio.sleep(0.6)
        assert venue.ledger("RAREBTC").missing() == (102, 103)

    venue = in_simulated_time(play)
    assert set(venue.tended) == {"RAREBTC"}


def test_the_highest_of_several_claims_counts_and_each_waits_for_its_trade() -> None:
    async def play(venue: Exchange) -> None:
        venue.watch("RAREBTC")
        venue.trade("RAREBTC")  # 101
        await asyncio.sleep(5)
        rare = trades_of("RAREBTC")
        for newest in (102, 105, 103, 109):  # several tickers within the time that a trade may need
            venue.watcher.note_newest(rare, newest)
        await asyncio.sleep(2)
        assert venue.ledger("RAREBTC").newest_known() == 109

    in_simulated_time(play)


def test_a_quiet_stream_is_not_called_mute_until_its_next_trade() -> None:
    """It lost one trade, which was fetched. The next one may come in an hour."""

    async def play(venue: Exchange) -> None:
        venue.watch("RAREBTC")
        venue.trade("RAREBTC")
        venue.newest["RAREBTC"] = 102  # this one is lost
        await eventually(lambda: venue.watcher.mute, 60)
        venue.ledger("RAREBTC").fill([make_tick(102, symbol="RAREBTC")], (), venue.clock())
        await eventually(lambda: not venue.watcher.mute, 60)

    assert [mute for _, mute in in_simulated_time(play).changes] == [["RAREBTC"], []]


def test_a_mute_btcusdt_is_noticed_within_3_seconds_at_its_genuine_rhythm() -> None:
    """The recording is muted again and again; the time counts from the first trade that does not arrive."""
    with gzip.open(recording(BITCOIN_AND_ETHER), "rt", encoding="utf-8") as lines:
        recorded = [(row["recv_ms"] / 1000, row["frame"]["data"]["s"]) for row in map(json.loads, lines)]
    delays: list[float] = []

    async def play(venue: Exchange) -> None:
        venue.watch("BTCUSDT")
        venue.watch("ETHUSDT")
        missed_at: float | None = None
        mute_at = venue.clock() + 15
        for before, (at, symbol) in zip([recorded[0], *recorded], recorded, strict=False):
            await asyncio.sleep(at - before[0])
            if symbol == "BTCUSDT" and venue.clock() >= mute_at:
                venue.muted.add("BTCUSDT")
                missed_at, mute_at = venue.clock(), venue.clock() + 25
            noticed = [when for when, mute in venue.changes if mute and missed_at and when > missed_at]
            if missed_at is not None and noticed:
                delays.append(noticed[0] - missed_at)
                missed_at = None
            venue.trade(symbol)

    venue = in_simulated_time(play)
    assert len(delays) >= 12
    assert max(delays) < NOTICED_SECONDS
    assert set(venue.verbs) == {"resubscribe"}
    assert len(venue.asked) < 80


# At a real exchange, seen by a client of `/ws/markets`

PAIR = ("BTCUSDT", "ETHUSDT")
STREAM = "btcusdt@trade"
FAST = Tuning(
    client=quick(),
    feed=FeedLimits(
        staleness=StalenessLimits(
            silence=SilenceLimits(slot_seconds=0.05, memory_seconds=4, floor_seconds=0.5, unknown_seconds=3)
        )
    ),
)
"""So that tests that are not about the time need little of it."""


@contextlib.asynccontextmanager
async def watched(
    tuning: Tuning | None, trades_per_second: float
) -> AsyncIterator[tuple[Simulator, RunningApp, Listener]]:
    market = SimulatedMarket(seed=7, symbols=PAIR, trades_per_second=trades_per_second)
    async with (
        running_exchange(market) as exchange,
        running_app(settings_for(exchange, simulator_enabled=False), tuning=tuning) as app,
        listening(app, *PAIR) as listener,
    ):
        for symbol in PAIR:
            await listener.more(symbol, 30)
        yield exchange, app, listener


async def nothing_is_missing(exchange: Simulator, listener: Listener) -> None:
    """Every client's ids rise by exactly 1 up to what has been traded, and no hole was declared."""
    for symbol in PAIR:
        newest = exchange.source.history(symbol, exchange.now_ms()).recent(1)[0].id
        await eventually(lambda s=symbol, n=newest: listener.ids(s)[-1] >= n, 20, because="the newest trade")  # type: ignore[misc]
        assert missing_ids(listener.ids(symbol)) == []
        assert listener.gaps(symbol) == []


@time_is_simulated
async def test_a_mute_btcusdt_reaches_the_clients_as_stale_within_3_seconds_and_heals() -> None:
    """With the app's own waits, and as many trades a second as BTCUSDT usually has."""
    async with watched(None, trades_per_second=26.0) as (exchange, _, listener):
        await listener.more("BTCUSDT", 130)  # its rhythm becomes known
        muted_at = time.monotonic()
        exchange.faults.mute(stream=STREAM)
        stale_at = await listener.state("stale")
        assert stale_at - muted_at < NOTICED_SECONDS
        await listener.state("live")
        await listener.more("BTCUSDT", 30)
        await nothing_is_missing(exchange, listener)
        reason = next(m["reason"] for _, m in listener.messages if m.get("state") == "stale")
        assert reason == "no trades arrive for BTCUSDT"
        assert listener.states.count("stale") == 1
        assert exchange.stats()["connects"] == 1


@time_is_simulated
async def test_a_stream_that_stays_mute_on_its_connection_moves_to_another() -> None:
    async with watched(FAST, trades_per_second=100.0) as (exchange, app, listener):
        (connection,) = exchange.connections
        exchange.faults.lose(stream=STREAM, count=1_000_000, connection=connection.number)
        await listener.state("stale")
        await listener.state("live")
        await eventually(lambda: app.services.feeds["binance"].statistics().client.rotations == 1, 20)
        await listener.more("BTCUSDT", 30)
        await nothing_is_missing(exchange, listener)
        assert exchange.stats()["connects"] == 2


@time_is_simulated
async def test_a_connection_that_falls_silent_is_replaced() -> None:
    """Its pings are still answered."""
    async with watched(FAST, trades_per_second=100.0) as (exchange, _, listener):
        exchange.faults.silence()
        await listener.state("stale")
        await listener.state("live")
        for symbol in PAIR:
            await listener.more(symbol, 30)
        await nothing_is_missing(exchange, listener)
        assert exchange.stats()["connects"] == 2
        await eventually(lambda: len(exchange.connections) == 1)


@time_is_simulated
async def test_with_rest_down_a_silent_connection_is_replaced_on_its_neighbours_word() -> None:
    async with watched(FAST, trades_per_second=100.0) as (exchange, app, listener):
        exchange.faults.rest_down(status=503)
        exchange.faults.silence()
        await eventually(lambda: app.services.feeds["binance"].statistics().client.rotations == 1, 20)
        exchange.faults.rest.clear()
        for symbol in PAIR:
            await listener.more(symbol, 30)
        await nothing_is_missing(exchange, listener)
