"""The simulated market: hundreds of symbols with realistic trading rates, from a seed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import islice

from livemarkets.simulator.market.arrivals import fills_of_an_order
from livemarkets.simulator.market.book import Book
from livemarkets.simulator.market.candle_streams import CandleStreams
from livemarkets.simulator.market.candles import Candles
from livemarkets.simulator.market.depth_streams import DepthStreams
from livemarkets.simulator.market.history import History
from livemarkets.simulator.market.listing import Listing
from livemarkets.simulator.market.order_book import Depth
from livemarkets.simulator.market.order_events import add_events
from livemarkets.simulator.market.source import SimulatorError
from livemarkets.simulator.market.statistics import Bar, Summary
from livemarkets.simulator.market.streams import (
    Quote,
    StreamEvent,
    is_served,
    prefix_of,
    split_stream,
)
from livemarkets.simulator.market.symbol_maker import SymbolMaker
from livemarkets.simulator.market.symbols import DEFAULT_RULES, SymbolRules, rules_for
from livemarkets.simulator.market.tickers import TICKER_KINDS, Tickers
from livemarkets.simulator.market.traded_symbol import TradedSymbol

__all__ = ["SimulatedMarket"]

_LOOKS = 3
"""Symbols that are made in one turn of the event loop, 1 to 4 ms each."""


class SimulatedMarket:
    """A market of independent symbols. A symbol is simulated only while it is in use.

    The trades of a symbol depend only on the seed and on the time of its first use, not on the number of
    requests and not on other symbols. Its klines before that depend on the seed alone.

    Args:
        seed: the same seed and clock give the same trades.
        symbols: the symbols to list, upper case; `None` lists all of `rules`. Rules are made for a symbol
            that `rules` does not have.
        rate: factor on the trading rate of every symbol.
        trades_per_second: constant rate of every symbol, for load tests; `None` for realistic rates.
        history_length: trades kept per symbol for REST.
        history_seconds: length of the simulated history of trades at the first use of a symbol; shorter at
            a constant rate with many symbols.
        rules: the available symbols.

    Raises:
        SimulatorError: no rules can be made for a symbol, or a rate is not positive.

    """

    def __init__(
        self,
        seed: int = 1,
        symbols: Sequence[str] | None = None,
        *,
        rate: float = 1.0,
        trades_per_second: float | None = None,
        history_length: int = 50_000,
        history_seconds: float = 60.0,
        rules: Sequence[SymbolRules] = DEFAULT_RULES,
    ) -> None:
        if rate <= 0 or (trades_per_second is not None and trades_per_second <= 0):
            raise SimulatorError("a market's rate must be greater than 0")
        self.listing = Listing(_listed(rules, symbols))
        self._history_seconds = history_seconds
        self._maker = SymbolMaker(seed, rate, trades_per_second, history_length, history_seconds)
        self._symbols: dict[str, TradedSymbol] = {}
        # The symbols with subscribed single events: (time of the next order, name), and the halted ones.
        self._due: list[tuple[float, str]] = []
        self._halted: list[TradedSymbol] = []
        self._pending: list[StreamEvent] = []
        # The wanted symbols that have to be made yet, and since when they are wanted.
        self._waiting: dict[str, float] = {}
        self._kinds: dict[str, dict[str, tuple[str, bytes]]] = {}
        self._tickers = Tickers(self)
        self._candle_streams = CandleStreams(self)
        self._depth_streams = DepthStreams(self)
        self.skew_ms = 0

    @property
    def rules(self) -> Mapping[str, SymbolRules]:
        """The listed symbols."""
        return self.listing.rules

    def serves(self, stream: str) -> bool:
        """Return whether there are such streams."""
        return is_served(stream)

    def want(self, streams: Collection[str], now_ms: float) -> None:
        """Set the subscribed streams. Streams of unknown symbols or kinds stay silent.

        A symbol that has not been in use is made within the next turns. Its events begin with this moment.
        """
        # Events until now go to the streams that were subscribed so far.
        self._pending = self.advance(now_ms)
        for symbol in self._symbols.values():
            symbol.kinds = {}
        self._kinds = {}
        names: dict[str, None] = {}
        tickers: list[tuple[str, str, str]] = []
        candles: list[tuple[str, str, str]] = []
        depths: list[tuple[str, str, str]] = []
        for stream in sorted(streams):
            if stream.startswith("!"):
                if is_served(stream):
                    tickers.append((stream, "", stream))
                    names.update(dict.fromkeys(self.rules))
                continue
            name, kind = split_stream(stream)
            if name not in self.rules:
                continue
            names[name] = None
            if kind in ("trade", "aggTrade", "bookTicker"):
                self._kinds.setdefault(name, {})[kind] = (stream, prefix_of(stream))
            elif kind.startswith("kline_"):
                candles.append((stream, name, kind))
            elif kind.startswith("depth"):
                depths.append((stream, name, kind))
            elif TICKER_KINDS.fullmatch(kind):
                tickers.append((stream, name, kind))
        self._waiting = {name: self._waiting.get(name, now_ms) for name in names if name not in self._symbols}
        for name in names:
            if name in self._symbols:
                self._up_to(name, now_ms).kinds = self._kinds.get(name, {})
        self._due = [(symbol.next_order_ms, name) for name, symbol in self._symbols.items() if symbol.kinds]
        heapify(self._due)
        self._halted = []
        self._make_some()
        self._tickers.want(tickers, now_ms)
        self._candle_streams.want(candles, now_ms)
        self._depth_streams.want(depths, now_ms)

    def advance(self, now_ms: float) -> list[StreamEvent]:
        """Simulate the subscribed symbols until now. Return their events."""
        self._make_some()
        events, self._pending = self._pending, []
        for symbol in self._halted:
            self._rest_if_halted(symbol, now_ms)
            if self.listing.is_traded(symbol.name):
                heappush(self._due, (symbol.next_order_ms, symbol.name))
        self._halted = [symbol for symbol in self._halted if not self.listing.is_traded(symbol.name)]
        while self._due and self._due[0][0] <= now_ms:
            symbol = self._symbols[heappop(self._due)[1]]
            self._rest_if_halted(symbol, now_ms)
            if not self.listing.is_traded(symbol.name):
                self._halted.append(symbol)
                continue
            self._trade(symbol, now_ms, events)
            heappush(self._due, (symbol.next_order_ms, symbol.name))
        for part in (self._depth_streams, self._candle_streams, self._tickers):
            events.extend(part.advance(now_ms))
        return events

    def next_ms(self) -> float | None:
        """Return the time of the next order or periodic event of the subscribed streams."""
        if self._pending or self._waiting:
            return 0.0
        parts = (self._depth_streams, self._candle_streams, self._tickers)
        times = [at_ms for part in parts if (at_ms := part.next_ms()) is not None]
        if self._due:
            times.append(self._due[0][0])
        return min(times, default=None)

    def history(self, symbol: str, now_ms: float) -> History:
        """Return the trades of a listed symbol, brought up to now."""
        return self._up_to(symbol, now_ms).history

    def quote(self, symbol: str) -> Quote:
        """Return the best bid and ask of a symbol that has been in use."""
        return self._symbols[symbol].book.quote()

    def depth(self, symbol: str, limit: int, now_ms: float) -> Depth:
        """Return the best levels of a listed symbol's order book."""
        return self._up_to(symbol, now_ms).book.depth(limit)

    def candles(
        self,
        symbol: str,
        interval: str,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
        now_ms: float,
        *,
        offset_ms: int = 0,
        behind_ms: int = 0,
    ) -> list[Bar]:
        """Return klines of a listed symbol."""
        candles = self.candles_of(symbol, now_ms)
        exchange_ms = int(now_ms) + self.skew_ms
        until_ms = exchange_ms - behind_ms if behind_ms else None
        return candles.rows(interval, start_ms, end_ms, limit, exchange_ms, offset_ms, until_ms)

    def summary(self, symbol: str, start_ms: int, now_ms: float) -> Summary | None:
        """Return a summary of the trades since a time."""
        return self.candles_of(symbol, now_ms).summary(start_ms, int(now_ms) + self.skew_ms)

    def candles_of(self, symbol: str, now_ms: float) -> Candles:
        """Return all klines of a listed symbol, brought up to now."""
        return self._up_to(symbol, now_ms).candles

    def book_of(self, symbol: str, now_ms: float) -> Book:
        """Return the order book of a listed symbol, brought up to now."""
        return self._up_to(symbol, now_ms).book

    def burst(self, symbol: str, trades: int, now_ms: float) -> None:
        """Make `trades` trades now, in orders of the usual sizes."""
        state = self._up_to(symbol, now_ms)
        while trades > 0:
            fills = min(max(fills_of_an_order(state.random), trades // 50), trades)
            add_events(
                state, *state.fill(fills, now_ms, self.skew_ms), int(now_ms) + self.skew_ms, self._pending
            )
            trades -= fills

    def skip_ids(self, symbol: str, count: int) -> None:
        """Skip the next ids: no trade gets them."""
        self._known(symbol).book.next_id += count

    def relist(self, symbol: str, first_id: int) -> None:
        """Restart the symbol's ids, and delete its older trades and klines."""
        self._known(symbol).relist(first_id)

    def _known(self, symbol: str) -> TradedSymbol:
        if symbol not in self._symbols:
            raise SimulatorError(f"{symbol} has no ids yet: nobody has subscribed to it or requested it")
        return self._symbols[symbol]

    def _up_to(self, name: str, now_ms: float) -> TradedSymbol:
        """Return a symbol, after simulating the time since its last use."""
        symbol = self._symbols.get(name) or self._make(name, self._waiting.pop(name, now_ms))
        if symbol.next_order_ms <= now_ms:
            self._rest_if_halted(symbol, now_ms)
            if symbol.kinds:
                self._trade(symbol, now_ms, self._pending)
            else:
                symbol.catch_up(now_ms, self._history_seconds, self.skew_ms)
        return symbol

    def is_ready(self, symbol: str) -> bool:
        """Return whether a wanted symbol has been made."""
        return symbol in self._symbols

    def _make_some(self) -> None:
        for name in list(islice(self._waiting, _LOOKS)):
            since_ms = self._waiting.pop(name)
            if name in self.rules:
                self._make(name, since_ms)

    def _make(self, name: str, since_ms: float) -> TradedSymbol:
        """Make a symbol that is in use since a time, from which on its subscribers get its events."""
        symbol = self._symbols[name] = self._maker.make(self.rules[name], len(self.rules), since_ms)
        self._up_to(name, since_ms)
        symbol.kinds = self._kinds.get(name, {})
        if symbol.kinds:
            heappush(self._due, (symbol.next_order_ms, name))
        return symbol

    def _rest_if_halted(self, symbol: TradedSymbol, now_ms: float) -> None:
        """Let the time pass without orders while the symbol is not traded."""
        if symbol.next_order_ms <= now_ms and not self.listing.is_traded(symbol.name):
            symbol.rest_until(now_ms)

    def _trade(self, symbol: TradedSymbol, now_ms: float, events: list[StreamEvent]) -> None:
        """Carry out the orders until now, for the subscribed streams."""
        skew_ms = self.skew_ms
        event_ms = int(now_ms) + skew_ms
        while symbol.next_order_ms <= now_ms:
            add_events(symbol, *symbol.order(skew_ms), event_ms, events)


def _listed(rules: Sequence[SymbolRules], symbols: Sequence[str] | None) -> dict[str, SymbolRules]:
    listed = {rule.symbol: rule for rule in rules}
    if symbols is None:
        return listed
    made = {symbol: listed.get(symbol) or rules_for(symbol) for symbol in symbols}
    if unknown := [symbol for symbol, rule in made.items() if rule is None]:
        raise SimulatorError(
            f"the simulated market does not know {', '.join(unknown)}: the name of a new symbol "
            "ends with the asset that it is paid with, such as USDT"
        )
    return {symbol: rule for symbol, rule in made.items() if rule is not None}
