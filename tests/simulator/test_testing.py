"""The exchange inside the tests of other programs: what the manual shows, its errors, and its end."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from livemarkets.simulator import SimulatedMarket, SimulatorError, simulated_exchange
from livemarkets.simulator.server.certificate import trusting
from tests.support.copied_clients import blocks

STREAM = "btcusdt@trade"


def market() -> SimulatedMarket:
    return SimulatedMarket(symbols=["BTCUSDT"], trades_per_second=100)


async def test_the_example_of_the_manual_passes() -> None:
    (example,) = blocks("docs/simulator.md", "python")
    names: dict[str, Any] = {}
    exec(compile(example, "docs/simulator.md", "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 1
    await tests[0]()


async def test_a_fault_is_in_effect_at_once() -> None:
    async with (
        simulated_exchange(market()) as exchange,
        connect(f"{exchange.ws_url}/ws/{STREAM}", proxy=None) as socket,
    ):
        await exchange.subscribed(STREAM)
        assert exchange.subscriptions == {STREAM}
        await socket.recv()
        await exchange.fault("close", code=1001, reason="for a test")
        with pytest.raises(ConnectionClosed) as ended:
            await asyncio.wait_for(_read_on(socket), 5)
        assert ended.value.rcvd is not None
        assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (1001, "for a test")
        assert exchange.stats()["faults"] == {"close": 1}


async def _read_on(socket: Any) -> None:
    while True:
        await socket.recv()


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("half_opn", {}, "unknown fault 'half_opn'; did you mean half_open? known faults: "),
        ("half_open", {"second": 5}, "half_open has no argument 'second'; did you mean seconds? "),
        ("lose", {"count": "many"}, "lose: count: Expected `int`"),
        ("hole", {}, "hole requires the argument 'symbol'"),
        ("half_open", {"connection": 7}, "half_open: there is no open connection 7"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_said(name: str, arguments: Any, text: str) -> None:
    async with simulated_exchange(market()) as exchange:
        with pytest.raises(SimulatorError, match=f"^{re.escape(text)}"):
            await exchange.fault(name, **arguments)
        assert exchange.stats()["faults"] == {}


async def test_a_stream_that_nobody_subscribes_is_said() -> None:
    async with (
        simulated_exchange(market()) as exchange,
        connect(f"{exchange.ws_url}/ws/{STREAM}", proxy=None),
    ):
        await exchange.subscribed(STREAM)
        with pytest.raises(SimulatorError, match=f"nobody subscribed x@y in 0.05 s; .*: {STREAM}$"):
            await exchange.subscribed("x@y", timeout_seconds=0.05)


async def test_every_fault_is_listed_with_its_arguments() -> None:
    async with simulated_exchange(market()) as exchange:
        assert exchange.faults["half_open"].startswith("[connection] [seconds] Neither send nor read")


async def test_nothing_is_left_after_an_error() -> None:
    tasks = asyncio.all_tasks()
    sockets: list[ClientConnection] = []
    with pytest.raises(ZeroDivisionError):
        await _fail_with_faults(sockets)
    await sockets[0].wait_closed()
    assert asyncio.all_tasks() - tasks == set()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*sockets[0].remote_address[:2])


async def _fail_with_faults(sockets: list[ClientConnection]) -> None:
    async with simulated_exchange(market()) as exchange:
        sockets.append(await connect(f"{exchange.ws_url}/ws/{STREAM}", proxy=None))
        await exchange.subscribed(STREAM)
        await exchange.fault("half_open")
        await exchange.fault("silence", seconds=60)
        raise ZeroDivisionError


async def test_tls_and_rest(tmp_path: Path) -> None:
    async with simulated_exchange(market(), tls=tmp_path) as exchange:
        assert exchange.authority == tmp_path / "authority.pem"
        assert exchange.rest_url == f"https://127.0.0.1:{exchange.port}"
        async with httpx.AsyncClient(verify=trusting(tmp_path), trust_env=False) as client:
            assert (await client.get(f"{exchange.rest_url}/api/v3/ping")).status_code == 200


async def test_a_taken_port_is_said() -> None:
    async with simulated_exchange(market()) as exchange:
        with pytest.raises(SimulatorError, match=f"port {exchange.port} on 127.0.0.1 is already in use"):
            async with simulated_exchange(market(), port=exchange.port):
                pass
