"""The real application for tests, inside this process or as `main.py`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import uvicorn

from livemarkets import app
from livemarkets.app import Services, Tuning
from livemarkets.config.settings import Settings
from livemarkets.exchanges.base import ExchangeEvents, ExchangePorts
from livemarkets.exchanges.binance.client import BinanceClient
from livemarkets.exchanges.binance.rest import BinanceRest
from livemarkets.exchanges.budgets import ConnectBudget
from livemarkets.http_api.web_app import create_app
from livemarkets.market.clock import system_clock
from livemarkets.server.run import configuration, listen
from livemarkets.simulator import ExchangeLimits, SimulatedMarket, Simulator
from livemarkets.simulator.market.source import Source
from tests.support.contract import hold_answer_to_contract
from tests.support.helpers import PROJECT_ROOT, WITHOUT_TLS, free_port
from tests.support.markets_client import MarketsClient, open_client
from tests.support.warm_start import OUTPUT_LINE_BYTES, WarmProcess, warm_start

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "SHIBUSDT", "ETHBTC")
NOWHERE_WS, NOWHERE_REST = "ws://127.0.0.1:9", "http://127.0.0.1:9"
"""The discard port, where nobody listens."""


class RunningApp:
    """An application inside this process, its addresses, and clients of it."""

    def __init__(self, services: Services, server: uvicorn.Server, port: int, inside: InsideExchange) -> None:
        self.services = services
        self.server = server
        self.port = port
        self.inside = inside
        self._clients = contextlib.AsyncExitStack()

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(
        self, *, greet: bool = True, path: str = "/ws/markets", **options: Any
    ) -> MarketsClient:
        """A connected client that has read its welcome; it is closed with the app."""
        url = f"ws://127.0.0.1:{self.port}{path}"
        client = await self._clients.enter_async_context(open_client(url, **options))
        self._clients.callback(client.socket.transport.abort)  # a client that reads nothing says no goodbye
        if greet:
            assert (await client.receive())["type"] == "welcome"
        return client

    async def get(self, path: str, **parameters: Any) -> httpx.Response:
        """Ask a route over HTTP. The answer is as the contract says."""
        async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False, timeout=5) as client:
            response = await client.get(self.http_url + path, params=parameters)
        media_type = response.headers.get("content-type", "")
        hold_answer_to_contract(
            response.url.path,
            response.status_code,
            media_type,
            response.content,
            is_enabled=self.services.settings.stream_enabled,
        )
        return response

    async def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Send any request."""
        async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False, timeout=5) as client:
            return await client.request(method, self.http_url + path, headers=headers)

    async def aclose(self) -> None:
        await self._clients.aclose()


class InsideExchange:
    """The embedded exchange inside the process of a test, which is sooner there than a process of its own."""

    def __init__(self, tuning: Tuning | None) -> None:
        self.simulator: Simulator | None = None
        """`None` until the exchange is first needed, as in the app."""
        self._tuning = tuning or Tuning()

    def ports(self) -> ExchangePorts:
        """What `app.build` makes for the embedded exchange, but for the process."""
        clock = system_clock()
        rest = BinanceRest("simulator", (), clock=clock)
        clients: list[BinanceClient] = []

        def connect(events: ExchangeEvents) -> BinanceClient:
            budget = ConnectBudget(limit=self._tuning.connects_per_5_minutes)
            client = BinanceClient(
                "simulator", (), events, budget=budget, timings=self._tuning.client, clock=clock
            )
            clients.append(client)
            return client

        async def prepare() -> None:
            if self.simulator is None:
                self.simulator = Simulator(SimulatedMarket())
                await self.simulator.start()
            clients[0].urls, rest.urls = (self.simulator.ws_url,), (self.simulator.rest_url,)

        channels, candles = BinanceClient.channels, rest.candle_history
        return ExchangePorts(connect, rest, rest, prepare, channels, rest, candles)

    async def aclose(self) -> None:
        if self.simulator is not None:
            await self.simulator.aclose()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are pytest's."""
        yield

    async def main_loop(self) -> None:
        """Look for the end more often than ten times a second: many tests end many servers."""
        await self.on_tick(0)  # makes the Date header
        while not self.should_exit:  # noqa: ASYNC110 (a flag of uvicorn's)
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def serving(web: Any, *, port: int = 0, **options: Any) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """Serve an ASGI app the way `main.py` does, on a port or a free one; options are uvicorn's."""
    server = _Server(configuration(web, **options))
    with listen("127.0.0.1", port) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]), name="server under test")
        try:
            async with asyncio.timeout(10):
                while not server.started:
                    assert not task.done(), "the server did not start"
                    await asyncio.sleep(0.005)
            yield server, listener.getsockname()[1]
        finally:
            server.should_exit = True
            async with asyncio.timeout(15):
                await task


@contextlib.asynccontextmanager
async def running_app(
    settings: Settings,
    *,
    tuning: Tuning | None = None,
    exchanges: Mapping[str, ExchangePorts] | None = None,
    prepare: Callable[[Services], object] = lambda services: None,
    has_processes: bool = False,
    **server_options: Any,
) -> AsyncIterator[RunningApp]:
    """Run the application as `main.py` does, without the pages, and with the embedded exchange inside.

    Args:
        settings: the port is ignored, a free one is taken.
        tuning: see there.
        exchanges: offered beside those that always are.
        prepare: called with the services before they start.
        has_processes: whether the embedded exchange gets a process of its own, as in the product.
        server_options: for uvicorn, beside and instead of those of `main.py`.

    """
    inside = InsideExchange(tuning)
    if settings.simulator_enabled and not has_processes:
        settings = settings.model_copy(update={"simulator_enabled": False})
        exchanges = {**(exchanges or {}), "simulator": inside.ports()}
    services = app.build(settings, tuning=tuning, exchanges=exchanges)
    prepare(services)
    async with serving(create_app(services), **server_options) as (server, port):
        running = RunningApp(services, server, port, inside)
        try:
            yield running
        finally:
            await running.aclose()
    await inside.aclose()


@contextlib.asynccontextmanager
async def running_exchange(source: Source | None = None, **options: Any) -> AsyncIterator[Simulator]:
    """Run the embedded exchange; by default one whose symbols trade often, and without a tight limit."""
    if source is None:
        source = SimulatedMarket(seed=7, symbols=SYMBOLS, trades_per_second=50.0)
    simulator = Simulator(source, **({"limits": ExchangeLimits(messages_per_second=1000)} | options))
    await simulator.start()
    try:
        yield simulator
    finally:
        await simulator.aclose()


def quiet_market(*symbols: str) -> SimulatedMarket:
    """A market that trades only when a test lets it: `exchange.faults.burst(symbol=…, trades=…)`."""
    return SimulatedMarket(symbols=symbols or SYMBOLS, trades_per_second=1e-6, history_seconds=0.0)


def settings_for(exchange: Simulator | None, **fields: Any) -> Settings:
    """Settings of an app whose Binance is this exchange; without one, Binance cannot be reached."""
    defaults: dict[str, Any] = {
        "stream_enabled": True,
        "binance_ws_url": exchange.ws_url if exchange else NOWHERE_WS,
        "binance_rest_url": exchange.rest_url if exchange else NOWHERE_REST,
        "linger_seconds": 0.1,
    }
    return Settings(**(defaults | fields))


def relaxed(services: Services) -> None:
    """Lift the rate limit of `/ws/markets`, for tests that are about something else."""
    services.hub.limits = msgspec.structs.replace(
        services.hub.limits, messages_per_second=100_000, names_per_second=1_000_000
    )


class Process:
    """A program of the project that runs as a process of its own; what it says is kept."""

    def __init__(self, process: asyncio.subprocess.Process | WarmProcess) -> None:
        self.process = process
        self.lines: list[str] = []
        self._grown = asyncio.Condition()
        self._reader = asyncio.create_task(self._read(), name="output of a process")

    @property
    def pid(self) -> int:
        return self.process.pid

    def rss_bytes(self) -> int:
        """How much memory it has."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    @property
    def output(self) -> str:
        """Everything that it wrote so far, to either stream."""
        return "\n".join(self.lines)

    async def says(self, text: str, timeout_seconds: float = 30.0) -> str:
        """Wait for a line that contains `text`, and return the line."""
        try:
            async with asyncio.timeout(timeout_seconds), self._grown:
                while True:
                    for line in self.lines:
                        if text in line:
                            return line
                    assert not self._reader.done(), f"it ended without saying {text!r}:\n{self.output}"
                    await self._grown.wait()
        except TimeoutError:
            raise AssertionError(f"it did not say {text!r}:\n{self.output}") from None

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, timeout_seconds: float = 15.0) -> int:
        """Wait for its end, and return the exit code."""
        async with asyncio.timeout(timeout_seconds):
            await asyncio.shield(self._reader)  # a time that is over must not end it
            return await self.process.wait()

    async def aclose(self) -> None:
        """End it, kindly and then otherwise."""
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await self.ended(8.0)
            except TimeoutError:
                self.process.kill()
        await self.ended()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self._grown:
                self.lines.append(line.decode(errors="replace").rstrip())
                self._grown.notify_all()
        async with self._grown:
            self._grown.notify_all()


@contextlib.asynccontextmanager
async def running_process(
    *arguments: str | Path,
    environment: dict[str, str] | None = None,
    program: str | None = None,
    reads_input: bool = False,
    listeners: Iterable[socket.socket] = (),
) -> AsyncIterator[Process]:
    """Run Python, or another program, in the project's folder with no `LIVE_*` variable but those given.

    It inherits the listeners, under their numbers.
    """
    process = Process(
        await asyncio.create_subprocess_exec(
            *([program] if program else [sys.executable, "-u"]),
            *arguments,
            cwd=PROJECT_ROOT,
            env=_inherited() | (environment or {}),
            stdin=asyncio.subprocess.PIPE if reads_input else None,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=OUTPUT_LINE_BYTES,
            pass_fds=[listener.fileno() for listener in listeners],
        )
    )
    try:
        yield process
    finally:
        await process.aclose()


@contextlib.asynccontextmanager
async def running_warm(
    *arguments: str | Path, environment: dict[str, str] | None = None
) -> AsyncIterator[Process]:
    """Run Python like `running_process`, but without the second that the imports of the app take.

    For `main.py`, the small application of the pages and the simulator, in tests of what they do once they
    run. A test of the start itself starts an interpreter, and so does an environment that has more to say
    than `LIVE_*` variables.
    """
    variables = _inherited() | (environment or {})
    start = warm_start()
    if start is None or not start.fits(variables):
        async with running_process(*arguments, environment=environment) as process:
            yield process
        return
    process = Process(await start.start(arguments, variables))
    try:
        yield process
    finally:
        await process.aclose()


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LIVE_")}


def main_environment(exchange_url: str | None = None, **variables: str) -> tuple[int, dict[str, str]]:
    """A free port, and the environment for a `main.py` on it whose Binance is at `host:port`, or nowhere."""
    port = free_port()
    ws_url, rest_url = (
        (f"ws://{exchange_url}", f"http://{exchange_url}") if exchange_url else (NOWHERE_WS, NOWHERE_REST)
    )
    environment = {
        "LIVE_STREAM_ENABLED": "true",
        "LIVE_HOST": "127.0.0.1",
        "LIVE_PORT": str(port),
        "LIVE_BINANCE_WS_URL": ws_url,
        "LIVE_BINANCE_REST_URL": rest_url,
        "LIVE_DRAIN_SECONDS": "0",  # no balancer looks at it
    }
    return port, environment | variables


@contextlib.asynccontextmanager
async def running_main(
    exchange_url: str | None = None, **variables: str
) -> AsyncIterator[tuple[Process, int]]:
    """Run `main.py` until it serves pages; yields the process and its port."""
    port, environment = main_environment(exchange_url, **variables)
    async with running_warm("main.py", environment=environment) as process:
        await process.says("Live Markets is listening on")
        yield process, port


@contextlib.asynccontextmanager
async def running_new_main(
    exchange_url: str | None = None, **variables: str
) -> AsyncIterator[tuple[Process, int]]:
    """Do the same as a person starts it, for tests of the start itself."""
    port, environment = main_environment(exchange_url, **variables)
    async with running_process("main.py", environment=environment) as process:
        await process.says("Live Markets is listening on")
        yield process, port
