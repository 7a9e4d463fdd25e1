"""The simulated market: well-known symbols with realistic trading rates, from a seed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from random import Random

from livemarkets.simulator.market.arrivals import MEAN_FILLS, Arrivals, fills_of_an_order
from livemarkets.simulator.market.book import Book
from livemarkets.simulator.market.history import Aggregate, History, Trade
from livemarkets.simulator.market.listing import Listing
from livemarkets.simulator.market.source import Depth, SimulatorError
from livemarkets.simulator.market.statistics import Bar, Summary
from livemarkets.simulator.market.streams import (
    Quote,
    StreamEvent,
    aggregate_payload,
    book_payload,
    is_served,
    prefix_of,
    split_stream,
    trade_payload,
)
from livemarkets.simulator.market.symbols import DEFAULT_RULES, SymbolRules
from livemarkets.simulator.market.tickers import TICKER_KINDS, Tickers
from livemarkets.simulator.market.views import candles_of, depth_of, summary_since

__all__ = ["SimulatedMarket"]

_CATCH_UP_TRADES = 20_000
"""Approximate limit of trades that are simulated afterwards for a symbol that was not in use."""
_FIRST_IDS_SINCE_S = 1_600_000_000
"""First ids grow with the time since then (seconds since the epoch), so a restart never reuses an id."""


class _Symbol:
    """One symbol of the market: its arrivals, its book, its subscribed streams."""

    def __init__(self, rules: SymbolRules, random: Random, start_ms: float, per_second: float) -> None:
        self.name = rules.symbol.encode()
        self.orders_per_second = max(min(per_second / MEAN_FILLS, 500.0), 1e-6)
        self.scale = max(per_second / MEAN_FILLS / 500.0, 1.0)
        self.random = random
        first_id = 1 + int(max(start_ms / 1000 - _FIRST_IDS_SINCE_S, 0) * max(rules.trades_per_second, 0.05))
        self.book = Book(rules, random, first_id)
        self.arrivals = Arrivals(random, self.orders_per_second, start_ms)
        self.next_order_ms = self.arrivals.next_ms()
        self.last_time_ms = 0
        self.orders = 0
        self.kinds: dict[str, tuple[str, bytes]] = {}


class SimulatedMarket:
    """A market of independent symbols. A symbol is simulated only while it is in use.

    The trades of a symbol depend only on the seed and on the time of its first use, not on the number of
    requests and not on other symbols.

    Args:
        seed: the same seed and clock give the same trades.
        symbols: the symbols to list, upper case; `None` lists all of `rules`.
        rate: factor on the trading rate of every symbol.
        trades_per_second: constant rate of every symbol, for load tests; `None` for realistic rates.
        history_length: trades kept per symbol for REST.
        history_seconds: length of the simulated history at the first use of a symbol.
        rules: the available symbols.

    Raises:
        SimulatorError: a symbol is not in `rules`, or a rate is not positive.

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
        listed = {rule.symbol: rule for rule in rules}
        unknown = [symbol for symbol in symbols or () if symbol not in listed]
        if unknown:
            raise SimulatorError(f"the simulated market does not know {', '.join(unknown)}")
        self.listing = Listing(listed if symbols is None else {symbol: listed[symbol] for symbol in symbols})
        self._seed = seed
        self._rate = rate
        self._constant = trades_per_second
        self._history_length = history_length
        self._history_seconds = history_seconds
        self._symbols: dict[str, _Symbol] = {}
        self._histories: dict[str, History] = {}
        self._wanted: list[_Symbol] = []
        self._pending: list[StreamEvent] = []
        self._tickers = Tickers(self)
        self.skew_ms = 0

    @property
    def rules(self) -> Mapping[str, SymbolRules]:
        """The listed symbols."""
        return self.listing.rules

    def serves(self, stream: str) -> bool:
        """Return whether there are such streams."""
        return is_served(stream)

    def want(self, streams: Collection[str], now_ms: float) -> None:
        """Set the subscribed streams. Streams of unknown symbols or kinds stay silent."""
        # Events until now go to the streams that were subscribed so far.
        self._pending = self.advance(now_ms)
        for symbol in self._wanted:
            symbol.kinds = {}
        tickers: list[tuple[str, str, str]] = []
        for stream in sorted(streams):
            if stream.startswith("!"):
                tickers.append((stream, "", stream))
                continue
            name, kind = split_stream(stream)
            if name not in self.rules:
                continue
            symbol = self._up_to(name, now_ms)
            if kind in ("trade", "aggTrade", "bookTicker"):
                symbol.kinds[kind] = (stream, prefix_of(stream))
            elif TICKER_KINDS.fullmatch(kind):
                tickers.append((stream, name, kind))
        self._wanted = sorted((s for s in self._symbols.values() if s.kinds), key=lambda s: s.name)
        self._tickers.want(tickers, now_ms)

    def advance(self, now_ms: float) -> list[StreamEvent]:
        """Simulate the subscribed symbols until now. Return their events."""
        events, self._pending = self._pending, []
        for symbol in self._wanted:
            self._rest_if_halted(symbol, now_ms)
            while symbol.next_order_ms <= now_ms:
                self._trade(symbol, now_ms, events)
        events.extend(self._tickers.advance(now_ms))
        return events

    def next_ms(self) -> float | None:
        """Return the time of the next order or ticker of the subscribed streams."""
        times = [symbol.next_order_ms for symbol in self._wanted if self._is_traded(symbol)]
        if (tick_ms := self._tickers.next_ms()) is not None:
            times.append(tick_ms)
        if self._pending:
            return 0.0
        return min(times, default=None)

    def history(self, symbol: str, now_ms: float) -> History:
        """Return the trades of a listed symbol, brought up to now."""
        self._up_to(symbol, now_ms)
        return self._histories[symbol]

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
    ) -> list[Bar]:
        """Return klines of the kept trades."""
        return candles_of(self.history(symbol, now_ms), interval, start_ms, end_ms, limit, offset_ms)

    def summary(self, symbol: str, start_ms: int, now_ms: float) -> Summary | None:
        """Return a summary of the kept trades since a time."""
        return summary_since(self.history(symbol, now_ms), start_ms)

    def depth(self, symbol: str, limit: int, now_ms: float) -> Depth:
        """Return the best bid and ask as an order book."""
        self.history(symbol, now_ms)
        return depth_of(self.quote(symbol))

    def quote(self, symbol: str) -> Quote:
        """Return the best bid and ask of a symbol that has been in use."""
        return self._symbols[symbol].book.quote()

    def burst(self, symbol: str, trades: int, now_ms: float) -> None:
        """Make `trades` trades now, in orders of the usual sizes."""
        state = self._up_to(symbol, now_ms)
        while trades > 0:
            fills = min(max(fills_of_an_order(state.random), trades // 50), trades)
            self._fill(state, fills, now_ms, now_ms, self._pending)
            trades -= fills

    def skip_ids(self, symbol: str, count: int) -> None:
        """Skip the next ids: no trade gets them."""
        self._known(symbol).book.next_id += count

    def relist(self, symbol: str, first_id: int) -> None:
        """Restart the symbol's ids, and delete its older trades."""
        self._known(symbol).book.next_id = first_id
        self._histories[symbol].restart()

    def _known(self, symbol: str) -> _Symbol:
        if symbol not in self._symbols:
            raise SimulatorError(f"{symbol} has no ids yet: nobody has subscribed to it or requested it")
        return self._symbols[symbol]

    def _up_to(self, name: str, now_ms: float) -> _Symbol:
        """Return a symbol, after simulating the time since its last use."""
        symbol = self._symbols.get(name)
        if symbol is None:
            symbol = self._symbols[name] = self._first_look(name, now_ms)
        self._rest_if_halted(symbol, now_ms)
        if symbol.kinds:
            events: list[StreamEvent] = []
            while symbol.next_order_ms <= now_ms:
                self._trade(symbol, now_ms, events)
            self._pending.extend(events)
            return symbol
        per_second = symbol.orders_per_second * MEAN_FILLS * symbol.scale
        oldest_ms = now_ms - 1000 * min(_CATCH_UP_TRADES / per_second, 600.0 + self._history_seconds)
        if symbol.next_order_ms < oldest_ms:
            symbol.arrivals.skip_to(oldest_ms)
            symbol.next_order_ms = oldest_ms
        while symbol.next_order_ms <= now_ms:
            self._trade(symbol, now_ms, [])
        return symbol

    def _is_traded(self, symbol: _Symbol) -> bool:
        return self.listing.is_traded(symbol.name.decode())

    def _rest_if_halted(self, symbol: _Symbol, now_ms: float) -> None:
        """Let the time pass without orders while the symbol is not traded."""
        if symbol.next_order_ms <= now_ms and not self._is_traded(symbol):
            symbol.arrivals.skip_to(now_ms)
            symbol.next_order_ms = now_ms + 1.0

    def _first_look(self, name: str, now_ms: float) -> _Symbol:
        rules = self.rules[name]
        per_second = self._constant or rules.trades_per_second * self._rate
        past_seconds = min(self._history_seconds, _CATCH_UP_TRADES / per_second)
        self._histories[name] = History(self._history_length)
        random = Random(f"{self._seed}:{name}")
        return _Symbol(rules, random, now_ms - 1000 * past_seconds, per_second)

    def _trade(self, symbol: _Symbol, now_ms: float, events: list[StreamEvent]) -> None:
        at_ms = symbol.next_order_ms
        if self._constant is not None:
            # Evenly spaced orders, at most one per millisecond, with as many fills as the rate requires.
            per_order = max(1.0, self._constant / 1000.0)
            symbol.next_order_ms = at_ms + 1000.0 * per_order / self._constant
            fills = int((symbol.orders + 1) * per_order) - int(symbol.orders * per_order)
            symbol.orders += 1
        else:
            symbol.next_order_ms = symbol.arrivals.next_ms()
            fills = max(int(fills_of_an_order(symbol.random) * symbol.scale), 1)
        self._fill(symbol, fills, at_ms, now_ms, events)

    def _fill(
        self, symbol: _Symbol, fills: int, at_ms: float, now_ms: float, events: list[StreamEvent]
    ) -> None:
        # Two orders never have the same millisecond, so an aggregate (same time, side and price) is complete
        # as soon as its order is filled.
        symbol.last_time_ms = max(int(at_ms), symbol.last_time_ms + 1)
        time_ms = symbol.last_time_ms + self.skew_ms
        trades = symbol.book.take(fills, time_ms)
        aggregates = self._histories[symbol.name.decode()].extend(trades)
        if symbol.kinds:
            self._emit(symbol, trades, aggregates, max(int(now_ms) + self.skew_ms, time_ms), events)

    def _emit(
        self,
        symbol: _Symbol,
        trades: Sequence[Trade],
        aggregates: Sequence[Aggregate],
        event_ms: int,
        events: list[StreamEvent],
    ) -> None:
        name = symbol.name
        if wanted := symbol.kinds.get("trade"):
            stream, prefix = wanted
            at = len(prefix)
            for trade in trades:
                text = prefix + trade_payload(name, trade, event_ms) + b"}"
                events.append(StreamEvent(stream, text, at))
        if wanted := symbol.kinds.get("aggTrade"):
            stream, prefix = wanted
            for aggregate in aggregates:
                text = prefix + aggregate_payload(name, aggregate, event_ms) + b"}"
                events.append(StreamEvent(stream, text, len(prefix)))
        if wanted := symbol.kinds.get("bookTicker"):
            stream, prefix = wanted
            text = prefix + book_payload(name, symbol.book.quote()) + b"}"
            events.append(StreamEvent(stream, text, len(prefix)))
