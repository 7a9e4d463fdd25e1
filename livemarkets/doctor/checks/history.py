"""What `historicalTrades` answers within, beyond and before the trades that there are."""

from __future__ import annotations

from livemarkets.doctor.answers import ids_of, rows
from livemarkets.doctor.record import Answer, Record
from livemarkets.doctor.values import Check, Finding, failed, not_seen, passed

__all__ = ["CHECKS"]

_NOT_SERVED = "no address served historicalTrades, or it was not asked"


def _order(record: Record) -> Finding:
    answers = [answer for answer in record.of("historicalTrades", "from") if ids_of(answer)]
    if not answers:
        return not_seen(_NOT_SERVED)
    right = sum(_begins_and_rises(answer) for answer in answers)
    seen = f"{right} of {len(answers)} answers begin with fromId, and their ids rise by 1"
    return (passed if right == len(answers) else failed)(seen, answers=len(answers), right=right)


def _begins_and_rises(answer: Answer) -> bool:
    ids = ids_of(answer)
    return answer.from_id is not None and ids == list(range(answer.from_id, answer.from_id + len(ids)))


def _beyond(record: Record) -> Finding:
    answers = [answer for answer in record.answers if answer.label == "beyond"]
    if not answers:
        return not_seen(_NOT_SERVED)
    right = sum(answer.failure is None and answer.body == [] for answer in answers)
    first = answers[0]
    seen = first.failure or f"a list of {len(rows(first))} trades"
    return (passed if right == len(answers) else failed)(seen, answers=len(answers), right=right)


def _before(record: Record) -> Finding:
    answers = [answer for answer in record.answers if answer.label == "oldest"]
    if not answers:
        return not_seen(_NOT_SERVED)
    newest = max(
        (i for answer in record.of("historicalTrades", "recent") for i in ids_of(answer)), default=None
    )
    bad, texts = 0, []
    for answer in answers:
        ids = ids_of(answer)
        is_right = answer.failure is None and bool(ids) and ids == sorted(set(ids))
        bad += not is_right or (newest is not None and ids[-1] >= newest)
        texts.append(answer.failure or (f"{len(ids)} trades from id {ids[0]} on" if ids else "nothing"))
    oldest = min((i for answer in answers for i in ids_of(answer)), default=None)
    return (failed if bad else passed)("; ".join(texts), answers=len(answers), oldest_id=oldest)


def _empty_day(record: Record) -> Finding:
    empty = [row for answer in record.of("ticker/24hr") for row in rows(answer) if row.get("count") == 0]
    if not empty:
        return not_seen("every symbol that was asked for has traded within 24 hours")
    right = sum(row.get("firstId") == row.get("lastId") == -1 for row in empty)
    seen = f"{right} of {len(empty)} rows without trades have the ids -1"
    return (passed if right == len(empty) else failed)(seen, rows=len(empty), right=right)


CHECKS = (
    Check(
        "history.order",
        "`historicalTrades?fromId=` begins with that trade, oldest first, and its ids rise by 1.",
        "exchanges/binance/rest.py, feed/ledger.py",
        _order,
    ),
    Check(
        "history.beyond_newest",
        "`historicalTrades` with an id beyond the newest answers with an empty list.",
        "feed/backfill.py, feed/resume.py",
        _beyond,
    ),
    Check(
        "history.before_oldest",
        "`historicalTrades` with an id before the oldest gives the oldest trades, not the newest.",
        "feed/ledger.py",
        _before,
    ),
    Check(
        "history.empty_day",
        "`ticker/24hr` tells the ids -1 for a symbol that did not trade within 24 hours.",
        "exchanges/binance/rest.py",
        _empty_day,
    ),
)
