"""Who comes late gets what an ingest has in memory; every channel and every question passes the bus."""

from __future__ import annotations

from typing import Any

from livemarkets.market.models import StreamKey
from tests.support.app import quiet_market
from tests.support.bus import running_cluster
from tests.support.helpers import eventually
from tests.support.markets_client import missing_ids

BTC = StreamKey.trades("binance", "BTCUSDT")


async def test_every_channel_and_every_question_passes_the_bus() -> None:
    async with running_cluster() as cluster:
        edge = cluster.edge
        client = await edge.connect()
        fields: list[dict[str, Any]] = [
            {"channel": "tickers", "symbols": ["BTCUSDT"]},
            {"channel": "tickers", "symbols": "*"},
            {"channel": "book", "symbols": ["BTCUSDT"]},
            {"channel": "depth", "symbols": ["BTCUSDT"], "levels": 5},
            {"channel": "candles", "symbols": ["BTCUSDT"], "interval": "1s", "snapshot": 3},
        ]
        for each in fields:
            await client.send(type="subscribe", exchange="binance", **each)
        wanted = {"ticker", "tickers", "book", "depth", "candle", "closed"}
        snapshots: dict[str, Any] = {}
        while wanted:
            message = await client.receive(20)
            wanted.discard(message["type"])
            if message["type"] == "candle" and message["closed"]:
                wanted.discard("closed")
            if message["type"] == "snapshot":
                snapshots[f"{message['channel']} {message['symbol']}"] = message["data"]
        assert len(snapshots["candles BTCUSDT"]) >= 3
        questions: list[tuple[str, dict[str, Any]]] = [
            ("symbols", {"q": "BTC"}),
            ("trades", {"symbol": "SOLUSDT", "limit": 5}),
            ("candles", {"symbol": "BTCUSDT", "interval": "1m", "limit": 5}),
            ("tickers", {"symbols": "BTCUSDT"}),
            ("book", {"symbols": "ETHUSDT"}),
            ("depth", {"symbol": "ETHUSDT"}),
        ]
        for name, parameters in questions:
            answer = await edge.get(f"/api/{name}", exchange="binance", **parameters)
            assert answer.status_code == 200, answer.text
            assert answer.json()[name], name
        unknown = await edge.get("/api/trades", exchange="binance", symbol="NOSUCHUSDT")
        assert unknown.status_code == 404
        # Another edge gets the state of quiet channels at once, from the memory of the ingest.
        await cluster.add("edge")
        late = await cluster.edges[1].connect()
        await late.send(type="subscribe", exchange="binance", channel="tickers", symbols=["BTCUSDT"])
        snapshot = await late.next("snapshot", 20, channel="tickers")
        assert snapshot["data"][0]["symbol"] == "BTCUSDT"


async def test_a_late_edge_begins_with_the_recent_trades_of_the_ingest() -> None:
    async with running_cluster(quiet_market("BTCUSDT")) as cluster:
        client = await cluster.edge.connect()
        await client.subscribe("BTCUSDT", snapshot=0)
        await cluster.exchange_has("btcusdt@trade")
        cluster.exchange.faults.burst(symbol="BTCUSDT", trades=30)
        early = [trade["id"] for trade in await client.trades(30)]
        await cluster.add("edge")
        services = cluster.edges[1].services
        late = await cluster.edges[1].connect()
        await late.subscribe("BTCUSDT", snapshot=0)
        await eventually(lambda: services.trades.count(BTC) == 30, 20)
        assert [tick.id for tick in services.trades.recent(BTC, 100)] == early
        cluster.exchange.faults.burst(symbol="BTCUSDT", trades=3)
        ids = [trade["id"] for trade in await late.trades(3)]
        assert missing_ids([early[-1], *ids]) == []
        later = await cluster.edges[1].connect()
        await later.subscribe("BTCUSDT", snapshot=100)
        snapshot = await later.next("snapshot")
        assert [trade["id"] for trade in snapshot["data"]] == [*early, *ids]
