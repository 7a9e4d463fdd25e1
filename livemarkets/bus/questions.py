"""The questions that an edge asks an ingest, and their answers. No I/O.

A question goes to one of the ingests that are heard. It is answered in one message or in several parts, from
the ingest's memory where that is enough, else by the exchange, through the ingest's own limits.
"""

from __future__ import annotations

import msgspec

from livemarkets.bus.messages import VERSION, TradeRow
from livemarkets.errors import ExchangeError, ExchangeUnreachable, MalformedMessage, RestError, WeightUsedUp
from livemarkets.market.models import SymbolInfo

__all__ = [
    "Answer",
    "CandlesOf",
    "Failure",
    "Fetched",
    "FirstValuesOf",
    "ListedPart",
    "NewestIds",
    "NewestTrades",
    "OneSymbol",
    "Question",
    "RecentTradesOf",
    "SymbolsOf",
    "TradesFrom",
    "error_of",
    "failed",
    "failure_of",
]


class _Question(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """One question. Its subject names the exchange."""


class TradesFrom(_Question, frozen=True):
    """A page of trades from an id on. The answer is :class:`Fetched`."""

    symbol: str
    from_id: int
    purpose: int
    asker: str | None
    newest_known: int | None


class NewestTrades(_Question, frozen=True):
    """The newest page of trades. The answer is :class:`Fetched`."""

    symbol: str
    purpose: int
    asker: str | None


class RecentTradesOf(_Question, frozen=True):
    """The trades that an ingest has in memory, and none that it would have to fetch."""

    symbol: str
    count: int


class NewestIds(_Question, frozen=True):
    """The newest trade ids. The answer is a map by symbol."""

    symbols: list[str]
    purpose: int
    asker: str | None


class CandlesOf(_Question, frozen=True):
    """Past candles. The answer is a list of them."""

    symbol: str
    interval: str
    limit: int
    start_ts: int | None
    end_ts: int | None
    purpose: int
    asker: str | None


class FirstValuesOf(_Question, frozen=True):
    """Present tickers, best bids and asks, or order books. The answer is a list of updates."""

    channel: str
    symbols: list[str]
    asker: str | None


class SymbolsOf(_Question, frozen=True):
    """All symbols of the exchange. Each part of the answer is a :class:`ListedPart`."""


class OneSymbol(_Question, frozen=True):
    """One symbol. The answer is its description, or nothing."""

    symbol: str


Question = (
    TradesFrom | NewestTrades | RecentTradesOf | NewestIds | CandlesOf | FirstValuesOf | SymbolsOf | OneSymbol
)


class Fetched(msgspec.Struct, array_like=True, frozen=True):
    """The fields of :class:`~livemarkets.exchanges.base.FetchedTrades`."""

    trades: list[TradeRow]
    covered_to: int
    newest_id: int | None
    reaches_newest: bool
    invalid_ids: list[int]


class ListedPart(msgspec.Struct, array_like=True, frozen=True):
    """Some of the symbols of an exchange; see :class:`~livemarkets.exchanges.base.ListedSymbols`."""

    symbols: list[SymbolInfo]
    skipped: int
    faults: list[str]


class Failure(msgspec.Struct, array_like=True, frozen=True):
    """Why there is no answer: an :exc:`~livemarkets.errors.ExchangeError` of the ingest."""

    kind: str
    text: str
    status: int = 0
    code: int | None = None
    retry_after_seconds: float | None = None
    is_ban: bool = False


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """One part of an answer."""

    version: int
    node: str
    """Who answers."""
    part: int
    """Counts the parts, from 0."""
    is_last: bool
    failure: Failure | None = None
    payload: msgspec.Raw = msgspec.Raw(b"\xc0")
    """What the question asks for, as a message of its own."""


def failure_of(error: ExchangeError) -> Failure:
    """Return what is said of an error."""
    if isinstance(error, RestError):
        return Failure("rest", error.message, error.status, error.code)
    if isinstance(error, ExchangeUnreachable):
        kind = "weight" if isinstance(error, WeightUsedUp) else "unreachable"
        return Failure(kind, error.reason, retry_after_seconds=error.retry_after_seconds, is_ban=error.is_ban)
    return Failure("malformed", str(error))


def error_of(failure: Failure) -> ExchangeError:
    """Return the error that was said."""
    if failure.kind == "rest":
        return RestError(failure.status, failure.code, failure.text)
    if failure.kind == "malformed":
        return MalformedMessage("bus", failure.text)
    kind = WeightUsedUp if failure.kind == "weight" else ExchangeUnreachable
    return kind(failure.text, failure.retry_after_seconds, is_ban=failure.is_ban)


def failed(node: str, error: ExchangeError) -> Answer:
    """Return the answer that there is none."""
    return Answer(VERSION, node, 0, True, failure_of(error))
