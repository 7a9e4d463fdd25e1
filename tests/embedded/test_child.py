"""The files of a child process: each is closed once, on either event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from livemarkets.embedded.child import Child, running_child
from tests.support.helpers import eventually, measured

pytestmark = [pytest.mark.process, measured]

OPENED = 8
"""More files than a child has pipes, so that some of them get the numbers of its pipes."""


@contextlib.asynccontextmanager
async def waiting_child() -> AsyncIterator[Child]:
    """A child process that waits for the end of its standard input."""
    async with running_child(
        [sys.executable, "-S", "-c", "input()"],
        directory=Path.cwd(),
        environment={},
        receive_line=lambda _: None,
        receive_log=lambda _: None,
    ) as child:
        yield child


class LoopWithoutPipes(asyncio.SelectorEventLoop):
    """It cannot watch pipes, as that of Windows."""

    def add_reader(self, *_: object) -> None:
        raise NotImplementedError


@pytest.fixture(
    params=[uvloop.new_event_loop, asyncio.SelectorEventLoop, LoopWithoutPipes],
    ids=["uvloop", "asyncio", "without pipes"],
)
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner


def pipes() -> set[str]:
    """The pipes of this process."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the folder that was just listed
            found.add(os.readlink(path))
    return {each for each in found if each.startswith("pipe:")}


class Watched:
    """Opens files as soon as others are closed, and afterwards looks whether they are still open."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.errors: list[dict[str, Any]] = []

    def begin(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.errors.append(context))
        loop.call_soon(self._open)

    def _open(self) -> None:
        self.numbers = [os.open(os.devnull, os.O_RDONLY) for _ in range(OPENED)]

    def check(self) -> None:
        assert len(self.numbers) == OPENED
        places = [Path(f"/proc/self/fd/{number}") for number in self.numbers]
        assert [place.exists() and place.samefile(os.devnull) for place in places] == [True] * OPENED
        for number in self.numbers:
            os.close(number)
        assert self.errors == []


@pytest.mark.parametrize("logged", [3, pytest.param(60, marks=pytest.mark.verify, id="more than is read")])
def test_what_a_child_says_comes_by_lines_until_it_ends(runner: asyncio.Runner, logged: int) -> None:
    lines: list[str] = []
    log: list[str] = []

    async def run() -> int:
        said = f"import sys; print('one\\ntwo'); print('x\\n' * {logged}, file=sys.stderr, end='')"
        async with running_child(
            [sys.executable, "-S", "-c", f"{said}; print('end', end='')"],
            directory=Path.cwd(),
            environment={},
            receive_line=lines.append,
            receive_log=log.append,
        ) as child:
            await eventually(lambda: len(log) >= min(logged, 51), because="the log")
            return await child.exit_code()

    assert runner.run(run()) == 0
    assert lines == ["one", "two", "end"]
    assert log[:50] == ["x"] * min(logged, 50)
    assert [line.split()[0] for line in log[50:]] == ["WARNING"] * (logged > 50)


def test_the_end_of_a_child_closes_no_file_of_another(runner: asyncio.Runner) -> None:
    watched = Watched()

    async def end_a_child() -> None:
        before = pipes()
        async with waiting_child():
            own = pipes() - before
            assert len(own) >= 3
            watched.begin()
        await eventually(lambda: not own & pipes(), because="its pipes are closed")

    runner.run(end_a_child())
    watched.check()


@pytest.mark.parametrize("steps", range(1, 8))
def test_a_start_that_is_cancelled_is_over_and_leaves_nothing(runner: asyncio.Runner, steps: int) -> None:
    """Whatever step of the event loop the cancellation comes in."""
    watched = Watched()

    async def begin() -> None:
        async with waiting_child():
            await asyncio.Event().wait()

    async def cancel() -> None:
        before = pipes()
        starting = asyncio.create_task(begin())
        for _ in range(steps):
            await asyncio.sleep(0)
        own = pipes() - before
        assert own
        starting.cancel()
        asyncio.get_running_loop().call_soon(watched.begin)
        await asyncio.wait([starting])
        assert starting.cancelled(), starting.exception()
        await eventually(lambda: not own & pipes(), because="its pipes are closed")

    runner.run(cancel())
    watched.check()
