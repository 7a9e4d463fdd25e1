"""The faults of the embedded exchange.

Every method of :class:`Faults` that is marked as a command is also available in the control API and on the
command line, with the same name and arguments.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Literal

from livemarkets.simulator.faults.active import AckFault, ActiveFault, Refusal, once
from livemarkets.simulator.faults.commands import command
from livemarkets.simulator.faults.disturbances import Disturbance, Disturbances, Lose, Mute, Repeat, Swap
from livemarkets.simulator.faults.garbage import GARBAGE
from livemarkets.simulator.faults.listing import ListingFaults
from livemarkets.simulator.faults.rest_faults import RestFaults
from livemarkets.simulator.faults.target import Exchange, connections_of, subscribed_symbols
from livemarkets.simulator.market.source import SimulatorError, Source
from livemarkets.simulator.protocol.connection import ExchangeConnection
from livemarkets.simulator.protocol.control_messages import ErrorShape

__all__ = ["Faults"]


class Faults(ListingFaults, RestFaults):
    """The faults of one exchange. Several may be active. `count` and `seconds` limit how long they last."""

    def __init__(self) -> None:
        super().__init__()
        self.injected: Counter[str] = Counter()
        self.disturbances = Disturbances()
        self.handshakes: ActiveFault[Refusal] = ActiveFault()
        self.acks: ActiveFault[AckFault] = ActiveFault()
        self.shape: ErrorShape | None = None
        self._exchange: Exchange | None = None
        self._timers: list[asyncio.TimerHandle] = []

    def bind(self, exchange: Exchange) -> None:
        """Set the exchange of these faults. The exchange calls it itself."""
        self._exchange = exchange

    @command
    def clear(self) -> None:
        """End every active fault."""
        self.disturbances.clear()
        for fault in (self.handshakes, self.acks):
            fault.clear()
        self._clear_rest()
        self.shape = None
        self._cancel_timers()
        if self._exchange is not None:
            self._exchange.source.skew_ms = 0
            for connection in self._exchange.connections:
                connection.muted.clear()
                connection.wake()

    # Connections

    @command
    def drop(self, *, connection: int | None = None) -> None:
        """Drop one connection, or all, without a close frame."""
        for one in self._begin("drop", connection):
            one.drop()

    @command
    def close(self, *, connection: int | None = None, code: int = 1001, reason: str = "") -> None:
        """Close one connection, or all, with a close frame."""
        for one in self._begin("close", connection):
            one.end(code, reason)

    @command
    def refuse(
        self,
        *,
        count: int | None = None,
        seconds: float | None = None,
        status: int = 503,
        retry_after_seconds: int | None = None,
    ) -> None:
        """Refuse the next handshakes with an HTTP status (default: one handshake)."""
        self._begin("refuse")
        fault = Refusal(status=status, retry_after_seconds=retry_after_seconds)
        self.handshakes.set(fault, *once(count, seconds))

    @command
    def accept_close(
        self, *, count: int | None = None, seconds: float | None = None, code: int = 1001
    ) -> None:
        """Accept the next handshakes and close at once; code 0 drops the connection instead."""
        self._begin("accept_close")
        self.handshakes.set(Refusal(close_code=code), *once(count, seconds))

    @command
    def silence(self, *, connection: int | None = None, seconds: float | None = None) -> None:
        """Send only pings and pongs on the present connections."""
        for one in self._begin("silence", connection):
            one.silent = True
            self._wake_after(one, seconds)

    @command
    def half_open(self, *, connection: int | None = None, seconds: float | None = None) -> None:
        """Neither send nor read on the present connections; TCP stays up."""
        for one in self._begin("half_open", connection):
            one.half_open = True
            self._wake_after(one, seconds)

    @command
    def shutdown(self, *, connection: int | None = None, notice_seconds: float = 1.0) -> None:
        """Send serverShutdown, and close after the notice time."""
        if self._exchange is not None:
            self._exchange.announce_shutdown(self._begin("shutdown", connection), notice_seconds)

    @command
    def max_age(self, *, seconds: float, connection: int | None = None) -> None:
        """Close the present connections at an age, as Binance does at 24 hours."""
        for one in self._begin("max_age", connection):
            one.end_at_age(seconds)

    # Replies

    @command
    def slow_acks(
        self, *, delay_seconds: float = 1.0, count: int | None = None, seconds: float | None = None
    ) -> None:
        """Carry out and answer control messages with a delay."""
        self._begin("slow_acks")
        self.acks.set(AckFault(delay_seconds=delay_seconds), *once(count, seconds))

    @command
    def no_acks(self, *, count: int | None = None, seconds: float | None = None) -> None:
        """Carry out control messages without a reply."""
        self._begin("no_acks")
        self.acks.set(AckFault(silent=True), *once(count, seconds))

    @command
    def wrong_acks(self, *, count: int | None = None, seconds: float | None = None) -> None:
        """Carry out control messages, and reply with an unknown id."""
        self._begin("wrong_acks")
        self.acks.set(AckFault(wrong_id=True), *once(count, seconds))

    @command
    def error_acks(
        self,
        *,
        count: int | None = None,
        seconds: float | None = None,
        code: int = 2,
        message: str = "Invalid request: invalid stream",
    ) -> None:
        """Refuse control messages with an error reply."""
        self._begin("error_acks")
        self.acks.set(AckFault(error=message, error_code=code), *once(count, seconds))

    @command
    def error_shape(self, *, shape: Literal["flat", "nested"] = "nested") -> None:
        """Send error replies in the documented flat shape or in the observed nested shape."""
        self._begin("error_shape")
        self.shape = shape

    # Events

    @command
    def lose(self, *, stream: str | None = None, count: int = 10, connection: int | None = None) -> None:
        """Do not send the next events of a stream; REST still has them."""
        self._disturb("lose", Lose(stream, count, connection))

    @command
    def repeat(self, *, stream: str | None = None, count: int = 10, connection: int | None = None) -> None:
        """Send the next events of a stream, then all of them again."""
        self._disturb("repeat", Repeat(stream, count, connection))

    @command
    def swap(self, *, stream: str | None = None, count: int = 1, connection: int | None = None) -> None:
        """Swap the next pairs of neighbouring events of a stream."""
        self._disturb("swap", Swap(stream, count, connection))

    @command
    def mute(
        self,
        *,
        stream: str,
        connection: int | None = None,
        seconds: float | None = None,
        stubborn: bool = False,
    ) -> None:
        """Mute a stream until it is subscribed again; a stubborn one stays mute, also on new connections."""
        concerned = self._begin("mute", connection)
        if stubborn or seconds is not None:
            ends = None if seconds is None else time.monotonic() + seconds
            self.disturbances.add(
                Mute(stream, lambda: ends is not None and time.monotonic() >= ends, connection)
            )
        else:
            for one in concerned:
                one.muted.add(stream)

    @command
    def garbage(self, *, kind: str = "all", count: int = 1, connection: int | None = None) -> None:
        """Send malformed frames (bad JSON, unknown events, wrong types…) between the good ones."""
        if kind != "all" and kind not in GARBAGE:
            raise SimulatorError(f"unknown kind {kind!r}; known kinds: all, {', '.join(GARBAGE)}")
        frames = [frame for name, frame in GARBAGE.items() if kind in ("all", name)]
        for one in self._begin("garbage", connection):
            one.outbox += frames * count
            one.flush()

    # The market

    @command
    def hole(self, *, symbol: str, count: int = 10) -> None:
        """Skip trade ids: neither the stream nor REST has them."""
        self._market("hole", symbol).skip_ids(symbol, count)

    @command
    def relist(self, *, symbol: str, first_id: int = 1) -> None:
        """List a symbol again: its ids restart and its older trades are deleted."""
        self._market("relist", symbol).relist(symbol, first_id)

    @command
    def burst(self, *, symbol: str | None = None, factor: float = 100.0, trades: int | None = None) -> None:
        """Make the trades of `factor` seconds at once (at most 50,000), for one or all subscribed symbols."""
        exchange = self._bound()
        names = [symbol] if symbol is not None else subscribed_symbols(exchange)
        for name in names:
            source = self._market("burst", name)
            usual = max(source.rules[name].trades_per_second, 1.0)
            wanted = trades if trades is not None else int(usual * factor)
            source.burst(name, max(min(wanted, 50_000), 1), exchange.now_ms())
        exchange.pulse()

    @command
    def skew(self, *, ms: int) -> None:
        """Shift the exchange's clock: event and trade times are off by `ms`."""
        self._begin("skew")
        self._bound().source.skew_ms = ms

    def end(self) -> None:
        """Cancel all timers, because the exchange is closing."""
        self._cancel_timers()

    def _bound(self) -> Exchange:
        if self._exchange is None:
            raise SimulatorError("these faults are not bound to an exchange yet")
        return self._exchange

    def _begin(self, kind: str, connection: int | None = None) -> list[ExchangeConnection]:
        """Count the fault and return the connections concerned."""
        concerned = connections_of(self._bound(), kind, connection)
        self.injected[kind] += 1
        return concerned

    def _change_list(self, kind: str) -> Exchange:
        self._begin(kind)
        return self._bound()

    def _disturb(self, kind: str, disturbance: Disturbance) -> None:
        self._begin(kind)
        self.disturbances.add(disturbance)

    def _market(self, kind: str, symbol: str) -> Source:
        source = self._bound().source
        if symbol not in source.rules:
            raise SimulatorError(f"{kind}: the exchange does not list {symbol}")
        self._begin(kind)
        return source

    def _wake_after(self, connection: ExchangeConnection, seconds: float | None) -> None:
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._timers.append(loop.call_later(seconds, connection.wake))

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
