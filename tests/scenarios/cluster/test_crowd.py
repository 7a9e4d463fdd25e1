"""An edge is killed and comes back, and all of its readers with it: nobody misses an id."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from livemarkets.bus.answers import ExchangeAnswers
from livemarkets.bus.questions import Question, RecentTradesOf, TradesFrom
from livemarkets.simulator import SimulatedMarket, Simulator
from livemarkets.simulator.market.symbols import DEFAULT_RULES
from tests.support.app import Process, quiet_market, running_process
from tests.support.bus import Cluster, running_cluster
from tests.support.crowd import Crowd, Frames, Returning, check, connect
from tests.support.helpers import eventually, free_port

WAIT_SECONDS = 30.0
READERS = 1_000
FILES = 1_500
"""Open files of the edge: one for each reader, and some."""
MISSED = 1_200
"""Trades of a symbol. The ingest has 1,000 in memory."""
PAGES = 6
"""The most pages with what is missed of a symbol, and with what was traded meanwhile."""


def newest_ids(exchange: Simulator, symbols: Sequence[str]) -> dict[str, int]:
    now_ms = exchange.now_ms()
    return {symbol: exchange.source.history(symbol, now_ms).trades[-1].id for symbol in symbols}


def trade(cluster: Cluster, symbols: Sequence[str], trades: int) -> dict[str, int]:
    """Let so many trades of each symbol happen, and return the newest ids."""
    for symbol in symbols:
        cluster.exchange.faults.burst(symbol=symbol, trades=trades)
    return newest_ids(cluster.exchange, symbols)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Question]:
    """What the ingest is asked."""
    questions: list[Question] = []
    at_once = ExchangeAnswers.at_once

    def note(self: ExchangeAnswers, question: Question) -> Sequence[Any] | None:
        questions.append(question)
        return at_once(self, question)

    monkeypatch.setattr(ExchangeAnswers, "at_once", note)
    return questions


def assert_asked_for_all(asked: Sequence[Question], symbols: Sequence[str]) -> None:
    """All readers ask for a page once, and the stream perhaps too. What is newest is asked as time passes."""
    recent = Counter(question.symbol for question in asked if isinstance(question, RecentTradesOf))
    assert recent.keys() <= set(symbols)
    assert set(recent.values()) <= {1}, recent
    pages = Counter((each.symbol, each.from_id) for each in asked if isinstance(each, TradesFrom))
    assert not [page for page, times in pages.items() if times > 2], pages
    assert len(pages) <= PAGES * len(symbols), pages


@contextlib.asynccontextmanager
async def edge_process(cluster: Cluster, port: int) -> AsyncIterator[Process]:
    """An edge as `main.py` runs it, with few open files."""
    environment = {
        "LIVE_ROLE": "edge",
        "LIVE_STREAM_ENABLED": "true",
        "LIVE_PORT": str(port),
        "LIVE_BUS_URL": cluster.nats.url,
        "LIVE_SIMULATOR_ENABLED": "false",
    }
    command = f'ulimit -n {FILES} && exec "$0" -u main.py'
    async with running_process(
        "-c", command, sys.executable, program="/bin/sh", environment=environment
    ) as process:
        await process.says("Live Markets is listening on", 60)
        yield process


@contextlib.asynccontextmanager
async def crowd_process(crowd: Crowd) -> AsyncIterator[Process]:
    """A process with the readers, which have all that they are to have."""
    arguments = "-m", "tests.support.crowd", msgspec.json.encode(crowd).decode()
    async with running_process(*arguments, reads_input=True) as process:
        await process.says("all have all", 600)
        yield process


@pytest.mark.verify
async def test_a_thousand_readers_of_an_edge_that_is_killed_come_back_and_miss_nothing(
    asked: list[Question],
) -> None:
    """A part of what they missed is in the memory of the ingest, and a part only at the exchange."""
    symbols = [f"MANY{number}USDT" for number in range(4)]
    rules = [replace(DEFAULT_RULES[0], symbol=symbol) for symbol in symbols]
    market = SimulatedMarket(rules=rules, trades_per_second=2.0, history_seconds=10.0)
    port = free_port()
    async with running_cluster(market, "ingest") as cluster:
        before = trade(cluster, symbols, 5)
        async with edge_process(cluster, port) as edge:
            after = trade(cluster, symbols, 20)
            async with crowd_process(Crowd(port, READERS, before, after)):
                edge.signal(signal.SIGKILL)
                await edge.ended()
        newest = trade(cluster, symbols, MISSED)
        asked.clear()
        async with edge_process(cluster, port):
            began = time.monotonic()
            async with crowd_process(Crowd(port, READERS, after, newest)) as crowd:
                seconds = time.monotonic() - began
                assert crowd.process.stdin is not None
                crowd.process.stdin.write(b"\n")
                await crowd.says("fine", 60)
        assert_asked_for_all(asked, symbols)
        print(  # noqa: T201 (shown by `make verify`)
            f"{READERS} readers back at an edge with {FILES} files: all of {len(symbols)} × {MISSED} trades "
            f"in {seconds:.1f} s, {len(asked)} questions to the ingest"
        )


async def test_readers_of_an_edge_that_was_killed_come_back_and_ask_the_ingest_once(
    asked: list[Question],
) -> None:
    """The short form: the readers and the edges are in this process."""
    symbols = ["BTCUSDT", "ETHUSDT"]
    async with running_cluster(quiet_market(*symbols), "ingest") as cluster:
        edge = await cluster.add("edge")
        reader = await cluster.edge.connect()
        await reader.subscribe(*symbols)
        for symbol in symbols:
            await cluster.exchange_has(f"{symbol.lower()}@trade")
        after = trade(cluster, symbols, 5)
        for _ in range(5 * len(symbols)):
            await reader.next("trade", WAIT_SECONDS)
        await edge.aclose()
        newest = trade(cluster, symbols, 40)
        asked.clear()
        await cluster.add("edge")
        frames = Frames()
        clients = [Returning(number, frames, after) for number in range(40)]
        try:
            for client in clients:
                await connect(client, cluster.edges[-1].port)
            await eventually(lambda: all(client.has_all(newest) for client in clients), WAIT_SECONDS)
            check(clients)
        finally:
            for client in clients:
                client.close()
        assert_asked_for_all(asked, symbols)
