"""What this edge wants, and how ingests hear of it: changes at once, and a renewal each second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from livemarkets.bus import subjects
from livemarkets.bus.link import Link
from livemarkets.bus.messages import VERSION, AskWants, Name, Wants, decode, encode, name_of
from livemarkets.market.models import StreamKey

__all__ = ["WantedSet"]

_RENEW_SECONDS = 1.0
_NAMES_AT_ONCE = 500
"""Names in one message: about 25 KB."""

_ASK = msgspec.msgpack.Decoder(AskWants)


class WantedSet:
    """The wanted streams of this process, all exchanges together.

    Args:
        node: the name of this process.
        link: the connection to the bus.
        call_soon: calls a function in the next turn of the event loop.

    """

    def __init__(self, node: str, link: Link, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._node = node
        self._link = link
        self._call_soon = call_soon
        self._wanted: dict[StreamKey, None] = {}
        self._added: dict[StreamKey, None] = {}
        self._removed: dict[StreamKey, None] = {}
        self._revision = 0
        self._is_due = self._is_whole_due = False
        link.subscribe(subjects.ASK_WANTS, self._handle)

    def __len__(self) -> int:
        return len(self._wanted)

    def add(self, key: StreamKey) -> None:
        """Want a stream. Ingests are told in the next turn of the event loop."""
        if key not in self._wanted:
            self._wanted[key] = None
            if key in self._removed:
                del self._removed[key]
            else:
                self._added[key] = None
            self._tell_soon()

    def discard(self, key: StreamKey) -> None:
        """Want a stream no more. Idempotent."""
        if key in self._wanted:
            del self._wanted[key]
            if key in self._added:
                del self._added[key]
            else:
                self._removed[key] = None
            self._tell_soon()

    def tell_all(self) -> None:
        """Tell ingests the whole in the next turn: somebody asked, or this process was away."""
        self._is_whole_due = True
        self._tell_soon()

    def _handle(self, data: bytes, subject: bytes, reply: bytes) -> None:
        ask = decode(data, _ASK)
        if ask is not None and ask.edge in ("", self._node):
            self.tell_all()

    def _tell_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._call_soon(self._tell)

    def _tell(self) -> None:
        self._is_due = False
        base, added, removed = self._revision, list(self._added), list(self._removed)
        if added or removed:
            self._revision += 1
            self._added, self._removed = {}, {}
        if self._is_whole_due:
            self._is_whole_due = False
            base, added, removed = -1, list(self._wanted), []
        self._send(base, list(map(name_of, added)), list(map(name_of, removed)))

    def _send(self, base: int, added: list[Name], removed: list[Name]) -> None:
        starts = range(0, max(len(added), len(removed), 1), _NAMES_AT_ONCE)
        for start in starts:
            part = slice(start, start + _NAMES_AT_ONCE)
            is_first, is_last = start == 0, start == starts[-1]
            wants = Wants(
                VERSION,
                self._node,
                self._revision,
                base,
                len(self._wanted),
                is_first,
                is_last,
                added[part],
                removed[part],
            )
            self._link.publish(subjects.WANTS, encode(wants))

    async def run(self) -> None:
        """Renew the lease until cancelled."""
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            self._tell()
