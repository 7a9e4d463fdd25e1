"""Reads the parameters of a request to the API. A malformed one is refused with 400."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request

from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.http_api.answers import FORMATS, Refused
from livemarkets.market.models import StreamKey
from livemarkets.market.symbols import SYMBOL_SHAPE, query_fault, read_symbols
from livemarkets.ws_markets.admission import why_unknown

__all__ = [
    "ID_MOST",
    "NAMES_MOST",
    "TIME_MOST",
    "read_choice",
    "read_exchange",
    "read_format",
    "read_id",
    "read_names",
    "read_number",
    "read_one_name",
    "read_search",
    "read_time",
    "refuse_unlisted",
    "unlisted",
]

NAMES_MOST = 1000
"""Limit of names in one query, above the default limit of subscriptions per client."""
ID_MOST = 2**63 - 1
TIME_MOST = 253_402_300_799_999
"""The last ms of the year 9999."""


def read_exchange(request: Request, feeds: Mapping[str, ExchangeFeed]) -> ExchangeFeed:
    """Return the feed of `exchange=`."""
    feed = feeds.get(request.query_params.get("exchange", "binance"))
    if feed is None:
        raise Refused(400, f"exchange must be one of {', '.join(feeds)}")
    return feed


def read_format(request: Request) -> str:
    """Return `format=`."""
    return read_choice(request, "format", FORMATS, FORMATS[0])


def read_search(request: Request) -> str:
    """Return `q=`, the text of a search."""
    query = request.query_params.get("q", "")
    if fault := query_fault(query):
        raise Refused(400, f"q: {fault}")
    return query


def read_number(request: Request, name: str, default: int, most: int) -> int:
    """Return a whole number from 1 on."""
    number = _whole(request.query_params.get(name, str(default)))
    if number is None or not 1 <= number <= most:
        raise Refused(400, f"{name} must be a whole number from 1 to {most}")
    return number


def read_id(request: Request, name: str) -> int | None:
    """Return a trade id; `None` if there is none."""
    text = request.query_params.get(name)
    if text is None:
        return None
    number = _whole(text)
    if number is None or number > ID_MOST:
        raise Refused(400, f"{name} must be a trade id: a whole number from 0 to {ID_MOST}")
    return number


def read_time(request: Request, name: str) -> int | None:
    """Return a time, ms since the epoch; `None` if there is none."""
    text = request.query_params.get(name)
    if text is None:
        return None
    number = _whole(text)
    if number is None or number > TIME_MOST:
        raise Refused(400, f"{name} must be a time in ms since 1970: a whole number from 0 to {TIME_MOST}")
    return number


def read_choice(request: Request, name: str, choices: Sequence[str], default: str | None = None) -> str:
    """Return one of some words."""
    chosen = request.query_params.get(name, default)
    if chosen is None or chosen not in choices:
        raise Refused(400, f"{name} must be one of {', '.join(choices)}")
    return chosen


def read_names(request: Request, name: str, most: int = NAMES_MOST) -> list[str]:
    """Return a list of symbols, without repeats."""
    names, malformed = read_symbols(request.query_params.get(name, ""))
    if malformed:
        raise Refused(400, f"{name} has {malformed[0][:40]!a}, but a symbol has {SYMBOL_SHAPE}")
    if len(names) > most:
        raise Refused(400, f"{name} must have at most {most} names")
    return names


def read_one_name(request: Request, name: str) -> str:
    """Return one symbol."""
    names = read_names(request, name)
    if not names:
        raise Refused(400, f"{name} is missing; example: {name}=BTCUSDT")
    if len(names) > 1:
        raise Refused(400, f"{name} must be one symbol, not {len(names)}")
    return names[0]


async def refuse_unlisted(feed: ExchangeFeed, symbol: str, wait_seconds: float) -> None:
    """Refuse a symbol that the exchange does not list and that nobody gets, with 404.

    It may be a new listing: if the list lacks it, the list is loaded again, for at most `wait_seconds`.
    """
    if feed.ledger(StreamKey.trades(feed.exchange, symbol)) is not None:
        return
    if not feed.directory.is_loaded or not feed.directory.accepts(symbol):
        await feed.find_symbols([symbol], wait_seconds, ask=False)
    if not feed.directory.accepts(symbol):
        raise unlisted(feed, symbol)


def unlisted(feed: ExchangeFeed, symbol: str) -> Refused:
    """Return the answer to a request for a symbol that the exchange does not list."""
    return Refused(404, why_unknown(feed, symbol), did_you_mean=feed.directory.suggest(symbol))


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
