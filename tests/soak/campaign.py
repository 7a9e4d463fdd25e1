"""Runs a campaign: an exchange, the app in a process of its own, the clients, and the faults."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO

import httpx
import msgspec

from livemarkets.app import Tuning
from livemarkets.exchanges.binance.attempts import AttemptTimings
from livemarkets.exchanges.binance.client import ClientTimings
from livemarkets.exchanges.binance.connection import ConnectionTimings
from livemarkets.exchanges.binance.session import SessionTimings
from livemarkets.exchanges.binance.shard import ShardTimings
from livemarkets.feed.exchange_feed import FeedLimits
from livemarkets.feed.ledger import LedgerLimits
from tests.soak.exchanges import CampaignExchange, ExchangeFactory, ExchangeFigures
from tests.soak.foreign import foreign_campaign
from tests.soak.reader import Reader
from tests.soak.simulated import simulated_exchange
from tests.soak.truth import Verdict, judge
from tests.support.helpers import PROJECT_ROOT, eventually, free_port

EXCHANGES: dict[str, ExchangeFactory] = {"simulator": simulated_exchange, "foreign": foreign_campaign}
"""The exchanges that a campaign can run on."""
_SAMPLE_SECONDS = 0.5
_LEFT_OUT = 5
"""Ids that the exchange leaves out when all faults have ended."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a campaign does."""

    exchange: str = "simulator"
    """One of `EXCHANGES`."""
    seed: int = 1
    faults: int = 1000
    seconds: float = 600.0
    clients: int = 5
    has_ledger: bool = True
    """Off to prove that the campaign can fail."""
    settle_seconds: float = 60.0
    """How long every client may take, once the faults have ended, to have all that was traded."""
    log: Path | None = None
    """Where the app's log goes; `None` throws it away."""


@dataclass
class Outcome:
    """What came of it."""

    plan: Plan
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """By client."""
    readers: list[Reader] = field(default_factory=list)
    injected: dict[str, int] = field(default_factory=dict)
    exchange: ExchangeFigures = field(
        default_factory=lambda: ExchangeFigures(trades={}, accepted=0, refused=0, violations={})
    )
    memory_kb: list[tuple[float, int]] = field(default_factory=list)
    received: list[tuple[float, int]] = field(default_factory=list)
    fault_times: list[tuple[float, str]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    app_ended: bool = False
    unsettled: list[str] = field(default_factory=list)

    @property
    def total(self) -> Verdict:
        """All clients' figures together."""
        total = Verdict()
        for verdict in self.verdicts.values():
            total.add(verdict)
        return total

    @property
    def memory_growth(self) -> float:
        """Memory at the end against that after the warm-up (the first fifth), as a ratio."""
        samples = [kb for _, kb in self.memory_kb]
        warm = samples[: max(1, len(samples) // 5)][-1]
        return samples[-1] / warm

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        total = self.total
        return total.is_clean and not self.exchange.violations and not self.app_ended and not self.unsettled


def tuning(plan: Plan) -> Tuning:
    """Shorter waits than a real exchange deserves, so that much happens in little time."""
    return Tuning(
        client=ClientTimings(
            streams_per_connection=3,
            shard=ShardTimings(
                connection=ConnectionTimings(
                    open_seconds=3.0,
                    ping_seconds=2.0,
                    pong_seconds=2.0,
                    session=SessionTimings(ack_timeout_seconds=2.0, rejection_seconds=2.0),
                ),
                lifetime_seconds=60.0,
                takeover_seconds=3.0,
                attempts=AttemptTimings(
                    backoff_initial_seconds=0.1, backoff_cap_seconds=2.0, good_life_seconds=0.5
                ),
            ),
        ),
        feed=FeedLimits(
            ledger=LedgerLimits(patience_seconds=45.0, proof_seconds=0.2), has_ledger=plan.has_ledger
        ),
    )


async def run(plan: Plan) -> Outcome:
    """Run it to its end."""
    random = Random(plan.seed)
    outcome = Outcome(plan)
    async with EXCHANGES[plan.exchange](plan.seed) as exchange:
        try:
            async with _app(plan, exchange) as (process, port):
                await _campaign(plan, random, exchange, process, port, outcome)
                outcome.app_ended = process.returncode is not None
        finally:
            outcome.exchange = exchange.figures()
    return outcome


@contextlib.asynccontextmanager
async def _app(
    plan: Plan, exchange: CampaignExchange
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVE_")} | {
        "LIVE_STREAM_ENABLED": "true",
        "LIVE_PORT": str(port),
        "LIVE_BINANCE_WS_URL": exchange.ws_url,
        "LIVE_BINANCE_REST_URL": exchange.rest_url,
        "SOAK_TUNING": msgspec.json.encode(tuning(plan)).decode(),
    }
    with _log_file(plan) as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.soak.serve",
            cwd=PROJECT_ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            await _until_alive(port)
            yield process, port
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()


def _log_file(plan: Plan) -> IO[str]:
    return open(plan.log or os.devnull, "w", encoding="utf-8")


async def _until_alive(port: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(20):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await http.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


async def _campaign(
    plan: Plan,
    random: Random,
    exchange: CampaignExchange,
    process: asyncio.subprocess.Process,
    port: int,
    outcome: Outcome,
) -> None:
    symbols = exchange.symbols
    url = f"ws://127.0.0.1:{port}/ws/markets"
    outcome.readers = [
        Reader(
            f"client {number}",
            url,
            symbols,
            Random(random.random()),
            dies_every_seconds=3.0 if number % 5 == 4 else 0.0,
            changes_every_seconds=2.0 if number % 5 == 3 else 0.0,
        )
        for number in range(plan.clients)
    ]
    tasks = [asyncio.create_task(reader.run(), name=reader.name) for reader in outcome.readers]
    sampler = asyncio.create_task(_sample(process.pid, outcome), name="sampler")
    try:
        await _all_started(outcome.readers)
        await _inject(plan, random, exchange, outcome)
        outcome.injected = dict(exchange.injected)
        exchange.clear()
        await _leave_ids_out(exchange)
        newest = {symbol: exchange.newest(symbol) for symbol in symbols}
        outcome.unsettled = await _settled(outcome.readers, newest, plan.settle_seconds)
        outcome.metrics = await _metrics(port)
    finally:
        for task in (*tasks, sampler):
            task.cancel()
        await asyncio.gather(*tasks, sampler, return_exceptions=True)
    for reader in outcome.readers:
        verdict = outcome.verdicts[reader.name] = Verdict()
        for symbol in symbols:
            verdict.add(judge(reader.events[symbol], exchange.numberings(symbol), newest[symbol]))


async def _all_started(readers: list[Reader]) -> None:
    await eventually(lambda: all(all(reader.events.values()) for reader in readers), 30, because="a start")


async def _leave_ids_out(exchange: CampaignExchange) -> None:
    """Leave out ids while all is well: the app has to find out that they do not exist."""
    symbol = exchange.symbols[0]
    newest = exchange.newest(symbol)
    exchange.skip(symbol, _LEFT_OUT)
    await eventually(lambda: exchange.newest(symbol) > newest + _LEFT_OUT, 30, because="a trade behind them")


async def _inject(plan: Plan, random: Random, exchange: CampaignExchange, outcome: Outcome) -> None:
    kinds = exchange.kinds(random)
    names = [name for name in kinds for _ in range(1 if name in exchange.rare else 4)]
    order = list(kinds) + random.choices(
        names, k=max(0, plan.faults - len(kinds))
    )  # every kind at least once
    order = order[: plan.faults]
    random.shuffle(order)
    start = time.monotonic()
    for number, name in enumerate(order):
        due = start + plan.seconds * (number + random.random()) / len(order)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        kinds[name]()
        outcome.fault_times.append((time.monotonic() - start, name))


async def _settled(readers: list[Reader], newest: dict[str, int], seconds: float) -> list[str]:
    """Wait until every client has what was traded up to the end of the faults; return who has not."""
    deadline = time.monotonic() + seconds
    while True:
        late = [
            f"{reader.name} has {symbol} up to {reader.reached(symbol)} of {newest[symbol]}"
            for reader in readers
            for symbol in newest
            if reader.reached(symbol) < newest[symbol]
        ]
        if not late or time.monotonic() > deadline:
            return late
        await asyncio.sleep(0.1)


async def _sample(pid: int, outcome: Outcome) -> None:
    start = time.monotonic()
    while True:
        with contextlib.suppress(OSError, StopIteration):
            outcome.memory_kb.append((time.monotonic() - start, _resident_kb(pid)))
        received = sum(len(events) for reader in outcome.readers for events in reader.events.values())
        outcome.received.append((time.monotonic() - start, received))
        await asyncio.sleep(_SAMPLE_SECONDS)


def _resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


async def _metrics(port: int) -> dict[str, float]:
    async with httpx.AsyncClient(trust_env=False) as http:
        text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if not line.startswith("#") and 'exchange="simulator"' not in line:
            name, _, value = line.rpartition(" ")
            found[name.partition("{")[0]] += float(value)  # type: ignore[assignment]
    return dict(found)
