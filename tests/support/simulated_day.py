"""The application in simulated time, and what an operator sees of it: metrics, readiness and log."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import msgspec
import uvicorn
from loguru import logger
from websockets.exceptions import ConnectionClosed

from livemarkets import app
from livemarkets.app import Tuning
from livemarkets.http_api.web_app import create_app
from livemarkets.market.clock import Clock
from livemarkets.server.run import configuration, listen
from livemarkets.simulator import SimulatedMarket, Simulator
from tests.support.app import settings_for
from tests.support.cable import Cable, cable_to
from tests.support.markets_client import MarketsClient, open_client

if TYPE_CHECKING:
    from loguru import Message

_BEGIN_MS = 1_780_012_800_000
"""Midnight, 29 May 2026 (UTC)."""
_OLD_SECONDS = 100.0
"""Older than any message may be on its way, so that no request waits in a connection that has ended."""


class Readiness(NamedTuple):
    """What `/readyz` and `/readyz?upstream=1` said in a minute."""

    takes_readers: bool
    is_live: bool
    reasons: list[str]
    not_traded: list[str]


class DayLog:
    """The lines of the log from INFO on, with the time of the simulated day."""

    def __init__(self, begin: float) -> None:
        self.lines: list[str] = []
        self._begin = begin

    def seconds(self) -> float:
        """Return the seconds since midnight."""
        return asyncio.get_running_loop().time() - self._begin

    def write(self, message: Message) -> None:
        """Take a line of the app. The exchange has a log of its own."""
        record, now = message.record, int(self.seconds())
        if str(record["name"]).startswith("livemarkets.simulator"):
            return
        clock = f"{now // 3600:02}:{now // 60 % 60:02}:{now % 60:02}"
        self.lines.append(f"{clock} {record['level'].name:<7} {record['message']}")


class Day:
    """A running app, its exchange behind a cable, a reader, and what was recorded so far."""

    def __init__(self, exchange: Simulator, cable: Cable, reader: MarketsClient, log: DayLog) -> None:
        self.exchange = exchange
        self.cable = cable
        self.reader = reader
        self.log = log
        self.readiness: list[Readiness] = []
        self.messages: list[dict[str, Any]] = []
        """What the reader got."""
        self._series: defaultdict[str, list[str]] = defaultdict(list)

    @property
    def series(self) -> list[dict[str, str]]:
        """Every metric as Prometheus would have it, one value a minute."""
        return [{"series": name, "values": " ".join(values)} for name, values in self._series.items()]

    def values(self, name: str) -> list[float]:
        """The values of one series, by its name with all labels, as `/metrics` shows it."""
        [found] = [values for series, values in self._series.items() if series == _named(name)]
        return [float(value) for value in found if value != "_"]

    async def until(self, minute: float) -> None:
        """Wait for a minute of the day."""
        await asyncio.sleep(minute * 60.0 - self.log.seconds())

    async def record(self, port: int) -> None:
        """Ask the app every minute, like Prometheus and a balancer."""
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            for minute in range(sys.maxsize):
                await self.until(minute)
                metrics = (await http.get("/metrics")).text
                here, upstream = await http.get("/readyz"), await http.get("/readyz?upstream=1")
                told = msgspec.json.decode(upstream.content)
                self.readiness.append(
                    Readiness(here.is_success, upstream.is_success, told["reasons"], told["not_traded"])
                )
                self._note("up", "1", minute)
                for line in metrics.splitlines():
                    if not line.startswith("#"):
                        name, _, value = line.rpartition(" ")
                        self._note(name, value, minute)

    def _note(self, name: str, value: str, minute: int) -> None:
        values = self._series[_named(name)]
        values += ["_"] * (minute - len(values)) + [value]

    async def read(self) -> None:
        """Take what the reader gets. Every message is as the contract says."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.messages.append(await self.reader.receive(_OLD_SECONDS))


def _named(name: str) -> str:
    """A series of `/metrics` as Prometheus names it, with the labels of the scrape."""
    family, _, labels = name.partition("{")
    return f'{family}{{job="livemarkets",instance="a"' + ("," + labels if labels else "}")


class _Server(uvicorn.Server):
    """It waits for its end without looking for it many times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ends = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Signals are pytest's."""
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)  # makes the Date header
        await self.ends.wait()


@contextlib.asynccontextmanager
async def _serving(web: Any) -> AsyncIterator[int]:
    """Serve an app, and yield its port."""
    server = _Server(configuration(web))
    with listen("127.0.0.1", 0) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]), name="server of a day")
        try:
            while not server.started:
                assert not task.done(), "the server did not start"
                await asyncio.sleep(0.001)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            server.ends.set()
            await task


@contextlib.asynccontextmanager
async def simulated_day(market: SimulatedMarket, tuning: Tuning, **subscription: Any) -> AsyncIterator[Day]:
    """Run an app from midnight on, in :func:`~tests.support.simulated_time.run_in_simulated_time`.

    Args:
        market: of the exchange.
        tuning: of the app.
        subscription: what the reader asks for.

    """
    loop = asyncio.get_running_loop()
    begin = loop.time()

    def now_ms() -> float:
        return _BEGIN_MS + (loop.time() - begin) * 1000.0

    async with contextlib.AsyncExitStack() as stack:
        exchange = Simulator(market, clock=now_ms)
        await exchange.start()
        stack.push_async_callback(exchange.aclose)
        cable = await stack.enter_async_context(cable_to(exchange.port))
        settings = settings_for(
            exchange,
            binance_ws_url=f"ws://127.0.0.1:{cable.port}",
            binance_rest_url=f"http://127.0.0.1:{cable.port}",
            simulator_enabled=False,
            linger_seconds=5.0,
        )
        log = DayLog(begin)
        stack.callback(logger.remove, logger.add(log.write, level="INFO", format=""))
        services = app.build(settings, tuning=tuning, clock=Clock(loop.time, lambda: int(now_ms())))
        # Nothing can be late in this time, so nobody looks for it 1,728,000 times a day.
        services.loop_delay.run = asyncio.Event().wait  # type: ignore[method-assign,assignment]
        port = await stack.enter_async_context(_serving(create_app(services)))
        reader = await stack.enter_async_context(open_client(f"ws://127.0.0.1:{port}/ws/markets"))
        await reader.send(type="subscribe", exchange="binance", **subscription)
        day = Day(exchange, cable, reader, log)
        tasks = [
            asyncio.create_task(day.read(), name="reader of a day"),
            asyncio.create_task(day.record(port), name="record of a day"),
        ]
        try:
            yield day
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
