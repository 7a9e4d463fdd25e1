"""REST that is slow, banned, behind a firewall, behind the stream, or not the exchange at all."""

import asyncio
import contextlib
import gzip
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

import pytest
from loguru import logger

from livemarkets.errors import ExchangeError, ExchangeUnreachable, MalformedMessage, RestError
from livemarkets.exchanges.base import FetchedTrades
from livemarkets.exchanges.binance import rest_calls
from livemarkets.exchanges.binance.rest import BinanceRest
from livemarkets.market.clock import Clock, system_clock
from tests.support.rest_server import TRADE, Call, Reply, RestServer, rest_server, trades

HTML = b"<html><script>alert('You have been blocked')</script></html>"
NOW_MS = 1_732_600_000_000


class Ticking:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._began = time.monotonic()

    @property
    def clock(self) -> Clock:
        return Clock(
            lambda: time.monotonic() + self.ahead,
            lambda: NOW_MS + round((time.monotonic() - self._began + self.ahead) * 1000),
        )


@contextlib.asynccontextmanager
async def rest_of(*servers: RestServer, clock: Clock | None = None) -> AsyncIterator[BinanceRest]:
    rest = BinanceRest("binance", [one.url for one in servers], clock=clock or system_clock())
    try:
        yield rest
    finally:
        await rest.aclose()


@contextlib.contextmanager
def log_lines() -> Any:
    """The lines that are logged meanwhile, from INFO on."""
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), level="INFO")
    try:
        yield lines
    finally:
        logger.remove(sink)


def healthy(call: Call) -> Reply:
    """The symbol has the trades 1 to 5,000."""
    newest = 5000
    if call.name == "ticker/24hr":
        names = call.parameters.get("symbols", "BTCUSDT ETHUSDT XRPUSDT")
        known = [name for name in ("BTCUSDT", "ETHUSDT", "XRPUSDT") if name in names]
        return Reply(200, [{"symbol": name, "lastId": newest, "count": 9} for name in known])
    if call.name == "historicalTrades":
        first = int(call.parameters["fromId"])
        return Reply(200, trades(first, min(first + 999, newest)))
    if call.name == "trades":
        return Reply(200, trades(newest - 999, newest))
    if call.name == "aggTrades":
        return Reply(200, [{"a": 1, "f": newest, "l": newest}])
    return Reply(404, b"{}")


def ids(fetched: FetchedTrades) -> list[int]:
    return sorted(tick.id for tick in fetched.ticks)


# The newest ids


async def test_one_call_answers_for_all_symbols() -> None:
    async with rest_server(healthy) as server, rest_of(server) as rest:
        assert await rest.newest_ids(["BTCUSDT", "ETHUSDT"]) == {"BTCUSDT": 5000, "ETHUSDT": 5000}
        (call,) = server.calls
        assert call.parameters == {"symbols": '["BTCUSDT","ETHUSDT"]', "type": "MINI"}


@pytest.mark.parametrize(
    ("symbols", "weight", "is_listed"), [(20, 2, True), (100, 40, True), (101, 80, False)]
)
async def test_the_weight_of_the_question(symbols: int, weight: int, is_listed: bool) -> None:
    async with rest_server(lambda call: Reply(200, [])) as server, rest_of(server) as rest:
        assert await rest.newest_ids([f"A{number}USDT" for number in range(symbols)]) == {}
        assert ("symbols" in server.calls[0].parameters) is is_listed
        limit = rest.statistics().rate_limit
        assert limit is not None
        assert limit.used == weight


@pytest.mark.parametrize("entry", [{"lastId": -1, "count": 0}, {"lastId": 0, "count": 0}, {"lastId": None}])
async def test_a_symbol_without_trades_is_left_out(entry: dict[str, Any]) -> None:
    answer = [{"symbol": "BTCUSDT", "lastId": 7, "count": 1}, {"symbol": "ETHUSDT", **entry}]
    async with rest_server(lambda call: Reply(200, answer)) as server, rest_of(server) as rest:
        assert await rest.newest_ids(["BTCUSDT", "ETHUSDT"]) == {"BTCUSDT": 7}


async def test_one_unknown_symbol_does_not_cost_the_others_their_answer() -> None:
    def answer(call: Call) -> Reply:
        if "NOSUCH" in call.parameters.get("symbols", ""):
            return Reply(400, {"code": -1121, "msg": "Invalid symbol."})
        return healthy(call)

    async with rest_server(answer) as server, rest_of(server) as rest:
        assert await rest.newest_ids(["BTCUSDT", "NOSUCH"]) == {"BTCUSDT": 5000}
        assert len(server.calls) == 2, "then all are asked for at once"


async def test_without_day_tickers_each_symbol_is_asked_for() -> None:
    def answer(call: Call) -> Reply:
        if call.name == "ticker/24hr":
            return Reply(404, b"{}")
        if call.symbol == "NOSUCH":
            return Reply(400, {"code": -1121, "msg": "Invalid symbol."})
        return healthy(call)

    async with rest_server(answer) as server, rest_of(server) as rest:
        for _ in range(2):
            found = await rest.newest_ids(["BTCUSDT", "ETHUSDT", "NOSUCH"])
            assert found == {"BTCUSDT": 5000, "ETHUSDT": 5000}
        assert server.count("ticker/24hr") == 1
        assert server.count("aggTrades") == 6


# Trades: memory first


async def test_a_hole_among_the_newest_trades_is_filled_from_memory() -> None:
    """The database is 30 s behind: it does not have them yet."""

    def answer(call: Call) -> Reply:
        return Reply(200, b"[]") if call.name == "historicalTrades" else healthy(call)

    async with rest_server(answer) as server, rest_of(server) as rest:
        fetched = await rest.trades_from("BTCUSDT", 4990, newest_known=5000)
        assert ids(fetched) == list(range(4990, 5001))
        assert (fetched.covered_to, fetched.reaches_newest) == (5000, True)
        assert [call.name for call in server.calls] == ["trades"]


async def test_an_older_hole_is_filled_from_the_database() -> None:
    async with rest_server(healthy) as server, rest_of(server) as rest:
        fetched = await rest.trades_from("BTCUSDT", 100, newest_known=5000)
        assert ids(fetched)[:2] == [100, 101]
        assert [call.name for call in server.calls] == ["historicalTrades"]


async def test_where_memory_does_not_reach_back_the_database_is_asked_too() -> None:
    async with rest_server(healthy) as server, rest_of(server) as rest:
        fetched = await rest.trades_from("BTCUSDT", 3900, newest_known=4500)
        assert ids(fetched) == list(range(3900, 4900))
        assert [call.name for call in server.calls] == ["trades", "historicalTrades"]


@pytest.mark.parametrize("newest", [1000, 4989, 4990])
async def test_where_memory_lacks_what_the_stream_has_shown_the_database_is_asked_too(newest: int) -> None:
    """A replica, or another program in the exchange's place, may be behind with either of them.

    4990 is the id before the hole: it is asked for as a proof.
    """

    def answer(call: Call) -> Reply:
        return Reply(200, trades(newest - 999, newest)) if call.name == "trades" else healthy(call)

    async with rest_server(answer) as server, rest_of(server) as rest:
        fetched = await rest.trades_from("BTCUSDT", 4990, newest_known=5000)
        assert ids(fetched) == list(range(4990, 5001))
        assert [call.name for call in server.calls] == ["trades", "historicalTrades"]


async def test_without_history_memory_is_asked_once() -> None:
    def answer(call: Call) -> Reply:
        return Reply(404, b"{}") if call.name == "historicalTrades" else healthy(call)

    async with rest_server(answer) as server, rest_of(server) as rest:
        for _ in range(2):
            fetched = await rest.trades_from("BTCUSDT", 3900, newest_known=4500)
            assert ids(fetched) == list(range(4001, 5001))
            assert fetched.covered_to < 3900, "it proves nothing"
        assert server.count("trades") == 2
        assert server.count("historicalTrades") == 1


@pytest.mark.parametrize("moment", [1_499_865_549_590_000, 9, -1, 4_133_980_800_001])
async def test_an_impossible_time_is_never_guessed(moment: int) -> None:
    def answer(call: Call) -> Reply:
        return Reply(200, [{**TRADE, "time": moment}, {**TRADE, "id": 8, "time": moment}])

    async with rest_server(answer) as odd, rest_server(healthy) as good:
        async with rest_of(odd) as rest:
            with pytest.raises(MalformedMessage, match="impossible time"):
                await rest.trades_from("BTCUSDT", 7)
            with pytest.raises(MalformedMessage, match="impossible time"):
                await rest.trades_from("BTCUSDT", 7, newest_known=8)
            assert rest.statistics().failures == 3
        async with rest_of(odd, good) as rest:
            assert ids(await rest.trades_from("BTCUSDT", 100)) == list(range(100, 1100))


async def test_invalid_trades_are_told_by_id() -> None:
    body = [TRADE, {**TRADE, "id": 8, "price": "0.00000000"}, {**TRADE, "id": 9}]
    body += [{**TRADE, "id": 10, "time": -1}, {**TRADE, "id": 11, "time": 1_499_865_549_590_000}]
    async with rest_server(lambda call: Reply(200, body)) as server, rest_of(server) as rest:
        fetched = await rest.trades_from("BTCUSDT", 7)
        assert ids(fetched) == [7, 9]
        assert sorted(fetched.invalid_ids) == [8, 10, 11]


# What an address does not serve


async def test_a_call_that_is_not_served_is_tried_again_after_a_while() -> None:
    """REVIEW B6: one 404 from a proxy in a bad minute switched the call off until the end of the process."""
    bad = True

    def answer(call: Call) -> Reply:
        return Reply(404, HTML) if bad and call.name == "historicalTrades" else healthy(call)

    time_of = Ticking()
    async with rest_server(answer) as server, rest_of(server, clock=time_of.clock) as rest:
        assert (await rest.trades_from("BTCUSDT", 100)).covered_to < 100
        bad = False
        assert (await rest.trades_from("BTCUSDT", 100)).covered_to < 100
        assert server.count("historicalTrades") == 1
        time_of.ahead = 31.0
        assert (await rest.trades_from("BTCUSDT", 100)).covered_to == 1099


async def test_a_firewall_that_refuses_one_symbol_costs_that_symbol_alone() -> None:
    """FIELD-2, experiment 9: the name of a symbol contains a word of SQL."""

    def answer(call: Call) -> Reply:
        return Reply(403, HTML) if call.symbol == "UNIONUSDT" else healthy(call)

    async with rest_server(answer) as server, rest_of(server) as rest:
        with log_lines() as lines:
            for _ in range(3):
                with pytest.raises(RestError) as caught:
                    await rest.trades_from("UNIONUSDT", 100)
                assert "firewall" in str(caught.value)
                assert "html" not in str(caught.value)
                assert (await rest.trades_from("BTCUSDT", 100)).covered_to == 1099
        assert sum(call.symbol == "UNIONUSDT" for call in server.calls) == 2, "each call once, then it rests"
        assert not [line for line in lines if "html" in line]


async def test_a_firewall_that_refuses_a_call_is_left_alone_for_a_while() -> None:
    def answer(call: Call) -> Reply:
        return Reply(403, HTML) if call.name == "historicalTrades" else healthy(call)

    async with rest_server(answer) as server, rest_of(server) as rest:
        for symbol in ("A", "B", "C", "D", "E"):
            assert (await rest.trades_from(symbol, 100)).covered_to < 100
        assert server.count("historicalTrades") == 3
        assert server.count("trades") == 5


# Answers that are none


def truncated() -> Reply:
    body = gzip.compress(trades(1, 1000))
    return Reply(200, body[: len(body) // 2], "Content-Encoding: gzip")


ODD = {
    "200 with HTML": Reply(200, HTML, "Content-Type: text/html"),
    "403 with HTML": Reply(403, HTML),
    "451": Reply(451, HTML),
    "503 with HTML": Reply(503, HTML),
    "503 busy": Reply(503, {"code": -1008, "msg": "Server is currently overloaded with other requests."}),
    "timed out": Reply(504, {"code": -1007, "msg": "Timeout waiting for response from backend server."}),
    "301": Reply(301, b"", "Location: http://127.0.0.1:9/"),
    "truncated gzip": truncated(),
    "spaces": Reply(200, b" " * 5_000_000),
    "shorter than it says": Reply(200, b"[", "Content-Length: 100"),
}


@pytest.mark.parametrize("kind", ODD)
async def test_the_next_address_is_tried_and_nothing_of_the_page_is_told(kind: str) -> None:
    """FIELD-2, experiment 17."""
    async with rest_server(lambda call: ODD[kind]) as odd, rest_server(healthy) as good:
        with log_lines() as lines:
            async with rest_of(odd, good) as rest:
                for _ in range(5):
                    assert (await rest.trades_from("BTCUSDT", 100)).covered_to == 1099
            assert len(odd.calls) == 1, "it is passed over"
            async with rest_of(odd) as rest:
                with pytest.raises(ExchangeError) as caught:
                    await rest.newest_ids(["BTCUSDT"])
        told = [str(caught.value), *lines]
        assert not [text for text in told if "alert" in text or len(text) > 400 or text.count("\n") > 1]
        assert len(lines) <= 4


# Slow answers


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole call takes at most half a second."""
    monkeypatch.setattr(rest_calls, "_CALL_SECONDS", 0.5)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("trickle_seconds", [0.05, 10.0])
async def test_a_call_ends_in_time_at_all_addresses_together(trickle_seconds: float) -> None:
    """REVIEW B3: the limit was per read, so an answer that trickles never ended."""
    slow = Reply(200, trades(1, 1000), trickle_seconds=trickle_seconds)
    async with (
        rest_server(lambda call: slow) as one,
        rest_server(lambda call: slow) as two,
        rest_of(one, two) as rest,
    ):
        began = time.monotonic()
        with pytest.raises(ExchangeUnreachable, match="timeout"):
            await rest.trades_from("BTCUSDT", 100)
        assert time.monotonic() - began < 2.0
        assert (len(one.calls), len(two.calls)) == (1, 1)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("seconds", "calls", "weight"),
    [(0.05, (1, 0), 25), (0.4, (1, 1), 50), (1.0, (1, 1), 50)],
    ids=["in time", "over the share of the first address", "over the limit"],
)
async def test_answers_after_different_times(seconds: float, calls: tuple[int, int], weight: int) -> None:
    """FIELD-2, experiment 20, with all times a twentieth."""

    async def answer(call: Call) -> Reply:
        await asyncio.sleep(seconds)
        return healthy(call)

    async with rest_server(answer) as slow, rest_server(healthy) as good, rest_of(slow, good) as rest:
        assert (await rest.trades_from("BTCUSDT", 100)).covered_to == 1099
        assert (len(slow.calls), len(good.calls)) == calls
        limit = rest.statistics().rate_limit
        assert limit is not None
        assert limit.used == weight
        await rest.trades_from("BTCUSDT", 100)
        assert limit.used <= 50


# Bans


@pytest.mark.parametrize("status", [418, 429])
@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        (["Retry-After: 600"], b"", 600),
        ([f"Retry-After: {formatdate(NOW_MS / 1000 + 900, usegmt=True)}"], b"", 900),
        (["Retry-After: 0"], b"", 30),
        (["Retry-After: soon"], b"", 30),
        ([], b"", 30),
        ([], HTML, 30),
        ([], {"code": -1003, "msg": f"Way too much; IP banned until {NOW_MS + 700_000}. Please"}, 700),
        (["Retry-After: 60"], {"code": -1003, "msg": f"IP banned until {NOW_MS + 700_000}."}, 700),
        (["Retry-After: 900"], {"code": -1003, "msg": f"IP banned until {NOW_MS + 700_000}."}, 900),
        ([], {"code": -1003, "msg": f"IP banned until {NOW_MS - 700_000}."}, 30),
        (["Retry-After: 99999999"], b"", 3 * 86_400),
    ],
)
async def test_a_ban_is_kept_for_all_addresses(
    status: int, headers: list[str], body: bytes | Any, seconds: float
) -> None:
    """FIELD-2, experiment 18: the later of header and body; without either, half a minute."""
    time_of = Ticking()
    banned = Reply(status, body, *headers)
    async with (
        rest_server(lambda call: banned) as one,
        rest_server(healthy) as two,
        rest_of(one, two, clock=time_of.clock) as rest,
    ):
        with log_lines() as lines:
            for _ in range(5):
                task = asyncio.create_task(rest.trades_from("BTCUSDT", 100))
                await asyncio.wait({task}, timeout=0.5 if not one.calls else 0.02)
                if not task.done():
                    task.cancel()  # it waits for the end of a short pause
                    await asyncio.wait({task})
                else:
                    error = task.exception()
                    assert isinstance(error, ExchangeUnreachable)
                    assert error.retry_after_seconds == pytest.approx(seconds, abs=5)
        assert (len(one.calls), len(two.calls)) == (1, 0)
        assert len(lines) == 1
        limit = rest.statistics().rate_limit
        assert limit is not None
        assert limit.pause_seconds == pytest.approx(seconds, abs=5)
        time_of.ahead = seconds + 5
        one.answer = healthy
        assert (await rest.trades_from("BTCUSDT", 100)).covered_to == 1099


async def test_the_count_of_the_exchange_is_believed() -> None:
    def answer(call: Call) -> Reply:
        return Reply(200, trades(1, 10), "X-MBX-USED-WEIGHT-1M: 5390")

    async with rest_server(answer) as server, rest_of(server) as rest:
        await rest.trades_from("BTCUSDT", 1)
        waiting = asyncio.create_task(rest.trades_from("BTCUSDT", 1))
        await asyncio.wait({waiting}, timeout=0.1)
        assert not waiting.done()
        assert len(server.calls) == 1
        waiting.cancel()


@pytest.mark.parametrize("header", ["", "-5", "many", "²", "99999999999", "1e3", "7000"])
async def test_a_count_that_makes_no_sense_is_ignored(header: str) -> None:
    def answer(call: Call) -> Reply:
        return Reply(200, trades(1, 10), f"X-MBX-USED-WEIGHT-1M: {header}".encode().decode("latin-1"))

    async with rest_server(answer) as server, rest_of(server) as rest:
        for _ in range(3):
            await rest.trades_from("BTCUSDT", 1)
        assert len(server.calls) == 3


async def test_a_dead_rest_is_told_in_a_few_lines() -> None:
    async with rest_server(lambda call: Reply(503, HTML)) as server, rest_of(server) as rest:
        with log_lines() as lines:
            for _ in range(30):
                with contextlib.suppress(ExchangeError):
                    await rest.trades_from("BTCUSDT", 1)
            server.answer = healthy
            await rest.trades_from("BTCUSDT", 1)
        assert len(lines) == 2
        assert f"passing over {server.url} for a while: HTTP 503" in lines[0]
        assert f"{server.url} answers again" in lines[1]
