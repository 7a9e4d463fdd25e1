"""Everything that can go wrong at an exchange, on demand.

Every method of :class:`Faults` that is marked as a verb is one of the control API and of the command line
too, under the same name and with the same arguments.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Literal

from livemarkets.simulator.faults.active import AckFault, ActiveFault, Refusal, RestFault
from livemarkets.simulator.faults.commands import command
from livemarkets.simulator.faults.disturbances import Disturbance, Disturbances, Lose, Mute, Repeat, Swap
from livemarkets.simulator.faults.garbage import GARBAGE
from livemarkets.simulator.faults.target import Exchange, subscribed_symbols
from livemarkets.simulator.market.source import SimulatorError, Source
from livemarkets.simulator.protocol.connection import ExchangeConnection
from livemarkets.simulator.protocol.control_messages import ErrorShape

__all__ = ["Faults"]


class Faults:
    """The faults of one exchange. All act at once; `count` and `seconds` say how long they last."""

    def __init__(self) -> None:
        self.injected: Counter[str] = Counter()
        self.disturbances = Disturbances()
        self.handshakes: ActiveFault[Refusal] = ActiveFault()
        self.acks: ActiveFault[AckFault] = ActiveFault()
        self.rest: ActiveFault[RestFault] = ActiveFault()
        self.shape: ErrorShape | None = None
        self._venue: Exchange | None = None
        self._timers: list[asyncio.TimerHandle] = []

    def bind(self, venue: Exchange) -> None:
        """Say whose faults these are; the exchange does so itself."""
        self._venue = venue

    @command
    def clear(self) -> None:
        """End every fault that is still going on."""
        self.disturbances.clear()
        for standing in (self.handshakes, self.acks, self.rest):
            standing.clear()
        self.shape = None
        self._cancel_timers()
        if self._venue is not None:
            self._venue.source.skew_ms = 0
            for connection in self._venue.connections:
                connection.muted.clear()
                connection.wake()

    # Connections

    @command
    def drop(self, *, connection: int | None = None) -> None:
        """Cut one connection, or all, without a close frame."""
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
        """Answer the next handshakes (one, unless told otherwise) with an HTTP status."""
        self._begin("refuse")
        fault = Refusal(status=status, retry_after_seconds=retry_after_seconds)
        self.handshakes.set(fault, *_once(count, seconds))

    @command
    def accept_close(
        self, *, count: int | None = None, seconds: float | None = None, code: int = 1001
    ) -> None:
        """Accept the next handshakes and close at once; code 0 cuts the connection instead."""
        self._begin("accept_close")
        self.handshakes.set(Refusal(close_code=code), *_once(count, seconds))

    @command
    def silence(self, *, connection: int | None = None, seconds: float | None = None) -> None:
        """Send nothing any more on the present connections but pings and pongs."""
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
        """Announce serverShutdown and close after the notice."""
        if self._venue is not None:
            self._venue.announce_shutdown(self._begin("shutdown", connection), notice_seconds)

    @command
    def max_age(self, *, seconds: float, connection: int | None = None) -> None:
        """Close the present connections when they reach an age, as at 24 hours."""
        for one in self._begin("max_age", connection):
            one.end_at_age(seconds)

    # Replies

    @command
    def slow_acks(
        self, *, delay_seconds: float = 1.0, count: int | None = None, seconds: float | None = None
    ) -> None:
        """Answer control messages late, and act on them late."""
        self._begin("slow_acks")
        self.acks.set(AckFault(delay_seconds=delay_seconds), *_once(count, seconds))

    @command
    def no_acks(self, *, count: int | None = None, seconds: float | None = None) -> None:
        """Act on control messages without a reply."""
        self._begin("no_acks")
        self.acks.set(AckFault(silent=True), *_once(count, seconds))

    @command
    def wrong_acks(self, *, count: int | None = None, seconds: float | None = None) -> None:
        """Act on control messages, and reply with an id that nobody used."""
        self._begin("wrong_acks")
        self.acks.set(AckFault(wrong_id=True), *_once(count, seconds))

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
        self.acks.set(AckFault(error=message, error_code=code), *_once(count, seconds))

    @command
    def error_shape(self, *, shape: Literal["flat", "nested"] = "nested") -> None:
        """Send error replies in the documented flat shape or the observed nested one."""
        self._begin("error_shape")
        self.shape = shape

    # Events

    @command
    def lose(self, *, stream: str | None = None, count: int = 10, connection: int | None = None) -> None:
        """Never send the next events of a stream; REST still has them."""
        self._disturb("lose", Lose(stream, count, connection))

    @command
    def repeat(self, *, stream: str | None = None, count: int = 10, connection: int | None = None) -> None:
        """Send the next events of a stream twice, as a range."""
        self._disturb("repeat", Repeat(stream, count, connection))

    @command
    def swap(self, *, stream: str | None = None, count: int = 1, connection: int | None = None) -> None:
        """Let the next pairs of neighbouring events of a stream change places."""
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
        """Stop a stream until it is subscribed again; stubborn ones stay mute, on new connections too."""
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
        """Send frames that make no sense (bad JSON, unknown events, wrong types…) between the good ones."""
        if kind != "all" and kind not in GARBAGE:
            raise SimulatorError(f"unknown kind {kind!r}; known kinds: all, {', '.join(GARBAGE)}")
        frames = [frame for name, frame in GARBAGE.items() if kind in ("all", name)]
        for one in self._begin("garbage", connection):
            one.outbox += frames * count
            one.flush()

    # The market

    @command
    def hole(self, *, symbol: str, count: int = 10) -> None:
        """Skip trade ids for good: neither the stream nor REST has them."""
        self._market("hole", symbol).skip_ids(symbol, count)

    @command
    def relist(self, *, symbol: str, first_id: int = 1) -> None:
        """List a symbol anew: its ids start again and its older trades are gone."""
        self._market("relist", symbol).relist(symbol, first_id)

    @command
    def burst(self, *, symbol: str | None = None, factor: float = 100.0, trades: int | None = None) -> None:
        """Let a symbol (or all subscribed) trade at once what takes `factor` seconds else, 50,000 at most."""
        venue = self._bound()
        names = [symbol] if symbol is not None else subscribed_symbols(venue)
        for name in names:
            source = self._market("burst", name)
            usual = max(source.rules[name].trades_per_second, 1.0)
            wanted = trades if trades is not None else int(usual * factor)
            source.burst(name, max(min(wanted, 50_000), 1), venue.now_ms())
        venue.pulse()

    @command
    def skew(self, *, ms: int) -> None:
        """Put the exchange's clock wrong: event and trade times are off by so much."""
        self._begin("skew")
        self._bound().source.skew_ms = ms

    # REST

    @command
    def rest_down(self, *, count: int | None = None, seconds: float | None = None, status: int = 0) -> None:
        """Cut REST connections without an answer, or answer with an HTTP status such as 503."""
        self._begin("rest_down")
        self.rest.set(RestFault(status=status), count, seconds)

    @command
    def rest_limit(
        self,
        *,
        count: int | None = None,
        seconds: float | None = None,
        retry_after_seconds: int = 1,
        status: int = 429,
    ) -> None:
        """Answer REST calls (one, unless told otherwise) with 429 and Retry-After."""
        self._begin("rest_limit")
        fault = RestFault(status=status, retry_after_seconds=retry_after_seconds)
        self.rest.set(fault, *_once(count, seconds))

    def end(self) -> None:
        """Cancel what is still timed; the exchange is closing."""
        self._cancel_timers()

    def _bound(self) -> Exchange:
        if self._venue is None:
            raise SimulatorError("these faults are not bound to an exchange yet")
        return self._venue

    def _begin(self, kind: str, connection: int | None = None) -> list[ExchangeConnection]:
        """Count the fault and return the connections concerned."""
        venue = self._bound()
        venue.pulse()
        self.injected[kind] += 1
        return [one for one in venue.connections if connection is None or one.number == connection]

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


def _once(count: int | None, seconds: float | None) -> tuple[int | None, float | None]:
    """Without any limit a fault happens once."""
    return (1, None) if count is None and seconds is None else (count, seconds)
