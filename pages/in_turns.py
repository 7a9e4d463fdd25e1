"""Work of a page in pieces, so that none of it holds the event loop for long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from livemarkets.server.turns import Turns

__all__ = ["InTurns"]


class InTurns:
    """Does work in pieces: the first at once, each other one in its own turn of the event loop.

    Args:
        turns: spreads the work of all pages.
        work: returns the work, as an iterator that does a piece in each step.
    """

    def __init__(self, turns: Turns, work: Callable[[], Iterator[None]]) -> None:
        self._turns = turns
        self._work = work
        self._left: Iterator[None] = iter(())
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Do all the work. What is left of it from the time before is dropped."""
        self._left = self._work()
        if self._has_more() and self._task is None:
            self._task = asyncio.create_task(self._run(), name="pieces of a page")

    def end(self) -> None:
        """Do no more. Idempotent."""
        self._left = iter(())
        if self._task is not None:
            self._task.cancel()

    def _has_more(self) -> bool:
        """Do a piece, and return whether there may be another."""
        return next(self._left, self) is None

    async def _run(self) -> None:
        try:
            await self._turns.wait()
            while self._has_more():
                await self._turns.wait()
        finally:
            self._task = None
