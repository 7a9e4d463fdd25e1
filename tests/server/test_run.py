"""Running the server of a process."""

from __future__ import annotations

import signal

import pytest

from tests.support.app import running_process

PROGRAM = """
import sys
from livemarkets.server import run

async def web(scope, receive, send):
    while True:
        message = await receive()
        print(message["type"], flush=True)
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return

def told():
    print("told to stop", flush=True)

run.serve(web, run.listen("127.0.0.1", 0), told, drain_seconds=float(sys.argv[1]))
"""
LONG = "600"
"""Seconds that no test waits."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_program_hears_of_the_stop_before_anything_is_closed(number: signal.Signals) -> None:
    async with running_process("-c", PROGRAM, "0") as process:
        await process.says("lifespan.startup")
        process.signal(number)
        assert await process.ended() == 0
        said = [line for line in process.lines if line.startswith(("told", "lifespan"))]
    assert said == ["lifespan.startup", "told to stop", "lifespan.shutdown"]


async def test_sigterm_leaves_time_to_drain_and_a_second_signal_ends_the_process_at_once() -> None:
    async with running_process("-c", PROGRAM, LONG) as process:
        await process.says("lifespan.startup")
        process.signal(signal.SIGTERM)
        await process.says("a second signal ends it at once")
        assert process.process.returncode is None
        process.signal(signal.SIGTERM)
        assert await process.ended() == -signal.SIGTERM
        assert "lifespan.shutdown" not in process.output
        assert "Traceback" not in process.output


async def test_ctrl_c_is_a_person_who_waits_so_it_drains_nothing() -> None:
    async with running_process("-c", PROGRAM, LONG) as process:
        await process.says("lifespan.startup")
        process.signal(signal.SIGINT)
        assert await process.ended() == 0
        assert "lifespan.shutdown" in process.output


async def test_ctrl_c_ends_what_drains_at_once() -> None:
    async with running_process("-c", PROGRAM, LONG) as process:
        await process.says("lifespan.startup")
        process.signal(signal.SIGTERM)
        await process.says("told to stop")
        process.signal(signal.SIGINT)
        assert await process.ended() == -signal.SIGINT
