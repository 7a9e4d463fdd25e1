"""The status of an exchange: what its client says, and whether trades arrive. No I/O.

A mute stream of trades makes an exchange `stale`, because that word says that prices are old. A mute stream
of another channel says nothing of prices: its own quality tells it (:mod:`livemarkets.feed.quality`). But
where nothing arrives of all that is wanted, the exchange is connected but mute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from livemarkets.exchanges.base import ClientStatus
from livemarkets.market.channels import TRADES
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeName, ExchangeState, ExchangeStatus, StreamKey

__all__ = ["FeedStatus", "next_status"]


def next_status(
    before: ExchangeStatus,
    client: ClientStatus,
    mute: Sequence[StreamKey],
    wanted: int,
    *,
    now: float,
    now_ms: int,
) -> ExchangeStatus:
    """Combine the client's status with staleness.

    Args:
        before: the present status. Its time is kept while state and reason are the same.
        client: the client's status.
        mute: the streams of any channel that do not deliver what they should.
        wanted: how many streams are wanted.
        now: monotonic seconds.
        now_ms: ms since the epoch.

    """
    what, keys = "no trades arrive", [key for key in mute if key.channel == TRADES]
    if not keys and len(mute) == wanted:
        what, keys = "nothing arrives", list(mute)
    if client.state is ExchangeState.LIVE and keys:
        names = ", ".join(key.symbol for key in keys[:5]) + (" and more" if len(keys) > 5 else "")
        client = ClientStatus(ExchangeState.STALE, f"{what} for {names}")
    is_same = (client.state, client.reason) == (before.state, before.reason)
    return ExchangeStatus(
        exchange=before.exchange,
        state=client.state,
        reason=client.reason,
        ts=before.ts if is_same else now_ms,
        retry_ts=None if client.retry_at is None else now_ms + int((client.retry_at - now) * 1000),
    )


class FeedStatus:
    """The present status of one exchange, and who is told of a new one."""

    def __init__(self, exchange: ExchangeName, client: ClientStatus, clock: Clock) -> None:
        self.present = ExchangeStatus(
            exchange=exchange, state=ExchangeState.IDLE, reason=None, ts=clock.now_ms()
        )
        self.client = client
        """The newest status of the exchange's client; the owner sets it."""
        self._clock = clock
        self._listeners: list[Callable[[ExchangeStatus], None]] = []

    def add_listener(self, listener: Callable[[ExchangeStatus], None]) -> None:
        """Call `listener` synchronously with every new status."""
        self._listeners.append(listener)

    def update(self, mute: Sequence[StreamKey], wanted: int) -> None:
        """Compute the status again, and call the listeners if state or reason changed."""
        before, now, now_ms = self.present, self._clock.monotonic(), self._clock.now_ms()
        self.present = next_status(before, self.client, mute, wanted, now=now, now_ms=now_ms)
        if (self.present.state, self.present.reason) != (before.state, before.reason):
            for listener in self._listeners:
                listener(self.present)
