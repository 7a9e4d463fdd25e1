"""Binance behind the ports of :mod:`livemarkets.exchanges.base`: its client and its REST API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial

from msgspec.structs import replace

from livemarkets.exchanges.addresses import of_leg
from livemarkets.exchanges.base import ExchangeClient, ExchangeEvents, ExchangePorts
from livemarkets.exchanges.binance.client import BinanceClient
from livemarkets.exchanges.binance.messages import trade_times
from livemarkets.exchanges.binance.rest import BinanceRest
from livemarkets.exchanges.binance.timings import ClientTimings
from livemarkets.exchanges.budgets import ConnectBudget
from livemarkets.exchanges.latency import LatencyMeter, Reader, TradeWatch
from livemarkets.exchanges.leg import Leg
from livemarkets.exchanges.leg_streams import LegTally
from livemarkets.exchanges.legs import Legs
from livemarkets.exchanges.outbound import Outbound
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeName

__all__ = ["BinancePorts"]

_RETURN_SECONDS = 30.0


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
        legs: how many clients read the streams at once, each at another address if there are so many. They
            share the budget of attempts, and a ban.

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
        legs: int = 1,
    ) -> None:
        self._legs = legs
        self._exchange: ExchangeName = exchange
        self._ws_urls = ws_urls
        self._budget = ConnectBudget(limit=connects_per_5_minutes)
        self._timings = timings
        self._clock = clock
        self._outbound = outbound
        self._rest = BinanceRest(exchange, rest_urls, clock=clock, outbound=outbound)
        self._clients: list[BinanceClient] = []
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
        for client in self._clients:
            client.urls = self._ws_urls

    def _connect(self, events: ExchangeEvents) -> ExchangeClient:
        if self._legs == 1:
            return self._add_client(events, self._ws_urls, self._timings, self._latency)
        connects = [partial(self._connect_leg, number + 1) for number in range(self._legs)]
        return Legs(self._exchange, connects, events, clock=self._clock.monotonic)

    def _connect_leg(self, number: int, events: Leg) -> BinanceClient:
        return self._add_client(
            events,
            of_leg(self._ws_urls, number, self._legs),
            _timings_of_leg(self._timings, number, self._legs),
            _LegWatch(self._latency, events.tally),
            f"{self._exchange}-leg{number}",
        )

    def _add_client(
        self,
        events: ExchangeEvents,
        urls: Sequence[str],
        timings: ClientTimings,
        latency: TradeWatch,
        name: str = "",
    ) -> BinanceClient:
        client = BinanceClient(
            self._exchange,
            urls,
            events,
            budget=self._budget,
            timings=timings,
            clock=self._clock,
            outbound=self._outbound,
            latency=latency,
            name=name,
        )
        self._clients.append(client)
        return client


class _LegWatch:
    """Measures those trades of a leg that it brings before every other leg."""

    def __init__(self, meter: LatencyMeter, tally: LegTally) -> None:
        self._meter = meter
        self._tally = tally

    def watching(self, reader: Reader) -> AbstractContextManager[None]:
        return self._meter.watching(reader, lambda: self._tally.first)


def _timings_of_leg(timings: ClientTimings, number: int, legs: int) -> ClientTimings:
    """Return the time limits of a leg: the connections of two legs do not reach their age together."""
    shard = timings.shard
    lifetime = shard.lifetime_seconds * (1 - (number - 1) / (2 * legs))
    pause = shard.attempts.return_seconds
    attempts = replace(shard.attempts, return_seconds=_RETURN_SECONDS if pause is None else pause)
    return replace(timings, shard=replace(shard, lifetime_seconds=lifetime, attempts=attempts))
