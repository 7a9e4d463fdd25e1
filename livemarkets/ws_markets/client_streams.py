"""The subscriptions of one `/ws/markets` client, and how each of its streams is started."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import aclosing
from functools import partial

from loguru import logger

from livemarkets.delivery.fanout import Fanout
from livemarkets.delivery.mailbox import Mailbox
from livemarkets.errors import ClientMessageError
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.feed.turns import Turns
from livemarkets.market.models import Gap, StreamKey
from livemarkets.market.stores import RecentTrades
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.protocol.encoding import encode_error, encode_released, encode_snapshots
from livemarkets.protocol.requests import SubscribeRequest

__all__ = ["ClientStreams"]

_TRADES_AT_ONCE = 2_000
"""If the snapshots of a request are longer, each is sent only after the client has read the one before."""


class ClientStreams:
    """The streams of one client. Changes are synchronous; snapshots and resumption run in tasks.

    Args:
        client: the subscriber, as the manager knows it.
        address: the client's address, to which limits apply.
        mailbox: the client's mailbox.
        manager: the subscriptions of all subscribers.
        trades: the recent trades of every stream.
        fanout: the delivery to all readers.

    """

    def __init__(
        self,
        client: Hashable,
        address: str,
        mailbox: Mailbox,
        manager: SubscriptionManager,
        trades: RecentTrades,
        fanout: Fanout,
    ) -> None:
        self._client = client
        self._address = address
        self._mailbox = mailbox
        self._manager = manager
        self._trades = trades
        self._fanout = fanout
        self._modes: dict[StreamKey, str] = {}
        self._tasks: dict[StreamKey, asyncio.Task[None]] = {}
        self._posting = asyncio.Lock()

    def keys(self) -> list[StreamKey]:
        """Return the subscribed streams in the order of subscription."""
        return self._manager.subscriptions(self._client)

    def describe(self) -> list[tuple[StreamKey, str, int | None]]:
        """Return the subscribed streams, each with its mode and newest trade id."""
        newest = {key: self._trades.recent(key, 1) for key in self.keys()}
        return [(key, self._modes[key], ticks[0].id if ticks else None) for key, ticks in newest.items()]

    def want(self, keys: Iterable[StreamKey]) -> None:
        """Keep the streams subscribed at the exchange from now on."""
        for key in keys:
            self._manager.subscribe(self._client, key)

    def begin(self, feed: ExchangeFeed, keys: Sequence[StreamKey], request: SubscribeRequest) -> None:
        """Start wanted streams: the requested snapshot or resumption first, then live trades."""
        expected = sum(min(request.snapshot, self._trades.count(key)) for key in keys)
        interval = None if request.interval_ms is None else request.interval_ms / 1000
        for key in keys:
            self._cancel(key)
            self._fanout.leave(key, self._mailbox)
            self._modes[key] = "all" if interval is None else "latest"
            if key.symbol in request.after:
                self._spawn(key, partial(self._resume, feed, key, request.after[key.symbol], interval))
            elif expected > _TRADES_AT_ONCE or not self._mailbox.room.is_set():
                self._spawn(key, partial(self._introduce_when_there_is_room, key, request.snapshot, interval))
            else:
                self._introduce(key, request.snapshot, interval)

    def end(self, keys: Iterable[StreamKey]) -> None:
        """Unsubscribe streams. Idempotent."""
        for key in keys:
            self._cancel(key)
            self._fanout.leave(key, self._mailbox)
            self._manager.unsubscribe(self._client, key)
            self._modes.pop(key, None)

    def release(self) -> None:
        """Unsubscribe every stream. Idempotent."""
        self.end(self.keys())
        self._fanout.forget(self._mailbox)

    def _introduce(self, key: StreamKey, snapshot: int, interval: float | None) -> None:
        self._post_all(encode_snapshots(key, self._trades.recent(key, snapshot)))
        self._fanout.join(key, self._mailbox, interval)

    async def _introduce_when_there_is_room(
        self, key: StreamKey, snapshot: int, interval: float | None
    ) -> None:
        await asyncio.sleep(0)  # posted messages are sent at the end of this turn
        await self._mailbox.room.wait()
        self._introduce(key, snapshot, interval)

    async def _resume(self, feed: ExchangeFeed, key: StreamKey, after: int, interval: float | None) -> None:
        had_snapshot = False
        async with aclosing(feed.resumer.resume(key, after, self._address)) as parts:
            async for part in parts:
                if part.payloads is None:  # the same part may go to many readers
                    part.payloads = encode_released(key, part.items)
                    if part.has_everything:
                        part.payloads = encode_snapshots(key, ())
                had_snapshot |= part.has_everything or not all(isinstance(item, Gap) for item in part.items)
                if part.is_last:  # no await from here to the join, so that no trade is missed or repeated
                    self._post_all(part.payloads)
                    if not had_snapshot:
                        self._post_all(encode_snapshots(key, ()))
                    self._fanout.join(key, self._mailbox, interval)
                    return
                await self._post_when_there_is_room(part.payloads, feed.resumer.turns)

    async def _post_when_there_is_room(self, payloads: Iterable[bytes], turns: Turns) -> None:
        async with self._posting:  # many streams of a client must not find room in the same turn
            await self._mailbox.room.wait()
            await turns.wait()
            self._post_all(payloads)
            await asyncio.sleep(0)  # posted messages are sent at the end of this turn

    def _post_all(self, payloads: Iterable[bytes]) -> None:
        for payload in payloads:
            self._fanout.post(self._mailbox, payload)

    def _spawn(self, key: StreamKey, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            try:
                await work()
            except Exception:
                logger.exception("could not start the stream {}", key.symbol)
                error = ClientMessageError("internal", f"could not start {key.symbol}")
                self._fanout.post(self._mailbox, encode_error(error))

        task = asyncio.create_task(run(), name=f"bring up {key.symbol}")
        self._tasks[key] = task
        task.add_done_callback(self._forgetter(key))

    def _forgetter(self, key: StreamKey) -> Callable[[asyncio.Task[None]], None]:
        def forget(task: asyncio.Task[None]) -> None:
            if self._tasks.get(key) is task:
                del self._tasks[key]

        return forget

    def _cancel(self, key: StreamKey) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()
