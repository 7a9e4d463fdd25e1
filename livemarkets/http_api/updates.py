"""`/api/tickers`, `/api/book`, `/api/depth`: present values, from memory or from the exchange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import HTTPConnection

from livemarkets.errors import ExchangeError, RestError
from livemarkets.exchanges.base import FIRST_VALUES_AT_ONCE, FirstValues, StreamState
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.http_api.answers import Refused
from livemarkets.http_api.fetching import FetchGuard, unavailable
from livemarkets.http_api.queries import unlisted
from livemarkets.market.channels import ALL_SYMBOLS, BOOK, DEPTH, TICKERS
from livemarkets.market.latest_updates import LatestUpdates
from livemarkets.market.models import StreamKey
from livemarkets.market.updates import SymbolUpdate, TickerRow, TickersDelta, Update

__all__ = ["UpdateFinder"]

_CALLS = {TICKERS: (FIRST_VALUES_AT_ONCE, 2), BOOK: (FIRST_VALUES_AT_ONCE, 4), DEPTH: (1, 5)}
"""The symbols of one call, and its weight at Binance (`rest-api.md`, "Market Data endpoints")."""
_ALL_WEIGHT = 80
_ALL_KEPT_SECONDS = 5.0


class UpdateFinder:
    """Finds present values in memory, and asks the exchange for those that memory lacks.

    Args:
        updates: the newest update of every stream.
        guard: bounds what requests may ask the exchange.

    """

    def __init__(self, updates: LatestUpdates, guard: FetchGuard) -> None:
        self._updates = updates
        self._guard = guard

    def in_memory(
        self, feed: ExchangeFeed, channel: str, symbols: Sequence[str]
    ) -> Mapping[str, SymbolUpdate]:
        """Return the values of those symbols whose streams deliver at present."""
        found = {}
        for symbol in symbols:
            key = StreamKey(feed.exchange, channel, symbol)
            update = self._updates.get(key)
            if update is not None and _delivers(feed, key):
                found[symbol] = update
        return found

    async def ask(
        self, request: HTTPConnection, feed: ExchangeFeed, channel: str, symbols: Sequence[str]
    ) -> tuple[Mapping[str, SymbolUpdate], str]:
        """Return the exchange's values of some symbols, and their source.

        While the exchange gives no answer, they are those in memory, if it has all of them.

        Raises:
            Refused: the request must not make this server ask, or the exchange gave no usable answer, or it
                does not have the symbol.

        """
        source = _source(feed, channel)
        most, weight = _CALLS[channel]
        names = sorted(symbols)
        parts = [names[at : at + most] for at in range(0, len(names), most)]

        async def call(asker: str) -> Sequence[Update]:
            found: list[Update] = []
            for part in parts:
                found += await source.first_values(channel, part, asker=asker)
            return found

        try:
            found = await self._guard.ask(
                request, feed.exchange, (channel, *names), weight * len(parts), call
            )
        except ExchangeError as error:
            if _is_refusal(error) and len(names) == 1 and names[0] not in feed.directory.names():
                raise unlisted(feed, names[0]) from None
            kept = {name: self._updates.get(StreamKey(feed.exchange, channel, name)) for name in names}
            if None in kept.values():
                raise unavailable(feed.exchange, error) from None
            return {name: update for name, update in kept.items() if update is not None}, "memory"
        return {update.symbol: update for update in found if not isinstance(update, TickersDelta)}, "exchange"

    async def all_tickers(
        self, request: HTTPConnection, feed: ExchangeFeed
    ) -> tuple[Sequence[TickerRow], str]:
        """Return the tickers of all symbols in the order of their names, and their source.

        Raises:
            Refused: the request must not make this server ask, or the exchange gave no usable answer.

        """
        key = StreamKey(feed.exchange, TICKERS, ALL_SYMBOLS)
        rows: Sequence[TickerRow] = [*self._updates.rows(key).values()]
        if rows and _delivers(feed, key) and not feed.updates.latest.is_awaited(key):
            return sorted(rows, key=_symbol_of), "memory"
        source = _source(feed, TICKERS)
        try:
            found = await self._guard.ask(
                request,
                feed.exchange,
                (TICKERS, ALL_SYMBOLS),
                _ALL_WEIGHT,
                lambda asker: source.first_values(TICKERS, [ALL_SYMBOLS], asker=asker),
                kept_seconds=_ALL_KEPT_SECONDS,
            )
        except ExchangeError as error:
            if not rows:
                raise unavailable(feed.exchange, error) from None
            return sorted(rows, key=_symbol_of), "memory"
        rows = [row for delta in found if isinstance(delta, TickersDelta) for row in delta.rows]
        return sorted(rows, key=_symbol_of), "exchange"


def _delivers(feed: ExchangeFeed, key: StreamKey) -> bool:
    """Return whether what memory has of a stream is the newest."""
    is_acknowledged = feed.client.state_of(key) is StreamState.ACKNOWLEDGED
    return feed.is_wanted(key) and is_acknowledged and not feed.updates.is_mute(key)


def _source(feed: ExchangeFeed, channel: str) -> FirstValues:
    source = feed.updates.first_values
    if source is None:
        raise Refused(404, f"{feed.exchange} cannot be asked for {channel}; subscribe on /ws/markets")
    return source


def _is_refusal(error: ExchangeError) -> bool:
    return isinstance(error, RestError) and error.status == 400


def _symbol_of(row: TickerRow) -> str:
    return row.symbol
