"""What bears the newest id: day tickers of REST and of the stream. And best prices, and order books."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from operator import attrgetter

from livemarkets.doctor.answers import rows
from livemarkets.doctor.record import Channel, Record
from livemarkets.doctor.shapes import Trade
from livemarkets.doctor.values import Check, Finding, failed, median, not_seen, passed

__all__ = ["CHECKS", "shape_of"]

_TICKER_SECONDS = 1.0


def shape_of(kind: str) -> Callable[[Record], Finding]:
    """Return the judgement of the shape of one kind of event on the main connection."""

    def find(record: Record) -> Finding:
        main = record.channel("main")
        kinds = [name for name in main.counts if name.startswith(kind)] if main else []
        if main is None or not kinds:
            return not_seen("no such event came")
        count = sum(main.counts[name] for name in kinds)
        problems = [(text, n) for name in kinds for text, n in main.problems.get(name, {}).items()]
        seen = "; ".join(f"{text}: {n}" for text, n in problems) or f"{count} events"
        return (failed if problems else passed)(seen, events=count, wrong=sum(n for _, n in problems))

    return find


def _newest_between(trades: list[Trade], low_at: float, high_at: float) -> tuple[int | None, int | None]:
    """Return the greatest id that had come at two times."""
    low = max((trade.id for trade in trades if trade.at <= low_at), default=None)
    high = max((trade.id for trade in trades if trade.at <= high_at), default=None)
    return low, high


def _day_ids(record: Record) -> Finding:
    """Judge `lastId` of REST: the stream must bring that id within the time to settle."""
    main, settle = record.channel("main"), record.limits.settle_seconds
    compared = ahead = 0
    for answer in record.of("ticker/24hr", "sample") if main else ():
        end = (main.ended_at if main else None) or record.ended_at
        if answer.received_at + settle > end:
            continue
        for row in rows(answer):
            trades = main.trades.get(str(row.get("symbol")), []) if main else []
            _, high = _newest_between(trades, answer.sent_at, answer.received_at + settle)
            told = row.get("lastId")
            if high is not None and type(told) is int:
                compared += 1
                ahead += told > high
    if not compared:
        return not_seen(record.pause or "no answer can be compared with the stream")
    seen = f"{ahead} of {compared} answers named an id that the stream did not bring within {settle:g} s"
    return (failed if ahead else passed)(seen, answers=compared, ahead=ahead)


def _ticker_ids(record: Record) -> Finding:
    """Judge `L` of the ticker stream: not ahead of the trades, and not far behind them."""
    main, settle = record.channel("main"), record.limits.settle_seconds
    if main is None:
        return not_seen("no ticker came")
    end = main.ended_at or record.ended_at
    compared = ahead = behind = 0
    for symbol, days in main.days.items():
        trades = main.trades.get(symbol, [])
        for day in days:
            if not trades or day.at - settle < trades[0].at or day.at + settle > end:
                continue
            low, high = _newest_between(trades, day.at - settle, day.at + settle)
            compared += 1
            ahead += high is not None and day.last_id > high
            behind += low is not None and day.last_id < low
    if not compared:
        return not_seen("no ticker came between trades")
    seen = (
        f"of {compared} tickers, {ahead} were ahead of the trades and {behind} more than {settle:g} s behind"
    )
    return (failed if ahead or behind else passed)(seen, tickers=compared, ahead=ahead, behind=behind)


def _ticker_pace(record: Record) -> Finding:
    main = record.channel("main")
    gaps = _gaps(main, record.symbols) if main else []
    if not gaps:
        return not_seen("fewer than two tickers of a symbol came")
    usual = median(gaps)
    is_right = abs(usual - _TICKER_SECONDS) <= record.limits.pace_tolerance * _TICKER_SECONDS
    return (passed if is_right else failed)(
        f"usually {usual:.2f} s apart", median_seconds=round(usual, 3), tickers=len(gaps) + 1
    )


def _gaps(main: Channel, symbols: tuple[str, ...]) -> list[float]:
    busiest = max(symbols, key=lambda symbol: len(main.trades.get(symbol, ())), default="")
    times = sorted(map(attrgetter("at"), main.days.get(busiest, ())))
    return [later - earlier for earlier, later in itertools.pairwise(times)]


CHECKS = (
    Check(
        "tickers.day_ids",
        "`lastId` of `ticker/24hr` is the id of a trade of the trade stream.",
        "exchanges/binance/rest.py, feed/staleness.py",
        _day_ids,
    ),
    Check(
        "tickers.fields",
        "A ticker has the documented fields: ids and times as numbers, prices as plain decimals.",
        "exchanges/binance/updates.py",
        shape_of("ticker"),
    ),
    Check(
        "tickers.stream_ids",
        "L of a ticker is the id of the newest trade of the trade stream.",
        "feed/staleness.py",
        _ticker_ids,
    ),
    Check("tickers.pace", "A ticker comes every second.", "feed/latest_feed.py", _ticker_pace),
    Check(
        "book.fields",
        "A bookTicker has u, s, b, B, a and A, and its bid is below its ask.",
        "exchanges/binance/updates.py",
        shape_of("bookTicker"),
    ),
    Check(
        "depth.fields",
        "A depth20 event has lastUpdateId, and at most 20 bids and asks, the best price first.",
        "exchanges/binance/updates.py",
        shape_of("depth"),
    ),
)
