"""How the streams of one client begin, when there is much to send at once."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

import pytest

from livemarkets.feed.ledger import Ledger, LedgerLimits
from livemarkets.feed.resume import ResumeLimits, Resumer
from livemarkets.market.models import StreamKey, TradeTick
from livemarkets.market.stores import RecentTrades
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.protocol.encoding import encode_trade
from livemarkets.protocol.requests import SubscribeRequest
from livemarkets.server.turns import Turns as LoopTurns
from livemarkets.ws_markets.client_streams import ClientStreams
from tests.support.delivery import Peer, Turns, read_frames
from tests.support.ticks import make_tick

SYMBOLS = [f"COIN{number}USDT" for number in range(20)]
TRADES = 1000
LIMIT_BYTES = 1_000_000


class Feed:
    """A ledger and a resumer, with nothing missing and no exchange to ask."""

    def __init__(self, trades: RecentTrades, key: StreamKey) -> None:
        self._trades, self._key = trades, key
        self._ledgers = {key: Ledger(key, LedgerLimits())}
        nobody: Any = NoHistory()
        loop = asyncio.get_running_loop()
        self.resumer = Resumer(nobody, trades, self._ledgers, limits=ResumeLimits(), clock=loop.time)

    @property
    def as_feed(self) -> Any:
        return self

    def ledger(self, key: StreamKey) -> Ledger:
        return self._ledgers[key]

    def live(self, trade_id: int) -> TradeTick:
        tick = make_tick(trade_id)
        assert self.ledger(self._key).accept(tick, 0.0).released == [tick]
        self._trades.append(self._key, tick)
        return tick


class NoHistory:
    """Whoever asks it has a defect."""


class NoLedger:
    def ledger(self, key: StreamKey) -> None:
        return None


async def test_snapshots_of_many_symbols_are_sent_one_by_one_as_the_client_reads() -> None:
    loop_turns, peer, trades = Turns(), Peer(0), RecentTrades(TRADES)
    fanout = loop_turns.fanout([peer])
    mailbox = fanout.open(peer, limit_bytes=LIMIT_BYTES)
    manager = SubscriptionManager(linger_seconds=0.0, clock=loop_turns.clock)
    streams = ClientStreams("", mailbox, manager, trades, fanout, LoopTurns())
    keys = [StreamKey.trades("binance", symbol) for symbol in SYMBOLS]
    for key in keys:
        for trade_id in range(TRADES):
            trades.append(key, make_tick(trade_id, symbol=key.symbol))
    request = SubscribeRequest(None, "binance", "trades", tuple(SYMBOLS), TRADES, {}, None)
    peer.is_asleep = True
    feed: Any = NoLedger()
    streams.want(keys)
    streams.begin(feed, keys, request)
    most, messages = 0, 0
    for _ in range(10 * len(keys)):
        for _ in range(5):
            await asyncio.sleep(0)
            loop_turns.take()
        most = max(most, mailbox.backlog_bytes + len(peer._buffer))
        assert not mailbox.is_closed
        peer.wake()
        mailbox.resume()
        messages += len(read_frames(peer.taken))
        peer.taken, peer.is_asleep = b"", True
    assert messages == 2 * len(keys), "two messages of 500 trades for each symbol"
    assert most < LIMIT_BYTES / 2
    streams.release()


@pytest.mark.parametrize("interval_ms", [None, 250], ids=["all", "latest"])
async def test_a_snapshot_of_all_that_a_long_memory_has_is_sent_in_parts_as_the_client_reads(
    interval_ms: int | None,
) -> None:
    """With `LIVE_FEED_LENGTH=100000`, one snapshot of 20 MB was queued at once (REVIEW A4, D1)."""
    turns, peer, trades = Turns(), Peer(0), RecentTrades(20_000)
    fanout = turns.fanout([peer])
    mailbox = fanout.open(peer, limit_bytes=LIMIT_BYTES)
    manager = SubscriptionManager(linger_seconds=0.0, clock=turns.clock)
    streams = ClientStreams("", mailbox, manager, trades, fanout, LoopTurns())
    key = StreamKey.trades("binance", "BTCUSDT")
    feed = Feed(trades, key)
    for trade_id in range(1, 30_001):
        feed.live(trade_id)
    streams.want([key])
    wanted = SubscribeRequest(None, "binance", "trades", ("BTCUSDT",), 18_000, {}, interval_ms)
    streams.begin(feed.as_feed, [key], wanted)
    most, ids = 0, list[int]()
    live = 3 if interval_ms is None else 1
    while len(ids) < 18_000 + live:
        peer.is_asleep, peer.taken = True, b""
        for _ in range(10):
            await asyncio.sleep(0)
            turns.take()
        most = max(most, mailbox.backlog_bytes + len(peer._buffer))
        assert not mailbox.is_closed
        peer.wake()
        mailbox.resume()
        found = [json.loads(text) for text in read_frames(peer.taken)]
        ids += [trade["id"] for message in found for trade in message.get("data", [message])]
        if len(ids) >= 18_000 and feed.ledger(key).complete_to == 30_000:
            for trade_id in range(30_001, 30_001 + live):
                fanout.publish(key, encode_trade(feed.live(trade_id)), trade_id)
    assert ids == list(range(12_001, 30_001 + live))
    assert most < LIMIT_BYTES
    streams.release()


async def test_a_client_that_asks_again_and_again_costs_no_task_for_each_stream() -> None:
    loop_turns, peer, trades = Turns(), Peer(0), RecentTrades(1)
    mailbox = loop_turns.fanout([peer]).open(peer, limit_bytes=LIMIT_BYTES)
    manager = SubscriptionManager(linger_seconds=0.0, clock=loop_turns.clock)
    streams = ClientStreams("", mailbox, manager, trades, loop_turns.fanout([peer]), LoopTurns())
    keys = [StreamKey.trades("binance", symbol) for symbol in SYMBOLS]
    request = SubscribeRequest(None, "binance", "trades", tuple(SYMBOLS), 1, {}, None)
    feed: Any = NoLedger()
    streams.want(keys)
    mailbox.room.clear()
    before = len(asyncio.all_tasks())
    for _ in range(5):
        streams.begin(feed, keys, request)
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) <= before + 2
    streams.release()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before


@pytest.mark.parametrize("after", [{}, dict.fromkeys(SYMBOLS, 0)], ids=["snapshots", "resumptions"])
async def test_streams_that_wait_to_begin_are_no_work_for_a_garbage_collection(after: dict[str, int]) -> None:
    """Of 14,000 objects that a collection looked at beside attackers, 10,000 were of such streams."""
    loop_turns, peer, trades = Turns(), Peer(0), RecentTrades(1)
    fanout = loop_turns.fanout([peer])
    mailbox = fanout.open(peer, limit_bytes=LIMIT_BYTES)
    manager = SubscriptionManager(linger_seconds=0.0, clock=loop_turns.clock)
    streams = ClientStreams("", mailbox, manager, trades, fanout, LoopTurns())
    keys = [StreamKey.trades("binance", symbol) for symbol in SYMBOLS]
    request = SubscribeRequest(None, "binance", "trades", tuple(SYMBOLS), 1, after, None)
    feed: Any = NoLedger()
    streams.want(keys)
    mailbox.room.clear()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        streams.begin(feed, keys, request)
        made = len(gc.get_objects()) - before
    finally:
        gc.enable()
    assert made < 2 * len(keys)
    streams.release()
    await asyncio.sleep(0)
