"""Answers of Binance's REST API: trades, the newest ids, refusals and pauses. No I/O.

Source: Binance spot API documents, `rest-api.md` ("Market Data endpoints", "IP Limits") and `errors.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from livemarkets.errors import MalformedMessage, RestError
from livemarkets.exchanges.base import PAGE_TRADES, FetchedTrades
from livemarkets.exchanges.binance.messages import plausible, plausible_ms
from livemarkets.market.models import ExchangeName, TradeTick

__all__ = ["Aggregate", "DayTicker", "RestTrade", "check_times", "fetched_trades", "reaches_back", "refusal"]

_REASONS = {
    401: "an API key is required",
    403: "refused by the exchange's firewall",
    404: "not served at this address",
    418: "this IP address is banned temporarily",
    429: "too many requests",
    451: "not available in this country",
    503: "overloaded",
}


class RestTrade(msgspec.Struct, gc=False):
    """`{"id":28457,"price":"4.00000100","qty":"12.00000000","time":1499865549590,"isBuyerMaker":true,…}`."""

    id: int
    price: Decimal
    qty: Decimal
    time: int
    isBuyerMaker: bool


class Aggregate(msgspec.Struct, gc=False):
    """One aggregate of `aggTrades`: its id, and the first and the last of its trades' ids."""

    a: int
    f: int
    l: int  # noqa: E741


class DayTicker(msgspec.Struct, gc=False):
    """One symbol of `ticker/24hr`. Without a trade in 24 hours, `lastId` is -1."""

    symbol: str
    lastId: int | None = None


def check_times(found: Sequence[RestTrade]) -> None:
    """Refuse an answer in which no time is possible: it has another unit, which is not guessed.

    Raises:
        MalformedMessage: no trade has a possible time.

    """
    if found and not any(plausible_ms(trade.time) for trade in found):
        wrong = found[0].time
        raise MalformedMessage("impossible time", f"{wrong} is no time in milliseconds from 2009 to 2100")


def fetched_trades(
    exchange: ExchangeName,
    symbol: str,
    found: Sequence[RestTrade],
    from_id: int,
    recv_ts: int,
    *,
    are_newest: bool,
) -> FetchedTrades:
    """Return an answer of `historicalTrades` or `trades` in the form of the port.

    Args:
        exchange: the exchange name of the ticks.
        symbol: the symbol of the ticks.
        found: the trades.
        from_id: the first id that is needed.
        recv_ts: when the answer was read, ms since the epoch.
        are_newest: whether these are the newest trades (`trades`). Otherwise the exchange was asked for
            trades from `from_id` on.

    """
    needed = [trade for trade in found if trade.id >= from_id]
    ticks = [
        TradeTick(
            exchange,
            symbol,
            trade.price,
            trade.qty,
            "sell" if trade.isBuyerMaker else "buy",
            trade.time,
            trade.id,
            recv_ts,
            backfilled=True,
        )
        for trade in needed
        if _is_possible(trade)
    ]
    invalid = frozenset(trade.id for trade in needed if not _is_possible(trade))
    newest = max((trade.id for trade in found), default=None)
    is_proof = newest is not None and (not are_newest or min(trade.id for trade in found) <= from_id)
    return FetchedTrades(
        ticks,
        newest if newest is not None and is_proof else from_id - 1,
        newest,
        reaches_newest=are_newest or len(found) < PAGE_TRADES,
        invalid_ids=invalid,
    )


def _is_possible(trade: RestTrade) -> bool:
    return plausible(trade.price, trade.qty) and plausible_ms(trade.time)


def refusal(status: int, body: bytes) -> RestError:
    """Return the error of an answer with an error status. A body that is not Binance's is left out."""
    try:
        answer = msgspec.json.decode(body, type=dict[str, object])
        code, text = answer.get("code"), answer.get("msg")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        code = text = None
    if not isinstance(text, str) or not text:
        text = _REASONS.get(status, "no reason given")
    shown = "".join(letter if letter.isprintable() else " " for letter in text[:200])
    return RestError(status, code if isinstance(code, int) else None, shown)


def reaches_back(newest: FetchedTrades, from_id: int, newest_known: int) -> bool:
    """Return whether the newest trades include the wanted ones, or nobody has seen the wanted ones yet."""
    if newest.newest_id is None or newest.newest_id < from_id:
        return newest_known < from_id
    if newest.newest_id == from_id < newest_known:
        return False  # it has the proof alone, the trade before a hole
    return newest.covered_to >= from_id
