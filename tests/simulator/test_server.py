"""The exchange over real sockets: paths, subscriptions, both shapes, limits, REST on the same port."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import httpx
import msgspec
import pytest
from websockets.exceptions import InvalidStatus

from livemarkets.simulator import ExchangeLimits, Replay, SimulatedMarket, Simulator, SimulatorError
from tests.simulator.conftest import Client, Started, quick_market
from tests.support.helpers import eventually, free_port
from tests.support.recordings import recording

Dial = Callable[..., Awaitable[Client]]
Rest = Callable[..., Awaitable[httpx.Response]]


async def test_a_subscription_brings_trades_and_the_end_of_it_silence(start: Started, dial: Dial) -> None:
    simulator = await start()
    client = await dial(simulator)
    assert await client.ask("SUBSCRIBE", ["btcusdt@trade"], 1) == {"result": None, "id": 1}
    assert simulator.subscriptions() == {"btcusdt@trade"}
    trades = await client.trades(20)
    assert all(later["t"] == earlier["t"] + 1 for earlier, later in pairwise(trades))
    assert list(trades[0]) == ["e", "E", "s", "t", "p", "q", "T", "m", "M"]
    assert all(trade["E"] >= trade["T"] for trade in trades)
    assert await client.ask("UNSUBSCRIBE", ["btcusdt@trade"], 312) == {"result": None, "id": 312}
    assert simulator.subscriptions() == set()
    with pytest.raises(TimeoutError):
        await client.receive(timeout_seconds=0.1)


@pytest.mark.parametrize(
    ("path", "combined", "streams"),
    [
        ("/ws", False, []),
        ("/ws/", False, []),
        ("/ws/btcusdt@trade", False, ["btcusdt@trade"]),
        ("/ws/btcusdt@trade/ethusdt@trade", False, ["btcusdt@trade", "ethusdt@trade"]),
        ("/stream", True, []),
        ("/stream?streams=btcusdt@trade", True, ["btcusdt@trade"]),
        ("/stream?streams=btcusdt@trade/ethusdt@aggTrade", True, ["btcusdt@trade", "ethusdt@aggTrade"]),
        ("/stream?streams=btcusdt%40trade", True, ["btcusdt@trade"]),
    ],
)
async def test_paths(start: Started, dial: Dial, path: str, combined: bool, streams: list[str]) -> None:
    client = await dial(await start(), path)
    assert (await client.ask("LIST_SUBSCRIPTIONS"))["result"] == streams
    assert (await client.ask("GET_PROPERTY", ["combined"]))["result"] is combined
    if streams:
        message = await client.receive()
        assert (set(message) == {"stream", "data"}) is combined


async def test_the_shape_can_be_changed(start: Started, dial: Dial) -> None:
    client = await dial(await start(), "/ws/btcusdt@trade")
    assert (await client.receive())["e"] == "trade"
    assert await client.ask("SET_PROPERTY", ["combined", True], 5) == {"result": None, "id": 5}
    assert (await client.receive())["stream"] == "btcusdt@trade"


@pytest.mark.parametrize("path", ["/", "/wss", "/stream/btcusdt@trade", "/api/v3/time"])
async def test_other_paths_are_refused(start: Started, dial: Dial, path: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await dial(await start(), path)
    assert caught.value.response.status_code == 404


async def test_a_stream_that_is_none_is_refused_in_a_query_and_in_a_request(
    start: Started, dial: Dial
) -> None:
    simulator = await start()
    with pytest.raises(InvalidStatus) as caught:
        await dial(simulator, "/stream?streams=nonsense")
    assert caught.value.response.status_code == 400
    reply = await (await dial(simulator)).ask("SUBSCRIBE", ["nonsense"], 9)
    assert reply == {"code": 2, "msg": "Invalid request: invalid stream", "id": 9}


async def test_coming_and_going_costs_nobody_a_trade(start: Started, dial: Dial) -> None:
    simulator = await start(quick_market(trades_per_second=5000.0))
    steady = await dial(simulator, "/ws/btcusdt@trade", max_queue=None)
    for _ in range(15):
        other = await dial(simulator, "/ws/ethusdt@trade", max_queue=None)
        await other.send('{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}')
        await other.send('{"method":"UNSUBSCRIBE","params":["ethusdt@trade"],"id":2}')
        other.socket.transport.abort()
    await eventually(lambda: len(simulator.connections) == 1)
    trades = await steady.trades(500)
    now_ms = simulator.now_ms()
    while trades[-1]["T"] < now_ms:
        trades += await steady.trades(1)
    assert all(later["t"] == earlier["t"] + 1 for earlier, later in pairwise(trades))


async def test_error_replies_can_have_the_observed_shape(start: Started, dial: Dial) -> None:
    client = await dial(await start(error_shape="nested"))
    reply = await client.ask("SUBSCRIBE", ["nonsense"], 2)
    assert reply == {"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": 2}


@pytest.mark.parametrize("stream", ["nosuchcoin@trade", "BTCUSDT@trade"])
async def test_an_unknown_symbol_is_acknowledged_and_silent(start: Started, dial: Dial, stream: str) -> None:
    client = await dial(await start())
    assert await client.ask("SUBSCRIBE", [stream], None) == {"result": None, "id": None}
    assert (await client.ask("LIST_SUBSCRIPTIONS"))["result"] == [stream]
    with pytest.raises(TimeoutError):
        await client.receive(timeout_seconds=0.1)


async def test_nonsense_gets_errors_and_the_connection_lives_on(start: Started, dial: Dial) -> None:
    client = await dial(await start())
    for text in ("nonsense", "", "[]", "null", '{"id":1}', b"\x00\xff", '{"method":"SUBSCRIBE"}', "[" * 9000):
        await client.send(text)
        assert (await client.reply())["code"] in (2, 3)
    assert (await client.ask("SUBSCRIBE", ["btcusdt@trade"]))["result"] is None
    assert await client.trades(1)


async def test_everything_of_one_order_agrees_in_all_streams_and_rest(
    start: Started, dial: Dial, rest: Rest
) -> None:
    simulator = await start(SimulatedMarket(3, ["BTCUSDT"], rate=20))
    client = await dial(simulator, "/stream?streams=btcusdt@trade/btcusdt@aggTrade/btcusdt@bookTicker")
    seen: dict[str, list[dict[str, Any]]] = {"trade": [], "aggTrade": [], "bookTicker": []}
    while len(seen["aggTrade"]) < 60:
        message = await client.receive()
        seen[message["stream"].partition("@")[2]].append(message["data"])
    raw = {trade["t"]: trade for trade in seen["trade"]}
    for aggregate in seen["aggTrade"]:
        parts = [raw[trade_id] for trade_id in range(aggregate["f"], aggregate["l"] + 1)]
        assert {(part["p"], part["T"], part["m"]) for part in parts} == {
            (aggregate["p"], aggregate["T"], aggregate["m"])
        }
    assert all(float(book["b"]) < float(book["a"]) for book in seen["bookTicker"])
    first = seen["aggTrade"][0]
    answer = await rest(simulator, "aggTrades", symbol="BTCUSDT", fromId=first["a"], limit=60)
    fields = ("a", "p", "q", "f", "l", "T", "m", "M")
    assert answer.json() == [{name: item[name] for name in fields} for item in seen["aggTrade"][:60]]
    answer = await rest(
        simulator, "historicalTrades", symbol="BTCUSDT", fromId=seen["trade"][0]["t"], limit=50
    )
    assert [
        (item["id"], item["price"], item["qty"], item["time"], item["isBuyerMaker"]) for item in answer.json()
    ] == [(item["t"], item["p"], item["q"], item["T"], item["m"]) for item in seen["trade"][:50]]


async def test_tickers_and_klines_come_by_the_clock(start: Started, dial: Dial) -> None:
    simulator = await start()
    client = await dial(simulator, "/stream?streams=btcusdt@ticker/btcusdt@miniTicker/btcusdt@kline_1s")
    kinds = {(await client.receive())["data"]["e"] for _ in range(3)}
    assert kinds == {"24hrTicker", "24hrMiniTicker", "kline"}


async def test_many_clients_share_the_market(start: Started, dial: Dial) -> None:
    simulator = await start()
    clients = [await dial(simulator, "/ws/btcusdt@trade") for _ in range(10)]
    firsts = [await client.trades(30) for client in clients]
    last_start = max(trades[0]["t"] for trades in firsts)
    common = [{trade["t"]: trade for trade in trades if trade["t"] >= last_start} for trades in firsts]
    shared = set.intersection(*(set(trades) for trades in common))
    assert all(len({msgspec.json.encode(trades[i]) for trades in common}) == 1 for i in shared)
    assert len(simulator.connections) == 10
    assert sorted(connection.number for connection in simulator.connections) == list(range(1, 11))
    for client in clients[:5]:
        await client.socket.close()
    await eventually(lambda: len(simulator.connections) == 5)


async def test_rest_is_on_the_same_port_and_reports_its_weight(start: Started, rest: Rest) -> None:
    simulator = await start()
    answer = await rest(simulator, "exchangeInfo", symbol="BTCUSDT")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-mbx-used-weight-1m"] == "20"
    answer = await rest(simulator, "trades", symbol="NOPE")
    assert (answer.status_code, answer.json()) == (400, {"code": -1121, "msg": "Invalid symbol."})
    assert answer.headers["x-mbx-used-weight-1m"] == "21"
    assert simulator.stats()["rest_weight"] == 21


async def test_too_much_weight_is_refused_with_retry_after(start: Started, rest: Rest) -> None:
    simulator = await start(limits=ExchangeLimits(rest_weight_per_minute=60))
    statuses = [(await rest(simulator, "trades", symbol="BTCUSDT")).status_code for _ in range(3)]
    # The minute of the exchange's clock may have changed once in between.
    assert statuses == [200, 200, 429] or 429 in [
        (await rest(simulator, "trades", symbol="BTCUSDT")).status_code for _ in range(3)
    ]
    answer = await rest(simulator, "trades", symbol="BTCUSDT")
    assert answer.json()["code"] == -1003
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert simulator.stats()["violations"]["rest_weight"] >= 1


async def test_more_than_five_messages_a_second_end_the_connection(start: Started, dial: Dial) -> None:
    simulator = await start(limits=ExchangeLimits())
    client = await dial(simulator)
    for number in range(6):
        await client.send(f'{{"method":"LIST_SUBSCRIPTIONS","id":{number}}}')
    assert await client.closed() == (1008, "Too many requests")
    assert simulator.stats()["violations"] == {"messages_per_second": 1}


async def test_pings_and_pongs_count_as_messages(start: Started, dial: Dial) -> None:
    simulator = await start(limits=ExchangeLimits())
    client = await dial(simulator)
    for _ in range(3):
        await client.socket.ping()
        await client.socket.pong()
    assert (await client.closed())[0] == 1008


async def test_five_messages_in_a_second_are_fine(start: Started, dial: Dial) -> None:
    client = await dial(await start(limits=ExchangeLimits()))
    for number in range(5):
        assert (await client.ask("LIST_SUBSCRIPTIONS", request_id=number))["id"] == number


async def test_a_connection_holds_1024_streams_and_no_more(start: Started, dial: Dial) -> None:
    simulator = await start(SimulatedMarket(1))
    client = await dial(simulator)
    names = [f"coin{number}usdt@trade" for number in range(1025)]
    assert (await client.ask("SUBSCRIBE", names[:1024]))["result"] is None
    assert (await client.ask("SUBSCRIBE", names[:1024]))["result"] is None
    assert (await client.ask("UNSUBSCRIBE", names[:1]))["result"] is None
    assert (await client.ask("SUBSCRIBE", names[1024:]))["result"] is None
    await client.send(msgspec.json.encode({"method": "SUBSCRIBE", "params": names[:1], "id": 1}).decode())
    assert (await client.closed())[0] == 1008
    assert simulator.stats()["violations"] == {"streams": 1}


async def test_too_many_connects_are_refused_with_retry_after(start: Started, dial: Dial) -> None:
    simulator = await start(limits=ExchangeLimits(connects_per_window=3))
    for _ in range(3):
        await dial(simulator)
    with pytest.raises(InvalidStatus) as caught:
        await dial(simulator)
    assert caught.value.response.status_code == 429
    assert 1 <= int(caught.value.response.headers["Retry-After"]) <= 301
    assert simulator.stats()["refused"] == 1


async def test_the_exchange_pings_and_lets_those_who_answer_stay(start: Started, dial: Dial) -> None:
    limits = ExchangeLimits(ping_interval_seconds=0.05, ping_timeout_seconds=0.1, messages_per_second=1000)
    client = await dial(await start(limits=limits), "/ws/btcusdt@trade")
    assert len(await client.trades(50)) == 50
    assert client.socket.close_code is None


async def test_a_client_that_does_not_answer_pings_is_disconnected(start: Started) -> None:
    limits = ExchangeLimits(ping_interval_seconds=0.05, ping_timeout_seconds=0.1)
    simulator = await start(limits=limits)
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    writer.write(HANDSHAKE)
    async with asyncio.timeout(5):
        received = await reader.read()
    assert received.startswith(b"HTTP/1.1 101")
    assert b"\x89" in received
    assert b"Pong timeout" in received
    assert simulator.stats()["violations"] == {"ping_timeout": 1}
    writer.close()


async def test_a_connection_ends_at_its_age(start: Started, dial: Dial) -> None:
    client = await dial(await start(limits=ExchangeLimits(max_age_seconds=0.1)), "/ws/btcusdt@trade")
    assert (await client.closed())[0] == 1001


@pytest.mark.long
async def test_a_client_that_does_not_read_is_closed_and_delays_nobody(start: Started, dial: Dial) -> None:
    limits = ExchangeLimits(send_buffer_bytes=200_000)
    simulator = await start(quick_market(trades_per_second=20_000.0), limits=limits)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", simulator.port))
    await asyncio.get_running_loop().sock_sendall(sock, HANDSHAKE)
    good = await dial(simulator, "/ws/btcusdt@trade", max_queue=None)
    await eventually(lambda: simulator.stats()["violations"].get("slow_reader") == 1, 10)
    await eventually(lambda: len(simulator.connections) == 1)
    trades = await good.trades(1000)
    assert all(later["t"] == earlier["t"] + 1 for earlier, later in pairwise(trades))
    sock.close()


async def test_garbage_on_the_port_harms_nobody(start: Started, dial: Dial) -> None:
    simulator = await start()
    for data in (
        b"\x00" * 100,
        b"GET\r\n\r\n",
        b"POST /api/v3/time HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"",
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
        writer.write(data)
        writer.close()
        await writer.wait_closed()
    assert await (await dial(simulator, "/ws/btcusdt@trade")).trades(3)


async def test_starting_twice_and_closing_twice_are_no_errors(dial: Dial) -> None:
    simulator = Simulator(quick_market())
    await simulator.start()
    port = simulator.port
    await simulator.start()
    assert simulator.port == port
    await simulator.aclose()
    await simulator.aclose()
    await simulator.start(port=port)
    assert await (await dial(simulator, "/ws/btcusdt@trade")).trades(1)
    await simulator.aclose()


async def test_closing_ends_every_connection_and_leaves_no_task(dial: Dial) -> None:
    simulator = Simulator(quick_market())
    await simulator.start()
    client = await dial(simulator, "/ws/btcusdt@trade")
    await client.trades(1)
    await simulator.aclose()
    assert (await client.closed())[0] == 1001
    assert simulator.connections == []
    assert simulator.subscriptions() == set()
    ours = [task for task in asyncio.all_tasks() if "simulator" in repr(task.get_coro())]
    assert ours == []


async def test_a_taken_port_is_one_clear_line(start: Started) -> None:
    first = await start()
    with pytest.raises(SimulatorError, match=rf"^port {first.port} on 127\.0\.0\.1 is already in use$"):
        await Simulator(quick_market()).start(port=first.port)


async def test_an_outage_of_the_exchange_does_not_stop_its_market(dial: Dial, rest: Rest) -> None:
    simulator = Simulator(quick_market())
    await simulator.start(port=free_port())
    last = (await (await dial(simulator, "/ws/btcusdt@trade")).trades(5))[-1]["t"]
    await simulator.aclose()
    await simulator.start(port=simulator.port)
    first = (await (await dial(simulator, "/ws/btcusdt@trade")).trades(1))[0]["t"]
    answer = await rest(simulator, "historicalTrades", symbol="BTCUSDT", fromId=last + 1, limit=1000)
    missed = [trade["id"] for trade in answer.json() if trade["id"] < first]
    assert missed == list(range(last + 1, first))
    await simulator.aclose()


async def test_a_genuine_recording_arrives_byte_for_byte_and_late_is_complete(
    start: Started, dial: Dial
) -> None:
    path = recording("spot_btc_eth_20240808_trade.jsonl.gz")
    simulator = await start(Replay(path, speed=2000))
    client = await dial(simulator, "/stream", max_queue=None)
    await client.send('{"method":"SUBSCRIBE","params":["btcusdt@trade","ethusdt@trade"],"id":1}')
    assert await client.socket.recv(decode=False) == b'{"result":null,"id":1}'
    expected = [played.event.combined for played in Replay(path)._recording.frames]
    async with asyncio.timeout(20):
        received = [await client.socket.recv(decode=False) for _ in expected]
    assert received == expected
    assert simulator.stats()["trades_sent"] == {"BTCUSDT": 9757, "ETHUSDT": 6106}
    assert (await client.ask("LIST_SUBSCRIPTIONS"))["result"] == ["btcusdt@trade", "ethusdt@trade"]


@pytest.mark.parametrize("speed", [50.0, 3000.0])
@pytest.mark.parametrize("exchange", ["spot", "binanceus"])
async def test_recorded_order_books_and_klines_arrive_byte_for_byte(
    start: Started, dial: Dial, exchange: str, speed: float
) -> None:
    path = recording(f"{exchange}_alts_20211012_agg_book_kline_depth.jsonl.gz")
    simulator = await start(Replay(path, speed=speed))
    events = [played.event for played in Replay(path)._recording.frames]
    streams = sorted({event.stream for event in events})
    assert any("@depth" in stream for stream in streams)
    assert any("@kline" in stream for stream in streams)
    client = await dial(simulator, f"/stream?streams={'/'.join(streams)}", max_queue=None)
    async with asyncio.timeout(20):
        received = [await client.socket.recv(decode=False) for _ in events]
    assert received == [event.combined for event in events]


@pytest.mark.serial
async def test_20000_trades_a_second_are_kept_up(start: Started, dial: Dial) -> None:
    simulator = await start(quick_market(trades_per_second=10_000.0))
    client = await dial(simulator, "/ws/btcusdt@trade/ethusdt@trade", max_queue=None)
    await client.trades(1)
    loop = asyncio.get_running_loop()
    began, before = loop.time(), simulator.stats()["frames_sent"]
    trades = await client.trades(10_000)
    assert (simulator.stats()["frames_sent"] - before) / (loop.time() - began) > 10_000
    for symbol in ("BTCUSDT", "ETHUSDT"):
        ids = [trade["t"] for trade in trades if trade["s"] == symbol]
        assert all(later == earlier + 1 for earlier, later in pairwise(ids))


HANDSHAKE = (
    b"GET /ws/btcusdt@trade HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
