"""The trades of the streams: fields, units, ids, two connections at once, the meaning of the side."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

from livemarkets.doctor.record import Channel, Record
from livemarkets.doctor.shapes import Trade, decimal_fault
from livemarkets.doctor.values import Check, Finding, failed, not_seen, passed

__all__ = ["CHECKS"]

_NO_TRADES = "no trade came"
_HOUR_MS = 3_600_000


def _runs(record: Record) -> Iterator[tuple[Channel, str, list[Trade]]]:
    """Yield the trades of each stream of each connection, in the order of arrival."""
    for channel in record.channels:
        for symbol, trades in channel.trades.items():
            yield channel, symbol, trades


def _all(record: Record) -> list[Trade]:
    return [trade for _, _, trades in _runs(record) for trade in trades]


def _fields(record: Record) -> Finding:
    problems: dict[str, int] = {}
    for channel in record.channels:
        for text, count in channel.problems.get("trade", {}).items():
            problems[text] = problems.get(text, 0) + count
    good = len(_all(record))
    if not good and not problems:
        return not_seen(_NO_TRADES)
    seen = "; ".join(f"{text}: {count}" for text, count in problems.items()) or f"{good} trades"
    return (failed if problems else passed)(seen, trades=good, wrong=sum(problems.values()))


def _decimals(record: Record) -> Finding:
    trades = _all(record)
    if not trades:
        return not_seen(_NO_TRADES)
    odd = sum(not _is_plain(trade) for trade in trades)
    seen = f"{odd} of {len(trades)} trades have a price or size that is not a plain decimal above zero"
    return (failed if odd else passed)(seen, trades=len(trades), odd=odd)


def _is_plain(trade: Trade) -> bool:
    texts = {"price": trade.price, "size": trade.size}
    return decimal_fault(texts, texts) is None and all(Decimal(text) > 0 for text in texts.values())


def _milliseconds(record: Record) -> Finding:
    trades = _all(record)
    if not trades:
        return not_seen(_NO_TRADES)
    low, high = record.began_ms - _HOUR_MS, record.began_ms + int(record.seconds * 1000) + _HOUR_MS
    odd = sum(not (low <= trade.ts_ms <= high and low <= trade.event_ms <= high) for trade in trades)
    seen = f"{odd} of {len(trades)} trades have a time that is not within an hour of now, in milliseconds"
    return (failed if odd else passed)(seen, trades=len(trades), odd=odd)


def _consecutive(record: Record) -> Finding:
    missing = streams = total = 0
    for _, _, trades in _runs(record):
        ids = {trade.id for trade in trades}
        streams, total = streams + 1, total + len(ids)
        missing += max(ids) - min(ids) + 1 - len(ids)
    if total < 2:
        return not_seen(_NO_TRADES if not total else "only one trade came")
    seen = f"{missing} ids are missing among {total} trades of {streams} streams"
    return (failed if missing else passed)(seen, trades=total, streams=streams, missing=missing)


def _once_in_order(record: Record) -> Finding:
    repeated = backwards = total = 0
    for _, _, trades in _runs(record):
        ids = [trade.id for trade in trades]
        total += len(ids)
        repeated += len(ids) - len(set(ids))
        backwards += sum(later < earlier for earlier, later in pairwise(ids))
    if total < 2:
        return not_seen(_NO_TRADES if not total else "only one trade came")
    seen = f"of {total} trades, {repeated} came again and {backwards} came after a later one"
    return (failed if repeated or backwards else passed)(
        seen, trades=total, repeated=repeated, backwards=backwards
    )


def _two_connections(record: Record) -> Finding:
    main, second = record.channel("main"), record.channel("second")
    if main is None or second is None:
        return not_seen("there were no two connections at once")
    shared = apart = different = 0
    for symbol, trades in second.trades.items():
        ones = {trade.id: trade for trade in main.trades.get(symbol, ())}
        others = {trade.id: trade for trade in trades}
        if not ones:
            continue
        low, high = max(min(ones), min(others)), min(max(ones), max(others))
        both = ones.keys() & others.keys()
        shared += len(both)
        apart += sum(low <= each <= high for each in ones.keys() ^ others.keys())
        different += sum(_told(ones[each]) != _told(others[each]) for each in both)
    if not shared and not apart:
        return not_seen("no trade came on both connections")
    where = "the same address" if main.address == second.address else "two addresses"
    seen = f"at {where}: {shared} trades on both, {apart} on one alone, {different} told differently"
    return (failed if apart or different else passed)(seen, shared=shared, apart=apart, different=different)


def _told(trade: Trade) -> tuple[str, str, bool, int]:
    return trade.price, trade.size, trade.buyer_is_maker, trade.ts_ms


def _side(record: Record) -> Finding:
    """Look at orders that took several prices: a taker who buys pays more and more, and is not the maker.

    The best bid and ask would not tell: they often come before the trade that has changed them.
    """
    limit = record.limits
    right = moves = 0
    for _, _, trades in _runs(record):
        for earlier, later in pairwise(trades):
            rise = _rise(earlier, later)
            moves += rise != 0
            right += (rise > 0 and not later.buyer_is_maker) or (rise < 0 and later.buyer_is_maker)
    if moves < limit.side_trades:
        return not_seen(f"only {moves} trades followed one of the same order at another price", trades=moves)
    seen = f"{right} of {moves} trades moved the price of their order in the direction that m names"
    return (passed if right >= limit.side_share * moves else failed)(seen, trades=moves, right=right)


def _rise(earlier: Trade, later: Trade) -> float:
    """Return by how much the price rose between two fills of one order; 0 when they may be of two orders."""
    if (later.id, later.ts_ms, later.buyer_is_maker) != (
        earlier.id + 1,
        earlier.ts_ms,
        earlier.buyer_is_maker,
    ):
        return 0.0
    return float(later.price) - float(earlier.price) if _is_plain(earlier) and _is_plain(later) else 0.0


def _parser(record: Record) -> Finding:
    refused: dict[str, int] = {}
    for channel in record.channels:
        for text, count in channel.refused_by_parser.items():
            refused[text] = refused.get(text, 0) + count
    frames = len(_all(record)) + sum(len(channel.replies) for channel in record.channels)
    if not frames and not refused:
        return not_seen("no trade and no reply came")
    seen = ", ".join(f"{text}: {count}" for text, count in refused.items()) or f"all {frames} frames"
    return (failed if refused else passed)(seen, frames=frames, refused=sum(refused.values()))


CHECKS = (
    Check(
        "trades.fields",
        "A trade has e, E, s, t, p, q, T and m, of the documented types.",
        "exchanges/binance/messages.py",
        _fields,
    ),
    Check(
        "trades.decimals",
        "Price and size are plain decimals above zero, as text.",
        "exchanges/binance/messages.py",
        _decimals,
    ),
    Check(
        "trades.milliseconds",
        "Times are milliseconds since 1970.",
        "exchanges/binance/messages.py",
        _milliseconds,
    ),
    Check(
        "trades.consecutive",
        "The ids of a symbol's trades rise by exactly 1: the stream has no hole.",
        "feed/ledger.py",
        _consecutive,
    ),
    Check(
        "trades.once_in_order",
        "On one connection, each trade comes once and in the order of the ids.",
        "feed/ledger.py",
        _once_in_order,
    ),
    Check(
        "trades.two_connections",
        "Two connections at the same time bring the same trades.",
        "exchanges/binance/shard.py",
        _two_connections,
    ),
    Check(
        "trades.side",
        "m says that the buyer was the maker: the fills of such an order go down in price.",
        "exchanges/binance/messages.py",
        _side,
    ),
    Check(
        "trades.parser",
        "The product's parser understands every trade, every reply and every frame without a stream.",
        "exchanges/binance/messages.py",
        _parser,
    ),
)
