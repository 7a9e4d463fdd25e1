"""The report of a running app: what it says of connections, streams, readers, the process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest

from livemarkets.app import build
from livemarkets.config.settings import Settings
from livemarkets.exchanges.base import ClientStatus
from livemarkets.market.models import ExchangeState, StreamKey
from livemarkets.simulator import Simulator
from livemarkets.status.collector import StatusCollector
from livemarkets.status.exchange_report import ExchangeReport
from livemarkets.status.readers import describe_readers
from livemarkets.status.report import StatusReport
from livemarkets.status.streams import describe_streams
from livemarkets.status.times import Times
from livemarkets.ws_markets.connection import MarketsConnection
from tests.support.app import RunningApp, running_app, settings_for
from tests.support.delivery import Peer
from tests.support.helpers import eventually


@pytest.fixture
async def app(exchange: Simulator) -> AsyncIterator[RunningApp]:
    async with running_app(settings_for(exchange, feed_length=200)) as app:
        yield app


async def fresh(app: RunningApp) -> StatusReport:
    return await StatusCollector(app.services).report()


def kinds(report: StatusReport) -> list[str]:
    """What needs a person, but for what the machine of the tests may cause."""
    return [need.kind for need in report.needs if need.kind != "busy"]


async def binance(app: RunningApp) -> ExchangeReport:
    return next(each for each in (await fresh(app)).exchanges if each.exchange == "binance")


async def until(app: RunningApp, holds: Callable[[ExchangeReport], bool]) -> ExchangeReport:
    async def found() -> ExchangeReport | None:
        report = await binance(app)
        return report if holds(report) else None

    asked: Callable[[], Awaitable[ExchangeReport | None]] = found
    report = await eventually(asked, 10)
    assert isinstance(report, ExchangeReport)
    return report


async def test_an_idle_program_has_nothing_to_say(app: RunningApp) -> None:
    report = await fresh(app)
    assert [each.exchange for each in report.exchanges] == ["binance", "simulator"]
    assert {each.state for each in report.exchanges} == {"idle"}
    assert kinds(report) == []
    assert report.exchanges[0].connections == []
    assert [each.url for each in report.exchanges[0].addresses] == list(app.services.settings.binance_ws_url)
    process = report.process
    assert process.versions.keys() >= {"livemarkets", "python", "nicegui", "websockets", "uvicorn"}
    assert process.started_ts <= report.ts
    assert process.memory_bytes is None or process.memory_bytes > 10**7
    assert process.loop_p99_ms > 0


async def test_connections_streams_and_readers_are_described(app: RunningApp, exchange: Simulator) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT", "ETHUSDT")
    await client.next("status", state="live")
    exchange.faults.burst(symbol="BTCUSDT", trades=20)
    newest = (await client.trades(20))[-1]
    report = await fresh(app)
    market = report.exchanges[0]
    (connection,) = market.connections
    assert (connection.role, connection.streams, connection.acknowledged) == ("active", 2, 2)
    assert connection.url == f"{exchange.ws_url}/stream"
    assert connection.opened_ts is not None
    assert connection.opened_ts <= report.ts
    assert 20 * 3_600_000 < connection.rotates_ts - connection.opened_ts <= 23 * 3_600_000
    first, second = market.streams.worst
    assert (first.symbol, first.channel, first.state) == ("BTCUSDT", "trades", "live")
    assert first.last_id == newest["id"]
    assert first.last_ts is not None
    assert abs(first.last_ts - report.ts) < 60_000
    assert (second.symbol, second.last_ts, second.last_id) == ("ETHUSDT", None, None)
    (reader,) = report.readers.worst
    assert (len(reader.client), reader.names, reader.mode) == (12, 2, "all")
    assert (report.readers.connected, report.readers.pages, reader.backlog_bytes) == (1, 0, 0)


async def test_the_way_of_trades_is_measured(app: RunningApp, exchange: Simulator) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT")
    await client.next("status", state="live")

    def is_sampled(found: ExchangeReport) -> bool:
        exchange.faults.burst(symbol="BTCUSDT", trades=1)  # not every read is measured
        return found.latency["received_to_sent"].samples > 0

    market = await until(app, is_sampled)
    sent = market.latency["received_to_sent"]
    assert sent.p50_ms is not None
    assert 0 < sent.p50_ms < 1000
    assert market.clock is not None
    assert abs(market.clock.offset_ms) < 1000


async def test_missing_trades_are_counted_until_they_are_fetched(
    app: RunningApp, exchange: Simulator
) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT", "ETHUSDT")
    await client.next("status", state="live")
    exchange.faults.burst(symbol="ETHUSDT", trades=3)
    await client.trades(3)
    exchange.faults.rest_down()
    exchange.faults.lose(stream="ethusdt@trade", count=4)
    exchange.faults.burst(symbol="ETHUSDT", trades=6)
    report = await until(app, lambda found: found.streams.worst[0].state == "recovering")
    worst = report.streams.worst[0]
    assert (worst.symbol, worst.missing) == ("ETHUSDT", 4), "trouble comes first"
    failing = await until(app, lambda found: found.rest.addresses[0].rests_until_ts is not None)
    assert failing.rest.addresses[0].failures > 0
    exchange.faults.clear()
    healed = await until(app, lambda found: found.streams.backfilled == 4)
    stream = next(each for each in healed.streams.worst if each.symbol == "ETHUSDT")
    assert (stream.missing, stream.backfilled) == (0, 4)


async def test_a_ban_is_told_with_its_end(app: RunningApp, exchange: Simulator) -> None:
    exchange.faults.refuse(status=418, retry_after_seconds=300, seconds=60)
    client = await app.connect()
    await client.subscribe("BTCUSDT")
    report = await until(app, lambda found: found.banned_until_ts is not None)
    assert report.banned_until_ts is not None
    assert 200_000 < report.banned_until_ts - app.services.now_ms() <= 301_000
    assert kinds(await fresh(app)) == ["banned", "address"]


async def test_lists_are_bounded_and_the_rest_is_counted(app: RunningApp) -> None:
    clients = [await app.connect() for _ in range(3)]
    for client in clients:
        await client.subscribe("BTCUSDT", "ETHUSDT", "SOLUSDT")
    services = app.services
    feed = services.feeds["binance"]
    streams = await describe_streams(feed, feed.statistics(), Times(services.clock), worst=2)
    assert (len(streams.worst), streams.others, streams.wanted) == (2, 1, 3)
    readers = await describe_readers(services.hub, services.fanout, services.manager, worst=1)
    assert (len(readers.worst), readers.others, readers.connected) == (1, 2, 3)


async def test_all_who_ask_at_once_get_the_same_report(app: RunningApp) -> None:
    collector = app.services.inspection
    reports = await asyncio.gather(*(collector.report() for _ in range(10)))
    assert len({id(report) for report in reports}) == 1


async def test_a_long_report_holds_nobody_up() -> None:
    """5,000 streams and 5,000 readers take some tens of milliseconds, of which no turn of the loop has 20."""
    services = build(Settings(stream_enabled=True))
    feed = services.feeds["binance"]
    for number in range(5000):
        feed.handle_wanted(StreamKey.trades("binance", f"S{number}USDT"), True)
        mailbox = services.fanout.open(Peer(-1), limit_bytes=1024)
        services.hub.connections.add(MarketsConnection(services.hub, mailbox, "127.0.0.1"))
    longest_ms: list[float] = []
    for _ in range(3):
        collecting = asyncio.create_task(StatusCollector(services).report())
        turns: list[float] = []
        while not collecting.done():
            before = time.thread_time()
            await asyncio.sleep(0)
            turns.append((time.thread_time() - before) * 1000)
        longest_ms.append(max(turns))
        report = collecting.result()
        assert report.exchanges[0].streams.others == 4900
        assert report.readers.others == 4900
        assert len(msgspec.json.encode(report)) < 100_000
    await services.stop()
    assert min(longest_ms) < 20


async def test_the_last_states_are_kept_however_short_they_were() -> None:
    services = build(Settings(stream_enabled=True))
    feed = services.feeds["binance"]
    for _ in range(12):
        feed.on_status(ClientStatus(ExchangeState.DOWN, "timeout"))
        feed.on_status(ClientStatus(ExchangeState.DOWN, "connection lost"))
        feed.on_status(ClientStatus(ExchangeState.LIVE))
    changes = (await services.inspection.report()).exchanges[0].changes
    assert [(change.state, change.reason) for change in changes] == [
        ("live", None),
        ("down", "connection lost"),
    ] * 10
    await services.stop()
