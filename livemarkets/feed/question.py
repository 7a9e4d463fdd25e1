"""A question that several readers have, and that is asked once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

from livemarkets.feed.patience import Patience

__all__ = ["Question"]

T = TypeVar("T")


class Question(Generic[T]):
    """A call whose answer several resumptions wait for. It is cancelled when none of them waits any more."""

    def __init__(self, work: Coroutine[Any, Any, T], name: str) -> None:
        self._task = asyncio.create_task(work, name=name)
        self._waiting = 0
        self.is_over = False

    async def answer(self, patience: Patience) -> T | None:
        """Return the answer; `None` if there is none in time."""
        self._waiting += 1
        try:
            while not self._task.done():
                await asyncio.wait({self._task}, timeout=patience.seconds())
                if not self._task.done() and patience.is_over():
                    break
            return self._task.result() if self._task.done() and not self._task.cancelled() else None
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.is_over = True
                self._task.cancel()
