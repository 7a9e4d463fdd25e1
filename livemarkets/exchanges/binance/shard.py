"""A part of the wanted streams: carried by one connection, and by two during a rotation.

A rotation replaces the connection (make before break). Its reasons are the exchange's limit of 24 h, a
`serverShutdown` event, mute streams, and requests that are no longer answered. A second connection is opened
and subscribes every stream while the first still delivers. The first is closed when every stream that may
bring something has delivered on the second, or at a deadline. The ledger drops the duplicates of this time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence

from loguru import logger

from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.base import Silence
from livemarkets.exchanges.binance.attempts import Attempts
from livemarkets.exchanges.binance.connection import Connection
from livemarkets.exchanges.binance.rotation import RETURN, Held, Rotation
from livemarkets.exchanges.binance.shard_owner import ShardOwner
from livemarkets.exchanges.binance.stream_names import stream_name
from livemarkets.exchanges.binance.timings import ShardTimings
from livemarkets.market.models import StreamKey, TradeTick
from livemarkets.market.updates import StreamUpdate

__all__ = ["Shard", "ShardTimings"]


class Shard:
    """A set of streams and its connections. :meth:`run` owns every task."""

    def __init__(
        self,
        name: str,
        owner: ShardOwner,
        *,
        timings: ShardTimings,
        attempts: Attempts,
        clock: Callable[[], float],
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.name = name
        self.streams: dict[StreamKey, str] = {}
        """The exchange's name of each stream."""
        self.active: Connection | None = None
        self.standby: Connection | None = None
        self.retry_at: float | None = None
        """When the next attempt is due, monotonic seconds; `None` when none is waiting for its time."""
        self.held: dict[Connection, Held] = {}  # also those that are being closed
        self.rotations = 0
        """Connections that were replaced before they ended."""
        self._owner = owner
        self._timings = timings
        self._attempts = attempts
        self._clock = clock
        self._uniform = uniform
        self._rotation = Rotation(timings.takeover_seconds)
        self._wake = asyncio.Event()
        self._was_ready = False

    # streams

    def add(self, key: StreamKey) -> None:
        """Add a stream.

        Raises:
            ValueError: the exchange has no such channel.

        """
        self.streams[key] = stream_name(key)
        self._wake.set()

    def remove(self, key: StreamKey) -> None:
        """Remove a stream. Idempotent."""
        self.streams.pop(key, None)
        self._wake.set()

    def rotate(self, reason: str, *, is_mute: bool = False) -> None:
        """Replace the connection, make before break; if it is mute, by one to another address."""
        if self._rotation.reason is None and self.active is not None:
            if is_mute:
                self._attempts.note_mute(self.held[self.active].attempt.url, self._clock())
            self._rotation.reason = reason
            self._wake.set()

    def wake(self) -> None:
        """Check the connections again, since an attempt may be due now."""
        self._wake.set()

    def resubscribe(self, key: StreamKey) -> None:
        """Subscribe again to a mute stream."""
        if self.active is not None:
            self.active.resubscribe([self.streams[key]])

    @property
    def is_ready(self) -> bool:
        """Whether the open connection has had all wanted streams acknowledged once."""
        return self._was_ready

    def acknowledged_at(self, key: StreamKey) -> float | None:
        """Return when the exchange confirmed this stream on the active connection; `None` if it did not."""
        if self.active is None or not self.active.is_open:
            return None
        return self.active.session.acknowledged_at.get(self.streams.get(key, ""))

    def rejection(self, key: StreamKey) -> str | None:
        """Return the exchange's error text if it refused this stream, else `None`."""
        return self.active.session.rejected.get(self.streams.get(key, "")) if self.active else None

    # events of the connections (ConnectionEvents)

    def handle_trades(self, connection: Connection, key: StreamKey, ticks: Sequence[TradeTick]) -> None:
        """Pass trades on, and note which streams the standby connection delivers."""
        if connection is self.standby and self._rotation.note_data(key):
            self._wake.set()
        self._owner.handle_trades(key, ticks)

    def handle_update(self, connection: Connection, key: StreamKey, update: StreamUpdate) -> None:
        """Pass an update on, and note which streams the standby connection delivers."""
        if connection is self.standby and self._rotation.note_data(key):
            self._wake.set()
        self._owner.handle_update(key, update)

    def handle_invalid(self, connection: Connection, key: StreamKey, trade_id: int) -> None:
        """Pass on the id of an invalid trade."""
        self._owner.handle_invalid(key, trade_id)

    def handle_change(self, connection: Connection) -> None:
        """Check the connections again."""
        held = self.held.get(connection)
        if held is not None:
            if connection.is_open and not held.attempt.is_open:
                self._attempts.note_open(held.attempt)
                self._owner.handle_outcome()
            if connection.proved_at is not None:
                self._attempts.note_proof(held.attempt, connection.proved_at)
        if connection is self.active and connection.is_open and connection.session.is_acknowledged():
            self._was_ready = True
        self._wake.set()
        self._owner.handle_change()

    def handle_complaint(self, connection: Connection, kind: str, detail: str) -> None:
        """Pass on an error of the exchange."""
        self._owner.handle_complaint(connection, kind, detail)

    # the only task that changes the connections

    async def run(self) -> None:
        """Run until cancelled, then close every connection."""
        try:
            while True:
                self._wake.clear()
                now = self._clock()
                self._step(now)
                await self._pause(now)
        finally:
            tasks = [held.task for held in self.held.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _step(self, now: float) -> None:
        if not self.streams:
            self._let_go()
            return
        for connection in self.held:
            if connection is self.active or connection is self.standby:
                connection.set_wanted(self.streams.values())
        if self.active is None and self.standby is not None:
            self._promote("the other connection was lost")
        if self.active is None:
            self.active = self._open(now)
        elif self.active.is_open and self._note_due_rotation(now):
            self._rotate(now)

    def _note_due_rotation(self, now: float) -> bool:
        assert self.active is not None
        if self._rotation.reason is None:
            if self.active.end_reason is not None:
                self._rotation.reason = self.active.end_reason
            elif now >= self.held[self.active].expires_at:
                self._rotation.reason = "the connection is near the exchange's age limit"
            elif now >= self._attempts.returns_at(self.held[self.active].attempt.url):
                self._rotation.reason = RETURN
        return self._rotation.reason is not None

    def _rotate(self, now: float) -> None:
        new = self.standby
        if new is None:
            self._rotation.begin()
            self.standby = self._open(now, is_planned=True)
        elif (
            new.is_open
            and new.session.is_acknowledged()
            and self._rotation.may_take_over(self.streams, self._is_awaited, now)
        ):
            self._promote(self._rotation.reason or "")

    def _is_awaited(self, key: StreamKey) -> bool:
        """Return whether a rotation waits for data of a stream: not if it is refused or not traded."""
        is_refused = self.standby is not None and self.streams[key] in self.standby.session.rejected
        return not is_refused and self._owner.silence_of(key) is not Silence.NOT_TRADED

    def _promote(self, reason: str) -> None:
        old, self.active, self.standby = self.active, self.standby, None
        self._rotation.end()
        assert self.active is not None
        self.rotations += self.active.is_open
        self._was_ready = self.active.is_open and self.active.session.is_acknowledged()
        logger.info("{}: {} took over because {}", self.name, self.active.name, reason)
        if old is not None:
            old.retire()
        self._owner.handle_change()

    def _open(self, now: float, *, is_planned: bool = False) -> Connection | None:
        """Open a connection, if an attempt is due."""
        due_at = self._attempts.due_at(now)
        if due_at is None or due_at > now:
            before, self.retry_at = self.retry_at, due_at
            if before is None or due_at is None or abs(due_at - before) > 0.001:  # else it is no news
                self._owner.handle_change()
            return None
        is_return = is_planned and self._rotation.reason == RETURN
        attempt = self._attempts.begin(now, is_planned=is_planned, is_return=is_return)
        self.retry_at = None
        connection = self._owner.new_connection(self.name, attempt.url, self)
        connection.set_wanted(self.streams.values())
        self.held[connection] = Held(
            attempt,
            now + self._timings.lifetime_seconds * self._uniform(0.95, 1.0),
            asyncio.create_task(self._hold(connection), name=connection.name),
        )
        self._owner.handle_change()
        return connection

    async def _hold(self, connection: Connection) -> None:
        """Run one connection until it ends."""
        try:
            await connection.run()
            logger.debug("{}: closed", connection.name)
        except ExchangeUnreachable as error:
            self._note_failure(connection, error)
        except Exception:
            logger.exception("{}: internal error", connection.name)
            self._note_failure(connection, ExchangeUnreachable("internal error"))
        finally:
            self._forget(connection)

    def _note_failure(self, connection: Connection, error: ExchangeUnreachable) -> None:
        is_in_use = connection is self.active or connection is self.standby
        if not is_in_use and connection.opened_at is not None:
            logger.debug("{}: failed while closing: {}", connection.name, error.reason)
            return
        # A refused handshake counts even if nobody wants the connection any more: it may be a ban.
        now = self._clock()
        delay = self._attempts.note_failure(self.held[connection].attempt, error, now)
        if is_in_use:
            self.retry_at = now + delay
            other = self.standby if connection is self.active else self.active
            what = f"{connection.url} failed: {error.reason}"
            self._owner.handle_failure(what, delay, is_covered=other is not None and other.is_open)

    def _forget(self, connection: Connection) -> None:
        self._attempts.note_end(self.held.pop(connection).attempt)
        self._owner.handle_outcome()
        if connection is self.active:
            self.active = None
            self._was_ready = False
            if self.standby is None:
                self._rotation.end()  # it concerned the connection that ended
        elif connection is self.standby:
            self.standby = None
            if self._rotation.reason == RETURN:
                self._rotation.end()
        self._wake.set()
        self._owner.handle_change()

    def _let_go(self) -> None:
        for connection in self.held:
            connection.retire()
        self.active = self.standby = None
        self._rotation.end()
        self._was_ready = False
        self.retry_at = None

    async def _pause(self, now: float) -> None:
        """Wait for a change or the next due time after `now`."""
        times = [self.retry_at, self._rotation.deadline]
        if self.active is not None and self.standby is None:
            held = self.held[self.active]
            times += [held.expires_at, self._attempts.returns_at(held.attempt.url)]
        due = [at for at in times if at is not None and at > now]
        wait = max(0.005, min(due) - now) if due and self.streams else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._wake.wait()
