"""Running the server of a process."""

from __future__ import annotations

import signal

import pytest

from tests.support.app import running_process

PROGRAM = """
from livemarkets.server import run

async def web(scope, receive, send):
    while True:
        message = await receive()
        print(message["type"], flush=True)
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return

run.serve(web, run.listen("127.0.0.1", 0), lambda: print("told to stop", flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_program_hears_of_the_stop_before_anything_is_closed(number: signal.Signals) -> None:
    async with running_process("-c", PROGRAM) as process:
        await process.says("lifespan.startup")
        process.signal(number)
        assert await process.ended() == 0
        said = [line for line in process.lines if line.startswith(("told", "lifespan"))]
    assert said == ["lifespan.startup", "told to stop", "lifespan.shutdown"]
