"""The figures of the head never contradict the newest trade."""

from __future__ import annotations

from decimal import Decimal

import pytest

from livemarkets.market.models import QualityState, StreamKey, StreamQuality, TradeTick
from livemarkets.market.updates import BookUpdate, ticker_of
from pages.labs.market.figures import RATE_MS, Figures, quality_text
from tests.pages.local import listed, ticker_row

[BTC] = [info for info in listed() if info.symbol == "BTCUSDT"]
BEST = (Decimal("104.99"), Decimal(1), Decimal("105.02"), Decimal(2))


def tick(trade_id: int, price: str, recv_ts: int = 1_000) -> TradeTick:
    return TradeTick("binance", "BTCUSDT", Decimal(price), Decimal(1), "buy", recv_ts - 5, trade_id, recv_ts)


def ticker(last: str, last_id: int, opened: str = "100"):  # type: ignore[no-untyped-def]
    return ticker_of("binance", ticker_row("BTCUSDT", last, opened=opened, trades=last_id), BEST, 2_000)


def test_high_and_low_follow_a_trade_that_is_newer_than_the_ticker() -> None:
    figures = Figures()
    ticks = [tick(8, "110.5"), tick(9, "98.50"), tick(10, "106")]
    figures.take(ticks)

    shown = figures.values(ticks[-1], ticker("105", 7), None, BTC)
    assert (shown.last, shown.high, shown.low) == ("106.00", "110.50", "98.50")
    assert shown.change == "+6.00"

    shown = figures.values(ticks[-1], ticker("106", 10), None, BTC)
    assert (shown.high, shown.low) == ("106.00", "100.00"), "the ticker has those trades too, and says so"


def test_before_a_trade_the_ticker_is_shown_and_said_to_be_one() -> None:
    shown = Figures().values(None, ticker("105", 7), None, BTC)
    assert (shown.last, shown.is_from_ticker, shown.change) == ("105.00", True, "+5.00")
    assert shown.spread == "0.03"
    book = BookUpdate("binance", "BTCUSDT", Decimal(1), Decimal(1), Decimal("1.50"), Decimal(1), 1, 1)
    assert Figures().values(None, ticker("105", 7), book, BTC).spread == "0.50"


def test_nothing_is_invented_while_nothing_is_known() -> None:
    shown = Figures().values(None, None, None, None)
    assert set(vars_of(shown).values()) == {"", False}


def vars_of(shown: object) -> dict[str, object]:
    return {name: getattr(shown, name) for name in type(shown).__slots__}  # type: ignore[attr-defined]


def test_trades_a_second_count_those_too_that_were_not_looked_at() -> None:
    figures, now_ms = Figures(), 100_000
    figures.take([tick(1, "1", now_ms - 20_000), tick(101, "1", now_ms - RATE_MS)])
    figures.take([tick(191, "1", now_ms - 10)])
    assert figures.per_second(now_ms) == 9.0
    assert figures.per_second(now_ms + RATE_MS) == 0.0
    figures.take([tick(1, "1", now_ms + RATE_MS)])  # the exchange restarted its ids
    assert figures.per_second(now_ms + RATE_MS) is None, "too early to say"


@pytest.mark.parametrize(
    ("tone", "state", "rate", "expected"),
    [
        ("live", QualityState.LIVE, 9.3, "live · 9.3 trades/s · 3 lost"),
        ("live", QualityState.LIVE, None, "live · 3 lost"),
        ("live", QualityState.RECOVERING, 1234.5, "recovering · 1,234 trades/s · 3 lost"),
        ("stale", QualityState.LIVE, 0.0, "stale · 0 trades/s · 3 lost"),
        ("down", QualityState.LIVE, 0.0, "down · 0 trades/s · 3 lost"),
    ],
)
def test_the_quality_is_said_in_words(
    tone: str, state: QualityState, rate: float | None, expected: str
) -> None:
    quality = StreamQuality(
        key=StreamKey.trades("binance", "BTCUSDT"),
        state=state,
        reason="status BREAK",
        since=0,
        complete_to=None,
        last_id=None,
        lost=3,
        lost_ts=1,
        fetched=40,
        repeated=500,
    )
    words, details, _ = quality_text(tone, quality, rate)
    assert words == expected
    assert "3 trades were lost" in details
    assert "40 were missing and fetched" in details
    assert "500 came twice" in details
