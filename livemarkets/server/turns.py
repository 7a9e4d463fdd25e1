"""Spreads work over the turns of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["Turns"]


class Turns:
    """Lets waiting tasks go on in order, one in each turn of the event loop.

    Each does some milliseconds of work. When many do it at once, all of it would hold the event loop. Kinds
    of work that share the turns alternate, so that no number of tasks of one kind keeps those of another
    waiting.

    Args:
        beside: shares its turns; `None` for the first kind.

    """

    def __init__(self, beside: Turns | None = None) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._shared: _SharedTurns = _SharedTurns() if beside is None else beside._shared

    async def wait(self) -> None:
        """Wait until it is the caller's turn."""
        shared = self._shared
        if shared.take():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._waiting:
            shared.kinds.append(self._waiting)
        self._waiting.append(future)
        await future


class _SharedTurns:
    """The turns of the event loop, and the kinds of work that wait for one."""

    def __init__(self) -> None:
        self.kinds: deque[deque[asyncio.Future[None]]] = deque()
        """The tasks that wait, by kind. The kind that waits longest comes first, and no kind is empty."""
        self._is_taken = False

    def take(self) -> bool:
        """Take this turn of the event loop, unless it is taken. Then the caller must wait."""
        if self._is_taken:
            return False
        self._is_taken = True
        asyncio.get_running_loop().call_soon(self._pass_on)
        return True

    def _pass_on(self) -> None:
        """Give the next turn to the next task."""
        self._is_taken = False
        while self.kinds and not self._is_taken:
            waiting = self.kinds.popleft()
            future = waiting.popleft()
            if waiting:
                self.kinds.append(waiting)
            if not future.done():
                future.set_result(None)
                self.take()
