"""Trades go from an exchange through an ingest, a real NATS server and an edge to readers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from livemarkets.market.models import StreamKey
from tests.support.bus import Cluster, running_cluster
from tests.support.helpers import eventually
from tests.support.markets_client import missing_ids

BTC, ETH = StreamKey.trades("binance", "BTCUSDT"), StreamKey.trades("binance", "ETHUSDT")


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with running_cluster() as cluster:
        yield cluster


async def test_trades_reach_a_reader_of_an_edge_and_go_on_where_it_left_off(cluster: Cluster) -> None:
    edge = cluster.edge
    client = await edge.connect()
    reply = await client.subscribe("BTCUSDT", "ETHUSDT", snapshot=0)
    assert [result["ok"] for result in reply["results"]] == [True, True]
    trades = await client.trades(60)
    last: dict[str, int] = {}
    for symbol in ("BTCUSDT", "ETHUSDT"):
        ids = [trade["id"] for trade in trades if trade["symbol"] == symbol]
        assert ids, symbol
        assert missing_ids(ids) == []
        last[symbol] = ids[-1]
    await client.socket.close()
    again = await edge.connect()
    await again.subscribe("BTCUSDT", snapshot=0, after={"BTCUSDT": last["BTCUSDT"] - 5})
    snapshot = await again.next("snapshot", 10, symbol="BTCUSDT")
    assert snapshot["data"][0]["id"] == last["BTCUSDT"] - 4


async def test_an_ingest_subscribes_what_edges_want_and_only_for_so_long(cluster: Cluster) -> None:
    ingest, edge = cluster.ingest.services, cluster.edge
    client = await edge.connect()
    await client.subscribe("BTCUSDT")
    await eventually(lambda: ingest.manager.wanted("binance") == {BTC}, 10)
    await client.subscribe("ETHUSDT")
    await eventually(lambda: ingest.manager.wanted("binance") == {BTC, ETH}, 10)
    await client.unsubscribe("BTCUSDT", "ETHUSDT")
    await eventually(lambda: ingest.manager.wanted("binance") == set(), 10)
