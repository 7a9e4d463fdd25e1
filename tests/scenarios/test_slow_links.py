"""Readers that asked for much: one that reads slowly gets everything, one that reads nothing costs little."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator

import pytest

from livemarkets.market.models import StreamKey
from livemarkets.server.websocket_protocol import RawFrameProtocol
from tests.attacks.attacker import peer
from tests.attacks.floods import subscribe
from tests.market.test_symbols import info
from tests.pages.weak_link import weak_link
from tests.support.app import RunningApp, running_app, settings_for
from tests.support.helpers import eventually
from tests.support.markets_client import open_client
from tests.support.ticks import make_tick

pytestmark = pytest.mark.long

SYMBOLS = [f"A{number:03}USDT" for number in range(200)]
LATER = 20
MEGABIT = 125_000
LIMIT_BYTES = 2_500_000


@contextlib.asynccontextmanager
async def app_with(symbols: list[str], trades: int, buffer_bytes: int) -> AsyncIterator[RunningApp]:
    """An app that has so many trades of each symbol in memory, and no network."""
    settings = settings_for(None, client_buffer_bytes=buffer_bytes, feed_length=trades + LATER)
    async with running_app(settings, ws=RawFrameProtocol) as app:
        app.services.feeds["binance"].directory.replace([info(symbol[:4], "USDT") for symbol in symbols])
        for symbol in symbols:
            app.services.manager.subscribe("somebody else", StreamKey.trades("binance", symbol))
        trade(app, symbols, 1, trades)
        yield app


def trade(app: RunningApp, symbols: list[str], first: int, last: int) -> None:
    """Let trades with these ids come for each symbol, as the exchange's client hands them over."""
    feed = app.services.feeds["binance"]
    for symbol in symbols:
        key = feed.interned(StreamKey.trades("binance", symbol))
        feed.on_trades(key, [make_tick(trade_id, symbol=symbol) for trade_id in range(first, last + 1)])


@pytest.mark.parametrize(
    ("megabits", "symbols", "trades", "buffer_bytes"),
    [
        (4, 40, 100, 65_536),
        pytest.param(1, 40, 1_000, 1_048_576, marks=pytest.mark.verify),
        pytest.param(2, 80, 1_000, 1_048_576, marks=pytest.mark.verify),
        pytest.param(4, 200, 1_000, 1_048_576, marks=pytest.mark.verify),
    ],
)
async def test_a_reader_on_a_slow_link_resumes_everything_and_is_not_closed(
    megabits: int, symbols: int, trades: int, buffer_bytes: int
) -> None:
    chosen = SYMBOLS[:symbols]
    last: dict[str, int] = defaultdict(int)
    async with (
        app_with(chosen, trades, buffer_bytes) as app,
        weak_link(f"127.0.0.1:{app.port}", megabits * MEGABIT) as link,
        open_client(f"ws{link.address.removeprefix('http')}/ws/markets", ping_interval=None) as reader,
    ):
        await reader.send(
            type="subscribe",
            exchange="binance",
            channel="trades",
            symbols=chosen,
            after=dict.fromkeys(chosen, 0),
        )
        has_traded = False
        async with asyncio.timeout(200):
            while len(last) < symbols or min(last.values()) < trades + LATER:
                message = await reader.receive(60)
                if message["type"] not in ("snapshot", "trade"):
                    assert message["type"] not in ("gap", "lagged", "error"), message
                    continue
                if not has_traded:
                    has_traded = True
                    trade(app, chosen, trades + 1, trades + LATER)
                symbol = message["symbol"]
                ids = [tick["id"] for tick in message["data"]] if "data" in message else [message["id"]]
                assert ids == list(range(last[symbol] + 1, last[symbol] + 1 + len(ids)))
                last[symbol] += len(ids)
        assert app.services.hub.statistics().closed_slow == 0


@pytest.mark.parametrize("wish", ["snapshot", "after"])
@pytest.mark.parametrize(
    ("symbols", "trades", "readers"), [(40, 1_000, 3), pytest.param(200, 1_000, 10, marks=pytest.mark.verify)]
)
async def test_a_reader_that_reads_nothing_costs_little_at_every_moment(
    wish: str, symbols: int, trades: int, readers: int
) -> None:
    chosen = SYMBOLS[:symbols]
    async with app_with(chosen, trades, 1_048_576) as app, contextlib.AsyncExitStack() as stack:
        fields = {"snapshot": trades} if wish == "snapshot" else {"after": dict.fromkeys(chosen, 0)}
        for _ in range(readers):
            mute = await stack.enter_async_context(peer(app.port, opened=True, receive_bytes=4096))
            mute.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await mute.send(subscribe(chosen, **fields))
        await eventually(lambda: len(app.services.hub.connections) == readers)
        most = 0
        for trade_id in range(trades + 1, trades + 301):
            await asyncio.sleep(0)
            trade(app, chosen[:1], trade_id, trade_id)
            for connection in app.services.hub.connections:
                writer = connection.mailbox.sink
                buffered = writer._transport.get_write_buffer_size()  # type: ignore[attr-defined]
                most = max(most, connection.mailbox.backlog_bytes + buffered)
        assert 0 < most < LIMIT_BYTES
        assert len(app.services.hub.connections) == readers, "nobody is closed for what it has asked for"
