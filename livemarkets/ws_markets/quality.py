"""Sends `quality` to the clients that asked for it, and tells clients that a symbol of theirs is not listed.

A message is encoded once. What waits for a client is bounded: the newest message of each stream, and at most
50 are sent to one client in one turn of the event loop. A client that reads slowly gets the rest when it has
read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable

from livemarkets.delivery.fanout import Fanout
from livemarkets.delivery.mailbox import Mailbox
from livemarkets.feed.quality import QualityMonitor
from livemarkets.market.models import StreamKey, StreamQuality
from livemarkets.protocol.quality import encode_quality

__all__ = ["QualityReaders"]

_AT_ONCE = 50
"""The most messages to one client in one turn."""
_WRITES_AT_ONCE = 1000
"""The most messages to all clients before the event loop runs."""
_SLOW_SECONDS = 0.1
"""How often it is checked whether slow clients have read what was sent before."""


class QualityReaders:
    """Which clients get the quality of which streams.

    Args:
        fanout: the delivery to all readers.

    """

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout
        self._readers: dict[StreamKey, dict[Mailbox, None]] = {}
        self._changed: dict[Hashable, tuple[list[Mailbox], bytes]] = {}
        self._waiting: dict[Mailbox, dict[Hashable, bytes]] = {}
        self._wake = asyncio.Event()

    def subscribe(
        self, mailbox: Mailbox, monitor: QualityMonitor, keys: Iterable[StreamKey], wants: bool | None
    ) -> None:
        """Begin or end the messages about streams; whoever gets them is sent the present quality.

        Args:
            mailbox: the client's.
            monitor: knows the quality of the streams.
            keys: the streams.
            wants: whether the client wants the messages; `None` leaves it as it was.

        """
        for key in keys:
            if wants is False:
                self.end(mailbox, (key,))
            elif wants or mailbox in self._readers.get(key, ()):
                self._readers.setdefault(key, {})[mailbox] = None
                if (quality := monitor.of(key)) is not None:
                    self._queue(mailbox, key, encode_quality(quality))

    def end(self, mailbox: Mailbox, keys: Iterable[StreamKey]) -> None:
        """End the messages about streams to a client. Idempotent."""
        waiting = self._waiting.get(mailbox, {})
        for key in keys:
            waiting.pop(key, None)
            readers = self._readers.get(key)
            if readers is not None and mailbox in readers:
                del readers[mailbox]
                if not readers:
                    del self._readers[key]

    def forget(self, mailbox: Mailbox, keys: Iterable[StreamKey]) -> None:
        """Forget a client that has left, and all its streams. Idempotent."""
        self.end(mailbox, keys)
        self._waiting.pop(mailbox, None)

    def publish(self, quality: StreamQuality) -> None:
        """Send the quality of a stream to its readers."""
        readers = self._readers.get(quality.key)
        if readers:
            self.tell(quality.key, list(readers), encode_quality(quality))

    def tell(self, subject: Hashable, mailboxes: list[Mailbox], payload: bytes) -> None:
        """Send a message to some clients. It replaces one about the same subject that still waits."""
        self._changed[subject] = (mailboxes, payload)
        self._wake.set()

    async def run(self) -> None:
        """Send what waits, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._spread()
            while self._waiting:
                is_slow = not await self._send_some()
                await asyncio.sleep(_SLOW_SECONDS if is_slow else 0)
                await self._spread()

    def _queue(self, mailbox: Mailbox, subject: Hashable, payload: bytes) -> None:
        waiting = self._waiting.setdefault(mailbox, {})
        waiting.pop(subject, None)  # so that the oldest news come first
        waiting[subject] = payload
        self._wake.set()

    async def _spread(self) -> None:
        count = 0
        while self._changed:
            subject = next(iter(self._changed))
            mailboxes, payload = self._changed.pop(subject)
            for mailbox in mailboxes:
                if mailbox.is_closed or not self._reads(mailbox, subject):
                    continue
                self._queue(mailbox, subject, payload)
                count += 1
                if count % _WRITES_AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _reads(self, mailbox: Mailbox, subject: Hashable) -> bool:
        return not isinstance(subject, StreamKey) or mailbox in self._readers.get(subject, ())

    async def _send_some(self) -> bool:
        """Send each client some of what waits for it. Return whether any client could take something."""
        count, has_sent = 0, False
        for mailbox, waiting in list(self._waiting.items()):
            if not mailbox.room.is_set() and not mailbox.is_closed:
                continue
            for subject in list(waiting)[:_AT_ONCE]:
                self._fanout.post(mailbox, waiting.pop(subject))
                count += 1
            has_sent = True
            if not waiting and self._waiting.get(mailbox) is waiting:
                del self._waiting[mailbox]
            if count >= _WRITES_AT_ONCE:
                count = 0
                await asyncio.sleep(0)
        return has_sent
