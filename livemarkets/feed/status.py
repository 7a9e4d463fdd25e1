"""The status of one exchange: what its client says, and `stale` while a stream is mute."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from livemarkets.exchanges.base import ClientStatus
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeName, ExchangeState, ExchangeStatus, StreamKey

__all__ = ["StatusKeeper"]


class StatusKeeper:
    """Combines the client's status with the mute streams, and tells every change.

    Args:
        exchange: its name.
        clock: source of the time.

    """

    def __init__(self, exchange: ExchangeName, clock: Clock) -> None:
        self.status = ExchangeStatus(
            exchange=exchange, state=ExchangeState.IDLE, reason=None, ts=clock.now_ms()
        )
        self._clock = clock
        self._listeners: list[Callable[[ExchangeStatus], None]] = []

    def add_listener(self, listener: Callable[[ExchangeStatus], None]) -> None:
        """Call `listener` synchronously with every new status."""
        self._listeners.append(listener)

    def update(self, status: ClientStatus, mute: Sequence[StreamKey]) -> None:
        """Compute the status again, and call the listeners if it changed.

        Args:
            status: the client's.
            mute: the streams that are mute at present.

        """
        if status.state is ExchangeState.LIVE and mute:
            names = ", ".join(key.symbol for key in mute[:5]) + (" and more" if len(mute) > 5 else "")
            status = ClientStatus(ExchangeState.STALE, f"no trades arrive for {names}")
        now_ms, retry_ts = self._clock.now_ms(), None
        if status.retry_at is not None:
            retry_ts = now_ms + int((status.retry_at - self._clock.monotonic()) * 1000)
        changed = (status.state, status.reason) != (self.status.state, self.status.reason)
        self.status = ExchangeStatus(
            exchange=self.status.exchange,
            state=status.state,
            reason=status.reason,
            ts=now_ms if changed else self.status.ts,
            retry_ts=retry_ts,
        )
        if changed:
            for listener in self._listeners:
                listener(self.status)
