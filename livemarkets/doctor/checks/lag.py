"""How far each call of REST lags the stream."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from operator import attrgetter, itemgetter
from typing import Any

from livemarkets.doctor.answers import newest_id, rows
from livemarkets.doctor.record import Answer, Channel, Record
from livemarkets.doctor.values import Check, Finding, failed, median, not_seen, passed

__all__ = ["CHECKS"]

_BY_ID = attrgetter("id")


def _lag(record: Record, call: str, limit_seconds: float) -> Finding:
    """Judge the median lag of the answers of one call behind the main connection."""
    main = record.channel("main")
    lags = list(_lags(record, main, call)) if main is not None else []
    if not lags:
        return not_seen(record.pause or "no answer can be compared with the stream")
    worst, usual = max(lags), median(lags)
    seen = f"usually {usual:.2f} s behind the stream, {worst:.2f} s at worst, in {len(lags)} answers"
    return (failed if usual > limit_seconds else passed)(
        seen, answers=len(lags), median_seconds=round(usual, 3), worst_seconds=round(worst, 3)
    )


def _lags(record: Record, main: Channel, call: str) -> Iterator[float]:
    trades = {symbol: sorted(found, key=_BY_ID) for symbol, found in main.trades.items()}
    for answer in record.of(call, "sample"):
        for symbol, newest in _newest(answer, main, record.symbols[0]):
            known = trades.get(symbol, [])
            at = bisect_right(known, newest, key=_BY_ID)
            before = known[0].at if known else answer.sent_at
            if before < answer.sent_at:
                # The first trade that REST lacked had come this long before REST was asked.
                yield max(answer.sent_at - known[at].at, 0.0) if at < len(known) else 0.0


def _newest(answer: Answer, main: Channel, symbol: str) -> Iterator[tuple[str, int]]:
    """Yield the newest trade id that an answer knows of."""
    newest: Any = None
    found = rows(answer)
    if answer.call in ("trades", "historicalTrades"):
        newest = newest_id(answer)
    elif answer.call == "aggTrades":
        newest = found[-1].get("l") if found else None
    elif answer.call == "ticker/24hr":
        newest = found[0].get("lastId") if found else None
    elif answer.call == "klines":
        newest = _newest_of_bars(answer, main, symbol)
    if type(newest) is int:
        yield symbol, newest


def _newest_of_bars(answer: Answer, main: Channel, symbol: str) -> int | None:
    """Return the newest id in the newest bar: the id of its first trade is known from the stream."""
    body = answer.body if isinstance(answer.body, list) else []
    bars = [bar for bar in body if isinstance(bar, list) and len(bar) >= 9 and type(bar[0]) is int]
    if not bars:
        return None
    # The newest one, in whatever order they came: the order is judged by a check of its own.
    newest = max(bars, key=itemgetter(0))
    open_ms, count = newest[0], newest[8]
    for bar in main.bars.get((symbol, "1m"), ()):
        if bar.open_ms == open_ms and bar.first_id >= 0 and type(count) is int:
            return bar.first_id + count - 1
    return None


def _memory(call: str) -> Check:
    return Check(
        f"lag.{call.replace('/', '_')}",
        f"`{call}` is at most 2 s behind the stream: its source is the exchange's memory.",
        "exchanges/binance/rest.py, feed/staleness.py",
        lambda record: _lag(record, call, record.limits.memory_lag_seconds),
    )


def _database(call: str, used_by: str) -> Check:
    return Check(
        f"lag.{call}",
        f"`{call}` is at most 15 s behind the stream, which is the patience of the product.",
        used_by,
        lambda record: _lag(record, call, record.limits.database_lag_seconds),
    )


CHECKS = (
    _memory("trades"),
    _memory("ticker/24hr"),
    _database("historicalTrades", "feed/backfill.py"),
    _database("aggTrades", "exchanges/binance/rest.py"),
    _database("klines", "feed/candle_proof.py"),
)
