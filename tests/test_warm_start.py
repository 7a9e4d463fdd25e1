"""A process from the warm parent is to a test what a new interpreter is, but sooner there."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.app import Process, running_process, running_warm
from tests.support.helpers import PROJECT_ROOT, eventually
from tests.support.processes import is_running
from tests.support.warm_start import PRELOADED, WarmStart

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")

WAIT = "import signal; print('is up'); signal.pause()"
PARENT = "import os; print(os.getppid())"
RANDOM = "import random; print(random.random())"
OWNER = """
import asyncio, os, sys
from tests.support.warm_start import WarmStart
async def main():
    start = WarmStart(())
    process = await start.start([sys.argv[1]], os.environ)
    await process.stdout.readline()
    print(start.pid, process.pid, "are up")
    await process.wait()
asyncio.run(main())
"""
"""A process with a warm parent, which has forked a process."""


Program = Callable[[str], Path]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Writes a program."""

    def write(text: str) -> Path:
        file = tmp_path / "program.py"
        file.write_text(text)
        return file

    return write


@pytest.fixture
def start() -> Iterator[WarmStart]:
    """A parent that has imported nothing."""
    started = WarmStart(())
    yield started
    started.close()


@contextlib.asynccontextmanager
async def running(start: WarmStart, *arguments: str | Path) -> AsyncIterator[Process]:
    process = Process(await start.start(arguments, os.environ))
    yield process
    await process.aclose()


@pytest.fixture(params=[signal.SIG_IGN, signal.default_int_handler], ids=["ignored", "not ignored"])
def _interrupts(request: pytest.FixtureRequest) -> Iterator[None]:
    """What an interrupt does to this process, in a shell's background or not; new ones inherit it."""
    before = signal.signal(signal.SIGINT, request.param)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interrupts")
@pytest.mark.parametrize(
    "arguments", [("tests/support/start_report.py",), ("-m", "tests.support.start_report")]
)
async def test_it_is_given_what_a_new_interpreter_is_given(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVE_NOT_GIVEN", "1")
    arguments += ("--port", "80", "ä b")
    environment = {"LIVE_HOST": "ä b\udcff"}
    async with (
        running_process(*arguments, environment=environment) as new,
        running_warm(*arguments, environment=environment) as warm,
    ):
        assert [await new.ended(), await warm.ended()] == [0, 0]
    told = json.loads(warm.output)
    assert told == json.loads(new.output)
    assert [name for name in told["environment"] if name.startswith("LIVE_")] == ["LIVE_HOST"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("import atexit; atexit.register(print, 'at exit')", 0),
        ("import threading; threading.Timer(0.1, print, ['a thread']).start()", 0),
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit('a reason')", 1),
        ("print('first'); raise KeyError('wrong')", 1),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("import os; os._exit(5)", 5),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ],
)
async def test_it_ends_as_a_new_interpreter_does(
    text: str, code: int, program: Program, start: WarmStart
) -> None:
    file = program(text)
    async with running_process(file) as new, running(start, file) as warm:
        assert [await new.ended(), await warm.ended()] == [code, code]
    assert warm.process.returncode == code
    assert (warm.lines[:1], warm.lines[-1:]) == (new.lines[:1], new.lines[-1:])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_a_signal_ends_it(number: signal.Signals, program: Program, start: WarmStart) -> None:
    file = program(WAIT)
    async with running(start, file) as process:
        await process.says("is up")
        assert process.process.returncode is None
        process.signal(number)
        assert await process.ended() == -number
        assert not is_running(process.pid)
        process.signal(number)  # nobody's any more


async def test_a_signal_that_comes_at_once_is_not_lost(program: Program, start: WarmStart) -> None:
    file = program(WAIT)
    async with running(start, file) as process:
        process.signal(signal.SIGINT)
        assert await process.ended() == -signal.SIGINT


async def test_each_of_many_has_its_own_output_arguments_and_end(program: Program, start: WarmStart) -> None:
    file = program("import sys; print(sys.argv[1]); sys.exit(int(sys.argv[1]))")

    async def ask(number: int) -> tuple[int, list[str]]:
        async with running(start, file, str(number)) as process:
            return await process.ended(), process.lines

    assert await asyncio.gather(*map(ask, range(30))) == [(number, [str(number)]) for number in range(30)]


async def test_random_numbers_are_its_own(program: Program, start: WarmStart) -> None:
    file = program(RANDOM)
    async with running(start, file) as one, running(start, file) as other:
        await asyncio.gather(one.ended(), other.ended())
    assert one.output != other.output


async def test_another_environment_has_an_interpreter_of_its_own(program: Program) -> None:
    file = program(PARENT)
    async with (
        running_warm(file) as warm,
        running_warm(file, environment={"PYTHONDEVMODE": "1"}) as new,
    ):
        await asyncio.gather(warm.ended(), new.ended())
    assert new.output == str(os.getpid()) != warm.output


async def test_whoever_waits_is_told_that_the_parent_has_ended(program: Program, start: WarmStart) -> None:
    file = program(WAIT)
    process = await start.start([file], os.environ)
    await process.stdout.readline()
    os.kill(start.pid, signal.SIGKILL)
    with pytest.raises(AssertionError, match="the warm parent has ended"):
        await process.wait()
    os.kill(process.pid, signal.SIGKILL)
    assert await process.stdout.read() == b""
    with pytest.raises(AssertionError, match="the warm parent has ended"):
        await start.start([file], os.environ)


async def test_a_module_that_cannot_be_imported_is_named(program: Program) -> None:
    start = WarmStart(["no_such_module"])
    with pytest.raises(AssertionError, match="no_such_module"):
        await start.start([program("")], os.environ)
    start.close()


async def test_it_ends_with_the_warm_start(program: Program) -> None:
    file = program(WAIT)
    start = WarmStart(())
    process = await start.start([file], os.environ)
    await process.stdout.readline()
    start.close()
    assert not is_running(start.pid)
    await eventually(lambda: not is_running(process.pid))
    assert await process.stdout.read() == b""
    with pytest.raises(AssertionError, match="the warm parent has ended"):
        await process.wait()


async def test_nothing_is_left_behind_by_a_process_that_is_killed(program: Program) -> None:
    file = program(WAIT)
    async with running_process("-c", OWNER, file) as owner:
        started = [int(pid) for pid in (await owner.says("are up")).split()[:2]]
        assert all(map(is_running, started))
        owner.signal(signal.SIGKILL)
        await eventually(lambda: not any(map(is_running, started)))


def test_the_parent_has_imported_what_main_py_imports() -> None:
    imported = [
        {*PRELOADED, "livemarkets.__version__"}.intersection(_imported_by(node))
        for node in ast.walk(ast.parse((PROJECT_ROOT / "main.py").read_text()))
        if any(name.startswith(("livemarkets", "pages")) for name in _imported_by(node))
    ]
    assert len(imported) >= 6
    assert all(imported)


def _imported_by(node: ast.AST) -> list[str]:
    """The modules that a statement may import: `from a import b` may mean `a.b`."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []
