"""What can be subscribed, a method for each channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, overload

from livemarkets_client.arrival import ArrivalAccount, ArrivalPositions
from livemarkets_client.buffers import Buffer, CandlesSkipped, OlderReplaced, OldestSkipped, Waiting
from livemarkets_client.continuity import (
    Account,
    CandleAccount,
    LatestTradeAccount,
    NewestAccount,
    Positions,
    TradeAccount,
)
from livemarkets_client.models import (
    Book,
    Candle,
    CandleGap,
    CandleLagged,
    Depth,
    Gap,
    Lagged,
    Pending,
    Ticker,
    Trade,
)
from livemarkets_client.requests import StreamName, Terms, normalise
from livemarkets_client.streams import Streams
from livemarkets_client.subscription import Intake, OnGap, Stream, Subscription

__all__ = ["Channels", "Order", "WhenSlow"]

Order = Literal["id", "arrival"]
"""`id`: trades behind missing ones wait for them. `arrival`: nothing waits, and a `Pending` says what is
missing for the moment."""

WhenSlow = Literal["wait", "skip"]
"""What happens to a program that reads more slowly than data come. `wait`: the connection is not read
meanwhile, so the other subscriptions of this client wait too, and the server may skip. `skip`: the library
skips, and says what."""
_BUFFER = 10_000
T = TypeVar("T")


class Channels:
    """The channels of a client. A subscription may be made at any time, also without a connection."""

    def __init__(self, streams: Streams, exchange: str) -> None:
        self._wanted = streams
        self.exchange = exchange
        """Of the subscriptions that name none."""

    @overload
    def trades(
        self,
        *symbols: str,
        after: Mapping[str, int] | None = ...,
        on_gap: Literal["yield"] = ...,
        snapshot: int = ...,
        every_ms: int | None = ...,
        order: Literal["id"] = ...,
        when_slow: WhenSlow = ...,
        buffer: int = ...,
        quality: bool = ...,
        exchange: str | None = ...,
    ) -> Subscription[Trade | Gap | Lagged]: ...

    @overload
    def trades(
        self,
        *symbols: str,
        after: Mapping[str, int] | None = ...,
        on_gap: Literal["yield"] = ...,
        snapshot: int = ...,
        order: Literal["arrival"],
        when_slow: WhenSlow = ...,
        buffer: int = ...,
        quality: bool = ...,
        exchange: str | None = ...,
    ) -> Subscription[Trade | Gap | Lagged | Pending]: ...

    @overload
    def trades(
        self,
        *symbols: str,
        after: Mapping[str, int] | None = ...,
        on_gap: Literal["raise", "skip"],
        snapshot: int = ...,
        every_ms: int | None = ...,
        order: Order = ...,
        when_slow: WhenSlow = ...,
        buffer: int = ...,
        quality: bool = ...,
        exchange: str | None = ...,
    ) -> Subscription[Trade]: ...

    def trades(
        self,
        *symbols: str,
        after: Mapping[str, int] | None = None,
        on_gap: OnGap = "yield",
        snapshot: int = 1,
        every_ms: int | None = None,
        order: Order = "id",
        when_slow: WhenSlow = "wait",
        buffer: int = _BUFFER,
        quality: bool = False,
        exchange: str | None = None,
    ) -> Subscription[Any]:
        """Subscribe every trade of symbols.

        Args:
            symbols: in any case.
            after: by symbol, the last id that the program has: what `position()` has returned, or 0 for
                everything that can be had. The other symbols begin with the present.
            on_gap: trades that will not come are an item, raise `GapError`, or are logged and passed over.
            snapshot: how many recent trades come first.
            every_ms: at most one trade of a symbol in this time, the newest. Then nothing is a gap, and
                a reconnect goes on with the present.
            order: see `Order`; in both, each id comes once or is declared.
            when_slow: see `WhenSlow`.
            buffer: how many items wait here for the program.
            quality: whether the server tells the state of these streams; see `Subscription.quality`.
            exchange: if it is another one than that of the client.

        """
        account: Callable[[int | None], Account] = TradeAccount
        skipping: Buffer[Any] = OldestSkipped(buffer)
        if every_ms is not None:
            if after or order != "id":
                raise ValueError("with every_ms there is neither after nor order")
            account, skipping = LatestTradeAccount, OlderReplaced()
        elif order == "arrival":
            account = ArrivalAccount
        return self._subscribe(
            "trades",
            symbols,
            Terms(snapshot, every_ms, order=None if order == "id" else order, quality=quality),
            account,
            Waiting(buffer) if when_slow == "wait" else skipping,
            exchange,
            after=after,
            on_gap=on_gap,
        )

    @overload
    def candles(
        self,
        *symbols: str,
        interval: str,
        after: Mapping[str, int] | None = ...,
        on_gap: Literal["yield"] = ...,
        snapshot: int = ...,
        when_slow: WhenSlow = ...,
        buffer: int = ...,
        quality: bool = ...,
        exchange: str | None = ...,
    ) -> Subscription[Candle | CandleGap | CandleLagged]: ...

    @overload
    def candles(
        self,
        *symbols: str,
        interval: str,
        after: Mapping[str, int] | None = ...,
        on_gap: Literal["raise", "skip"],
        snapshot: int = ...,
        when_slow: WhenSlow = ...,
        buffer: int = ...,
        quality: bool = ...,
        exchange: str | None = ...,
    ) -> Subscription[Candle]: ...

    def candles(
        self,
        *symbols: str,
        interval: str,
        after: Mapping[str, int] | None = None,
        on_gap: OnGap = "yield",
        snapshot: int = 1,
        when_slow: WhenSlow = "wait",
        buffer: int = _BUFFER,
        quality: bool = False,
        exchange: str | None = None,
    ) -> Subscription[Any]:
        """Subscribe candles: every closed one once, and the running one at each update.

        Args:
            symbols: in any case.
            interval: such as `1m`; `1M` is a month.
            after: by symbol, the `open_ts` of the last closed candle that the program has.
            on_gap: as in `trades`.
            snapshot: how many past candles come first, at most 1,000.
            when_slow: with `skip`, updates of running candles replace each other; closed ones always wait.
            buffer: how many items wait here for the program.
            quality: as in `trades`.
            exchange: if it is another one than that of the client.

        """
        return self._subscribe(
            "candles",
            symbols,
            Terms(snapshot, quality=quality),
            CandleAccount,
            Waiting(buffer) if when_slow == "wait" else CandlesSkipped(buffer),
            exchange,
            after=after,
            on_gap=on_gap,
            interval=interval,
        )

    def tickers(
        self,
        *symbols: str,
        every_ms: int | None = None,
        when_slow: WhenSlow = "wait",
        buffer: int = _BUFFER,
        quality: bool = False,
        exchange: str | None = None,
    ) -> Subscription[Ticker]:
        """Subscribe the figures of symbols over 24 hours; `"*"` is all symbols of the exchange."""
        terms = Terms(every_ms=every_ms, quality=quality)
        return self._subscribe("tickers", symbols, terms, _newest, _newest_in(buffer, when_slow), exchange)

    def book(
        self,
        *symbols: str,
        every_ms: int | None = None,
        when_slow: WhenSlow = "wait",
        buffer: int = _BUFFER,
        quality: bool = False,
        exchange: str | None = None,
    ) -> Subscription[Book]:
        """Subscribe the best bid and ask of symbols."""
        terms = Terms(every_ms=every_ms, quality=quality)
        return self._subscribe("book", symbols, terms, _newest, _newest_in(buffer, when_slow), exchange)

    def depth(
        self,
        *symbols: str,
        levels: Literal[5, 10, 20] = 20,
        every_ms: int | None = None,
        when_slow: WhenSlow = "wait",
        buffer: int = _BUFFER,
        quality: bool = False,
        exchange: str | None = None,
    ) -> Subscription[Depth]:
        """Subscribe the best price levels of the order books of symbols."""
        terms = Terms(every_ms=every_ms, levels=levels, quality=quality)
        return self._subscribe("depth", symbols, terms, _newest, _newest_in(buffer, when_slow), exchange)

    def _subscribe(
        self,
        channel: str,
        symbols: tuple[str, ...],
        terms: Terms,
        account: Callable[[int | None], Account],
        buffer: Buffer[Any],
        exchange: str | None,
        *,
        after: Mapping[str, int] | None = None,
        on_gap: OnGap = "yield",
        interval: str | None = None,
    ) -> Subscription[Any]:
        names = tuple(dict.fromkeys(map(normalise, symbols)))
        known = {normalise(symbol): last for symbol, last in (after or {}).items()}
        if not names:
            raise ValueError("name at least one symbol")
        if strange := known.keys() - set(names):
            raise ValueError(f"after names {', '.join(sorted(strange))}, which is not subscribed here")
        asyncio.get_running_loop()  # raises where there is none: the buffer belongs to a loop
        intake = Intake(buffer)
        where = exchange or self.exchange
        self._wanted.add(
            Stream(StreamName(where, channel, name, interval), terms, account(known.get(name)), intake)
            for name in names
        )
        positions = ArrivalPositions(known) if terms.order == "arrival" else Positions(known)
        return Subscription(names, intake, on_gap, positions, self._wanted.remove)


def _newest(after: int | None) -> Account:
    return NewestAccount()


def _newest_in(capacity: int, when_slow: WhenSlow) -> Buffer[Any]:
    return Waiting(capacity) if when_slow == "wait" else OlderReplaced()
