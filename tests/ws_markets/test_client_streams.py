"""How the streams of one client begin, when there is much to send at once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from livemarkets.feed import turns
from livemarkets.market.models import StreamKey
from livemarkets.market.stores import RecentTrades
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.protocol.requests import SubscribeRequest
from livemarkets.ws_markets.client_streams import ClientStreams
from tests.support.delivery import Peer, Turns, read_frames
from tests.support.ticks import make_tick

SYMBOLS = [f"COIN{number}USDT" for number in range(20)]
TRADES = 1000
LIMIT_BYTES = 1_000_000


class NoLedger:
    def __init__(self) -> None:
        self.resumer = SimpleNamespace(turns=turns.Turns(8))

    def ledger(self, key: StreamKey) -> None:
        return None


async def test_snapshots_of_many_symbols_are_sent_one_by_one_as_the_client_reads() -> None:
    loop_turns, peer, trades = Turns(), Peer(0), RecentTrades(TRADES)
    fanout = loop_turns.fanout([peer])
    mailbox = fanout.open(peer, limit_bytes=LIMIT_BYTES)
    manager = SubscriptionManager(linger_seconds=0.0, clock=loop_turns.clock)
    streams = ClientStreams("", mailbox, manager, trades, fanout)
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


async def test_a_client_that_asks_again_and_again_costs_no_task_for_each_stream() -> None:
    loop_turns, peer, trades = Turns(), Peer(0), RecentTrades(1)
    mailbox = loop_turns.fanout([peer]).open(peer, limit_bytes=LIMIT_BYTES)
    manager = SubscriptionManager(linger_seconds=0.0, clock=loop_turns.clock)
    streams = ClientStreams("", mailbox, manager, trades, loop_turns.fanout([peer]))
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
