"""What is kept of the exchange's list of symbols, `exchangeInfo`. No I/O.

Source: Binance spot API documents, `rest-api.md` ("Exchange information") and `enums.md`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from livemarkets.doctor.shapes import decimal_fault, fields_fault
from livemarkets.market.symbols import is_well_formed

__all__ = ["STATUSES", "Listing", "listing_of"]

STATUSES = frozenset({"TRADING", "HALT", "BREAK", "CANCEL_ONLY", "END_OF_DAY"})
"""Symbol statuses of `enums.md`, "Symbol status"."""

_SHOWN_CHARACTERS = 40


class Listing(msgspec.Struct, frozen=True):
    """What is kept of `exchangeInfo`.

    Args:
        symbols: the names that can be subscribed, in the order of the list.
        trading: those whose status is TRADING.
        faults: what is wrong with entries, and with how many.
        statuses: how many symbols have each status.
        unfit_names: how many names the product would refuse.
        other_scripts: names with letters outside ASCII.
        permission_sets: how many entries have a filled `permissionSets`.
        weight_per_minute: the announced REQUEST_WEIGHT a minute; `None` without it.
        rate_limits: each announced limit, such as `RAW_REQUESTS 300000 per 5 MINUTE`.

    """

    symbols: tuple[str, ...]
    trading: tuple[str, ...]
    faults: dict[str, int]
    statuses: dict[str, int]
    unfit_names: int
    other_scripts: tuple[str, ...]
    permission_sets: int
    weight_per_minute: int | None
    rate_limits: tuple[str, ...]


def listing_of(body: Any) -> Listing | None:
    """Return what is kept of an answer of `exchangeInfo`; `None` when it is none."""
    entries = body.get("symbols") if isinstance(body, dict) else None
    if not isinstance(entries, list):
        return None
    faults: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    names: list[str] = []
    trading: list[str] = []
    permission_sets = 0
    for entry in entries:
        fault = _entry_fault(entry)
        if fault is not None:
            faults[fault] += 1
            continue
        names.append(entry["symbol"])
        statuses[entry["status"][:_SHOWN_CHARACTERS]] += 1
        permission_sets += bool(entry.get("permissionSets"))
        if entry["status"] == "TRADING":
            trading.append(entry["symbol"])
    repeated = len(names) - len(set(names))
    if repeated:
        faults["the name is listed twice"] += repeated
    fit = [name for name in names if is_well_formed(name)]
    weight, limits = _rate_limits(body.get("rateLimits"))
    return Listing(
        symbols=tuple(fit),
        trading=tuple(name for name in trading if is_well_formed(name)),
        faults=dict(faults),
        statuses=dict(statuses),
        unfit_names=len(names) - len(fit),
        other_scripts=tuple(name for name in fit if not name.isascii()),
        permission_sets=permission_sets,
        weight_per_minute=weight,
        rate_limits=limits,
    )


def _entry_fault(entry: Any) -> str | None:
    fault = fields_fault(entry, {**dict.fromkeys(("symbol", "status", "baseAsset", "quoteAsset"), str)})
    if fault is not None:
        return fault
    sizes = {each.get("filterType"): each for each in entry.get("filters", ()) if isinstance(each, dict)}
    for kind, name in (("PRICE_FILTER", "tickSize"), ("LOT_SIZE", "stepSize")):
        value = sizes.get(kind, {}).get(name)
        if not isinstance(value, str) or decimal_fault({name: value}, (name,)) is not None:
            return f"{kind} has no {name}"
    return None


def _rate_limits(entries: Any) -> tuple[int | None, tuple[str, ...]]:
    weight: int | None = None
    texts = []
    for entry in entries if isinstance(entries, list) else ():
        if fields_fault(entry, {"rateLimitType": str, "interval": str, "intervalNum": int, "limit": int}):
            continue
        texts.append(
            f"{entry['rateLimitType']} {entry['limit']} per {entry['intervalNum']} {entry['interval']}"[:80]
        )
        if (entry["rateLimitType"], entry["interval"], entry["intervalNum"]) == (
            "REQUEST_WEIGHT",
            "MINUTE",
            1,
        ):
            weight = entry["limit"]
    return weight, tuple(texts)
