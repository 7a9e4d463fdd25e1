"""The streams of one client that cannot be started at once, because something is awaited first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from loguru import logger

from livemarkets.delivery.fanout import Fanout
from livemarkets.delivery.mailbox import Mailbox
from livemarkets.errors import ClientMessageError
from livemarkets.market.models import StreamKey
from livemarkets.protocol.encoding import encode_error
from livemarkets.server.turns import Turns

__all__ = ["Beginning", "Beginnings"]


class Beginning(NamedTuple):
    """How streams are started. Those of a request share one: with 200 each, they were most objects of all."""

    work: Callable[[StreamKey], Awaitable[None]]
    is_one_by_one: bool
    """Whether the next stream begins when this one has begun. Those that ask the exchange ask together."""


class Beginnings:
    """Starts streams in turn, each in a task of its own.

    One task begins those that wait. So a client that asks again and again costs no task for each stream.

    Args:
        mailbox: the client's mailbox.
        fanout: the delivery to all readers.
        turns: spreads the beginnings of all clients over the turns of the event loop.

    """

    __slots__ = ("_beginner", "_fanout", "_mailbox", "_tasks", "_turns", "_waiting")

    def __init__(self, mailbox: Mailbox, fanout: Fanout, turns: Turns) -> None:
        self._mailbox = mailbox
        self._fanout = fanout
        self._turns = turns
        self._waiting: dict[StreamKey, Beginning] = {}
        self._tasks: dict[StreamKey, asyncio.Task[None]] = {}
        self._beginner: asyncio.Task[None] | None = None

    def __contains__(self, key: StreamKey) -> bool:
        """Return whether a stream is not started yet."""
        return key in self._waiting or key in self._tasks

    @property
    def is_empty(self) -> bool:
        """Whether every stream is started."""
        return not (self._waiting or self._tasks)

    def add(self, key: StreamKey, beginning: Beginning) -> None:
        """Start a stream when the others before it have begun."""
        self._waiting[key] = beginning
        if self._beginner is None:
            self._beginner = asyncio.create_task(self._begin_waiting(), name="beginnings of streams")

    def cancel(self, key: StreamKey) -> None:
        """Do not start a stream, or stop starting it. Idempotent."""
        self._waiting.pop(key, None)
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    def stop(self) -> None:
        """Start no stream any more. The owner cancels those that have begun. Idempotent."""
        if self._beginner is not None:
            self._beginner.cancel()

    async def _begin_waiting(self) -> None:
        try:
            while self._waiting:
                key = next(iter(self._waiting))
                beginning = self._waiting.pop(key)
                task = asyncio.create_task(self._begin(key, beginning), name=f"bring up {key}")
                self._tasks[key] = task
                task.add_done_callback(partial(self._forget, key))
                if beginning.is_one_by_one:
                    await asyncio.wait({task})
                else:
                    await self._turns.wait()
        finally:
            self._beginner = None

    async def _begin(self, key: StreamKey, beginning: Beginning) -> None:
        try:
            await beginning.work(key)
        except Exception:
            logger.exception("could not start the stream {}", key)
            error = ClientMessageError("internal", f"could not start {key.channel} of {key.symbol}")
            self._fanout.post(self._mailbox, encode_error(error))

    def _forget(self, key: StreamKey, task: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
