"""The ports for what an exchange is asked: its past trades and its list of symbols.

:mod:`livemarkets.exchanges.base` has the rules for every port, and is the module to import from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Protocol

import msgspec

from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.statistics import AddressStatistics
from livemarkets.market.candles import Candle
from livemarkets.market.models import SymbolInfo, TradeTick
from livemarkets.market.updates import Update

__all__ = [
    "FIRST_VALUES_AT_ONCE",
    "PAGE_CANDLES",
    "PAGE_TRADES",
    "CandleHistory",
    "FetchedTrades",
    "FirstValues",
    "HistoryStatistics",
    "ListedSymbols",
    "NoCandles",
    "Purpose",
    "RateLimitStatistics",
    "SymbolSource",
    "TradeHistory",
]

PAGE_TRADES = 1000
"""Trades in one page of history. A shorter page means that it ends with the newest trade. If an exchange
returns fewer trades per request, its package makes several requests for one page."""

PAGE_CANDLES = 1000
"""The most candles in one answer."""


FIRST_VALUES_AT_ONCE = 20
"""The most symbols of one question for first values."""


class Purpose(IntEnum):
    """Why a call is made. A lower value goes first when calls wait for the exchange's rate limit."""

    HOLE = 0
    """A wanted stream misses trades."""
    CHECK = 1
    """Whether streams miss trades: after a reconnect, or after an unusual silence."""
    RESUME = 2
    """A reader resumes."""
    LIST = 3
    """Lists of symbols, and first values to show."""


class FetchedTrades(msgspec.Struct, frozen=True):
    """Trades by id, and up to which id the answer is complete."""

    ticks: list[TradeTick]
    """In any order; `backfilled` is set."""
    covered_to: int
    """The answer is complete from the requested id up to this one: the exchange does not have the ids in
    between that are not among the ticks. Less than the requested id if the answer proves nothing."""
    newest_id: int | None
    """The highest id in the exchange's answer, `None` when that was empty."""
    reaches_newest: bool = False
    """Whether the newest trade that the source has at present is in the answer."""
    invalid_ids: frozenset[int] = frozenset()
    """Ids from the requested one on that the exchange has with impossible values, such as a price of 0."""


class RateLimitStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """How much of an exchange's rate limit is used at present."""

    used: int
    """The weight of our calls in the minute that ends now."""
    usable: int
    """The weight that our calls may use in a minute, as far as it is known at present."""
    counted: int | None
    """What the exchange has counted for our IP address in its present minute; `None` if it has not said."""
    waiting: Mapping[Purpose, int]
    """How many calls wait."""
    limited: frozenset[Purpose]
    """The purposes whose calls wait for the limit, not for other calls to end."""
    pause_seconds: float
    """How long the exchange has forbidden every call from now on; 0 if calls are allowed."""


class HistoryStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of the calls for an exchange's history and list of symbols since the start."""

    calls: int
    failures: int
    """Calls that failed at every address."""
    rate_limit: RateLimitStatistics | None = None
    """`None` if the exchange has no such limit."""
    addresses: Sequence[AddressStatistics] = ()


class TradeHistory(Protocol):
    """A source of past trades. Every failure is an :exc:`~livemarkets.errors.ExchangeError`.

    The caller repeats a failed call, after the `retry_after_seconds` of an
    :exc:`~livemarkets.errors.ExchangeUnreachable` if there are any. An implementation needs a timeout, since
    a call that hangs delays others.
    """

    async def trades_from(
        self,
        symbol: str,
        from_id: int,
        *,
        purpose: Purpose = Purpose.HOLE,
        asker: str | None = None,
        newest_known: int | None = None,
    ) -> FetchedTrades:
        """Return the page of trades that begins with `from_id`.

        Args:
            symbol: the symbol.
            from_id: the first id of the page.
            purpose: why the call is made; it decides which calls go first.
            asker: the reader for whom the call is made, such as its address. A reader's share of the
                exchange's rate limit is bounded. `None` if the call is for everybody.
            newest_known: the highest id that the caller knows the exchange to have; `None` if it knows none.
                Where the newest trades have a faster source than older ones, the package chooses by it.

        Returns:
            About :data:`PAGE_TRADES`; fewer only if the newest trade is among them. No trade if `from_id` is
            above the newest id; that is no error. If the exchange serves only its newest trades: those. They
            prove something only if they reach back to `from_id`.

        Raises:
            RestError: with status 400 if the exchange does not know such an id.
            ExchangeError: there is no usable answer.

        """

    async def newest_trades(
        self, symbol: str, *, purpose: Purpose = Purpose.LIST, asker: str | None = None
    ) -> FetchedTrades:
        """Return the newest page of trades: about :data:`PAGE_TRADES`, fewer only if there are no more.

        Raises:
            RestError: with status 400 if the exchange does not know the symbol.
            ExchangeError: there is no usable answer.

        """

    async def newest_ids(
        self, symbols: Sequence[str], *, purpose: Purpose = Purpose.CHECK, asker: str | None = None
    ) -> dict[str, int]:
        """Return the newest trade id of each symbol that has traded; the others are left out.

        One call of the exchange should answer for all symbols.

        It is called whenever a stream is silent for unusually long, so it has to be cheap. The answer must
        not be cached: an old one would hide that the stream is mute.

        Raises:
            ExchangeError: there is no usable answer.

        """

    def statistics(self) -> HistoryStatistics:
        """Return the counters since the start."""

    async def aclose(self) -> None:
        """Close the idle connections. Idempotent. The object may be used again afterwards."""


class CandleHistory(Protocol):
    """A source of past candles. Every failure is an :exc:`~livemarkets.errors.ExchangeError`."""

    async def candles(
        self,
        symbol: str,
        interval: str,
        *,
        limit: int,
        start_ts: int | None = None,
        end_ts: int | None = None,
        purpose: Purpose = Purpose.HOLE,
        asker: str | None = None,
    ) -> list[Candle]:
        """Return candles in the order of their open times.

        Args:
            symbol: the symbol.
            interval: one of :data:`~livemarkets.market.channels.CANDLE_INTERVALS`.
            limit: how many, at most :data:`PAGE_CANDLES`.
            start_ts: the first open time that is wanted. The answer has the oldest candles from there on.
                `None`: it has the newest ones.
            end_ts: the last open time that is wanted, included.
            purpose: why the call is made; it decides which calls go first.
            asker: the reader for whom the call is made; `None` if it is for everybody.

        Returns:
            Candles with `closed` unset, because the exchange does not say it. The last one may be running,
            and an answer may lag the stream.

        Raises:
            ExchangeError: there is no usable answer.

        """


class FirstValues(Protocol):
    """A source of present values where the newest wins: for new streams, and for who asks over HTTP.

    They are for eyes only.
    """

    async def first_values(
        self, channel: str, symbols: Sequence[str], *, asker: str | None = None
    ) -> Sequence[Update]:
        """Return the present values of some symbols, by one cheap call.

        Args:
            channel: `tickers`, `book` or `depth`.
            symbols: at most :data:`FIRST_VALUES_AT_ONCE`, in `depth` one. Symbols of which there is none are
                left out of the answer. For :data:`~livemarkets.market.channels.ALL_SYMBOLS` alone, the answer
                in `tickers` is one update about all.
            asker: the reader for whom the call is made; `None` if it is for everybody.

        Raises:
            ExchangeError: there is no usable answer.

        """


class NoCandles:
    """The :class:`CandleHistory` of an exchange without candles."""

    async def candles(
        self,
        symbol: str,
        interval: str,
        *,
        limit: int,
        start_ts: int | None = None,
        end_ts: int | None = None,
        purpose: Purpose = Purpose.HOLE,
        asker: str | None = None,
    ) -> list[Candle]:
        """Raise :exc:`~livemarkets.errors.ExchangeUnreachable`."""
        raise ExchangeUnreachable("the exchange has no candles")


class ListedSymbols(msgspec.Struct, frozen=True):
    """The list of an exchange's symbols."""

    symbols: list[SymbolInfo]
    """Each name once. A `tick_size` or `step_size` that is not known is 0."""
    skipped: int = 0
    """Entries that make no sense, and are left out."""
    faults: tuple[str, ...] = ()
    """What was wrong with the first of them, for the log."""


class SymbolSource(Protocol):
    """A source of the list of symbols."""

    async def symbols(self) -> ListedSymbols:
        """Return all listed symbols. It must not hold the event loop for more than 20 ms at a time.

        It is called when the exchange is first needed, every few minutes after that, when somebody wants a
        symbol that is not in the list, and some seconds after a failure.

        Raises:
            ExchangeError: there is no usable answer.

        """

    async def symbol(self, symbol: str) -> SymbolInfo | None:
        """Return one symbol, which an exchange may have though its list leaves it out; `None` if it has not.

        Raises:
            ExchangeError: there is no usable answer.

        """
