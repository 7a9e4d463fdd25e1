"""An event loop whose time passes only while everybody waits: half an hour takes a moment.

What waits may also wait for sockets whose other end is in this process, such as a server and its clients.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
Ready = list[tuple[selectors.SelectorKey, int]]

_FASTEST = 2000.0
"""With sockets, so many seconds pass in one at most: what is under way in the kernel arrives in time."""
_PAUSE_SECONDS = 0.001
_TURN_SECONDS = 1e-6
"""With sockets, a turn of the loop takes time: who waits for a moment that is almost there must get there."""


class _Selector(selectors.DefaultSelector):
    """Instead of waiting, it lets the time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0
        self.threads = 0
        """Calls in other threads, which take the time that they take."""
        self.has_sockets = False
        self._owed_seconds = 0.0

    def select(self, timeout: float | None = None) -> Ready:
        ready = super().select(0)
        if self.has_sockets:
            self.passed += _TURN_SECONDS
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.threads:
            return super().select()
        assert timeout is not None, "everybody waits for something that will not come"
        if self.has_sockets:
            self._owed_seconds += timeout / _FASTEST
            if self._owed_seconds >= _PAUSE_SECONDS:
                pause, self._owed_seconds = min(self._owed_seconds, 10 * _PAUSE_SECONDS), 0.0
                if ready := super().select(pause):
                    return ready
        self.passed += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, *, has_sockets: bool) -> None:
        self._simulated = _Selector()
        super().__init__(self._simulated)
        self._simulated.has_sockets = has_sockets

    def time(self) -> float:
        return 1000.0 + self._simulated.passed

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        def note_end(_: asyncio.Future[T]) -> None:
            self._simulated.threads -= 1

        self._simulated.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(note_end)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        self._simulated.threads += 1  # a thread waits for the others
        await super().shutdown_default_executor()
        self._simulated.threads -= 1


def simulated_loop() -> asyncio.AbstractEventLoop:
    """An event loop of simulated time, for what uses no sockets."""
    return _Loop(has_sockets=False)


def run_in_simulated_time(main: Coroutine[Any, Any, T], *, has_sockets: bool = False) -> T:
    """Run a coroutine; `asyncio.sleep` takes no time in it, the loop's clock goes on.

    Args:
        main: the coroutine.
        has_sockets: whether it uses sockets; each of them needs its other end in this process.

    """
    with asyncio.Runner(loop_factory=lambda: _Loop(has_sockets=has_sockets)) as runner:
        return runner.run(main)
