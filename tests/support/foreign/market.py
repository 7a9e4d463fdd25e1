"""The market of the foreign exchange: its symbols, and every trade that happened (the truth)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

FIRST_ID = 10**12
"""Trade ids begin here: more than 32 bits, and 13 digits."""
FIRST_AGGREGATE_ID = 77 * 10**9
"""Aggregates are numbered apart from trades."""

SYMBOLS: dict[str, tuple[str, str]] = {
    "TUSDT": ("T", "USDT"),
    "币安人生USDT": ("币安人生", "USDT"),
    "１２３４５６": ("１２３", "４５６"),
    "1000SATSUSDT": ("1000SATS", "USDT"),
    "USDTTRY": ("USDT", "TRY"),
    "BTCUSDT": ("BTC", "USDT"),
}
"""Base and quote assets: one letter, Chinese, full-width digits, a leading digit, a base that is a quote."""


@dataclass(frozen=True)
class Trade:
    """One trade as the exchange knows it."""

    id: int
    price: str
    size: str
    time_ms: int
    is_buyer_maker: bool
    happened_at: float
    """On the monotonic clock: a database that lags shows it later."""
    aggregate_id: int

    @property
    def values(self) -> tuple[Decimal, Decimal, str, int]:
        """Price, size, taker side and time: what every reader has to get."""
        side = "sell" if self.is_buyer_maker else "buy"
        return Decimal(self.price), Decimal(self.size), side, self.time_ms


@dataclass
class Listing:
    """One symbol of the exchange."""

    symbol: str
    base: str
    quote: str
    price: str
    status: str = "TRADING"
    is_listed: bool = True
    trades: dict[int, Trade] = field(default_factory=dict)
    """By id, oldest first."""
    sent_at: dict[int, float] = field(default_factory=dict)
    """When a trade was written to a connection that carried its stream (monotonic). The truth about what the
    stream brought: a trade that a reset may have thrown away is taken out again."""
    invalid: set[int] = field(default_factory=set)
    """Ids of trades whose values make no sense."""
    next_id: int = FIRST_ID
    next_aggregate_id: int = FIRST_AGGREGATE_ID
    is_newest_withheld: bool = False
    """The newest trade was kept off a stream that was otherwise carried."""

    @property
    def stream(self) -> str:
        """The name of its trade stream; only A to Z have a lower case here."""
        return "".join(c.lower() if c.isascii() else c for c in self.symbol) + "@trade"


class Market:
    """All listings. Trades happen when a test says so; `on_trades` tells the server about them."""

    def __init__(self, symbols: dict[str, tuple[str, str]] | None = None, *, seed: int = 1) -> None:
        self.listings: dict[str, Listing] = {}
        self.odd_entries: list[Any] = []
        """Entries of `exchangeInfo` that no reader can use, as they are."""
        self.random = Random(seed)
        self.on_trades: Callable[[Sequence[tuple[Listing, Trade]]], None] = lambda trades: None
        for symbol, (base, quote) in (SYMBOLS if symbols is None else symbols).items():
            self.add(symbol, base, quote)

    def add(self, symbol: str, base: str, quote: str) -> Listing:
        """List a symbol, with some trades of the past; its ids are far from those of others."""
        number = len(self.listings)
        prices = ("61837.63000000", "1E-8", "0.00000123", "7.5E-7", "123456789012.12345678", "1.0")
        listing = Listing(symbol, base, quote, prices[number % len(prices)])
        listing.next_id = FIRST_ID + number * 10**9 + 1
        self.listings[symbol] = listing
        for _ in range(3):
            self.execute(symbol)
        return listing

    def trade(self, *symbols: str, count: int = 1) -> list[Trade]:
        """Let trades happen, the symbols in turn, and tell the server of all at once."""
        happened = [(self.listings[symbol], self.execute(symbol)) for _ in range(count) for symbol in symbols]
        self.on_trades(happened)
        return [trade for _, trade in happened]

    def order(self, symbol: str, fills: int) -> list[Trade]:
        """One taker order that is filled by several makers at one price: one aggregate."""
        listing = self.listings[symbol]
        happened = [self.execute(symbol)]
        for _ in range(fills - 1):
            first = happened[0]
            happened.append(self.execute(symbol, first))
        self.on_trades([(listing, trade) for trade in happened])
        return happened

    def execute(self, symbol: str, same_order: Trade | None = None, price: str | None = None) -> Trade:
        """Let one trade happen, without telling the server; returns it."""
        listing = self.listings[symbol]
        if same_order is None:
            listing.next_aggregate_id += 1
        trade = Trade(
            id=listing.next_id,
            price=price or (same_order.price if same_order else listing.price),
            size=self.random.choice(("0.00000001", "2E-5", "12345.60000000", "3")),
            time_ms=same_order.time_ms if same_order else time.time_ns() // 1_000_000,
            is_buyer_maker=same_order.is_buyer_maker if same_order else self.random.random() < 0.5,
            happened_at=time.monotonic(),
            aggregate_id=listing.next_aggregate_id,
        )
        listing.next_id += 1
        listing.trades[trade.id] = trade
        if price is not None:
            listing.invalid.add(trade.id)
        return trade

    def skip(self, symbol: str, count: int) -> None:
        """Use up ids that no trade will ever have."""
        self.listings[symbol].next_id += count

    def of_stream(self, stream: str) -> Listing | None:
        """The symbol of a trade stream."""
        return next((each for each in self.listings.values() if each.stream == stream), None)

    def listed(self) -> Iterator[Listing]:
        """What `exchangeInfo` shows."""
        return (each for each in self.listings.values() if each.is_listed)


@dataclass(frozen=True)
class Truth:
    """What really happened: the measure of everything that a reader was told."""

    market: Market

    def trades(self, symbol: str) -> dict[int, Trade]:
        """All trades of a symbol by id, oldest first."""
        return self.market.listings[symbol].trades

    def newest(self, symbol: str) -> int:
        """The newest trade id; -1 without any."""
        return next(reversed(self.trades(symbol)), -1)

    def existing(self, symbol: str, first: int, last: int) -> list[int]:
        """The ids between two that a trade has."""
        trades = self.trades(symbol)
        if last - first > len(trades):
            return [each for each in trades if first <= each <= last]
        return [each for each in range(first, last + 1) if each in trades]

    def brought(self, symbol: str, first: int, last: int, *, since: float) -> list[int]:
        """The ids between two that the stream brought after a moment of the monotonic clock."""
        sent_at = self.market.listings[symbol].sent_at
        return [each for each in self.existing(symbol, first, last) if sent_at.get(each, -1.0) > since]

    def is_invalid(self, symbol: str, trade_id: int) -> bool:
        """Whether the values of this trade make no sense."""
        return trade_id in self.market.listings[symbol].invalid
