"""The simulated market: what it trades, how often, and that a seed decides it all."""

import gzip
import statistics
from collections import Counter
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.simulator import SimulatedMarket, SimulatorError
from livemarkets.simulator.market.history import Trade
from livemarkets.simulator.market.symbols import DEFAULT_RULES, from_units
from tests.support.recordings import recording

pytestmark = pytest.mark.long

NOW_MS = 1_723_161_255_000.0
HALF_AN_HOUR_S = 1800


def trades_of(market: SimulatedMarket, symbol: str, seconds: int, step_ms: int = 500) -> list[Trade]:
    """What a symbol trades while it is watched for so long."""
    market.want({f"{symbol.lower()}@trade"}, NOW_MS)
    before = len(market.history(symbol, NOW_MS).trades)
    now_ms = NOW_MS
    while now_ms < NOW_MS + seconds * 1000:
        now_ms += step_ms
        market.advance(now_ms)
    return market.history(symbol, now_ms).trades[before:]


def per_second(times_ms: list[int]) -> list[int]:
    counts = Counter(time_ms // 1000 for time_ms in times_ms)
    return [counts[second] for second in range(min(counts), max(counts) + 1)]


@pytest.fixture(scope="module")
def bitcoin() -> list[Trade]:
    return trades_of(SimulatedMarket(1, history_length=10**6), "BTCUSDT", 2 * HALF_AN_HOUR_S)


def test_the_same_seed_and_clock_give_the_same_trades() -> None:
    first, second, other = (trades_of(SimulatedMarket(seed), "ETHUSDT", 60) for seed in (5, 5, 6))
    assert first == second
    assert [trade.price for trade in first[:50]] != [trade.price for trade in other[:50]]


def test_how_often_and_with_whom_a_symbol_is_watched_changes_nothing() -> None:
    alone = trades_of(SimulatedMarket(5), "ETHUSDT", 60, step_ms=1000)
    market = SimulatedMarket(5)
    market.want({"btcusdt@trade", "ethusdt@trade", "ethusdt@bookTicker"}, NOW_MS)
    assert trades_of(market, "ETHUSDT", 60, step_ms=37)[: len(alone)] == alone[: len(alone)]


def test_a_symbol_nobody_watched_has_traded_all_the_same() -> None:
    watched = SimulatedMarket(5)
    expected = trades_of(watched, "ETHUSDT", 60, step_ms=60_000)
    market = SimulatedMarket(5)
    before = len(market.history("ETHUSDT", NOW_MS).trades)
    assert market.history("ETHUSDT", NOW_MS + 60_000).trades[before:] == expected
    assert market.advance(NOW_MS + 60_000) == []


def test_prices_and_sizes_keep_to_the_rules_of_every_symbol() -> None:
    market = SimulatedMarket(2)
    for rules in DEFAULT_RULES:
        trades = market.history(rules.symbol, NOW_MS).trades
        trades = trades or [*market.history(rules.symbol, NOW_MS + 600_000).trades]
        assert all(trade.price > 0 and trade.price % rules.tick == 0 for trade in trades), rules.symbol
        assert all(trade.size > 0 and trade.size % rules.lot == 0 for trade in trades), rules.symbol
        assert all(0.5 < trade.price / rules.price < 2 for trade in trades), rules.symbol


def test_the_default_market_is_wide() -> None:
    symbols = {rules.symbol for rules in DEFAULT_RULES}
    assert len(symbols) == len(DEFAULT_RULES) >= 30
    assert {"BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "ETHBTC", "BTCEUR"} <= symbols
    assert any(from_units(rules.tick) == "0.00000001" for rules in DEFAULT_RULES)
    assert any(rules.trades_per_second < 0.01 for rules in DEFAULT_RULES)


def test_ids_rise_by_one_and_times_never_fall(bitcoin: list[Trade]) -> None:
    assert all(later.id == earlier.id + 1 for earlier, later in pairwise(bitcoin))
    assert all(later.time_ms >= earlier.time_ms for earlier, later in pairwise(bitcoin))


def test_both_sides_take_and_prices_bounce_between_bid_and_ask(bitcoin: list[Trade]) -> None:
    sells = sum(trade.buyer_is_maker for trade in bitcoin) / len(bitcoin)
    assert 0.3 < sells < 0.7
    market = SimulatedMarket(3)
    trades_of(market, "BTCUSDT", 30)
    quote = market.quote("BTCUSDT")
    assert 0 < quote.bid < quote.ask
    assert quote.bid_size > 0 < quote.ask_size


def test_a_sweep_walks_through_the_book_in_one_millisecond(bitcoin: list[Trade]) -> None:
    by_time: dict[int, list[Trade]] = {}
    for trade in bitcoin:
        by_time.setdefault(trade.time_ms, []).append(trade)
    sweeps = [trades for trades in by_time.values() if len(trades) >= 50]
    assert len(sweeps) >= 5
    for trades in sweeps:
        assert len({trade.buyer_is_maker for trade in trades}) == 1
        prices = [trade.price for trade in trades]
        assert prices == sorted(prices, reverse=trades[0].buyer_is_maker)
        assert len(set(prices)) > 5


def test_bitcoin_is_as_busy_as_the_genuine_recording(bitcoin: list[Trade]) -> None:
    with gzip.open(recording("spot_btc_eth_20240808_trade.jsonl.gz")) as lines:
        data = [msgspec.json.decode(line)["frame"]["data"] for line in lines]
    genuine = [trade for trade in data if trade["s"] == "BTCUSDT"]
    real = per_second([trade["T"] for trade in genuine])
    model = per_second([trade.time_ms for trade in bitcoin])
    assert statistics.median(model) == pytest.approx(statistics.median(real), rel=0.5)
    assert statistics.mean(model) == pytest.approx(statistics.mean(real), rel=0.5)
    assert max(model) > max(real) / 3
    assert max(Counter(trade.time_ms for trade in bitcoin).values()) > 735 / 3
    still_real = sum(a["p"] == b["p"] for a, b in pairwise(genuine)) / len(genuine)
    still_model = sum(a.price == b.price for a, b in pairwise(bitcoin)) / len(bitcoin)
    assert still_model == pytest.approx(still_real, abs=0.15)
    turns_real = sum(a["m"] != b["m"] for a, b in pairwise(genuine)) / len(genuine)
    turns_model = sum(a.buyer_is_maker != b.buyer_is_maker for a, b in pairwise(bitcoin)) / len(bitcoin)
    assert turns_model == pytest.approx(turns_real, abs=0.06)


def test_bitcoin_has_calm_stretches_and_bursts(bitcoin: list[Trade]) -> None:
    seconds = sorted(per_second([trade.time_ms for trade in bitcoin]))
    assert 4 <= statistics.median(seconds) <= 16
    assert seconds[len(seconds) // 10] <= 3
    assert seconds[-1] >= 300


def test_an_illiquid_symbol_hardly_trades() -> None:
    trades = trades_of(SimulatedMarket(4), "LRCETH", HALF_AN_HOUR_S)
    assert len({trade.time_ms for trade in trades}) < 20, "orders, each with any number of fills"


def test_rate_multiplies_the_arrivals() -> None:
    usual = len(trades_of(SimulatedMarket(1, history_length=10**6), "BTCUSDT", 300))
    fast = len(trades_of(SimulatedMarket(1, rate=10, history_length=10**6), "BTCUSDT", 300))
    assert 4 < fast / usual < 25


@pytest.mark.parametrize("rate", [0.5, 7.0, 900.0, 20_000.0])
def test_a_constant_rate_is_kept_exactly(rate: float) -> None:
    market = SimulatedMarket(1, trades_per_second=rate, history_length=10**6)
    assert len(trades_of(market, "BTCUSDT", 10)) == pytest.approx(10 * rate, abs=1 + rate / 1000)


def test_history_is_bounded() -> None:
    market = SimulatedMarket(1, trades_per_second=5000, history_length=1000)
    trades_of(market, "BTCUSDT", 5)
    history = market.history("BTCUSDT", NOW_MS + 5000)
    assert 1000 <= len(history.trades) <= 1250
    assert len(history.aggregates) <= 1250


def test_a_first_look_finds_the_last_minute() -> None:
    trades = SimulatedMarket(1).history("BTCUSDT", NOW_MS).trades
    assert trades
    assert all(NOW_MS - 60_000 <= trade.time_ms <= NOW_MS for trade in trades)


def test_a_restarted_market_never_uses_an_id_again() -> None:
    last = SimulatedMarket(1).history("BTCUSDT", NOW_MS).trades[-1].id
    later = SimulatedMarket(1).history("BTCUSDT", NOW_MS + 3_600_000).trades[0].id
    assert later > last


def test_a_symbol_left_alone_for_a_day_catches_up_within_bounds() -> None:
    market = SimulatedMarket(1)
    first = market.history("BTCUSDT", NOW_MS).trades[-1].id
    trades = market.history("BTCUSDT", NOW_MS + 86_400_000).trades
    assert trades[-1].time_ms > NOW_MS + 86_400_000 - 60_000
    assert trades[-1].id - first < 100_000
    assert all(later.id == earlier.id + 1 for earlier, later in pairwise(trades))


def test_a_burst_comes_at_once_and_in_one_piece() -> None:
    market = SimulatedMarket(1)
    market.want({"btcusdt@trade"}, NOW_MS)
    market.burst("BTCUSDT", 2600, NOW_MS)
    assert market.next_ms() == 0.0
    assert len(market.advance(NOW_MS)) == 2600


def test_skipped_ids_are_nowhere() -> None:
    market = SimulatedMarket(1, trades_per_second=100)
    market.want({"btcusdt@trade"}, NOW_MS)
    market.advance(NOW_MS)
    last = market.history("BTCUSDT", NOW_MS).trades[-1].id
    market.skip_ids("BTCUSDT", 5)
    market.advance(NOW_MS + 1000)
    ids = [trade.id for trade in market.history("BTCUSDT", NOW_MS + 1000).since(last, 5)]
    assert ids == [last, *range(last + 6, last + 10)]


def test_a_relisted_symbol_starts_again() -> None:
    market = SimulatedMarket(1, trades_per_second=100)
    market.history("BTCUSDT", NOW_MS)
    market.relist("BTCUSDT", 1)
    assert [trade.id for trade in market.history("BTCUSDT", NOW_MS + 100).trades][:3] == [1, 2, 3]


@pytest.mark.parametrize("options", [{"symbols": ["NOPE"]}, {"rate": 0.0}, {"trades_per_second": -1.0}])
def test_a_market_that_makes_no_sense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(SimulatorError):
        SimulatedMarket(1, **options)  # type: ignore[arg-type]


@given(st.lists(st.integers(min_value=1, max_value=4000), min_size=1, max_size=10))
def test_events_are_the_history_whatever_the_steps(steps_ms: list[int]) -> None:
    """Every trade is emitted exactly once, in order, however irregularly the market is asked."""
    market = SimulatedMarket(9, symbols=["BTCUSDT"], rate=0.5, history_seconds=1.0)
    market.want({"btcusdt@trade"}, NOW_MS)
    before = len(market.history("BTCUSDT", NOW_MS).trades)
    now_ms, emitted = NOW_MS, []
    for step_ms in steps_ms:
        now_ms += step_ms
        emitted += market.advance(now_ms)
    ids = [msgspec.json.decode(emission.raw())["t"] for emission in emitted]
    assert ids == [trade.id for trade in market.history("BTCUSDT", now_ms).trades[before:]]


def test_others_coming_and_going_cost_nobody_a_trade() -> None:
    """A change of what is wanted happens between two looks; what was traded until then is still due."""
    market = SimulatedMarket(9, symbols=["BTCUSDT", "ETHUSDT"], trades_per_second=1000, history_seconds=1.0)
    market.want({"btcusdt@trade"}, NOW_MS)
    before = len(market.history("BTCUSDT", NOW_MS).trades)
    emitted = []
    for turn in range(50):
        market.want({"btcusdt@trade", "ethusdt@trade"} if turn % 2 else {"btcusdt@trade"}, NOW_MS + 20 * turn)
        if turn % 3:
            emitted += market.advance(NOW_MS + 20 * turn + 10)
    emitted += market.advance(NOW_MS + 2000)
    ids = [msgspec.json.decode(emission.raw())["t"] for emission in emitted if "btc" in emission.stream]
    assert ids == [trade.id for trade in market.history("BTCUSDT", NOW_MS + 2000).trades[before:]]


def test_the_first_use_of_many_busy_symbols_makes_few_trades_before_it() -> None:
    symbols = [rules.symbol for rules in DEFAULT_RULES[:400]]
    market = SimulatedMarket(1, symbols, trades_per_second=50.0)
    before = [len(market.history(symbol, NOW_MS).trades) for symbol in symbols]
    assert sum(before) < 120_000
    assert min(before) >= 100
    alone = SimulatedMarket(1, symbols[:1], trades_per_second=50.0)
    assert len(alone.history(symbols[0], NOW_MS).trades) == pytest.approx(3000, abs=200)
