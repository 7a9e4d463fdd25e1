"""The candles of the stream: how they run, how they close, and what they look like where nothing trades."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby, pairwise
from operator import attrgetter

from livemarkets.doctor.checks.tickers import shape_of
from livemarkets.doctor.record import Record
from livemarkets.doctor.shapes import Bar, Trade
from livemarkets.doctor.values import Check, Finding, failed, median, not_seen, passed

__all__ = ["CHECKS"]

_PACES = {"1s": 1.0, "1m": 2.0}
"""Documented seconds between two events of an interval."""
_TOGETHER_SECONDS = 0.2
"""The end of a bar and the beginning of the next one may come together."""
_ENOUGH_SECONDS = 4.0
_BY_OPEN = attrgetter("open_ms")


def _series(record: Record) -> Iterator[tuple[str, str, list[Bar]]]:
    main = record.channel("main")
    for (symbol, interval), bars in main.bars.items() if main else ():
        yield symbol, interval, bars


def _pace(record: Record) -> Finding:
    gaps: dict[str, list[float]] = {}
    busiest = max(record.symbols, key=lambda symbol: _trades_of(record, symbol), default="")
    for symbol, interval, bars in _series(record):
        if symbol == busiest:
            between = [later.at - earlier.at for earlier, later in pairwise(bars)]
            gaps.setdefault(interval, []).extend(each for each in between if each > _TOGETHER_SECONDS)
    usual = {interval: median(each) for interval, each in gaps.items() if each}
    if not usual:
        return not_seen("fewer than two candle events came")
    wrong = [
        i for i, each in usual.items() if abs(each - _PACES[i]) > record.limits.pace_tolerance * _PACES[i]
    ]
    seen = ", ".join(f"{interval}: usually {each:.2f} s apart" for interval, each in usual.items())
    numbers = {f"median_seconds_{interval}": round(each, 3) for interval, each in usual.items()}
    return (failed if wrong else passed)(seen, **numbers)


def _trades_of(record: Record, symbol: str) -> int:
    main = record.channel("main")
    return len(main.trades.get(symbol, ())) if main else 0


def _closes(record: Record) -> Finding:
    """Judge every bar of the observed symbols that another one of its series has followed."""
    once = never = again = changed = 0
    for symbol, _, bars in _series(record):
        if symbol not in record.symbols:
            continue
        groups = [list(group) for _, group in groupby(sorted(bars, key=_BY_OPEN), _BY_OPEN)]
        for group in groups[1:-1]:
            closed = [index for index, bar in enumerate(group) if bar.closed]
            once += len(closed) == 1
            never += not closed
            again += len(closed) > 1
            changed += bool(closed) and any(not bar.closed for bar in group[closed[0] :])
    total = once + never + again
    if not total:
        return not_seen("no candle was seen from its beginning to its end")
    seen = (
        f"of {total} candles, {once} closed once, {never} never, {again} again; {changed} went on afterwards"
    )
    return (failed if never or again or changed else passed)(
        seen, bars=total, once=once, never=never, again=again, changed=changed
    )


def _agree(record: Record) -> Finding:
    """Compare every closed bar with its trades, where all of them came."""
    main = record.channel("main")
    compared = different = 0
    for symbol, _, bars in _series(record):
        trades = {trade.id: trade for trade in main.trades.get(symbol, ())} if main else {}
        for bar in bars:
            ids = range(bar.first_id, bar.last_id + 1)
            if bar.closed and bar.count and all(each in trades for each in ids):
                compared += 1
                different += not _is_made_of(bar, [trades[each] for each in ids])
    if not compared:
        return not_seen("no candle closed whose trades had all come")
    seen = (
        f"{different} of {compared} closed candles differ from their trades in ids, prices, volume or count"
    )
    return (failed if different else passed)(seen, bars=compared, different=different)


def _is_made_of(bar: Bar, trades: list[Trade]) -> bool:
    prices = [Decimal(trade.price) for trade in trades]
    return (
        bar.count == len(trades)
        and all(bar.open_ms <= trade.ts_ms <= bar.close_ms for trade in trades)
        and Decimal(bar.open) == prices[0]
        and Decimal(bar.close) == prices[-1]
        and Decimal(bar.high) == max(prices)
        and Decimal(bar.low) == min(prices)
        and Decimal(bar.volume) == sum(Decimal(trade.size) for trade in trades)
    )


def _follow_on(record: Record) -> Finding:
    """Judge that a bar begins with the trade after the last one before it, also after bars without trades."""
    pairs = holes = 0
    for _, _, bars in _series(record):
        final = {bar.open_ms: bar for bar in bars if bar.closed}
        last_id: int | None = None
        for earlier, later in pairwise(final[open_ms] for open_ms in sorted(final)):
            if earlier.count:
                last_id = earlier.last_id
            if later.open_ms != earlier.close_ms + 1:
                last_id = None
            elif later.count and last_id is not None:
                pairs += 1
                holes += later.first_id != last_id + 1
    if not pairs:
        return not_seen("no two candles with trades closed one after the other")
    return (failed if holes else passed)(
        f"{holes} of {pairs} candles do not begin with the trade after the last one before them",
        pairs=pairs,
        holes=holes,
    )


def _quiet(record: Record) -> Finding:
    empty = [bar for _, _, bars in _series(record) for bar in bars if bar.count == 0]
    if not empty:
        where = record.quiet_symbol or "a symbol that rarely trades"
        return not_seen(f"no candle without trades came for {where}")
    right = sum(_looks_empty(bar) for bar in empty)
    seen = f"{right} of {len(empty)} candles without trades have f -1, L -1, volume 0 and one price"
    return (passed if right == len(empty) else failed)(seen, candles=len(empty), right=right)


def _looks_empty(bar: Bar) -> bool:
    return (
        bar.first_id == bar.last_id == -1
        and Decimal(bar.volume) == 0
        and bar.open == bar.high == bar.low == bar.close
    )


def _quiet_runs(record: Record) -> Finding:
    main, symbol = record.channel("main"), record.quiet_symbol
    if main is None or not symbol or not main.replies:
        return not_seen("no symbol that rarely trades was subscribed")
    opens = sorted({bar.open_ms for bar in main.bars.get((symbol, "1s"), ())})
    lived = (main.ended_at or record.ended_at) - main.replies[0].at
    if not opens:
        seen = f"no candle of {symbol} came in {lived:.0f} s"
        return (failed if lived > _ENOUGH_SECONDS else not_seen)(seen, candles=0)
    missing = (opens[-1] - opens[0]) // 1000 + 1 - len(opens)
    seen = f"{len(opens)} candles of 1s of {symbol} came in {lived:.0f} s, {missing} between them did not"
    return (failed if missing else passed)(seen, candles=len(opens), missing=missing)


_USED_BY = "feed/candle_line.py"

CHECKS = (
    Check(
        "candles.fields",
        "A candle has the documented fields: ids and times as numbers, prices and volumes as plain decimals.",
        _USED_BY,
        shape_of("kline"),
    ),
    Check("candles.pace", "A candle of 1s comes every second, the others every 2 s.", _USED_BY, _pace),
    Check(
        "candles.closes",
        "Each candle is told as closed (x) exactly once, and does not change afterwards.",
        _USED_BY,
        _closes,
    ),
    Check("candles.agree", "A closed candle agrees with its trades.", _USED_BY, _agree),
    Check(
        "candles.follow_on",
        "A candle begins with the trade after the last one of the candles before.",
        _USED_BY,
        _follow_on,
    ),
    Check(
        "candles.quiet",
        "A candle in which nothing traded has f -1, L -1, volume 0 and one price.",
        _USED_BY,
        _quiet,
    ),
    Check(
        "candles.quiet_runs",
        "Candles come one after the other also where nothing trades.",
        _USED_BY,
        _quiet_runs,
    ),
)
