"""Spreads work over the turns of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["Turns"]


class Turns:
    """Lets a bounded number of waiting tasks go on in each turn of the event loop, in order.

    When thousands of readers get the same answer at once, the work of all of them would hold the event loop.

    Args:
        per_turn: how many go on in one turn.

    """

    def __init__(self, per_turn: int) -> None:
        self._per_turn = per_turn
        self._gone = 0  # in this turn
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_scheduled = False

    async def wait(self) -> None:
        """Wait until it is the caller's turn."""
        loop = asyncio.get_running_loop()
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._begin_turn)
        if self._gone < self._per_turn and not self._waiting:
            self._gone += 1
            return
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        await future

    def _begin_turn(self) -> None:
        self._gone = 0
        while self._waiting and self._gone < self._per_turn:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                self._gone += 1
        self._is_scheduled = bool(self._gone)
        if self._is_scheduled:
            asyncio.get_running_loop().call_soon(self._begin_turn)
