"""An event loop whose time passes only while everybody waits: half an hour takes a moment."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Instead of waiting, it lets the time pass."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits for something that will not come"
        self.passed += max(timeout, 0.0)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._simulated = _Selector()
        super().__init__(self._simulated)

    def time(self) -> float:
        return 1000.0 + self._simulated.passed


def run_in_simulated_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that needs no I/O; `asyncio.sleep` takes no time in it, the loop's clock goes on."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)
