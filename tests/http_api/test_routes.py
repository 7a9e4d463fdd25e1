"""Metrics and the API over real HTTP."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from livemarkets.simulator import Simulator
from tests.support.api import filled, tick_of, with_digits
from tests.support.app import RunningApp, running_app, settings_for


@pytest.fixture
async def app(exchange: Simulator) -> AsyncIterator[RunningApp]:
    async with running_app(settings_for(exchange, feed_length=200)) as app:
        yield app


async def test_metrics_can_be_parsed_and_count_what_happened(app: RunningApp, exchange: Simulator) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT")
    await client.next("status", state="live")
    exchange.faults.burst(symbol="BTCUSDT", trades=25)
    await client.trades(25)
    response = await app.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }
    assert values["livemarkets_trades_received_total", "binance"] == 25
    assert values["livemarkets_deliveries_total",] == 25
    assert values["livemarkets_clients",] == 1
    assert values["livemarkets_streams_wanted", "binance"] == 1
    assert values["livemarkets_exchange_state", "binance", "live"] == 1
    assert values["livemarkets_exchange_state", "simulator", "idle"] == 1


async def test_symbols_are_found_as_a_person_types_them(app: RunningApp) -> None:
    body = (await app.get("/api/symbols", q="btc/usdt")).json()
    assert (body["exchange"], body["known"]) == ("binance", 5)
    assert body["symbols"][0] == {
        "symbol": "BTCUSDT",
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "tick_size": "0.01",
        "step_size": "0.00001",
        "is_trading": True,
        "status": "TRADING",
    }
    names = [symbol["symbol"] for symbol in (await app.get("/api/symbols")).json()["symbols"]]
    assert sorted(names) == ["BTCUSDT", "ETHBTC", "ETHUSDT", "SHIBUSDT", "SOLUSDT"]
    assert len((await app.get("/api/symbols", limit=2)).json()["symbols"]) == 2
    assert (await app.get("/api/symbols", q="nothing like it")).json()["symbols"] == []
    simulated = (await app.get("/api/symbols", exchange="simulator", q="doge")).json()
    assert simulated["symbols"][0]["symbol"] == "DOGEUSDT"


async def test_the_latest_tick_keeps_its_digits(app: RunningApp, exchange: Simulator) -> None:
    await filled(app, exchange, "SHIBUSDT", 5)
    response = await app.get("/api/latest", symbols="shibusdt,NOPE, ,btcusdt")
    body = with_digits(response.text)
    assert body["exchange"] == "binance"
    (tick,) = body["ticks"]
    assert int(tick.pop("recv_ts")) > 0
    assert tick == tick_of(exchange, "SHIBUSDT", -1)
    assert tick["price"].startswith("0.0000")
    everything = with_digits((await app.get("/api/latest")).text)
    assert [tick["symbol"] for tick in everything["ticks"]] == ["SHIBUSDT"]


async def test_trades_are_the_newest_oldest_first(app: RunningApp, exchange: Simulator) -> None:
    await filled(app, exchange, "BTCUSDT", 250)
    for parameters, count in (({}, 100), ({"limit": 3}, 3), ({"limit": 200}, 200)):
        body = with_digits((await app.get("/api/trades", symbol=" btcusdt ", **parameters)).text)
        assert (body["exchange"], body["symbol"]) == ("binance", "BTCUSDT")
        ticks = [{name: tick[name] for name in tick if name != "recv_ts"} for tick in body["trades"]]
        assert ticks == [tick_of(exchange, "BTCUSDT", at) for at in range(-count, 0)]


async def test_asking_subscribes_to_nothing(app: RunningApp, exchange: Simulator) -> None:
    assert (await app.get("/api/trades", symbol="BTCUSDT")).json()["trades"] == []
    assert (await app.get("/api/latest", symbols="BTCUSDT")).json()["ticks"] == []
    assert app.services.manager.counts() == (0, 0, 0)
    assert exchange.stats()["connects"] == 0


BAD_QUERIES: list[tuple[str, dict[str, str], str]] = [
    ("/api/symbols", {"exchange": "nyse"}, "binance, simulator"),
    ("/api/symbols", {"exchange": ""}, "binance, simulator"),
    ("/api/symbols", {"limit": "0"}, "1 to 5000"),
    ("/api/symbols", {"limit": "5001"}, "1 to 5000"),
    ("/api/symbols", {"limit": "ten"}, "1 to 5000"),
    ("/api/symbols", {"limit": "1.5"}, "1 to 5000"),
    ("/api/symbols", {"limit": "1" * 5000}, "1 to 5000"),
    ("/api/symbols", {"limit": "٣"}, "1 to 5000"),
    ("/api/symbols", {"q": "x" * 65}, "64 characters and 5 words"),
    ("/api/symbols", {"q": "a b c d e f"}, "64 characters and 5 words"),
    ("/api/symbols", {"q": " ".join("u" * 15_000)}, "64 characters and 5 words"),
    ("/api/latest", {"symbols": ",".join(f"A{number}" for number in range(1001))}, "at most 1000 names"),
    ("/api/latest", {"exchange": "BINANCE"}, "binance, simulator"),
    ("/api/trades", {}, "symbol"),
    ("/api/trades", {"symbol": " "}, "symbol"),
    ("/api/trades", {"symbol": "BTCUSDT", "limit": "1001"}, "1 to 1000"),
    ("/api/trades", {"symbol": "BTCUSDT", "limit": "-1"}, "1 to 1000"),
    ("/api/trades", {"symbol": "BTCUSDT", "from_id": "-1"}, "0 to 9223372036854775807"),
    ("/api/trades", {"symbol": "BTCUSDT", "from_id": "9223372036854775808"}, "0 to 9223372036854775807"),
    ("/api/trades", {"symbol": "BTCUSDT", "from_id": "1" * 5000}, "0 to 9223372036854775807"),
    ("/api/trades", {"symbol": "BTCUSDT", "from_id": "newest"}, "a trade id"),
    ("/api/trades", {"symbol": "BTCUSDT", "format": "xml"}, "json, csv, ndjson"),
    ("/api/trades", {"symbol": "BTCUSDT,ETHUSDT"}, "one symbol, not 2"),
    ("/api/trades", {"symbol": "BTC+USDT"}, "2 to 64 letters and digits"),
    ("/api/latest", {"format": "CSV"}, "json, csv, ndjson"),
    ("/api/symbols", {"format": ""}, "json, csv, ndjson"),
    ("/api/trades", {"symbol": "BTCUSDT", "exchange": "<b>"}, "binance, simulator"),
    ("/api/tickers", {"exchange": "nyse"}, "binance, simulator"),
    ("/api/tickers", {"symbols": "*"}, "2 to 64 letters and digits"),
    ("/api/tickers", {"symbols": ",".join(f"A{number}" for number in range(101))}, "at most 100 names"),
    ("/api/tickers", {"format": "xml"}, "json, csv, ndjson"),
    ("/api/book", {}, "symbols is missing"),
    ("/api/book", {"symbols": ",".join(f"A{number}" for number in range(101))}, "at most 100 names"),
    ("/api/depth", {}, "symbol"),
    ("/api/depth", {"symbol": "BTCUSDT,ETHUSDT"}, "one symbol, not 2"),
    ("/api/depth", {"symbol": "BTCUSDT", "levels": "7"}, "5, 10, 20"),
    ("/api/depth", {"symbol": "BTCUSDT", "levels": ""}, "5, 10, 20"),
    ("/api/candles", {"interval": "1m"}, "symbol"),
    ("/api/candles", {"symbol": "BTCUSDT"}, "1s, 1m, 3m"),
    ("/api/candles", {"symbol": "BTCUSDT", "interval": "1H"}, "1w, 1M"),
    ("/api/candles", {"symbol": "BTCUSDT", "interval": "1m", "limit": "1001"}, "1 to 1000"),
    ("/api/candles", {"symbol": "BTCUSDT", "interval": "1m", "start_ts": "now"}, "ms since 1970"),
    ("/api/candles", {"symbol": "BTCUSDT", "interval": "1m", "end_ts": "9" * 15}, "253402300799999"),
    ("/api/candles", {"symbol": "BTCUSDT", "interval": "1m", "start_ts": "2", "end_ts": "1"}, "not be after"),
]


async def test_a_bad_query_is_told_what_is_right(app: RunningApp) -> None:
    for path, parameters, words in BAD_QUERIES:
        response = await app.get(path, **parameters)
        assert response.status_code == 400, (path, parameters)
        assert response.headers["content-type"] == "application/json"
        assert words in response.json()["error"]


async def test_odd_queries_are_malformed_and_a_search_finds_nothing(app: RunningApp) -> None:
    for symbol in ("'; DROP TABLE trades; --", "<script>", "🚀", "x" * 3000, "\x00"):
        for path, name in (("/api/trades", "symbol"), ("/api/latest", "symbols")):
            response = await app.get(path, **{name: symbol})
            assert (response.status_code, list(response.json())) == (400, ["error"])
        assert (await app.get("/api/symbols", q=symbol[:64])).status_code == 200


async def test_an_unlisted_symbol_is_not_found_and_similar_ones_are_suggested(
    app: RunningApp, exchange: Simulator
) -> None:
    for path, name in (("/api/trades", "symbol"), ("/api/latest", "symbols")):
        for asked, shown, similar in (
            ("btc/usdtt", "BTCUSDTT", ["BTCUSDT"]),
            ("BTCUSD", "BTCUSD", ["BTCUSDT"]),
            ("QQQQQQ", "QQQQQQ", []),
        ):
            response = await app.get(path, **{name: asked})
            body = response.json()
            assert (response.status_code, body["did_you_mean"]) == (404, similar)
            assert f"binance does not list {shown}" in body["error"]
    several = await app.get("/api/latest", symbols="QQQQQQ,RRRRRR")
    assert (several.status_code, several.json()["ticks"]) == (200, [])
    calls = exchange.stats()["rest_calls"]
    assert set(calls) <= {"/api/v3/exchangeInfo", "exchangeInfo"}, "no trades are asked for"


async def test_lists_can_be_had_as_csv_and_as_lines(app: RunningApp, exchange: Simulator) -> None:
    await filled(app, exchange, "SHIBUSDT", 3)
    as_json = with_digits((await app.get("/api/latest")).text)["ticks"]
    as_csv = await app.get("/api/latest", format="csv")
    assert as_csv.headers["content-type"].startswith("text/csv")
    assert list(csv.DictReader(as_csv.text.splitlines())) == as_json
    lines = await app.get("/api/latest", format="ndjson")
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert [with_digits(line) for line in lines.text.splitlines()] == as_json
    symbols = (await app.get("/api/symbols", format="csv", q="shib")).text
    names, row = symbols.splitlines()
    assert names == "symbol,base_asset,quote_asset,tick_size,step_size,is_trading,status"
    assert row.startswith("SHIBUSDT,SHIB,USDT,0.0")
    assert row.endswith(",true,TRADING")
