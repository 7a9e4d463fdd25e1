"""The candles of the simulated market's streams: each ends once, also where nothing trades."""

from collections import defaultdict
from typing import Any

import msgspec
import pytest

from livemarkets.simulator import SimulatedMarket
from livemarkets.simulator.market.history import Trade
from livemarkets.simulator.market.statistics import bars_between

START_MS = 1_700_000_000_300
SECOND_MS, MINUTE_MS = 1_000, 60_000


def candles(market: SimulatedMarket, stream: str, seconds: int) -> dict[int, list[dict[str, Any]]]:
    """The candles of a stream by the time of their opening, as they came."""
    market.want({stream, stream.replace("kline_1s", "trade")}, START_MS)
    found: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for number in range(1, seconds + 1):
        for event in market.advance(START_MS + number * SECOND_MS + number % 7):
            if event.stream == stream:
                candle = msgspec.json.decode(event.raw())["k"]
                found[candle["t"]].append(candle)
    return found


@pytest.mark.parametrize(("interval", "length_ms"), [("1s", SECOND_MS), ("1m", MINUTE_MS)])
def test_every_candle_ends_exactly_once(interval: str, length_ms: int) -> None:
    market = SimulatedMarket(seed=3, symbols=("BTCUSDT",), trades_per_second=5.0)
    found = candles(market, f"btcusdt@kline_{interval}", 190)
    opened = sorted(found)
    assert opened == list(range(opened[0], opened[-1] + 1, length_ms))
    assert all([candle["x"] for candle in found[at_ms]].count(True) == 1 for at_ms in opened[:-1])
    assert all(found[at_ms][-1]["x"] for at_ms in opened[:-1])
    assert not any(candle["x"] for candle in found[opened[-1]])


def test_a_candle_ends_with_all_its_trades() -> None:
    market = SimulatedMarket(seed=3, symbols=("BTCUSDT",), trades_per_second=5.0)
    found = candles(market, "btcusdt@kline_1s", 30)
    trades = market.history("BTCUSDT", START_MS + 30 * SECOND_MS).trades
    for at_ms, events in sorted(found.items())[:-1]:
        ids = [trade.id for trade in trades if at_ms <= trade.time_ms < at_ms + SECOND_MS]
        final = events[-1]
        assert (final["f"], final["L"], final["n"]) == (ids[0], ids[-1], len(ids))


def test_a_candle_without_trades_has_the_last_price_and_no_ids() -> None:
    trades = [Trade(7, 300, 20, 1_500, True), Trade(8, 310, 20, 4_200, True)]
    bars = bars_between(trades, "1s", 2_100, 4_900)
    assert [(bar.open_ms, bar.close_ms) for bar in bars] == [(2_000, 2_999), (3_000, 3_999), (4_000, 4_999)]
    assert [(bar.first_id, bar.last_id, bar.count, bar.volume) for bar in bars[:2]] == [(-1, -1, 0, 0)] * 2
    assert {(bar.open, bar.high, bar.low, bar.close) for bar in bars[:2]} == {(300, 300, 300, 300)}
    assert (bars[2].first_id, bars[2].close) == (8, 310)


def test_there_is_no_candle_before_the_first_trade() -> None:
    assert bars_between([], "1s", 0, 5_000) == []
    assert [bar.open_ms for bar in bars_between([Trade(7, 300, 20, 2_500, True)], "1s", 0, 3_100)] == [
        2_000,
        3_000,
    ]
