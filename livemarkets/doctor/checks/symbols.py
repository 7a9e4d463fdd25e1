"""The list of symbols: its entries, their statuses and names."""

from __future__ import annotations

from livemarkets.doctor.listing import STATUSES
from livemarkets.doctor.record import Record
from livemarkets.doctor.shapes import lower_case
from livemarkets.doctor.values import Check, Finding, failed, not_seen, passed

__all__ = ["CHECKS"]

_NO_LIST = "no list of symbols came"


def _entries(record: Record) -> Finding:
    if record.listing is None:
        return not_seen(_NO_LIST)
    faults = record.listing.faults
    seen = ", ".join(f"{text}: {count}" for text, count in faults.items()) or "every entry is complete"
    return (failed if faults else passed)(
        seen, symbols=len(record.listing.symbols), faults=sum(faults.values())
    )


def _statuses(record: Record) -> Finding:
    if record.listing is None:
        return not_seen(_NO_LIST)
    counts = record.listing.statuses
    unknown = sorted(counts.keys() - STATUSES)
    seen = ", ".join(f"{ascii(status)[1:-1]} {count}" for status, count in sorted(counts.items()))
    return (failed if unknown else passed)(seen, statuses=len(counts), unknown=len(unknown))


def _names(record: Record) -> Finding:
    if record.listing is None:
        return not_seen(_NO_LIST)
    unfit, other = record.listing.unfit_names, len(record.listing.other_scripts)
    seen = f"{unfit} names that the product refuses; {other} names with letters outside ASCII"
    return (failed if unfit else passed)(seen, unfit=unfit, other_scripts=other)


def _utf8(record: Record) -> Finding:
    main = record.channel("main")
    if not record.utf8_symbol or main is None:
        return not_seen("no symbol with letters outside ASCII trades here")
    came = len(main.trades.get(record.utf8_symbol, ())) + len(main.days.get(record.utf8_symbol, ()))
    asked = next((request for request in main.requests if request.method == "SUBSCRIBE"), None)
    reply = main.reply_to(asked.id) if asked else None
    if reply is not None and reply.is_error:
        return failed(f"the subscription was refused: {reply.text}")
    if came:
        return passed(f"{came} events of a symbol with letters outside ASCII", events=came)
    name = lower_case(record.utf8_symbol)
    if any(stream.partition("@")[0] == name for stream in main.last_event_at):
        return failed("its events came, but their symbol is written differently", events=0)
    return not_seen("the subscription was not refused, and nothing happened to that symbol", events=0)


CHECKS = (
    Check(
        "symbols.entries",
        "Every entry of `exchangeInfo` has a name once, status, assets, tick size and step size.",
        "exchanges/binance/rest.py",
        _entries,
    ),
    Check(
        "symbols.statuses",
        f"A symbol's status is one of {', '.join(sorted(STATUSES))}.",
        "exchanges/binance/rest.py",
        _statuses,
    ),
    Check(
        "symbols.names",
        "Every listed name has 2 to 64 letters and digits of any script, and none of a to z.",
        "market/symbols.py",
        _names,
    ),
    Check(
        "symbols.other_scripts",
        "Streams of names outside ASCII are subscribed in UTF-8, and bring events in UTF-8.",
        "exchanges/binance/messages.py",
        _utf8,
    ),
)
