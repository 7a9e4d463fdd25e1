"""Runs a campaign: an exchange, the app in a process of its own, the clients, and the faults."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from random import Random

from tests.soak.app import Plan, metrics, resident_kb, running_app
from tests.soak.candle_truth import CandleVerdict
from tests.soak.channel_reader import ChannelReader
from tests.soak.channels import ChannelMarket, channel_readers, judge_channels, late_readers
from tests.soak.exchanges import CampaignExchange, ExchangeFactory, ExchangeFigures
from tests.soak.foreign import foreign_campaign
from tests.soak.reader import Reader
from tests.soak.simulated import simulated_exchange
from tests.soak.truth import Verdict, judge
from tests.support.helpers import eventually

__all__ = ["EXCHANGES", "Outcome", "Plan", "run"]

EXCHANGES: dict[str, ExchangeFactory] = {"simulator": simulated_exchange, "foreign": foreign_campaign}
"""The exchanges that a campaign can run on."""
_SAMPLE_SECONDS = 0.5
_LINGER_SECONDS = 20.0
"""Longer than a stream stays subscribed after its last reader left."""
_LEFT_OUT = 5
"""Ids that the exchange leaves out when all faults have ended."""


@dataclass
class Outcome:
    """What came of it."""

    plan: Plan
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """By client."""
    readers: list[Reader] = field(default_factory=list)
    channel_readers: list[ChannelReader] = field(default_factory=list)
    candles: dict[str, CandleVerdict] = field(default_factory=dict)
    """By channel reader."""
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
    left_upstream: list[str] = field(default_factory=list)
    """Streams that are subscribed at the exchange though everybody has gone."""

    @property
    def total(self) -> Verdict:
        """All clients' figures together."""
        total = Verdict()
        for verdict in self.verdicts.values():
            total.add(verdict)
        return total

    @property
    def candle_total(self) -> CandleVerdict:
        """All channel readers' figures together."""
        total = CandleVerdict()
        for verdict in self.candles.values():
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
        broken = self.exchange.violations or self.app_ended or self.unsettled or self.left_upstream
        return self.total.is_clean and self.candle_total.is_clean and not broken


async def run(plan: Plan) -> Outcome:
    """Run it to its end."""
    random = Random(plan.seed)
    outcome = Outcome(plan)
    async with EXCHANGES[plan.exchange](plan.seed) as exchange:
        try:
            async with running_app(plan, exchange) as (process, port):
                await _campaign(plan, random, exchange, process, port, outcome)
                outcome.app_ended = process.returncode is not None
        finally:
            outcome.exchange = exchange.figures()
    return outcome


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
    market = exchange.channels
    if market is not None:
        outcome.channel_readers = channel_readers(url, symbols, random)
    everybody: list[Reader | ChannelReader] = [*outcome.readers, *outcome.channel_readers]
    tasks = [asyncio.create_task(reader.run(), name=reader.name) for reader in everybody]
    sampler = asyncio.create_task(_sample(process.pid, outcome), name="sampler")
    try:
        await _all_started(outcome.readers, outcome.channel_readers)
        await _inject(plan, random, exchange, outcome)
        outcome.injected = dict(exchange.injected)
        exchange.clear()
        await _leave_ids_out(exchange)
        for channel_reader in outcome.channel_readers:
            channel_reader.hurry.set()
        if market is not None:
            market.cut_and_halt()
        newest = {symbol: exchange.newest(symbol) for symbol in symbols}
        outcome.unsettled = await _settled(outcome, newest, market)
        outcome.metrics = await metrics(port)
    finally:
        for task in (*tasks, sampler):
            task.cancel()
        await asyncio.gather(*tasks, sampler, return_exceptions=True)
    await _until_nothing_is_left(exchange, outcome)
    for channel_reader in outcome.channel_readers:
        assert market is not None
        outcome.candles[channel_reader.name] = judge_channels(channel_reader, market)
    for reader in outcome.readers:
        verdict = outcome.verdicts[reader.name] = Verdict()
        for symbol in symbols:
            verdict.add(judge(reader.events[symbol], exchange.numberings(symbol), newest[symbol]))


async def _all_started(readers: list[Reader], channel_readers: list[ChannelReader]) -> None:
    """Wait until all have something of every name, but for those that take their time."""
    trades = [reader.events for reader in readers]
    candles = [reader.candles for reader in channel_readers if reader.pace == "fast"]
    await eventually(
        lambda: all(all(record.values()) for kind in (trades, candles) for record in kind),
        30,
        because="a start",
    )


async def _until_nothing_is_left(exchange: CampaignExchange, outcome: Outcome) -> None:
    with contextlib.suppress(AssertionError):
        await eventually(lambda: not exchange.subscribed(), _LINGER_SECONDS)
    outcome.left_upstream = sorted(exchange.subscribed())


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


async def _settled(outcome: Outcome, newest: dict[str, int], market: ChannelMarket | None) -> list[str]:
    """Wait until every client has what was traded up to the end of the faults; return who has not."""
    deadline = time.monotonic() + outcome.plan.settle_seconds
    while True:
        late = [
            f"{reader.name} has {symbol} up to {reader.reached(symbol)} of {newest[symbol]}"
            for reader in outcome.readers
            for symbol in newest
            if reader.reached(symbol) < newest[symbol]
        ]
        if market is not None and not late:
            late = late_readers(outcome.channel_readers, market)
        if not late or time.monotonic() > deadline:
            return late
        await asyncio.sleep(0.2)


async def _sample(pid: int, outcome: Outcome) -> None:
    start = time.monotonic()
    while True:
        with contextlib.suppress(OSError, StopIteration):
            outcome.memory_kb.append((time.monotonic() - start, resident_kb(pid)))
        received = sum(len(events) for reader in outcome.readers for events in reader.events.values())
        outcome.received.append((time.monotonic() - start, received))
        await asyncio.sleep(_SAMPLE_SECONDS)
