"""The judge of the channels of a campaign: candles against those that trades make, and what is newest."""

from __future__ import annotations

from random import Random

import pytest

from tests.soak.candle_truth import CandleEvent, CandleTruth, CandleVerdict, Tick, candle_truth, judge_candles
from tests.soak.channel_reader import ChannelReader
from tests.soak.channels import channel_readers, judge_channels, late_readers
from tests.soak.simulated import SYMBOLS, simulated_exchange

UNIT = 10**8


def tick(number: int, time_ms: int, price: int = 100) -> Tick:
    return Tick(number, time_ms, price * UNIT, UNIT // 2, is_taker_buy=number % 2 == 0)


TICKS = [tick(1, 1_500), tick(2, 2_000, 103), tick(3, 2_700, 101), tick(4, 4_100, 99), tick(5, 5_000, 98)]
TRUTH = candle_truth([TICKS], 1000)


def closed(open_ms: int, truth: CandleTruth = TRUTH, **changes: object) -> CandleEvent:
    bar = truth.bars.get(open_ms)
    ids = (bar.first_id, bar.last_id) if bar is not None else (None, None)
    event = CandleEvent("candle", open_ms, open_ms + 999, truth.figures(open_ms), ids, closed=True)
    return event._replace(**changes)  # type: ignore[arg-type]


def running(open_ms: int) -> CandleEvent:
    return closed(open_ms, closed=False)


def faults(events: list[CandleEvent], truth: CandleTruth = TRUTH) -> dict[str, int]:
    verdict = judge_candles(events, truth)
    assert verdict.is_clean is not any(verdict.faults().values())
    return {name: count for name, count in verdict.faults().items() if count}


def test_the_candles_of_trades_are_computed_from_them_alone() -> None:
    assert TRUTH.begin_ms == 2000, "the first candle may have had trades before"
    prices = ("103.00000000", "103.00000000", "101.00000000", "101.00000000")
    assert TRUTH.figures(2000) == (*prices, "1.00000000", "102.00000000", "0.50000000", "2")
    assert TRUTH.figures(3000) == (*("101.00000000",) * 4, *("0.00000000",) * 3, "0"), "nothing traded"
    assert TRUTH.figures(4000)[:4] == ("99.00000000",) * 4


WHOLE = [closed(2000), running(3000), closed(3000), running(4000), closed(4000)]


@pytest.mark.parametrize(
    ("events", "found"),
    [
        pytest.param(WHOLE, {}, id="whole"),
        pytest.param([closed(2000), closed(4000)], {"missing": 1}, id="one is missing"),
        pytest.param([*WHOLE, closed(4000)], {"repeated": 1}, id="one came twice"),
        pytest.param([*WHOLE, running(4000)], {"disordered": 1}, id="runs after it was closed"),
        pytest.param([closed(2000), closed(4000), closed(3000)], {"missing": 1, "disordered": 1}, id="late"),
        pytest.param([closed(3000, revised=True)], {"disordered": 1}, id="revised and never told"),
        pytest.param([closed(2000, figures=TRUTH.figures(4000))], {"wrong": 1}, id="other figures"),
        pytest.param([closed(2000, ids=(2, 4))], {"wrong": 1}, id="other ids"),
        pytest.param([closed(2000, ids=(None, None))], {}, id="ids that nobody told"),
        pytest.param(
            [closed(2000, figures=TRUTH.figures(4000)), closed(2000, revised=True)],
            {},
            id="wrong, then revised",
        ),
        pytest.param(
            [closed(2000), CandleEvent("gap", 3000, 3999), closed(4000)], {"declared": 1}, id="could be had"
        ),
    ],
)
def test_what_is_wrong_with_candles_is_found(events: list[CandleEvent], found: dict[str, int]) -> None:
    assert faults(events) == found


def test_what_a_new_listing_deleted_may_be_declared_but_not_left_out() -> None:
    trades = [tick(1, 200_100, 7), tick(2, 202_000, 8), tick(3, 204_000, 8)]
    truth = candle_truth([TICKS, trades], 1000)
    before, after = closed(4000, truth), closed(200_000, truth)
    assert faults([before, CandleEvent("gap", 5000, 199_999), after], truth) == {}
    anew = [closed(open_ms, truth) for open_ms in (202_000, 204_000)]
    assert faults([before, CandleEvent("gap", 5000, 199_999), after, *anew], truth) == {"missing": 1}


def test_trades_of_a_clock_that_goes_back_count_as_those_of_the_newest_second() -> None:
    truth = candle_truth([[*TICKS, tick(6, 3_500), tick(7, 6_000)]], 1000, [(3_500, 5_000)])
    assert truth.figures(5000)[-1] == "2"
    assert not truth.is_judged(5000), "it may have been told as closed before"
    assert truth.is_judged(6000)


async def test_a_reader_is_late_until_it_has_the_newest_of_every_name() -> None:
    async with simulated_exchange(1) as exchange:
        for symbol in SYMBOLS:
            exchange.simulator.faults.burst(symbol=symbol, trades=5)
        exchange.cut_and_halt()
        reader = channel_readers("", SYMBOLS, Random(1))[0]
        assert len(late_readers([reader], exchange)) == len(SYMBOLS) * 7
        symbol = SYMBOLS[0]
        names = ("bid", "bid_size", "ask", "ask_size")
        best = dict(zip(names, exchange.book(symbol), strict=True))
        last = exchange.ticks(symbol)[-1][-1]
        row = {"last_id": last.id, "last": f"{last.price // UNIT}.{last.price % UNIT:08d}"}
        bids, asks = exchange.depth(symbol)
        reader.newest = {
            ("book", symbol): best,
            ("tickers", symbol): best | row,
            ("*", symbol): row,
            ("depth", symbol): {"bids": bids, "asks": asks},
        }
        for interval, span_ms in (("1s", 1000), ("1m", 60_000)):
            open_ms = last.time_ms // span_ms * span_ms
            reader.candles[symbol, interval].append(CandleEvent("candle", open_ms, closed=True))
        assert not [each for each in late_readers([reader], exchange) if symbol in each]


def test_a_reader_is_judged_by_its_candles_and_by_what_it_complains_of() -> None:
    class Market:
        doubtful = ()

        def ticks(self, symbol: str) -> list[list[Tick]]:
            return [TICKS]

    reader = ChannelReader("reader", "", ("BTCUSDT",), Random(1), mode="all", pace="fast")
    reader.candles["BTCUSDT", "1s"] += [closed(2000), closed(4000)]
    book = (
        '{"type":"book","exchange":"binance","symbol":"BTCUSDT","bid":1.10,"bid_size":2.00,"ask":1.20,'
        '"ask_size":2.00,"update_id":7,"recv_ts":1723161255342}'
    )
    reader._take(book)
    reader._take(book)
    verdict: CandleVerdict = judge_channels(reader, Market())  # type: ignore[arg-type]
    assert {name: count for name, count in verdict.faults().items() if count} == {
        "missing": 1,
        "disordered": 1,
    }
    assert all("reader" in example for example in verdict.examples)
