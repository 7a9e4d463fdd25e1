"""`make dev`, on a copy of the app."""

import shutil
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.dev import belongs_to_the_app
from tests.support.app import Process, main_environment, running_process
from tests.support.helpers import PROJECT_ROOT, eventually

PROGRAM = "import sys, pathlib; from tests.dev import main; main([], pathlib.Path(sys.argv[1]))"
IS_UP = "Live Markets is listening on"


def is_free(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the app's files."""
    for folder in ("livemarkets", "pages"):
        shutil.copytree(
            PROJECT_ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(PROJECT_ROOT / "main.py", tmp_path)
    return tmp_path.resolve()


@pytest.fixture
async def developing(checkout: Path) -> AsyncIterator[tuple[Process, int]]:
    """`make dev` on the copy, with the app up."""
    port, environment = main_environment()
    async with running_process("-c", PROGRAM, checkout, environment=environment) as process:
        await process.says(IS_UP)
        yield process, port


async def change(file: Path, text: str, process: Process, line: str) -> None:
    """Write until it is noticed: the watch begins while the app starts, and nothing says when."""
    before = process.output.count(line)

    def is_noticed() -> bool:
        file.write_text(text)
        return process.output.count(line) > before

    await eventually(is_noticed, 10.0, interval_seconds=0.5, because=f"{line!r} in:\n{process.output}")


async def test_a_change_starts_the_app_again_and_a_broken_file_ends_nothing(
    developing: tuple[Process, int], checkout: Path
) -> None:
    process, port = developing
    file = checkout / "livemarkets" / "__init__.py"
    whole = file.read_text()
    changed = "make dev: livemarkets/__init__.py changed, so the app starts again"
    await change(file, "def broken(", process, changed)
    assert "SyntaxError" in await process.says("SyntaxError")
    await process.says("make dev: the app ended with 1; it starts again when a file changes")
    assert is_free(port)
    await change(file, whole, process, changed)
    await eventually(lambda: process.output.count(IS_UP) >= 2, 15.0, because="the app is up again")


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGINT, marks=pytest.mark.verify), signal.SIGTERM],
    ids=["SIGINT", "SIGTERM"],
)
async def test_a_signal_ends_the_app_too_and_its_port_is_free(
    developing: tuple[Process, int], number: signal.Signals
) -> None:
    process, port = developing
    process.signal(number)
    assert await process.ended() == 0
    assert is_free(port)
    assert "Traceback" not in process.output


@pytest.mark.parametrize(
    "name",
    ["main.py", ".env", ".env.local", "pages/labs.py", "pages/style/grid.css", "pages/elements/row.js"],
)
def test_files_of_the_app_are_watched(name: str) -> None:
    assert belongs_to_the_app(Path(name))


@pytest.mark.parametrize(
    "name",
    ["tests/dev.py", "README.md", "pages/.#labs.py", "pages/labs.py.swp", ".venv/main.py", "livemarkets"],
)
def test_other_files_are_not(name: str) -> None:
    assert not belongs_to_the_app(Path(name))
