"""Binance behind the ports of :mod:`livemarkets.exchanges.base`: its client and its REST API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from livemarkets.exchanges.base import ExchangeEvents, ExchangePorts
from livemarkets.exchanges.binance.client import BinanceClient
from livemarkets.exchanges.binance.messages import trade_times
from livemarkets.exchanges.binance.rest import BinanceRest
from livemarkets.exchanges.binance.timings import ClientTimings
from livemarkets.exchanges.budgets import ConnectBudget
from livemarkets.exchanges.latency import LatencyMeter
from livemarkets.exchanges.outbound import Outbound
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeName

__all__ = ["BinancePorts"]


class BinancePorts:
    """An exchange that speaks Binance's protocol. It makes the ports for one feed.

    Args:
        exchange: the name of the exchange.
        ws_urls: base addresses of the streams, tried in order.
        rest_urls: base addresses of REST, tried in order.
        connects_per_5_minutes: limit of connection attempts.
        timings: limits of the client.
        clock: source of the time.
        outbound: which proxy and which certificates.
        deliveries: returns how many trades were handed to readers since the start.

    """

    def __init__(
        self,
        exchange: ExchangeName,
        ws_urls: Sequence[str] = (),
        rest_urls: Sequence[str] = (),
        *,
        connects_per_5_minutes: int,
        timings: ClientTimings,
        clock: Clock,
        outbound: Outbound,
        deliveries: Callable[[], int],
    ) -> None:
        self._exchange: ExchangeName = exchange
        self._ws_urls = ws_urls
        self._budget = ConnectBudget(limit=connects_per_5_minutes)
        self._timings = timings
        self._clock = clock
        self._outbound = outbound
        self._rest = BinanceRest(exchange, rest_urls, clock=clock, outbound=outbound)
        self._client: BinanceClient | None = None
        self._latency = LatencyMeter(
            clock.monotonic,
            clock.now_ms,
            trade_times,
            lambda seconds, callback: asyncio.get_running_loop().call_later(seconds, callback),
            deliveries,
            lambda callback: asyncio.get_running_loop().call_soon(callback),
        )

    def ports(self, prepare: Callable[[], Awaitable[None]] | None = None) -> ExchangePorts:
        """Return the ports. `prepare` is awaited before anything is sent to the exchange."""
        rest = self._rest
        channels, candles = BinanceClient.channels, rest.candle_history
        return ExchangePorts(self._connect, rest, rest, prepare, channels, rest, candles, self._latency)

    def use(self, ws_url: str, rest_url: str) -> None:
        """Use these addresses from now on."""
        self._ws_urls = (ws_url,)
        self._rest.urls = (rest_url,)
        if self._client is not None:
            self._client.urls = self._ws_urls

    def _connect(self, events: ExchangeEvents) -> BinanceClient:
        self._client = BinanceClient(
            self._exchange,
            self._ws_urls,
            events,
            budget=self._budget,
            timings=self._timings,
            clock=self._clock,
            outbound=self._outbound,
            latency=self._latency,
        )
        return self._client
