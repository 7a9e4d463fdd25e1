"""REST calls against a real exchange, and against answers that no exchange should give."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from decimal import Decimal

import httpx
import pytest

from livemarkets.errors import ExchangeError, ExchangeUnreachable, MalformedMessage, RestError
from livemarkets.exchanges.base import PAGE_TRADES
from livemarkets.exchanges.binance.rest import BinanceRest
from livemarkets.exchanges.outbound import Outbound
from livemarkets.market.clock import Clock, system_clock
from livemarkets.simulator import Simulator
from tests.support.helpers import free_port
from tests.support.upstream import SYMBOLS, exchange, quick_market


@contextlib.asynccontextmanager
async def rest_of(*urls: str | Simulator, clock: Clock | None = None) -> AsyncIterator[BinanceRest]:
    rest = BinanceRest(
        "simulator",
        [url if isinstance(url, str) else url.rest_url for url in urls],
        clock=clock or system_clock(),
    )
    try:
        yield rest
    finally:
        await rest.aclose()
        await rest.aclose()


@pytest.fixture
async def venue() -> AsyncIterator[Simulator]:
    async with exchange(quick_market(history_seconds=60)) as simulator:
        yield simulator


@pytest.fixture
async def rest(venue: Simulator) -> AsyncIterator[BinanceRest]:
    async with rest_of(venue) as rest:
        yield rest


@contextlib.asynccontextmanager
async def answering(status: int, body: bytes, *headers: str) -> AsyncIterator[str]:
    """An HTTP server with one answer to everything."""
    head = "\r\n".join(
        [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close", *headers]
    )

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode("latin-1") + b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


async def newest_id(rest: BinanceRest) -> int:
    return (await rest.newest_ids(["BTCUSDT"]))["BTCUSDT"]


async def test_the_list_of_symbols(rest: BinanceRest) -> None:
    symbols = {info.symbol: info for info in (await rest.symbols()).symbols}
    assert symbols.keys() == set(SYMBOLS)
    bitcoin = symbols["BTCUSDT"]
    assert (bitcoin.base_asset, bitcoin.quote_asset, bitcoin.is_trading) == ("BTC", "USDT", True)
    assert (bitcoin.tick_size, bitcoin.step_size) == (Decimal("0.01"), Decimal("0.00001"))
    assert str(bitcoin.tick_size) == "0.01"


async def test_trades_from_an_id_on(rest: BinanceRest, venue: Simulator) -> None:
    newest = await newest_id(rest)
    fetched = await rest.trades_from("BTCUSDT", newest - 20)
    ids = [tick.id for tick in fetched.ticks]
    assert ids == list(range(newest - 20, ids[-1] + 1))
    assert ids[-1] >= newest
    assert fetched.covered_to == fetched.newest_id == ids[-1]
    tick = fetched.ticks[0]
    assert (tick.exchange, tick.symbol, tick.backfilled) == ("simulator", "BTCUSDT", True)
    (trade,) = venue.source.history("BTCUSDT", venue.now_ms()).since(tick.id, 1)
    assert (int(tick.price * 10**8), int(tick.size * 10**8)) == (trade.price, trade.size)
    assert tick.ts == trade.time_ms
    assert tick.side == ("sell" if trade.buyer_is_maker else "buy")
    assert len(f"{tick.price:f}".partition(".")[2]) == 8


async def test_a_page_is_full_and_proves_no_more_than_it_shows(rest: BinanceRest) -> None:
    newest = await newest_id(rest)
    fetched = await rest.trades_from("BTCUSDT", newest - 3000)
    assert [tick.id for tick in fetched.ticks] == list(range(newest - 3000, newest - 3000 + PAGE_TRADES))
    assert fetched.covered_to == newest - 3000 + PAGE_TRADES - 1


async def test_ids_that_do_not_exist_yet_prove_nothing(rest: BinanceRest) -> None:
    newest = await newest_id(rest)
    fetched = await rest.trades_from("BTCUSDT", newest + 10_000)
    assert (fetched.ticks, fetched.newest_id) == ([], None)
    assert fetched.covered_to < newest + 10_000


async def test_a_hole_of_the_exchange_is_proven(rest: BinanceRest, venue: Simulator) -> None:
    newest = await newest_id(rest)
    venue.faults.hole(symbol="BTCUSDT", count=10)
    venue.faults.burst(symbol="BTCUSDT", trades=5)
    fetched = await rest.trades_from("BTCUSDT", newest)
    ids = [tick.id for tick in fetched.ticks]
    assert len(set(range(ids[0], ids[-1] + 1)) - set(ids)) == 10
    assert fetched.covered_to == ids[-1]


async def test_an_unknown_symbol_is_an_error_with_the_words_of_the_exchange(rest: BinanceRest) -> None:
    for call in (rest.newest_ids(["NOSUCH"]), rest.trades_from("NOSUCH", 1)):
        with pytest.raises(RestError) as caught:
            await call
        assert (caught.value.status, caught.value.code, caught.value.message) == (
            400,
            -1121,
            "Invalid symbol.",
        )


async def test_the_next_address_is_tried_when_one_cannot_be_reached(venue: Simulator) -> None:
    async with rest_of(f"http://127.0.0.1:{free_port()}", venue) as rest:
        assert len((await rest.symbols()).symbols) == len(SYMBOLS)
        assert await newest_id(rest)
        assert (await rest.trades_from("BTCUSDT", 1)).ticks
        assert rest.statistics().failures == 0


@pytest.mark.parametrize("status", [403, 404, 451, 500, 503])
async def test_the_next_address_is_tried_when_one_refuses(venue: Simulator, status: int) -> None:
    async with exchange() as other, rest_of(other, venue) as rest:
        other.faults.rest_down(count=1000, status=status)
        assert len((await rest.symbols()).symbols) == len(SYMBOLS)
        assert (await rest.trades_from("BTCUSDT", 1)).ticks


async def test_an_address_that_cannot_be_reached_is_passed_over_and_costs_no_weight(venue: Simulator) -> None:
    async with rest_of(f"http://127.0.0.1:{free_port()}", venue) as rest:
        for _ in range(3):
            assert await newest_id(rest)
        assert rest.statistics().calls == 4, "the first address was tried once"
        limit = rest.statistics().rate_limit
        assert limit is not None
        assert limit.used == venue.stats()["rest_weight"] == 6


async def test_nobody_listens() -> None:
    async with rest_of(f"http://127.0.0.1:{free_port()}") as rest:
        with pytest.raises(ExchangeUnreachable, match="connection refused"):
            await rest.symbols()
        assert rest.statistics().failures == 1


async def test_cut_without_an_answer_and_back_again(rest: BinanceRest, venue: Simulator) -> None:
    venue.faults.rest_down(count=1)
    with pytest.raises(ExchangeUnreachable):
        await rest.symbols()
    assert len((await rest.symbols()).symbols) == len(SYMBOLS)


@pytest.mark.parametrize("status", [429, 418])
async def test_a_pause_that_the_exchange_asks_for_is_kept(
    rest: BinanceRest, venue: Simulator, status: int
) -> None:
    venue.faults.rest_limit(status=status, retry_after_seconds=1)
    with pytest.raises(ExchangeUnreachable) as caught:
        await rest.symbols()
    assert caught.value.retry_after_seconds == 1
    began = time.monotonic()
    assert len((await rest.symbols()).symbols) == len(SYMBOLS), "it waits for the end of a short pause"
    assert time.monotonic() - began > 0.9


async def test_a_pause_that_is_too_long_to_wait_for_is_told_at_once(
    rest: BinanceRest, venue: Simulator
) -> None:
    venue.faults.rest_limit(retry_after_seconds=600)
    for _ in range(2):
        with pytest.raises(ExchangeUnreachable) as caught:
            await newest_id(rest)
        assert 590 < (caught.value.retry_after_seconds or 0) <= 600
    assert sum(venue.stats()["rest_calls"].values()) == 1, "not asked again"


async def test_a_pause_holds_for_every_address(venue: Simulator) -> None:
    """The exchange limits who asks, not what is asked: going on elsewhere would lead to a ban."""
    async with exchange() as other, rest_of(venue, other) as rest:
        venue.faults.rest_limit(retry_after_seconds=5)
        with pytest.raises(ExchangeUnreachable) as caught:
            await rest.symbols()
        assert caught.value.retry_after_seconds == 5
        assert other.stats()["rest_calls"] == {}


async def test_the_weight_is_counted_as_the_exchange_does(rest: BinanceRest, venue: Simulator) -> None:
    await rest.symbols()
    await newest_id(rest)
    await rest.trades_from("BTCUSDT", 1)
    limit = rest.statistics().rate_limit
    assert limit is not None
    assert limit.used == limit.counted == venue.stats()["rest_weight"] == 47
    assert limit.usable == 5400, "nine tenths of what the exchange announced"
    assert rest.statistics().calls == 3


TRADE = {
    "id": 7,
    "price": "4.00000100",
    "qty": "12.00000000",
    "quoteQty": "48",
    "time": 1499865549590,
    "isBuyerMaker": True,
}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>no</html>",
        b"{",
        b"null",
        b"42",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"symbols":5}',
        b'{"symbols":[{}]}',
        b'[{"id":"7"}]',
        json.dumps([{**TRADE, "price": None}]).encode(),
        json.dumps([{**TRADE, "price": "1,5"}]).encode(),
        json.dumps([{**TRADE, "isBuyerMaker": "yes"}]).encode(),
        json.dumps([TRADE, None]).encode(),
    ],
)
async def test_answers_that_make_no_sense(body: bytes) -> None:
    async with answering(200, body) as url, rest_of(url) as rest:
        with pytest.raises(MalformedMessage):
            await rest.symbols()
        with pytest.raises(MalformedMessage):
            await rest.trades_from("BTCUSDT", 1)
        with pytest.raises(MalformedMessage):
            await newest_id(rest)


async def test_an_address_that_makes_no_sense_is_passed_over(venue: Simulator) -> None:
    async with answering(200, b"<html>Welcome to our Wi-Fi</html>") as portal, rest_of(portal, venue) as rest:
        assert len((await rest.symbols()).symbols) == len(SYMBOLS)


@pytest.mark.parametrize("change", [{"price": "NaN"}, {"price": "-1"}, {"qty": "0"}, {"price": "1e400"}])
async def test_a_trade_beyond_reason_is_left_out(change: dict[str, str]) -> None:
    body = json.dumps([TRADE, {**TRADE, "id": 8, **change}, {**TRADE, "id": 9}]).encode()
    async with answering(200, body) as url, rest_of(url) as rest:
        fetched = await rest.trades_from("BTCUSDT", 7)
        assert [tick.id for tick in fetched.ticks] == [7, 9]


@pytest.mark.parametrize(
    ("status", "body", "header"),
    [
        (400, b'{"code":-1100,"msg":"no"}', "X: 1"),
        (400, b"[1,2]", "X: 1"),
        (400, b'"no"', "X: 1"),
        (400, b"", "X: 1"),
        (400, b"\xff\xff", "X: 1"),
        (301, b"", "Location: http://127.0.0.1:9/"),
        (204, b"", "X: 1"),
        (502, b"<html>", "X: 1"),
        (429, b"", "Retry-After: soon"),
        (429, b"", "Retry-After: ²"),
        (418, b"", "X: 1"),
    ],
)
async def test_odd_refusals_are_errors_like_others(status: int, body: bytes, header: str) -> None:
    async with answering(status, body, header) as url, rest_of(url) as rest:
        with pytest.raises(ExchangeError):
            await rest.symbols()
        assert rest.statistics().failures >= 1


async def test_without_history_the_newest_trades_are_asked_for() -> None:
    """Some addresses do not serve `historicalTrades`; their newest trades prove only what lies within."""
    calls: list[str] = []
    trades = json.dumps([{**TRADE, "id": trade_id} for trade_id in range(100, 110)]).encode()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode().partition("?")[0]
        calls.append(path.rpartition("/")[2])
        found = not path.endswith("historicalTrades")
        body = trades if found else b"{}"
        writer.write(
            b"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            % (200 if found else 404, len(body))
        )
        writer.write(body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server, rest_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as rest:
        inside = await rest.trades_from("BTCUSDT", 105)
        assert ([tick.id for tick in inside.ticks], inside.covered_to) == ([105, 106, 107, 108, 109], 109)
        before = await rest.trades_from("BTCUSDT", 50)
        assert len(before.ticks) == 10
        assert before.covered_to < 50
        assert before.newest_id == 109
    assert calls == ["historicalTrades", "trades", "trades"]


async def test_an_address_without_history_does_not_spoil_one_that_has_it(venue: Simulator) -> None:
    """Nor does one that could not be reached just then count as one without history."""
    async with answering(404, b"{}") as bare, rest_of(venue, bare) as rest:
        venue.faults.rest_down(count=1)
        with contextlib.suppress(ExchangeError):
            await rest.trades_from("BTCUSDT", 1)
        fetched = await rest.trades_from("BTCUSDT", 1)
        assert fetched.ticks
        assert venue.stats()["rest_calls"]["/api/v3/historicalTrades"] >= 1
        assert fetched.covered_to >= 1, "the history proves from the id asked for on"


async def test_an_error_that_no_library_names_costs_the_call_alone(
    rest: BinanceRest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        async def fail(*_: object, **__: object) -> httpx.Response:
            raise UnicodeError("a defect of a library, on purpose")

        patch.setattr(httpx.AsyncClient, "send", fail)
        with pytest.raises(ExchangeUnreachable, match="UnicodeError: a defect of a library"):
            await rest.symbols()
    assert (await rest.symbols()).symbols


class _FirstClientFails(Outbound):
    """A way out whose first HTTP client cannot be made: its library dislikes something in the environment."""

    has_failed = False

    def http_client(self, *, timeout_seconds: float) -> httpx.AsyncClient:
        if not self.has_failed:
            self.has_failed = True
            raise ImportError("no library for this proxy, on purpose")
        return super().http_client(timeout_seconds=timeout_seconds)


async def test_a_client_that_cannot_be_made_costs_the_call_alone(venue: Simulator) -> None:
    """REVIEW B4: such an error tore down the streams of the exchange every second."""
    rest = BinanceRest("simulator", [venue.rest_url], clock=system_clock(), outbound=_FirstClientFails())
    try:
        with pytest.raises(ExchangeUnreachable, match="ImportError: no library for this proxy"):
            await rest.symbols()
        assert (await rest.symbols()).symbols
    finally:
        await rest.aclose()
