"""What the socket of one page may cost."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from starlette.types import Message

from livemarkets.rate_limit import Refusals
from livemarkets.security.page_limits import PageSocketLimits
from livemarkets.security.page_socket import PacedSocket
from livemarkets.server.turns import Turns
from tests.support.simulated_time import run_in_simulated_time

LIMITS = PageSocketLimits(events_per_second=10.0, burst=5.0, stuck_seconds=20.0)
EVENT = {"type": "websocket.receive", "text": "x" * 100}


class Server:
    """A server whose peer sends events at once, and reads only while it may."""

    def __init__(self) -> None:
        self.event: Message = EVENT
        self.reads = asyncio.Event()
        self.sent: list[Message] = []
        self.closed: list[tuple[int, str]] = []
        self.refusals = Refusals()
        self.turns = Turns()

    async def receive(self) -> Message:
        return self.event

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        self.sent.append(message)

    def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))


def paced(server: Server) -> PacedSocket:
    clock = asyncio.get_running_loop().time
    return PacedSocket(
        server.receive,
        server.send,
        server.close,
        server.refusals,
        turns=server.turns,
        limits=LIMITS,
        clock=clock,
    )


def test_events_above_the_rate_wait_and_none_is_lost() -> None:
    async def main() -> float:
        server = Server()
        server.reads.set()
        socket = paced(server)
        began = asyncio.get_running_loop().time()
        for _ in range(25):
            assert await socket.receive() == EVENT
        assert server.refusals.counts["page_event", "delayed"] == 20
        return asyncio.get_running_loop().time() - began

    assert run_in_simulated_time(main()) == pytest.approx(2.0, abs=0.2)


def test_a_long_event_costs_as_much_as_several() -> None:
    async def main() -> float:
        server = Server()
        server.event = {"type": "websocket.receive", "text": "x" * 9 * 1024}
        socket = paced(server)
        began = asyncio.get_running_loop().time()
        for _ in range(3):
            await socket.receive()
        return asyncio.get_running_loop().time() - began

    assert run_in_simulated_time(main()) == pytest.approx(2.5, abs=0.2)


def test_an_event_that_takes_long_costs_as_much_as_several() -> None:
    async def main() -> float:
        server = Server()
        socket = paced(server)
        began = asyncio.get_running_loop().time()
        for _ in range(6):
            await socket.receive()
            socket.charge(10 * LIMITS.busy_seconds_per_event)
        return asyncio.get_running_loop().time() - began

    assert run_in_simulated_time(main()) == pytest.approx((5 * 10 + 1 - LIMITS.burst) / 10.0, abs=0.2)


def test_a_turn_of_the_loop_handles_the_event_of_one_page() -> None:
    async def main() -> list[int]:
        server = Server()
        sockets = [paced(server) for _ in range(4)]
        waiting = [asyncio.create_task(socket.receive()) for socket in sockets]
        handled: list[int] = []
        while not all(task.done() for task in waiting):
            await asyncio.sleep(0)
            handled.append(sum(task.done() for task in waiting))
        return [later - earlier for earlier, later in itertools.pairwise([0, *handled])]

    assert max(run_in_simulated_time(main())) == 1


def test_the_end_of_the_connection_never_waits() -> None:
    async def main() -> None:
        server = Server()
        server.event = {"type": "websocket.disconnect", "code": 1001}
        socket = paced(server)
        began = asyncio.get_running_loop().time()
        for _ in range(100):
            await socket.receive()
        assert asyncio.get_running_loop().time() == began

    run_in_simulated_time(main())


def test_a_page_that_does_not_read_is_not_served_further_and_then_disconnected() -> None:
    async def main() -> None:
        server = Server()
        socket = paced(server)
        loop = asyncio.get_running_loop()
        began = loop.time()
        sending = asyncio.create_task(socket.send({"type": "websocket.send", "text": "much"}))
        await asyncio.sleep(0)
        receiving = asyncio.create_task(socket.receive())
        await asyncio.sleep(19.0)
        assert not receiving.done()
        assert not server.closed
        with pytest.raises(OSError, match="does not read"):
            await sending
        assert loop.time() - began == pytest.approx(20.0, abs=0.1)
        assert server.closed == [(1013, "the page does not read")]
        assert server.refusals.counts["page_socket", "unread"] == 1
        await receiving

    run_in_simulated_time(main())


def test_a_page_that_reads_slowly_is_served_when_it_has_read() -> None:
    async def main() -> None:
        server = Server()
        socket = paced(server)
        sending = asyncio.create_task(socket.send({"type": "websocket.send", "text": "much"}))
        receiving = asyncio.create_task(socket.receive())
        await asyncio.sleep(10.0)
        server.reads.set()
        await sending
        assert await receiving == EVENT
        assert not server.closed

    run_in_simulated_time(main())
