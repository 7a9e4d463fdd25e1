"""The client against a server that says what a test says: subscriptions, reconnects, gaps, slow programs."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from livemarkets_client import (
    Code,
    ConnectionEnded,
    Gap,
    GapError,
    Lagged,
    State,
    SubscribeError,
    Subscription,
    Timings,
    Trade,
    Transition,
    connect,
)
from livemarkets_client.buffers import Waiting
from livemarkets_client.continuity import TradeAccount
from livemarkets_client.requests import StreamName, Terms
from livemarkets_client.streams import Streams
from livemarkets_client.subscription import Intake, Stream
from livemarkets_client.testing import MockServer
from tests.support.helpers import eventually, free_port

QUICK = Timings(
    first_pause_seconds=0.01, longest_pause_seconds=0.02, too_slow_pause_seconds=0.02, close_seconds=0.5
)


def opened(server: MockServer, **options: Any) -> Any:
    return connect(server.url, **({"proxy": None, "timings": QUICK} | options))


@pytest.fixture
async def server() -> AsyncIterator[MockServer]:
    async with MockServer() as server:
        yield server


async def taken(subscription: Subscription[Any], count: int) -> list[Any]:
    async with asyncio.timeout(30):
        return [await anext(subscription) for _ in range(count)]


def ids(items: list[Any]) -> list[int]:
    return [item.id for item in items]


async def test_trades_come_typed_and_with_their_digits(server: MockServer) -> None:
    async with opened(server) as markets:
        trades = markets.trades("btcusdt")
        await server.subscribed("trades", "BTCUSDT")
        server.send({"type": "a type of tomorrow", "symbol": "BTCUSDT"})
        server.trade("BTCUSDT", price="61837.63000000", size="0.00100000", side="sell", tomorrow=[1])
        (trade,) = await taken(trades, 1)
    assert isinstance(trade, Trade)
    assert (str(trade.price), str(trade.size), trade.side) == ("61837.63000000", "0.00100000", "sell")
    with pytest.raises(StopAsyncIteration):
        await anext(trades)


async def test_a_cut_costs_nothing_and_what_was_missed_comes_first(server: MockServer) -> None:
    async with opened(server) as markets:
        trades = markets.trades("BTCUSDT", "ETHUSDT")
        await server.subscribed("trades", "ETHUSDT")
        server.trade("BTCUSDT")
        server.trade("ETHUSDT", id=500)
        await taken(trades, 2)
        await server.stop()
        for _ in range(1200):  # several snapshots
            server.trade("BTCUSDT")
        await server.start()
        await server.subscribed("trades", "BTCUSDT")
        server.trade("BTCUSDT")
        server.trade("ETHUSDT")
        found = await taken(trades, 1202)
        assert ids([trade for trade in found if trade.symbol == "BTCUSDT"]) == list(range(2, 1203))
        assert ids([trade for trade in found if trade.symbol == "ETHUSDT"]) == [501]
        assert trades.position() == {"BTCUSDT": 1202, "ETHUSDT": 501}


async def test_subscriptions_made_before_and_during_a_reconnect_are_kept() -> None:
    server = MockServer(port=free_port())
    async with opened(server) as markets:
        early = markets.trades("BTCUSDT")
        await eventually(lambda: markets.transition.code == Code.UNREACHABLE)
        await server.start()
        server.trade("BTCUSDT")
        await server.subscribed("trades", "BTCUSDT")
        server.trade("BTCUSDT")
        assert ids(await taken(early, 1)) == [1]
        await server.stop()
        await eventually(lambda: markets.state is not State.CONNECTED)
        late = markets.trades("ETHUSDT")
        await server.start()
        await server.subscribed("trades", "ETHUSDT")
        server.trade("ETHUSDT")
        assert ids(await taken(late, 1)) == [1]
        assert ids(await taken(early, 1)) == [2]
    await server.stop()


async def test_a_server_that_cannot_be_reached_is_warned_of_once_until_there_was_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = MockServer(port=free_port())
    seen: list[Transition] = []

    def has_failed_twice() -> bool:
        return sum(each.code == Code.UNREACHABLE for each in seen) > 1

    with caplog.at_level("WARNING", "livemarkets_client"):
        async with opened(server, on_state=seen.append) as markets:
            await eventually(has_failed_twice)
            await server.start()
            await markets.connected()
            await server.stop()
            seen.clear()
            await eventually(has_failed_twice)
    (warning,) = caplog.messages
    assert warning.startswith("no connection: ")
    assert warning.endswith("; it is tried again")


async def test_each_transition_has_a_code_and_a_reason(server: MockServer) -> None:
    seen: list[Transition] = []
    async with opened(server, on_state=seen.append) as markets:
        await markets.connected()
        server.cut()
        await eventually(lambda: len(seen) == 5)
        await server.close_clients(1012, "restarting: reconnect, retry_after_ms=7")
        await eventually(lambda: len(seen) == 8)
        server.send({"type": "error", "code": "internal", "message": "could not be brought up"})
        await eventually(lambda: len(seen) == 11)
        server.send({"type": "trade", "price": "none"})
        await eventually(lambda: len(seen) == 14)
    told = [(each.state.name, each.code) for each in seen]
    assert told == [
        ("CONNECTING", Code.OPENED),
        ("CONNECTED", Code.WELCOMED),
        ("WAITING", Code.LOST),
        ("CONNECTING", Code.RETRY),
        ("CONNECTED", Code.WELCOMED),
        ("WAITING", 1012),
        ("CONNECTING", Code.RETRY),
        ("CONNECTED", Code.WELCOMED),
        ("WAITING", Code.SERVER_DEFECT),
        ("CONNECTING", Code.RETRY),
        ("CONNECTED", Code.WELCOMED),
        ("WAITING", Code.UNREADABLE),
        ("CONNECTING", Code.RETRY),
        ("CONNECTED", Code.WELCOMED),
        ("CLOSED", Code.CLOSED),
    ]
    assert 0.007 <= (seen[5].retry_in_seconds or 0) <= 0.007 + QUICK.longest_pause_seconds
    assert all(each.reason for each in seen)


async def test_the_pauses_grow_while_there_is_no_server() -> None:
    seen: list[Transition] = []
    timings = Timings(first_pause_seconds=0.01, longest_pause_seconds=0.5)
    async with connect(f"ws://127.0.0.1:{free_port()}", proxy=None, timings=timings, on_state=seen.append):
        await eventually(lambda: any((each.retry_in_seconds or 0) > 0.02 for each in seen), 20)
    assert seen[1].code == Code.UNREACHABLE
    assert (seen[1].retry_in_seconds or 0) <= 0.01


def test_a_stream_is_found_once_it_was_accepted_on_this_connection_and_while_it_is_wanted() -> None:
    streams, name = Streams(), StreamName("binance", "trades", "BTCUSDT")

    def wanted() -> Stream:
        stream = Stream(name, Terms(), TradeAccount(), Intake(Waiting(1)))
        streams.add([stream])
        assert streams.take_unasked() == [stream]
        return stream

    first = wanted()
    assert streams.find(name) is None
    streams.accept(first)
    assert streams.find(name) is first
    streams.forget_connection()
    assert streams.find(name) is None
    streams.remove(first.intake)
    second = wanted()
    streams.accept(first)
    assert streams.find(name) is None
    streams.accept(second)
    assert streams.find(name) is second


async def test_silence_is_the_end_of_a_connection() -> None:
    async with (
        MockServer(heartbeat_seconds=60) as server,
        connect(
            server.url, proxy=None, timings=Timings(silence_seconds=0.2, first_pause_seconds=0.01)
        ) as markets,
    ):
        await eventually(lambda: markets.transition.code == Code.SILENT, 10)
        await markets.connected()


@pytest.mark.parametrize(
    ("refuse", "code"),
    [
        (lambda server: setattr(server, "refuses_with", HTTPStatus.NOT_FOUND), 404),
        (lambda server: setattr(server, "_token", "secret"), 401),
    ],
)
async def test_what_another_attempt_cannot_change_is_raised(
    server: MockServer, refuse: Callable[[MockServer], None], code: int
) -> None:
    refuse(server)
    async with opened(server, token="wrong") as markets:
        trades = markets.trades("BTCUSDT")
        for waiting in (taken(trades, 1), taken(trades, 1), markets.connected()):
            with pytest.raises(ConnectionEnded) as raised:
                await waiting
            assert raised.value.code == code
        assert markets.state is State.CLOSED


async def test_a_full_server_is_asked_again_and_one_that_throws_out_is_not() -> None:
    async with MockServer(token="secret") as server:
        server.refuses_with = HTTPStatus.SERVICE_UNAVAILABLE
        async with opened(server, token="secret") as markets:
            trades = markets.trades("BTCUSDT")
            await eventually(lambda: markets.transition.code == 503)
            server.refuses_with = None
            await server.subscribed("trades", "BTCUSDT")
            server.trade("BTCUSDT")
            await server.close_clients(1008, "policy: too many messages")
            assert ids(await taken(trades, 1)) == [1]
            with pytest.raises(ConnectionEnded, match="too many messages"):
                await anext(trades)


async def test_gaps_are_items_or_errors_or_passed_over(server: MockServer) -> None:
    async with opened(server) as markets, opened(server) as second, opened(server) as third:
        kinds = [
            markets.trades("BTCUSDT"),
            second.trades("BTCUSDT", on_gap="raise"),
            third.trades("BTCUSDT", on_gap="skip"),
        ]
        await eventually(lambda: len(server.requests) == 3)
        server.trade("BTCUSDT")
        server.gap("BTCUSDT", 2, 4)
        server.lagged("BTCUSDT", 5, 9)
        server.trade("BTCUSDT", id=10)
        server.trade("BTCUSDT", id=12)
        told = await taken(kinds[0], 6)
        assert [type(item) for item in told] == [Trade, Gap, Lagged, Trade, Gap, Trade]
        assert told[4].cause == "undeclared"
        assert ids(await taken(kinds[1], 1)) == [1]
        for position in (4, 9):
            with pytest.raises(GapError):
                await taken(kinds[1], 1)
            assert kinds[1].position() == {"BTCUSDT": position}
        assert ids(await taken(kinds[1], 1)) == [10]
        assert ids(await taken(kinds[2], 3)) == [1, 10, 12]
        assert kinds[2].missed == 3


async def test_a_position_can_be_stored_and_given_back(server: MockServer) -> None:
    for _ in range(5):
        server.trade("BTCUSDT")
    async with opened(server) as markets:
        trades = markets.trades("BTCUSDT", after={"BTCUSDT": 0})
        assert ids(await taken(trades, 3)) == [1, 2, 3]
        position = trades.position()
    async with opened(server) as markets:
        assert ids(await taken(markets.trades("BTCUSDT", after=position), 2)) == [4, 5]


async def test_a_symbol_that_is_refused_is_said_and_the_others_go_on() -> None:
    async with MockServer(listed={"BTCUSDT", "ETHUSDT"}) as server, opened(server) as markets:
        trades = markets.trades("BTC/USDT", "ETHUSDT")
        with pytest.raises(SubscribeError, match="does not list BTC/USDT"):
            await taken(trades, 1)
        server.trade("ETHUSDT")
        assert ids(await taken(trades, 1)) == [1]
        assert trades.refused.keys() == {"BTC/USDT"}
        alone = markets.trades("NOPE")
        for _ in range(2):
            with pytest.raises(SubscribeError):
                await taken(alone, 1)


async def test_a_symbol_that_leaves_the_list_wakes_nobody_and_is_asked_for_again() -> None:
    async with MockServer(listed={"BTCUSDT"}) as server, opened(server) as markets:
        trades = markets.trades("BTCUSDT")
        await server.subscribed("trades", "BTCUSDT")
        server.trade("BTCUSDT")
        await taken(trades, 1)
        server._listed = set()
        server.cut()
        await eventually(lambda: trades.refused.keys() == {"BTCUSDT"})
        server._listed = {"BTCUSDT"}
        server.trade("BTCUSDT")
        server.cut()
        assert ids(await taken(trades, 1)) == [2]
        assert trades.refused == {}


async def test_a_message_that_was_ignored_is_sent_again(server: MockServer) -> None:
    answer = server._answer

    def limit(client: Any, names: Any, request: dict[str, Any]) -> None:
        if len(server.requests) > 1:
            answer(client, names, request)
            return
        server.send({"type": "error", "id": request["id"], "code": "rate_limited", "message": "slower"})

    server._answer = limit  # type: ignore[method-assign]
    async with opened(server) as markets:
        trades = markets.trades("BTCUSDT")
        await server.subscribed("trades", "BTCUSDT")
        server.trade("BTCUSDT")
        assert ids(await taken(trades, 1)) == [1]


async def test_leaving_the_loop_unsubscribes_and_the_name_can_be_subscribed_again(server: MockServer) -> None:
    async with opened(server) as markets:
        server.trade("BTCUSDT")
        async for _ in markets.trades("BTCUSDT"):
            break
        gc.collect()
        server.trade("BTCUSDT")  # may still come for the subscription before
        again = markets.trades("BTCUSDT", snapshot=0)
        with pytest.raises(ValueError, match="subscribed already"):
            markets.trades("BTCUSDT")
        await eventually(lambda: len(server.requests) == 3)
        server.trade("BTCUSDT")
        assert ids(await taken(again, 1)) == [3]
        await again.aclose()
        await server.unsubscribed("trades", "BTCUSDT")
        with pytest.raises(StopAsyncIteration):
            await anext(again)
    assert [each["type"] for each in server.requests] == [
        "subscribe",
        "unsubscribe",
        "subscribe",
        "unsubscribe",
    ]


async def test_a_slow_program_has_the_server_wait_and_loses_nothing(server: MockServer) -> None:
    async with opened(server) as markets:
        trades = markets.trades("BTCUSDT", buffer=10)
        await server.subscribed("trades", "BTCUSDT")
        for _ in range(3000):
            server.trade("BTCUSDT")
        await eventually(lambda: trades.unread == 10)
        for _ in range(100):
            await asyncio.sleep(0)
        assert trades.unread == 10
        assert ids(await taken(trades, 3000)) == list(range(1, 3001))


async def test_a_slow_program_may_have_the_oldest_skipped_and_is_told(server: MockServer) -> None:
    async with opened(server) as markets:
        trades = markets.trades("BTCUSDT", buffer=10, when_slow="skip")
        await server.subscribed("trades", "BTCUSDT")
        for _ in range(100):
            server.trade("BTCUSDT")
        last = markets.book("ETHUSDT")
        await server.subscribed("book", "ETHUSDT")
        server.send({"type": "status", "exchange": "binance", "state": "down"})
        await eventually(lambda: markets.exchanges["binance"].state == "down")  # all before it was read
        items = await taken(trades, 11)
        assert (items[0].from_id, items[0].to_id, items[0].skipped, items[0].by) == (1, 90, 90, "client")
        assert ids(items[1:]) == list(range(91, 101))
        assert last.unread == 0


async def test_the_other_channels_come_typed(server: MockServer) -> None:
    figures: dict[str, Any] = {"open": 1.10, "high": 2, "low": 1, "volume": 5, "quote_volume": 7}
    ticker = figures | {"last": None, "change": 0.10, "change_percent": 1, "trades": 3, "open_ts": 1, "ts": 2}
    bar = figures | {"close": 1.50, "taker_buy_volume": 2, "trades": 3, "ts": 2, "recv_ts": 3}
    bar |= {"interval": "1m", "open_ts": 60, "close_ts": 119, "closed": True, "exchange": "binance"}
    async with opened(server) as markets:
        every = markets.tickers("*")
        candles = markets.candles("BTCUSDT", interval="1m")
        depth = markets.depth("BTCUSDT", levels=5)
        await eventually(lambda: len(server.requests) == 3)
        rows = [ticker | {"symbol": symbol} for symbol in ("BTCUSDT", "ETHUSDT")]
        server.send(
            {"type": "tickers", "exchange": "binance", "channel": "tickers", "symbols": "*", "data": rows}
        )
        server.send({"type": "candle", "symbol": "BTCUSDT"} | bar)
        gap = {"channel": "candles", "interval": "1m", "from_open_ts": 120, "to_open_ts": 180}
        server.send({"type": "gap", "exchange": "binance", "symbol": "BTCUSDT", "cause": "upstream"} | gap)
        levels = {"levels": 5, "bids": [[1.50, 2.0]], "asks": [], "update_id": 7, "recv_ts": 3}
        server.send({"type": "depth", "exchange": "binance", "symbol": "BTCUSDT"} | levels)
        found = await taken(every, 2)
        assert [(row.exchange, row.symbol, row.last) for row in found] == [
            ("binance", "BTCUSDT", None),
            ("binance", "ETHUSDT", None),
        ]
        (candle, hole) = await taken(candles, 2)
        assert (candle.close, candle.closed, hole.to_open_ts) == (Decimal("1.5"), True, 180)
        assert candles.position() == {"BTCUSDT": 180}
        assert (await taken(depth, 1))[0].bids == [(Decimal("1.5"), Decimal("2.0"))]
        server.cut()
        await eventually(lambda: len(server.requests) == 6)
    asked = {each["channel"]: each for each in server.requests[3:]}
    assert (asked["candles"]["after"], asked["candles"]["interval"]) == ({"BTCUSDT": 180}, "1m")
    assert (asked["depth"]["levels"], asked["tickers"]["symbols"]) == (5, ["*"])


async def test_many_symbols_are_asked_for_in_messages_that_fit(server: MockServer) -> None:
    symbols = [f"{'币' * 40}{number}" for number in range(150)]
    async with opened(server) as markets:
        trades = markets.trades(*symbols, after=dict.fromkeys(symbols, 0))
        await server.subscribed("trades", symbols[-1])
        for symbol in symbols:
            server.trade(symbol)
        assert {trade.symbol for trade in await taken(trades, 150)} == set(symbols)
    assert max(len(str(each).encode()) for each in server.requests) < 16384
    assert len(server.requests) > 2


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://host/", "ws://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no address such as"):
        connect(url)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://host:8080", "ws://host:8080/ws/markets"),
        ("wss://host/", "wss://host/ws/markets"),
        ("https://host/below/ws/markets", "wss://host/below/ws/markets"),
    ],
)
async def test_an_address_may_be_that_of_the_server(url: str, address: str) -> None:
    assert connect(url).url == address


async def test_a_subscription_of_a_closed_client_ends_at_once(server: MockServer) -> None:
    server.refuses_with = HTTPStatus.FORBIDDEN
    async with opened(server) as markets:
        with pytest.raises(ConnectionEnded):
            await markets.connected()
        with pytest.raises(ConnectionEnded):
            await taken(markets.trades("BTCUSDT"), 1)
    with pytest.raises(ConnectionEnded):
        await taken(markets.trades("BTCUSDT"), 1)
    second = opened(server)
    async with second:
        pass
    with pytest.raises(StopAsyncIteration):
        await taken(second.trades("BTCUSDT"), 1)


@pytest.mark.parametrize(
    "first", ['{"type":"hello"}', "hello", "[" * 100_000, "[]", '{"type":"welcome","protocol":"1"}']
)
async def test_what_is_no_server_of_live_markets_is_left(first: str) -> None:
    async def speak(socket: ServerConnection) -> None:
        await socket.send(first)
        await socket.wait_closed()

    async with serve(speak, "127.0.0.1", 0, compression=None) as other:
        port = next(iter(other.sockets)).getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", proxy=None, timings=QUICK) as markets:
            await eventually(lambda: markets.transition.code == Code.UNREADABLE)


async def test_another_version_of_the_protocol_is_the_end(server: MockServer) -> None:
    welcome = server._welcome() | {"protocol": 2}
    server._welcome = lambda: welcome  # type: ignore[method-assign]
    async with opened(server) as markets:
        with pytest.raises(ConnectionEnded, match="speaks protocol 2"):
            await markets.connected()


async def test_the_newest_trade_alone_comes_once_through_a_reconnect(server: MockServer) -> None:
    async with opened(server) as markets:
        trades = markets.trades("BTCUSDT", every_ms=20)
        await server.subscribed("trades", "BTCUSDT")
        server.trade("BTCUSDT", id=7)
        await taken(trades, 1)
        server.cut()
        await eventually(lambda: len(server.requests) == 2)
        server.trade("BTCUSDT", id=3, skipped=4)
        (trade,) = await taken(trades, 1)
        assert (trade.id, trade.skipped) == (3, 4)
    assert server.requests[1] | {"id": 1} == server.requests[0]
    assert server.requests[0]["mode"] == "latest"


async def test_much_at_once_does_not_hold_the_loop(server: MockServer) -> None:
    for _ in range(20_000):
        server.trade("BTCUSDT")
    async with opened(server) as markets:
        trades = markets.trades("BTCUSDT", after={"BTCUSDT": 0}, buffer=50_000)
        turns = 0
        while trades.unread < 20_000:
            await asyncio.sleep(0)
            turns += 1 if trades.unread else 0
        assert turns >= 20
