"""The calls of REST that the product uses, their weights and limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from livemarkets.doctor.answers import ids_of, rows
from livemarkets.doctor.listing import Listing
from livemarkets.doctor.record import Answer, Record
from livemarkets.doctor.shapes import fields_fault
from livemarkets.doctor.values import Check, Finding, Numbers, failed, not_seen, passed

__all__ = ["CHECKS"]

_TRADE = {"id": int, "price": str, "qty": str, "time": int, "isBuyerMaker": bool}
_AGGREGATE = {"a": int, "p": str, "q": str, "f": int, "l": int, "T": int, "m": bool}
_DAY = {"symbol": str, "openTime": int, "closeTime": int, "firstId": int, "lastId": int, "count": int}
_NOT_SERVED = (401, 403, 404)


def _served(
    record: Record, call: str, fault: Callable[[Answer], str | None], *, somewhere: bool = False
) -> Finding:
    """Judge one call: whether every address serves it (or one of them does), in the documented shape."""
    lines, served, refused, bad = [], 0, 0, 0
    for address in record.reached("rest"):
        answers = [
            answer
            for answer in record.answers
            if (answer.address, answer.call) == (address, call) and answer.label != "unlisted"
        ]
        if not answers:
            continue
        problem = next((text for text in (a.failure or fault(a) for a in answers) if text), None)
        if problem is None:
            served += 1
            lines.append(f"{address}: served")
        else:
            not_here = answers[0].status in _NOT_SERVED
            refused, bad = refused + not_here, bad + (not not_here)
            lines.append(f"{address}: {problem}")
    if not lines:
        return not_seen(record.pause or "it was not asked")
    all_right = served > 0 and bad == 0 if somewhere else bad == refused == 0
    return (passed if all_right else failed)("; ".join(lines), served=served, refused=refused, wrong=bad)


def _of_rows(wanted: dict[str, type]) -> Callable[[Answer], str | None]:
    def fault(answer: Answer) -> str | None:
        found = rows(answer)
        if not isinstance(answer.body, list) or len(found) != len(answer.body):
            return "it is not a list of objects"
        return next((text for text in (fields_fault(row, wanted) for row in found) if text), None)

    return fault


def _exchange_info(record: Record) -> Finding:
    finding = _served(record, "exchangeInfo", lambda a: None if isinstance(a.body, Listing) else "no list")
    answer = next(record.of("exchangeInfo"), None)
    if answer is None or record.listing is None:
        return finding
    numbers: Numbers = {
        "symbols": len(record.listing.symbols),
        "kilobytes": answer.size_bytes // 1000,
        "entries_with_permission_sets": record.listing.permission_sets,
        "seconds": round(answer.received_at - answer.sent_at, 3),
    }
    sizes = f"{numbers['symbols']} symbols, {numbers['kilobytes']} kB, {numbers['seconds']} s"
    return Finding(finding.verdict, f"{finding.seen}; {sizes}", finding.numbers | numbers)


def _bars_fault(answer: Answer) -> str | None:
    body = answer.body
    if not isinstance(body, list) or not all(_is_bar(bar) for bar in body):
        return "a candle does not have the documented twelve values"
    opens = [bar[0] for bar in body]
    return None if opens == sorted(set(opens)) else "the candles are not in the order of their time"


def _is_bar(bar: Any) -> bool:
    kinds = (int, str, str, str, str, str, int, str, int, str, str)
    return (
        isinstance(bar, list)
        and len(bar) == 12
        and all(type(value) is kind for value, kind in zip(bar, kinds, strict=False))
    )


def _last_bar(record: Record) -> Finding:
    answers = [answer for answer in record.of("klines") if _bars_fault(answer) is None and answer.body]
    if not answers or not record.clock_offsets:
        return not_seen("no candles or no time came")
    offset = min(record.clock_offsets)[1]
    finished = 0
    for answer in answers:
        asked_ms = record.began_ms + (answer.sent_at - record.began_at + offset) * 1000
        finished += answer.body[-1][6] < asked_ms - 1000
    seen = f"in {finished} of {len(answers)} answers the last candle had ended before it was asked for"
    # Now and then an answer comes in a minute that has no trade yet.
    return (failed if finished * 2 > len(answers) else passed)(seen, answers=len(answers), finished=finished)


def _weights(record: Record) -> Finding:
    least = _least_weights(record)
    if not least:
        return not_seen("no answer tells X-MBX-USED-WEIGHT-1M")
    dearer = [name for name, (charged, told) in least.items() if told > charged]
    parts = [f"{name} {told} (charged {charged})" for name, (charged, told) in least.items()]
    numbers: Numbers = {name: told for name, (_, told) in least.items()}
    return Finding("fail" if dearer else "pass", ", ".join(parts), numbers)


def _least_weights(record: Record) -> dict[str, tuple[int, int]]:
    """Return for each call what is charged for it, and the least by which the exchange's count has risen.

    Other programs of this IP address can make it rise by more, so the least is nearest to the truth.
    """
    least: dict[str, tuple[int, int]] = {}
    before: dict[str, int] = {}
    for answer in record.answers:
        used, last = answer.used_weight, before.get(answer.address)
        if used is not None and last is not None and used > last and answer.failure is None:
            name = f"{answer.call} ({answer.label})" if answer.charged > 25 else answer.call
            told = used - last
            least[name] = (answer.charged, min(told, least.get(name, (0, told))[1]))
        if used is not None:
            before[answer.address] = used
    return least


def _unlisted(record: Record) -> Finding:
    answers = [answer for answer in record.answers if answer.label == "unlisted"]
    if not answers:
        return not_seen(record.pause or "it was not asked")
    right = sum(answer.failure == "HTTP 400, code -1121" for answer in answers)
    seen = f"{answers[0].failure or 'an answer as if the symbol were listed'}"
    return (passed if right == len(answers) else failed)(seen, answers=len(answers), right=right)


def _same_trades(record: Record) -> Finding:
    main = record.channel("main")
    known = (
        {symbol: {each.id: each for each in found} for symbol, found in main.trades.items()} if main else {}
    )
    compared = different = 0
    for answer, row in _rest_trades(record):
        trade = known.get(answer.symbol, {}).get(row["id"])
        if trade is not None:
            compared += 1
            different += (Decimal(trade.price), Decimal(trade.size), trade.ts_ms, trade.buyer_is_maker) != (
                Decimal(row["price"]),
                Decimal(row["qty"]),
                row["time"],
                row["isBuyerMaker"],
            )
    if not compared:
        return not_seen("no trade came both by the stream and by REST")
    seen = f"{different} of {compared} trades differ between the stream and REST"
    return (failed if different else passed)(seen, compared=compared, different=different)


def _rest_trades(record: Record) -> Iterator[tuple[Answer, dict[str, Any]]]:
    for call in ("trades", "historicalTrades"):
        for answer in record.of(call):
            for row in rows(answer):
                if fields_fault(row, _TRADE) is None:
                    yield answer, row


def _page(record: Record) -> Finding:
    pages = [answer for answer in record.of("trades", "page") if ids_of(answer)]
    if not pages:
        return not_seen(record.pause or "no page of trades came")
    broken = sum(
        ids_of(page) != list(range(ids_of(page)[0], ids_of(page)[0] + len(ids_of(page)))) for page in pages
    )
    length = min(len(ids_of(page)) for page in pages)
    seen = f"{len(pages)} pages, the shortest with {length} trades, {broken} with ids that do not rise by 1"
    return (failed if broken else passed)(seen, pages=len(pages), shortest=length, broken=broken)


def _announced(record: Record) -> Finding:
    listing = record.listing
    if listing is None:
        return not_seen("no exchangeInfo came")
    weight, wanted = listing.weight_per_minute, record.limits.weight_per_minute
    seen = ", ".join(listing.rate_limits) or "no limit is announced"
    return (failed if weight is None or weight < wanted else passed)(seen, weight_per_minute=weight)


def _retry_after(record: Record) -> Finding:
    asked = [answer for answer in record.answers if answer.status in (418, 429)]
    if not asked:
        return not_seen("the exchange asked for no pause")
    odd = [
        a for a in asked if a.retry_after is None or not (a.retry_after.isascii() and a.retry_after.isdigit())
    ]
    shape = "missing" if asked[0].retry_after is None else "a number of seconds"
    if odd and odd[0].retry_after is not None:
        shape = "not a whole number"
    return (failed if odd else passed)(f"HTTP {asked[0].status}; Retry-After is {shape}", pauses=len(asked))


_USED_BY = "exchanges/binance/rest.py"

CHECKS = (
    Check(
        "rest.exchange_info",
        "`exchangeInfo?showPermissionSets=false` gives the list of symbols.",
        _USED_BY,
        _exchange_info,
    ),
    Check(
        "rest.trades",
        "Every address serves `trades` without a key.",
        _USED_BY,
        lambda record: _served(record, "trades", _of_rows(_TRADE)),
    ),
    Check(
        "rest.historical_trades",
        "At least one address serves `historicalTrades` without a key; the others say 401, 403 or 404.",
        _USED_BY,
        lambda record: _served(record, "historicalTrades", _of_rows(_TRADE), somewhere=True),
    ),
    Check(
        "rest.aggregate_trades",
        "Every address serves `aggTrades`, with the ids of the first and last trade of each.",
        _USED_BY,
        lambda record: _served(record, "aggTrades", _of_rows(_AGGREGATE)),
    ),
    Check(
        "rest.day_tickers",
        "Every address serves `ticker/24hr` with `symbols` and `type=MINI`, with the last trade id of each.",
        _USED_BY,
        lambda record: _served(record, "ticker/24hr", _of_rows(_DAY)),
    ),
    Check(
        "rest.klines",
        "Every address serves `klines`: candles of twelve values, oldest first.",
        "feed/candle_proof.py",
        lambda record: _served(record, "klines", _bars_fault),
    ),
    Check(
        "rest.last_bar",
        "The last candle of `klines` is the running one.",
        "feed/candle_proof.py",
        _last_bar,
    ),
    Check(
        "rest.weights",
        "No call costs more request weight than the product charges for it.",
        "exchanges/budgets.py",
        _weights,
    ),
    Check(
        "rest.unlisted_symbol",
        "`ticker/24hr` refuses a list of symbols with one that is not listed: HTTP 400 and code -1121.",
        _USED_BY,
        _unlisted,
    ),
    Check(
        "rest.trades_page",
        "`trades` gives the newest trades, oldest first, with ids that rise by 1.",
        _USED_BY,
        _page,
    ),
    Check(
        "rest.same_trades",
        "REST tells price, size, time and side of a trade as the stream does.",
        "feed/backfill.py",
        _same_trades,
    ),
    Check(
        "rest.announced_weight",
        "`exchangeInfo` announces at least the request weight that the product's budget begins with.",
        "exchanges/budgets.py",
        _announced,
    ),
    Check(
        "rest.retry_after",
        "With HTTP 429 and 418 comes `Retry-After`, a whole number of seconds.",
        "exchanges/failures.py",
        _retry_after,
    ),
)
