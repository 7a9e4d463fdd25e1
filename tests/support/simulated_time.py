"""An event loop whose time passes only while everybody waits: half an hour takes a moment.

What waits may also wait for sockets whose other end is in this process, such as a server and its clients.
The time that this process computes, or gets no processor, is no time: nothing is late on a busy machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
Ready = list[tuple[selectors.SelectorKey, int]]

_FASTEST = 2000.0
"""With sockets, so many seconds pass in one at most: what is under way in the kernel arrives in time."""
_FAST = 20.0
"""As `_FASTEST`, for tests that shorten the patience of the product."""
_PAUSE_SECONDS = 0.001
_LONGEST_PAUSE_SECONDS = 0.02
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
        self.fastest = _FASTEST
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
            self._owed_seconds += timeout / self.fastest
            if self._owed_seconds >= _PAUSE_SECONDS:
                pause, self._owed_seconds = min(self._owed_seconds, _LONGEST_PAUSE_SECONDS), 0.0
                if ready := super().select(pause):
                    return ready
        self.passed += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, *, has_sockets: bool, fastest: float = _FASTEST, begin: float = 1000.0) -> None:
        self._begin = begin
        self._simulated = _Selector()
        super().__init__(self._simulated)
        self._simulated.has_sockets = has_sockets
        self._simulated.fastest = fastest

    def time(self) -> float:
        return self._begin + self._simulated.passed

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


class Shared(contextlib.AbstractAsyncContextManager[T]):
    """A context manager that a test and others that it is given need: the first who enters it starts it."""

    def __init__(self, manager: contextlib.AbstractAsyncContextManager[T]) -> None:
        self._manager = manager
        self._users = 0
        self._value: T

    async def __aenter__(self) -> T:
        if not self._users:
            self._value = await self._manager.__aenter__()
        self._users += 1
        return self._value

    async def __aexit__(self, *reason: Any) -> None:
        self._users -= 1
        if not self._users:
            await self._manager.__aexit__(*reason)


@contextlib.contextmanager
def simulated_runner() -> Iterator[asyncio.Runner]:
    """A runner whose time is simulated, as are all clocks of this process while it is there.

    For apps, exchanges and clients with the short waits of tests; all of them are in this process.
    """
    begin, begin_ns = time.monotonic(), time.time_ns()

    def new_loop() -> _Loop:
        return _Loop(has_sockets=True, fastest=_FAST, begin=begin)

    with asyncio.Runner(loop_factory=new_loop) as runner, pytest.MonkeyPatch.context() as patch:
        now = runner.get_loop().time
        patch.setattr(time, "monotonic", now)
        patch.setattr(time, "time_ns", lambda: begin_ns + int((now() - begin) * 1e9))
        patch.setattr(time, "time", lambda: time.time_ns() / 1e9)
        yield runner


def time_is_simulated(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test with a `simulated_runner`.

    A fixture may give the test a context manager, such as a running app: it is entered in the loop of the
    test, which gets what it yields.
    """

    @functools.wraps(test)
    def run(**arguments: Any) -> None:
        async def main() -> None:
            async with contextlib.AsyncExitStack() as stack:
                for name, value in arguments.items():
                    if isinstance(value, contextlib.AbstractAsyncContextManager):
                        arguments[name] = await stack.enter_async_context(value)
                await test(**arguments)

        with simulated_runner() as runner:
            runner.run(main())

    return run
