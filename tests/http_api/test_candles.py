"""`/api/candles` over real HTTP: what comes from memory, what from the exchange, and what is closed."""

from __future__ import annotations

import csv
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from livemarkets.simulator import Simulator
from tests.support.api import with_digits
from tests.support.app import running_app, settings_for
from tests.support.helpers import WITHOUT_TLS
from tests.ws_markets.test_candles import MINUTE_MS, NOW_MINUTE, World, minutes, row, running

COLUMNS = (
    "exchange,symbol,interval,open_ts,close_ts,open,high,low,close,volume,quote_volume,"
    "taker_buy_volume,trades,first_id,last_id,closed,ts,recv_ts"
)


class Present(World):
    """The same, where the running candle opened 20 s ago and ends in 40 s, whenever a test runs."""

    def __init__(self, world: World) -> None:
        super().__init__(world.exchange, world.app)
        self.shift_ms = int(time.time() * 1000) - 20_000 - NOW_MINUTE * MINUTE_MS

    def ms(self, number: int) -> int:
        """When a candle opens; 0 is the running one."""
        return (NOW_MINUTE + number) * MINUTE_MS + self.shift_ms

    def minutes(self, candles: Sequence[dict[str, Any]]) -> list[tuple[int, bool]]:
        return minutes([each | {"open_ts": each["open_ts"] - self.shift_ms} for each in candles])

    def row(self, number: int) -> list[Any]:
        open_ms, *figures = row(NOW_MINUTE + number)
        figures[5] += self.shift_ms
        return [open_ms + self.shift_ms, *figures]

    def _klines(self, parameters: dict[str, str]) -> Any:
        times = {name: parameters[name] for name in ("startTime", "endTime") if name in parameters}
        shifted = {name: str(int(time_ms) - self.shift_ms) for name, time_ms in times.items()}
        return [self.row(each[0] // MINUTE_MS - NOW_MINUTE) for each in super()._klines(parameters | shifted)]

    async def running_candle(self, trades: int) -> None:
        """Let the exchange tell the running candle."""
        await self.candle(NOW_MINUTE, trades, t=self.ms(0), T=self.ms(1) - 1)


@pytest.fixture
async def world() -> AsyncIterator[Present]:
    async with running() as world:
        yield Present(world)


class Answer:
    """An answer in JSON: where its candles come from, which they are, and which are closed."""

    def __init__(self, world: Present, response: httpx.Response) -> None:
        assert response.status_code == 200, response.text
        body = response.json()
        assert response.headers["livemarkets-source"] == body["source"]
        self.source: str = body["source"]
        self.candles: list[dict[str, Any]] = body["candles"]
        self.minutes = world.minutes(self.candles)


async def candles(world: Present, **parameters: Any) -> Answer:
    parameters = {"symbol": "BTCUSDT", "interval": "1m"} | parameters
    return Answer(world, await world.app.get("/api/candles", **parameters))


def asked(world: Present) -> int:
    """How often the exchange was asked for candles."""
    return sum(call == "klines" for call, _ in world.exchange.calls)


def closed(first: int, last: int) -> list[tuple[int, bool]]:
    return [(number, True) for number in range(first, last + 1)]


async def test_candles_that_nobody_reads_come_from_the_exchange(world: Present) -> None:
    answer = await candles(world, symbol=" btc/usdt ", limit=4)
    assert (answer.source, answer.minutes) == ("exchange", [*closed(-3, -1), (0, False)])
    assert len((await candles(world)).candles) == 100
    assert len((await candles(world, limit=1000)).candles) == 1000
    assert world.app.services.manager.counts() == (0, 0, 0)
    assert not world.exchange.connections


async def test_candles_from_a_time_on_can_be_read_page_by_page(world: Present) -> None:
    found: list[int] = []
    start_ts = world.ms(-1450)
    while True:
        page = await candles(world, start_ts=start_ts, limit=1000)
        if not page.candles:
            break
        found += [number for number, _ in page.minutes]
        start_ts = page.candles[-1]["open_ts"] + 1
    assert found == list(range(-1450, 1))
    until = await candles(world, end_ts=world.ms(-5), limit=3)
    assert [number for number, _ in until.minutes] == [-7, -6, -5]
    both = await candles(world, start_ts=world.ms(-1500), end_ts=world.ms(-1498))
    assert [number for number, _ in both.minutes] == [-1500, -1499, -1498]


async def test_memory_is_not_asked_twice(world: Present) -> None:
    client = await world.app.connect()
    await world.subscribed(client, snapshot=50)
    await world.running_candle(12)
    await client.next("candle", trades=12)
    world.exchange.calls.clear()
    full = await candles(world, limit=20)
    assert (full.source, full.minutes) == ("memory", [*closed(-19, -1), (0, False)])
    assert (full.candles[-1]["trades"], full.candles[-1]["last_id"]) == (12, 10 * NOW_MINUTE + 11)
    some = await candles(world, start_ts=world.ms(-10), limit=3)
    assert (some.source, some.minutes) == ("memory", closed(-10, -8))
    later = await candles(world, start_ts=world.ms(1))
    assert (later.source, later.minutes) == ("memory", [])
    assert asked(world) == 0


async def test_what_memory_lacks_comes_from_the_exchange(world: Present) -> None:
    client = await world.app.connect()
    await world.subscribed(client, snapshot=10)
    await world.running_candle(12)
    await client.next("candle", trades=12)
    both = await candles(world, limit=40)
    assert (both.source, both.minutes) == ("both", [*closed(-39, -1), (0, False)])
    assert both.candles[-1]["trades"] == 12, "memory is ahead of the exchange's answer"
    older = await candles(world, end_ts=world.ms(-30), limit=5)
    assert (older.source, older.minutes) == ("exchange", closed(-34, -30))


async def test_a_candle_that_has_not_ended_is_not_called_closed(world: Present) -> None:
    world.newest = NOW_MINUTE + 3
    answer = await candles(world, limit=6)
    assert answer.minutes == [*closed(-2, -1), *((number, False) for number in range(4))]


async def test_a_fetched_candle_is_called_closed_once_its_figures_can_no_longer_change(
    world: Present,
) -> None:
    def klines(parameters: dict[str, str]) -> list[list[Any]]:
        now_ms = int(time.time() * 1000)
        opens = range(now_ms - 90_000, now_ms - 1000, 1000)
        return [[open_ms, *row(0)[1:6], open_ms + 999, *row(0)[7:]] for open_ms in opens]

    world.exchange.answers["klines"] = klines
    answer = await candles(world, interval="1s")
    ages = [(each["recv_ts"] - each["close_ts"], each["closed"]) for each in answer.candles]
    assert all(is_closed for age_ms, is_closed in ages if age_ms >= 10_000)
    assert not any(is_closed for age_ms, is_closed in ages if age_ms < 5000)
    world.exchange.answers["klines"] = lambda _: [world.row(-30)]
    (last,) = (await candles(world)).candles
    assert last["closed"], "none follows it, but it ended long ago"


async def test_an_impossible_answer_is_as_good_as_none(world: Present) -> None:
    answers = iter(([world.row(0), world.row(-1)], [["x"]], {"code": 0}))
    world.exchange.answers["klines"] = lambda _: next(answers, 500)
    for limit in range(1, 5):  # each is a question of its own
        response = await world.app.get("/api/candles", symbol="BTCUSDT", interval="1m", limit=limit)
        assert (response.status_code, list(response.json())) == (503, ["error"])


async def test_memory_of_a_lost_connection_is_told_only_if_the_exchange_gives_no_answer(
    world: Present,
) -> None:
    client = await world.app.connect()
    await world.subscribed(client, snapshot=5)
    await world.running_candle(12)
    await client.next("candle", trades=12)
    await world.exchange.aclose()
    await client.next("status", state="down")
    answer = await candles(world, limit=100)
    assert (answer.source, answer.minutes[-1]) == ("memory", (0, False))
    older = await world.app.get("/api/candles", symbol="BTCUSDT", interval="1m", start_ts=1)
    assert (older.status_code, list(older.json())) == (503, ["error"])
    assert int(older.headers["retry-after"]) >= 1


async def test_every_format_has_the_same_fields_in_the_same_order(world: Present) -> None:
    client = await world.app.connect()
    await world.subscribed(client, snapshot=5)
    await world.running_candle(12)
    await client.next("candle", trades=12)
    name = {"symbol": "BTCUSDT", "interval": "1m", "limit": 5}
    expected = with_digits((await world.app.get("/api/candles", **name)).text)["candles"]
    assert [",".join(candle) for candle in expected] == [COLUMNS] * 5
    assert expected[0]["open"] == row(0)[1]
    lines = await world.app.get("/api/candles", format="ndjson", **name)
    assert [with_digits(line) for line in lines.text.splitlines()] == expected
    table = await world.app.get("/api/candles", format="csv", **name)
    assert table.text.splitlines()[0] == COLUMNS
    words = {None: "", True: "true", False: "false"}
    assert list(csv.DictReader(table.text.splitlines())) == [
        {key: words.get(value, value) for key, value in candle.items()} for candle in expected
    ]


async def test_what_is_not_listed_or_malformed_is_told(world: Present) -> None:
    response = await world.app.get("/api/candles", symbol="BTCUSD", interval="1m")
    assert (response.status_code, response.json()["did_you_mean"]) == (404, ["BTCUSDT"])
    foreign = await world.app.ask(
        "GET", "/api/candles?symbol=BTCUSDT&interval=1m", {"Sec-Fetch-Site": "cross-site"}
    )
    assert foreign.status_code == 403
    assert asked(world) == 0


async def test_the_figures_are_those_of_the_exchange_for_every_kind_of_symbol(exchange: Simulator) -> None:
    exchange.faults.burst(symbol="SHIBUSDT", trades=20)
    async with (
        running_app(settings_for(exchange)) as app,
        httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False) as client,
    ):
        name: dict[str, Any] = {"symbol": "SHIBUSDT", "interval": "1h", "limit": 3}
        ours = with_digits((await app.get("/api/candles", **name)).text)["candles"]
        theirs = (await client.get(f"{exchange.rest_url}/api/v3/klines", params=name)).json()
        figures = ("open", "high", "low", "close", "volume")
        assert [[candle[figure] for figure in figures] for candle in ours] == [each[1:6] for each in theirs]
        assert ours[0]["open"].startswith("0.0000")
