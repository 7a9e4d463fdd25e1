"""Which candles a browser lacks."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import replace

from livemarkets.market.candles import Candle
from livemarkets.market.models import Gap, StreamKey, TradeTick
from livemarkets.market.stores import RecentTrades
from pages.labs.market.chart_candles import CandleNews, ChartCandles, followed
from pages.labs.market.missing_trades import MissingTrades
from tests.support.candles import MINUTE_MS, START_MS, make_candle

TRADES = StreamKey.trades("binance", "BTCUSDT")


class View:
    """What memory has."""

    def __init__(self, closed: Sequence[Candle] = (), running: Candle | None = None) -> None:
        self.closed = list(closed)
        self.running = running


def tick(trade_id: int, price: str, ts: int, size: str = "0.5") -> TradeTick:
    return TradeTick("binance", "BTCUSDT", Decimal(price), Decimal(size), "buy", ts, trade_id, ts + 5)


def closed(count: int, start: int = 0) -> list[Candle]:
    return [make_candle(number, closed=True) for number in range(start, start + count)]


def none_after(trade_id: int) -> Sequence[TradeTick]:
    return ()


def opens(news: CandleNews) -> list[int]:
    return [(candle.open_ts - START_MS) // MINUTE_MS for candle in news.candles]


def test_the_whole_comes_first_and_then_what_changed() -> None:
    chart, view = ChartCandles(100), View(closed(3), make_candle(3, 1))

    first = chart.news(view, none_after)
    assert (opens(first), first.is_whole) == ([0, 1, 2, 3], True)
    assert chart.news(view, none_after).candles == ()

    view.running = make_candle(3, 2)
    assert opens(chart.news(view, none_after)) == [3]
    view.closed.append(make_candle(3, 4, closed=True))
    view.running = make_candle(4, 1)
    news = chart.news(view, none_after)
    assert (opens(news), news.is_whole) == ([3, 4], False)


def test_a_revised_candle_of_the_past_repairs_its_own_place() -> None:
    chart, view = ChartCandles(100), View(closed(5))
    chart.news(view, none_after)
    view.closed[1] = replace(make_candle(1, 9, closed=True), revised=True)

    news = chart.news(view, none_after)

    assert (opens(news), news.is_whole) == ([1], False)
    assert news.candles[0].trades == 9


def test_candles_after_a_cut_follow_those_of_before() -> None:
    """Memory begins anew after a gap; the browser keeps what it has."""
    chart, view = ChartCandles(100), View(closed(3))
    chart.news(view, none_after)

    view.closed = closed(2, start=5)
    news = chart.news(view, none_after)
    assert (opens(news), news.is_whole) == ([5, 6], False)

    view.closed = closed(7)  # what lies between was fetched later
    news = chart.news(view, none_after)
    assert (opens(news), news.is_whole) == ([0, 1, 2, 3, 4, 5, 6], True)


def test_candles_that_were_given_up_leave_a_hole_until_their_history_comes() -> None:
    chart = ChartCandles(100)
    chart.news(View(closed(3), make_candle(3, 1)), none_after)
    assert chart.after_holes == []

    chart.news(View(closed(1, 6), make_candle(7, 1)), none_after)
    hole = [START_MS + 6 * MINUTE_MS]
    assert chart.after_holes == hole
    assert chart.unfinished == [START_MS + 3 * MINUTE_MS], "its end was lost too"
    chart.news(View(closed(2, 6), make_candle(8, 1)), none_after)
    assert chart.after_holes == hole

    chart.news(View(closed(8), make_candle(8, 1)), none_after)
    assert chart.after_holes == chart.unfinished == []


def test_a_minute_without_candle_is_no_hole_where_the_exchange_has_none() -> None:
    chart = ChartCandles(100)
    chart.news(View(closed(3), make_candle(3, 1)), none_after)
    chart.news(View([*closed(3), *closed(1, 7)], make_candle(8, 1)), none_after)

    assert chart.after_holes == []


def test_a_browser_gets_no_more_than_it_keeps() -> None:
    chart, view = ChartCandles(10), View(closed(30), make_candle(30, 1))
    assert opens(chart.news(view, none_after)) == list(range(21, 31))

    view.closed.append(make_candle(30, 4, closed=True))
    view.running = make_candle(31, 1)
    assert opens(chart.news(view, none_after)) == [30, 31]
    assert len(chart.sent) == 10
    assert chart.news(view, none_after).candles == ()


def test_an_exchange_that_sets_its_time_back_is_followed() -> None:
    chart, view = ChartCandles(100), View(closed(5, start=60), make_candle(65, 1))
    chart.news(view, none_after)

    view.closed, view.running = [], make_candle(3, 1)
    news = chart.news(view, none_after)

    assert (opens(news), news.is_whole) == ([3], True)


def test_the_running_candle_follows_the_trades_until_the_exchange_tells_it_again() -> None:
    told = make_candle(0, 5, ids=(1, 5))
    ticks = [tick(6, "70000", START_MS + 1000), tick(7, "50000.5", START_MS + 2000)]
    chart, view = ChartCandles(100), View((), told)

    [shown] = chart.news(view, lambda after: [each for each in ticks if each.id > after]).candles
    assert (shown.high, shown.low, shown.close) == (Decimal(70000), Decimal("50000.5"), Decimal("50000.5"))
    assert shown.volume == told.volume + 1
    assert (shown.trades, shown.last_id) == (7, 7)

    ticks.append(tick(8, "60001", START_MS + 3000))
    [shown] = chart.news(view, lambda after: [each for each in ticks if each.id > after]).candles
    assert (shown.close, shown.trades) == (Decimal(60001), 8)

    view.running = make_candle(0, 8, ids=(1, 8))
    [shown] = chart.news(view, lambda after: [each for each in ticks if each.id > after]).candles
    assert shown == view.running, "what the exchange says counts"


def test_a_trade_of_the_next_candle_waits_for_it() -> None:
    told = make_candle(0, 5, ids=(1, 5))
    late = tick(6, "70000", told.close_ts + 1)
    asked: list[int] = []

    def trades_after(trade_id: int) -> Sequence[TradeTick]:
        asked.append(trade_id)
        return [late]

    chart, view = ChartCandles(100), View((), told)
    assert chart.news(view, trades_after).candles == [told]
    chart.news(view, trades_after)
    assert asked == [5], "memory is not searched again and again"
    assert followed(told, [late]) is told


def test_a_candle_whose_trades_are_not_told_follows_none() -> None:
    told = make_candle(0, 5)
    news = ChartCandles(100).news(View((), told), lambda after: [tick(6, "70000", START_MS + 1)])
    assert list(news.candles) == [told]


def test_candles_in_which_trades_are_missing_are_named() -> None:
    trades, missing = RecentTrades(100), MissingTrades()
    candles = closed(6)
    trades.append(TRADES, tick(1, "1", candles[1].open_ts + 5))
    trades.note_gap(Gap(TRADES, 2, 40, "upstream"))
    missing.note(TRADES, trades)
    assert missing.among(candles) == [], "nobody knows when it ends"

    trades.append(TRADES, tick(41, "1", candles[3].open_ts + 5))
    missing.note(TRADES, trades)
    expected = [candle.open_ts for candle in candles[1:4]]
    assert missing.among(candles) == expected

    for trade_id in range(42, 200):  # memory forgets, the page does not
        trades.append(TRADES, tick(trade_id, "1", candles[4].open_ts))
    missing.note(TRADES, trades)
    assert missing.among(candles) == expected


def test_ids_that_the_exchange_never_had_are_not_missing() -> None:
    trades, missing = RecentTrades(100), MissingTrades()
    trades.append(TRADES, tick(1, "1", START_MS))
    trades.note_gap(Gap(TRADES, 2, 4, "venue"))
    trades.append(TRADES, tick(5, "1", START_MS + 10))
    missing.note(TRADES, trades)
    assert missing.among(closed(2)) == []
