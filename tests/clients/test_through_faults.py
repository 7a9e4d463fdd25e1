"""The client library and the real app through kills, restarts, cuts and stops of either side.

Each round reads in one of both orders. Every id of every symbol comes once, or is declared. The program gets
what its frames brought.
"""

from __future__ import annotations

import contextlib
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from livemarkets.http_api.client_script import CLIENT_SCRIPT
from livemarkets.simulator import ExchangeLimits, SimulatedMarket, Simulator
from tests.clients.accounts import check
from tests.clients.reading import Line, Order, Reading
from tests.pages.weak_link import WeakLink, weak_link
from tests.support.app import Process, main_environment, running_exchange, running_process, running_warm
from tests.support.copied_clients import newest_id
from tests.support.helpers import PROJECT_ROOT, eventually

SYMBOLS = tuple(
    f"{base}USDT"
    for base in (
        *("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "BNB", "LINK", "LTC", "DOT"),
        *("TRX", "AVAX", "SHIB", "UNI", "ATOM", "ETC", "XLM", "NEAR", "FIL", "AAVE"),
    )
)
TRADES_PER_SECOND = 500.0
"""Of all symbols together, beside the bursts."""
WAIT_SECONDS = 100
START_SECONDS = 100
"""Within which the app has started: a busy machine needs long for a process that has much to import."""
Program = Callable[[str], contextlib.AbstractAsyncContextManager[Process]]
"""Starts a program that reads, which is told what in JSON."""
CLIENT = {"PYTHONPATH": str(PROJECT_ROOT / "clients" / "python")}


def in_python(argument: str) -> contextlib.AbstractAsyncContextManager[Process]:
    return running_process("-m", "tests.clients.reading", argument, environment=CLIENT)


class World:
    """The exchange, the app as `main.py`, a link to it, and the program that reads; each can be hurt."""

    def __init__(
        self, exchange: Simulator, link: WeakLink, environment: dict[str, str], folder: Path, program: Program
    ) -> None:
        self.exchange = exchange
        self.link = link
        self.server: Process
        self.reader: Process
        self.running: list[Process] = []
        self.orders: list[Order] = []
        """By run of the program, the order in which it read."""
        self._environment = environment
        self._folder = folder
        self._read = 0
        self._positions: dict[str, int] = {}
        self._program = program
        self._processes = contextlib.AsyncExitStack()

    @property
    def items(self) -> Path:
        return self._folder / "items.jsonl"

    def positions(self) -> dict[str, int]:
        """What the program has been told of, by symbol."""
        if self.items.exists():
            with self.items.open("rb") as file:
                file.seek(self._read)
                lines = file.read().rpartition(b"\n")[0]
            self._read += len(lines) + bool(lines)
            for line in lines.splitlines():
                read = msgspec.json.decode(line, type=Line)
                self._positions[read.symbol] = read.position
        return self._positions

    async def start_server(self) -> None:
        self.server = await self._processes.enter_async_context(
            running_warm("main.py", environment=self._environment)
        )
        self.running.append(self.server)
        await self.server.says("Live Markets is listening on", START_SECONDS)

    async def start_reader(self, order: Order) -> None:
        url = self.link.address.replace("http", "ws")
        run = len(self.orders)
        reading = Reading(url, list(SYMBOLS), str(self._folder), run, sleeps=True, order=order)
        self.orders.append(order)
        self.reader = await self._processes.enter_async_context(
            self._program(msgspec.json.encode(reading).decode())
        )
        self.running.append(self.reader)

    async def reads_in(self, order: Order) -> None:
        """Start the program anew if it reads in the other order."""
        if self.orders[-1] != order:
            await self.kill_reader()
            await self.start_reader(order)
            await self.reaches_the_present()

    async def kill_reader(self) -> None:
        self.reader.signal(signal.SIGKILL)
        await self.reader.ended()

    async def misses_some(self) -> None:
        """Have the exchange leave out some trades of two symbols. REST has them a second later."""
        for symbol in SYMBOLS[:2]:
            self.exchange.faults.lose(stream=f"{symbol.lower()}@trade", count=2)
        await self.trades_on(6)

    async def reaches_the_present(self) -> None:
        """Wait until the program has been told of everything that was traded until now."""
        newest = {symbol: newest_id(self.exchange, symbol) for symbol in SYMBOLS}

        def has_all() -> bool:
            missing = {s: newest[s] - last for s, last in self.positions().items() if last < newest[s]}
            assert not missing, f"{missing} are missing; it said {self.reader.lines[-5:]}"
            return True

        await eventually(has_all, WAIT_SECONDS, interval_seconds=0.05)

    async def notices(self, do: Callable[[], object]) -> None:
        """Do something, and wait until the program says that it has lost the connection."""
        before = self.losses
        do()
        await eventually(lambda: self.losses > before, WAIT_SECONDS, because="a connection that is lost")

    @property
    def losses(self) -> int:
        return sum(line.startswith("WAITING") for line in self.reader.lines)

    async def trades_on(self, count: int) -> None:
        """Wait until the exchange has traded so often."""
        symbol = SYMBOLS[0]
        target = newest_id(self.exchange, symbol) + count
        await eventually(lambda: newest_id(self.exchange, symbol) >= target, WAIT_SECONDS)

    async def aclose(self) -> None:
        self.link.mend()
        for process in self.running:
            with contextlib.suppress(ProcessLookupError):
                process.signal(signal.SIGCONT)
        await self._processes.aclose()


# --- what happens to them ------------------------------------------------------------------------------


async def the_server_is_killed(world: World) -> None:
    await world.notices(lambda: world.server.signal(signal.SIGKILL))
    await world.server.ended()
    await world.start_server()


async def the_server_is_restarted(world: World) -> None:
    await world.notices(lambda: world.server.signal(signal.SIGTERM))
    assert await world.server.ended() == 0
    await world.start_server()


async def the_network_is_cut(world: World) -> None:
    await world.notices(world.link.cut)
    world.link.mend()


async def the_network_goes_silent(world: World) -> None:
    await world.notices(world.link.hold)
    world.link.mend()


async def the_server_is_stopped(world: World) -> None:
    await world.notices(lambda: world.server.signal(signal.SIGSTOP))
    world.server.signal(signal.SIGCONT)


async def the_program_is_stopped(world: World) -> None:
    world.reader.signal(signal.SIGSTOP)
    for symbol in SYMBOLS[:2]:
        world.exchange.faults.burst(symbol=symbol, trades=3000)
    await world.trades_on(20)
    world.reader.signal(signal.SIGCONT)


async def the_program_is_killed(world: World) -> None:
    await world.kill_reader()
    await world.trades_on(20)
    await world.start_reader(world.orders[-1])


Fault = Callable[[World], Awaitable[None]]
Round = tuple[Fault, Order]
FAULTS: tuple[Fault, ...] = (
    the_server_is_killed,
    the_server_is_restarted,
    the_network_is_cut,
    the_network_goes_silent,
    the_server_is_stopped,
    the_program_is_stopped,
    the_program_is_killed,
)
ORDERS: tuple[Order, ...] = ("id", "arrival")


@contextlib.asynccontextmanager
async def world_in(folder: Path, program: Program, order: Order) -> AsyncIterator[World]:
    market = SimulatedMarket(seed=7, symbols=SYMBOLS, trades_per_second=TRADES_PER_SECOND / len(SYMBOLS))
    limits = ExchangeLimits(
        messages_per_second=1000, connects_per_window=10_000, rest_weight_per_minute=1_000_000
    )
    async with running_exchange(market, limits=limits) as exchange:
        exchange.faults.rest_lag(behind_seconds=1.0)
        port, environment = main_environment(exchange.ws_url.removeprefix("ws://"))
        async with weak_link(f"127.0.0.1:{port}") as link:
            environment |= {"LIVE_CLIENT_BUFFER_BYTES": "65536"}
            world = World(exchange, link, environment, folder, program)
            try:
                await world.start_server()
                await world.start_reader(order)
                await eventually(lambda: len(world.positions()) == len(SYMBOLS), WAIT_SECONDS)
                await world.reaches_the_present()
                yield world
            finally:
                await world.aclose()


async def hurt(folder: Path, rounds: Sequence[Round], program: Program = in_python) -> str:
    async with world_in(folder, program, rounds[0][1]) as world:
        for fault, order in rounds:
            await world.reads_in(order)
            await world.misses_some()
            await fault(world)
            await world.reaches_the_present()
        world.reader.signal(signal.SIGTERM)
        await world.reader.ended()
        return check(folder, SYMBOLS, world.orders)


@pytest.mark.long
async def test_faults_cost_nothing_that_is_not_declared(tmp_path: Path) -> None:
    in_arrival: tuple[Fault, ...] = (the_server_is_killed, the_network_is_cut, the_program_is_stopped)
    in_id: tuple[Fault, ...] = (the_network_goes_silent, the_program_is_killed)
    rounds: list[Round] = [(fault, "arrival") for fault in in_arrival]
    await hurt(tmp_path, [*rounds, *((fault, "id") for fault in in_id)])


def fifty(seed: int) -> list[Round]:
    """Each fault at least once in each order."""
    rounds: list[Round] = [(fault, order) for order in ORDERS for fault in FAULTS]
    chance = random.Random(seed)
    return [*rounds, *((chance.choice(FAULTS), chance.choice(ORDERS)) for _ in range(50 - len(rounds)))]


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(4))
async def test_fifty_rounds_of_faults_cost_nothing_that_is_not_declared(seed: int, tmp_path: Path) -> None:
    print(await hurt(tmp_path, fifty(seed)))  # noqa: T201


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(4))
async def test_fifty_rounds_of_faults_cost_a_program_in_javascript_nothing(
    seed: int, tmp_path: Path, node_with_ws: tuple[str, dict[str, str]]
) -> None:
    node, environment = node_with_ws
    environment = environment | {"CLIENT_MODULE": str(CLIENT_SCRIPT)}

    def in_javascript(argument: str) -> contextlib.AbstractAsyncContextManager[Process]:
        return running_process("tests/clients/reading.mjs", argument, program=node, environment=environment)

    print(await hurt(tmp_path, fifty(seed), in_javascript))  # noqa: T201
