"""The past before the first trade: from the seed alone, back to the listing, the same in every interval."""

from datetime import UTC, datetime
from itertools import combinations, pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livemarkets.simulator import SimulatedMarket
from livemarkets.simulator.market.past import Past
from livemarkets.simulator.market.statistics import INTERVALS_MS, Bar, bars_of
from livemarkets.simulator.market.symbols import (
    DEFAULT_RULES,
    UNIT,
    SymbolRules,
    from_units,
    to_units,
)

pytestmark = pytest.mark.long

NOW_MS = 1_780_000_000_123
RULES = {rules.symbol: rules for rules in DEFAULT_RULES}
SUMS = ("volume", "quote_volume", "bought", "quote_bought", "count")
SYMBOLS = ["BTCUSDT", "PEPEUSDT", "LRCETH", "BTTCUSDT", "ETHBTC"]


def candles(market: SimulatedMarket, symbol: str, interval: str, **options: Any) -> list[Bar]:
    arguments: dict[str, Any] = {"start_ms": None, "end_ms": None, "limit": 1000, "now_ms": NOW_MS}
    return market.candles(symbol, interval, **(arguments | options))


def joined(bars: list[Bar]) -> dict[str, int]:
    """The bar that consecutive ones make."""
    traded = [bar for bar in bars if bar.count] or bars[-1:]
    sums = {name: sum(getattr(bar, name) for bar in bars) for name in SUMS}
    ids = {"first_id": traded[0].first_id, "last_id": traded[-1].last_id}
    prices = {"open": traded[0].open, "close": traded[-1].close}
    return sums | ids | prices | {"high": max(b.high for b in traded), "low": min(b.low for b in traded)}


def assert_sound(bar: Bar, rules: SymbolRules) -> None:
    """What holds for every kline of genuine trades."""
    assert bar.low <= min(bar.open, bar.close)
    assert max(bar.open, bar.close) <= bar.high
    assert all(price > 0 and price % rules.tick == 0 for price in (bar.open, bar.high, bar.low, bar.close))
    assert bar.volume % rules.lot == bar.bought % rules.lot == 0
    if bar.count == 0:
        assert (bar.volume, bar.quote_volume, bar.first_id, bar.last_id) == (0, 0, -1, -1)
        assert bar.open == bar.high == bar.low == bar.close
        return
    assert bar.count <= bar.volume // rules.lot
    assert 0 <= bar.bought <= bar.volume
    # Each trade's amount is rounded down, and so is each share of a sum.
    for amount, volume in (
        (bar.quote_volume, bar.volume),
        (bar.quote_bought, bar.bought),
        (bar.quote_volume - bar.quote_bought, bar.volume - bar.bought),
    ):
        assert bar.low * volume // UNIT - bar.count - 100 <= amount <= bar.high * volume // UNIT + 100


@pytest.mark.parametrize(
    "symbol", [*SYMBOLS[:3], *(pytest.param(symbol, marks=pytest.mark.verify) for symbol in SYMBOLS[3:])]
)
def test_the_last_thousand_of_each_interval_agree_with_longer_ones(symbol: str) -> None:
    market = SimulatedMarket(5)
    rows = {interval: candles(market, symbol, interval) for interval in INTERVALS_MS}
    for bars in rows.values():
        assert all(later.open_ms == earlier.close_ms + 1 for earlier, later in pairwise(bars))
        for bar in bars:
            assert_sound(bar, RULES[symbol])
    compared = set()
    for (interval, short), (longer, long) in combinations(rows.items(), 2):
        for whole in long[-40:]:
            inside = [bar for bar in short if whole.open_ms <= bar.open_ms <= whole.close_ms]
            if inside and (inside[0].open_ms, inside[-1].close_ms) == (whole.open_ms, whole.close_ms):
                expected = joined(inside)
                assert {name: getattr(whole, name) for name in expected} == expected, (interval, longer)
                compared.add(longer)
    assert compared == INTERVALS_MS.keys() - {"1s"}


def test_klines_agree_with_the_trades_from_the_first_one_on() -> None:
    market = SimulatedMarket(5)
    trades = market.history("BTCUSDT", NOW_MS).trades
    since_ms = trades[0].time_ms // 1000 * 1000 + 1000
    made = {bar.open_ms: bar for bar in bars_of([t for t in trades if t.time_ms >= since_ms], "1s")}
    seconds = [bar for bar in candles(market, "BTCUSDT", "1s") if bar.open_ms >= since_ms]
    assert len(seconds) > 50
    for bar in seconds:
        if bar.count:
            same = made.pop(bar.open_ms)
            assert same == bar
    assert made == {}


def test_klines_reach_back_to_the_listing_in_2017() -> None:
    market = SimulatedMarket(5)
    for interval in ("1w", "1M"):
        first = candles(market, "BTCUSDT", interval)[0]
        assert datetime.fromtimestamp(first.close_ms / 1000, UTC).year == 2017
    day = candles(market, "BTCUSDT", "1d", start_ms=0, limit=3)
    assert datetime.fromtimestamp(day[0].open_ms / 1000, UTC) == datetime(2017, 8, 17, tzinfo=UTC)
    for interval, length_ms in INTERVALS_MS.items():
        rows = candles(market, "BTCUSDT", interval, start_ms=1_600_000_000_000, limit=7)
        assert len(rows) == 7
        assert rows[0].open_ms >= 1_600_000_000_000 > rows[0].open_ms - (length_ms or 31 * 86_400_000)
        assert all(bar.count for bar in rows)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "LRCETH"])
def test_the_past_is_the_same_whenever_the_market_starts(symbol: str) -> None:
    early, late = Past(RULES[symbol], 5, NOW_MS - 5 * 86_400_000), Past(RULES[symbol], 5, NOW_MS)
    for begin_ms, length_ms in ((1_700_000_000_000, 86_400_000), (1_690_000_000_000, 61_000)):
        assert early.between(begin_ms, begin_ms + length_ms) == late.between(begin_ms, begin_ms + length_ms)
    other = Past(RULES[symbol], 6, NOW_MS)
    day_ms = 86_400_000 * 19_000
    assert other.between(day_ms, 2 * day_ms) != late.between(day_ms, 2 * day_ms)


def test_prices_go_on_where_the_past_ends() -> None:
    market = SimulatedMarket(5)
    for symbol in SYMBOLS:
        seconds = candles(market, symbol, "1s", limit=200)
        closes = [bar.close for bar in seconds]
        assert all(abs(b - a) / a < 0.05 for a, b in pairwise(closes)), symbol


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(SYMBOLS), st.integers(0, 3 * 10**11), st.data())
def test_any_cut_of_a_span_adds_up_to_it(seed: int, symbol: str, back_ms: int, data: st.DataObject) -> None:
    past = Past(RULES[symbol], seed, NOW_MS)
    begin_ms = max((NOW_MS - back_ms) // 1000 * 1000, past.begin_ms)
    length_s = data.draw(st.integers(2, 200_000))
    cut_s = data.draw(st.integers(1, length_s - 1))
    at_ms, end_ms = begin_ms + 1000 * cut_s, begin_ms + 1000 * length_s
    parts = [
        part for part in (past.between(begin_ms, at_ms), past.between(at_ms, end_ms)) if part is not None
    ]
    whole = past.between(begin_ms, end_ms)
    if whole is None:
        assert parts == []
        return
    for part in [*parts, whole]:
        assert_sound(part, RULES[symbol])
    expected = joined(parts)
    assert {name: getattr(whole, name) for name in expected} == expected


def test_a_day_of_tickers_can_be_recomputed_from_the_trades() -> None:
    """A day and an hour with a fast clock: the 24 hours then consist of single trades only."""
    market = SimulatedMarket(
        5, symbols=["ETHUSDT"], trades_per_second=0.3, history_seconds=0.0, history_length=10**6
    )
    begin_ms = NOW_MS // 60_000 * 60_000
    market.want({"ethusdt@trade"}, begin_ms)
    for hour in range(26):
        now_ms = begin_ms + hour * 3_600_000 + 17_345
        for step_ms in range(now_ms - 3_600_000, now_ms, 30_000):
            market.advance(max(step_ms, begin_ms))
        for length_ms in (3_600_000, 86_400_000):
            start_ms = (now_ms - length_ms) // 60_000 * 60_000
            if start_ms < begin_ms:
                continue
            trades = market.history("ETHUSDT", now_ms).trades
            inside = [trade for trade in trades if start_ms <= trade.time_ms]
            day = market.summary("ETHUSDT", start_ms, now_ms)
            assert day is not None
            assert (day.open, day.close) == (inside[0].price, inside[-1].price)
            assert (day.high, day.low) == (max(t.price for t in inside), min(t.price for t in inside))
            assert (day.first_id, day.last_id, day.count) == (inside[0].id, inside[-1].id, len(inside))
            assert day.volume == sum(trade.size for trade in inside)
            assert day.quote_volume == sum(trade.price * trade.size // UNIT for trade in inside)
            assert day.last_size == inside[-1].size
            assert day.open_ms == start_ms
            before = [trade for trade in trades if trade.time_ms < start_ms]
            assert not before or day.previous_close == before[-1].price


@pytest.mark.verify
def test_ticker_events_can_be_recomputed_from_the_trade_events() -> None:
    """25 hours of events with a fast clock: every ticker of the last hour has all trades from O to C."""
    market = SimulatedMarket(5, symbols=["ETHUSDT"], trades_per_second=0.3, history_seconds=0.0)
    begin_ms = NOW_MS // 60_000 * 60_000
    market.want({"ethusdt@trade", "ethusdt@ticker", "ethusdt@miniTicker", "ethusdt@bookTicker"}, begin_ms)
    trades: list[dict[str, Any]] = []
    best: dict[str, Any] = {}
    compared = 0
    for step in range(25 * 120):
        for event in market.advance(begin_ms + 30_000 * step + 777):
            data = msgspec.json.decode(event.raw())
            if event.stream == "ethusdt@trade":
                trades.append(data)
            elif event.stream == "ethusdt@bookTicker":
                best = data
            elif step >= 24 * 120 + 2 and step % 10 == 0:
                opened_ms = data.get("O", data["E"] // 60_000 * 60_000 - 86_400_000)
                inside = [trade for trade in trades if opened_ms <= trade["T"] <= data["E"]]
                prices = [to_units(trade["p"]) for trade in inside]
                sizes = [to_units(trade["q"]) for trade in inside]
                amounts = [price * size // UNIT for price, size in zip(prices, sizes, strict=True)]
                expected: dict[str, Any] = {
                    **{"o": from_units(prices[0]), "c": from_units(prices[-1])},
                    **{"h": from_units(max(prices)), "l": from_units(min(prices))},
                    **{"v": from_units(sum(sizes)), "q": from_units(sum(amounts))},
                }
                if data["e"] == "24hrTicker":
                    before = [trade for trade in trades if trade["T"] < opened_ms]
                    expected |= {
                        **{"F": inside[0]["t"], "L": inside[-1]["t"], "n": len(inside)},
                        **{"x": before[-1]["p"], "Q": inside[-1]["q"], "C": data["E"]},
                        **{name: best[name] for name in "bBaA"},
                        "p": from_units(prices[-1] - prices[0]),
                        "w": from_units(sum(amounts) * UNIT // sum(sizes)),
                    }
                assert {name: data[name] for name in expected} == expected
                compared += 1
    assert compared >= 20


def test_a_relisted_symbol_has_no_past() -> None:
    market = SimulatedMarket(5, symbols=["BTCUSDT"], trades_per_second=10.0)
    market.history("BTCUSDT", NOW_MS)
    market.relist("BTCUSDT", 1)
    assert market.summary("BTCUSDT", NOW_MS - 86_400_000, NOW_MS) is None
    assert candles(market, "BTCUSDT", "1d") == []
    (day,) = candles(market, "BTCUSDT", "1d", now_ms=NOW_MS + 5000)
    assert day.first_id == 1
    assert day.count == day.last_id == len(market.history("BTCUSDT", NOW_MS + 5000).trades)


@pytest.mark.parametrize("interval", INTERVALS_MS)
@pytest.mark.parametrize(
    "span", [(2**63 - 1, None), (None, 0), (0, 10), (2**62, 2**63 - 1), (NOW_MS + 10**12, None)]
)
def test_there_are_no_klines_of_the_future_and_none_before_the_listing(
    interval: str, span: tuple[int | None, int | None]
) -> None:
    market = SimulatedMarket(5)
    assert candles(market, "BTCUSDT", interval, start_ms=span[0], end_ms=span[1]) == []
