"""Klines: each ends once on the stream with all its trades, and REST has the same."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from livemarkets.simulator import SimulatedMarket
from livemarkets.simulator.market.history import Trade
from livemarkets.simulator.market.statistics import INTERVALS_MS, Bar
from livemarkets.simulator.market.symbols import UNIT, from_units, to_units

START_MS = 1_700_000_000_300
SECOND_MS, MINUTE_MS = 1_000, 60_000
ZONES = {"": timedelta(), "@+08:00": timedelta(hours=8)}


def market_of(**options: Any) -> SimulatedMarket:
    defaults: dict[str, Any] = {"seed": 3, "symbols": ("BTCUSDT",), "trades_per_second": 5.0}
    return SimulatedMarket(**(defaults | options))


def candles(market: SimulatedMarket, stream: str, seconds: int) -> dict[int, list[dict[str, Any]]]:
    """The candles of a stream by the time of their opening, as they came."""
    market.want({stream, "btcusdt@trade"}, START_MS)
    found: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for number in range(1, seconds + 1):
        for event in market.advance(START_MS + number * SECOND_MS + number % 7):
            if event.stream == stream:
                candle = msgspec.json.decode(event.raw())["k"]
                found[candle["t"]].append(candle)
    return found


@pytest.mark.parametrize(("interval", "length_ms"), [("1s", SECOND_MS), ("1m", MINUTE_MS)])
def test_every_candle_ends_exactly_once(interval: str, length_ms: int) -> None:
    found = candles(market_of(), f"btcusdt@kline_{interval}", 190)
    opened = sorted(found)
    assert opened == list(range(opened[0], opened[-1] + 1, length_ms))
    assert all([candle["x"] for candle in found[at_ms]].count(True) == 1 for at_ms in opened[:-1])
    assert all(found[at_ms][-1]["x"] for at_ms in opened[:-1])
    assert not any(candle["x"] for candle in found[opened[-1]])


def test_a_candle_ends_with_all_its_trades() -> None:
    market = market_of()
    found = candles(market, "btcusdt@kline_1s", 30)
    trades = market.history("BTCUSDT", START_MS + 30 * SECOND_MS).trades
    for at_ms, events in sorted(found.items())[:-1]:
        ids = [trade.id for trade in trades if at_ms <= trade.time_ms < at_ms + SECOND_MS]
        final = events[-1]
        assert (final["f"], final["L"], final["n"]) == (ids[0], ids[-1], len(ids))


def test_a_candle_counts_more_trades_than_are_kept() -> None:
    market = market_of(trades_per_second=200.0, history_length=1000)
    found = candles(market, "btcusdt@kline_1m", 121)
    (whole,) = [events[-1] for at_ms, events in sorted(found.items())[1:] if events[-1]["x"]]
    assert whole["n"] == pytest.approx(12_000, abs=300)
    assert whole["n"] == whole["L"] - whole["f"] + 1


def test_a_candle_without_trades_has_the_last_price_and_no_ids() -> None:
    found = candles(market_of(trades_per_second=0.2), "btcusdt@kline_1s", 60)
    finals = [events[-1] for _, events in sorted(found.items())]
    price = None
    for final in finals:
        if final["n"] == 0:
            assert (final["f"], final["L"], final["v"], final["q"]) == (-1, -1, from_units(0), from_units(0))
            assert {final["o"], final["h"], final["l"]} == {final["c"]}
            assert price in (None, final["c"])
        price = final["c"]
    assert {final["n"] > 0 for final in finals} == {True, False}


def test_an_idle_symbol_has_candles_too() -> None:
    market = market_of(trades_per_second=1e-6, history_seconds=0.0)
    found = candles(market, "btcusdt@kline_1s", 20)
    assert all(
        [candle["x"] for candle in events].count(True) == 1 for _, events in sorted(found.items())[:-1]
    )
    rows = market.candles("BTCUSDT", "1s", None, None, 5, START_MS + 20 * SECOND_MS)
    assert [row.count for row in rows] == [0] * 5
    assert {row.close for row in rows} == {rows[0].open}


def local_open(time_ms: int, interval: str, zone: timedelta) -> int:
    """The opening of an interval, worked out with calendar arithmetic only."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    here = epoch + timedelta(milliseconds=time_ms) + zone
    day = here.replace(hour=0, minute=0, second=0, microsecond=0)
    number, unit = int(interval[:-1]), interval[-1]
    opened = {
        "s": lambda: here.replace(microsecond=0),
        "m": lambda: here.replace(minute=here.minute // number * number, second=0, microsecond=0),
        "h": lambda: day + timedelta(hours=here.hour // number * number),
        "d": lambda: day - timedelta(days=(day - epoch).days % number),
        "w": lambda: day - timedelta(days=day.weekday()),
        "M": lambda: day.replace(day=1),
    }[unit]()
    return round((opened - zone - epoch).total_seconds() * 1000)


def made_of(trades: list[Trade]) -> list[Any]:
    """What a candle of these trades has to say, summed up anew."""
    prices = [trade.price for trade in trades]
    bought = [trade for trade in trades if not trade.buyer_is_maker]
    return [
        *map(from_units, (prices[0], max(prices), min(prices), prices[-1])),
        from_units(sum(trade.size for trade in trades)),
        from_units(sum(trade.price * trade.size // UNIT for trade in trades)),
        len(trades),
        from_units(sum(trade.size for trade in bought)),
        from_units(sum(trade.price * trade.size // UNIT for trade in bought)),
    ]


def said_of(k: dict[str, Any]) -> list[Any]:
    return [k["o"], k["h"], k["l"], k["c"], k["v"], k["q"], k["n"], k["V"], k["Q"]]


def row_of(bar: Bar) -> list[Any]:
    return [
        *map(from_units, (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.quote_volume)),
        bar.count,
        from_units(bar.bought),
        from_units(bar.quote_bought),
    ]


# 2026-05-31 was a Sunday: a day, a week and a month end together at midnight, eight hours earlier in UTC+8.
BORDERS = [
    pytest.param(datetime(2026, 5, 31, 23, 55, tzinfo=UTC), 10, 1000, id="midnight in UTC"),
    pytest.param(datetime(2026, 5, 31, 15, 55, tzinfo=UTC), 10, 1000, id="midnight in UTC+8"),
    pytest.param(
        datetime(2026, 5, 31, 14, 30, tzinfo=UTC), 630, 500, id="for long", marks=pytest.mark.verify
    ),
]


@pytest.mark.parametrize(("begin", "minutes", "step_ms"), BORDERS)
def test_all_candles_end_once_with_their_trades_at_the_borders_of_day_week_and_month(
    begin: datetime, minutes: int, step_ms: int
) -> None:
    """A clock that runs as fast as it can."""
    begin_ms = round(begin.timestamp() * 1000)
    market = market_of(trades_per_second=1.0, history_seconds=0.0)
    streams = {f"btcusdt@kline_{interval}{zone}" for interval in INTERVALS_MS for zone in ZONES}
    market.want(streams | {"btcusdt@trade"}, begin_ms)
    trades: list[Trade] = []
    events: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    now_ms = begin_ms
    while now_ms < begin_ms + minutes * MINUTE_MS:
        now_ms += step_ms + now_ms % 13
        for event in market.advance(now_ms):
            data = msgspec.json.decode(event.raw())
            if data["e"] == "trade":
                trades.append(
                    Trade(data["t"], to_units(data["p"]), to_units(data["q"]), data["T"], data["m"])
                )
            else:
                events[event.stream].append(data["k"])
    assert events.keys() == streams
    for stream, seen in events.items():
        interval, _, zone = stream.removeprefix("btcusdt@kline_").partition("@")
        shift = ZONES[f"@{zone}" if zone else ""]
        made: defaultdict[int, list[Trade]] = defaultdict(list)
        for trade in trades:
            made[local_open(trade.time_ms, interval, shift)].append(trade)
        ended = [k for k in seen if k["x"]]
        opened = list(dict.fromkeys(k["t"] for k in seen))
        assert [k["t"] for k in ended] == opened[:-1], stream
        assert all(k["t"] == local_open(k["t"], interval, shift) for k in seen), stream
        assert all(later["t"] == earlier["T"] + 1 for earlier, later in pairwise(ended))
        offset_ms = round(shift.total_seconds() * 1000)
        rest = market.candles("BTCUSDT", interval, seen[0]["t"], None, 1000, now_ms, offset_ms=offset_ms)
        rows = {bar.open_ms: bar for bar in rest}
        for k in ended:
            if rest[0].open_ms <= k["t"] <= rest[-1].open_ms:  # REST has a thousand, of seconds the last ones
                assert said_of(k) == row_of(rows[k["t"]]), stream
                assert (k["T"], k["f"], k["L"]) == (
                    rows[k["t"]].close_ms,
                    rows[k["t"]].first_id,
                    rows[k["t"]].last_id,
                )
            if k["t"] >= begin_ms:
                assert k["n"] == len(made[k["t"]]), stream
                if own := made[k["t"]]:
                    assert said_of(k) == made_of(own), stream
                    assert (k["f"], k["L"]) == (own[0].id, own[-1].id)
    zones = {55: [""], 30: list(ZONES)}[begin.minute] if begin.hour != 15 else ["@+08:00"]
    for interval in ("1d", "1w", "1M"):
        for zone in zones:
            assert sum(k["x"] for k in events[f"btcusdt@kline_{interval}{zone}"]) == 1, interval


def test_a_candle_that_waits_for_others_does_not_run() -> None:
    """Where the clock jumps, what ended meanwhile is sent once, and nothing is sent twice."""
    market = market_of()
    market.want({"btcusdt@kline_1m"}, START_MS)
    steps_ms = [1_000, 150_000, 150_100, 400_000, 399_000, 401_000, 470_000]
    seen = [
        msgspec.json.decode(event.raw())["k"]
        for step_ms in steps_ms
        for event in market.advance(START_MS + step_ms)
    ]
    ended = [k["t"] for k in seen if k["x"]]
    assert ended == sorted(set(ended))
    assert ended == list(range(ended[0], ended[-1] + 1, MINUTE_MS))
    assert len(ended) >= 6


def test_a_candle_that_runs_is_sent_every_two_seconds_also_when_the_clock_is_uneven() -> None:
    market = market_of()
    market.want({"btcusdt@kline_1m", "btcusdt@kline_1s"}, START_MS)
    sent: defaultdict[str, list[int]] = defaultdict(list)
    for step_ms in range(0, 120_000, 370):
        now_ms = START_MS + step_ms
        for event in market.advance(now_ms):
            if not msgspec.json.decode(event.raw())["k"]["x"]:
                sent[event.stream].append(now_ms)
    for stream, pace_ms in (("btcusdt@kline_1s", 1000), ("btcusdt@kline_1m", 2000)):
        gaps = [later - earlier for earlier, later in pairwise(sent[stream])]
        assert sum(gaps) / len(gaps) == pytest.approx(pace_ms, rel=0.06)
        assert max(gaps) <= pace_ms + 370
