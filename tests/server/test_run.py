"""Running the server of a process."""

from __future__ import annotations

import asyncio
import signal
import socket

import pytest

from livemarkets.server import run
from tests.support.app import running_process
from tests.support.helpers import eventually

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


async def test_what_is_written_to_a_client_does_not_wait_for_its_answer_to_what_came_before() -> None:
    """Without `TCP_NODELAY`, a small message waits until the peer has confirmed the one before: a whole way
    there and back, or 40 ms."""
    accepted: list[int] = []

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            connection = transport.get_extra_info("socket")
            accepted.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    with run.listen("127.0.0.1", 0) as listener:
        async with await asyncio.get_running_loop().create_server(Accepting, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            await eventually(lambda: accepted)
            writer.close()
    assert accepted != [0]


def test_a_port_is_never_shared_where_the_system_would_allow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows alone there is SO_EXCLUSIVEADDRUSE, and SO_REUSEADDR would let two servers listen."""
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)
    with run.listen("127.0.0.1", 0) as listener:
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
