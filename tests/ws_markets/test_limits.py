"""What `/ws/markets` refuses and when it says goodbye, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from websockets.exceptions import InvalidStatus

from livemarkets.app import Services
from livemarkets.server.close_codes import CLOSE_CODES
from livemarkets.server.websocket_protocol import RawFrameProtocol
from livemarkets.simulator import Simulator
from livemarkets.ws_markets import sinks
from tests.support.app import (
    RunningApp,
    quiet_market,
    relaxed,
    running_app,
    running_exchange,
    settings_for,
)
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient, missing_ids
from tests.support.simulated_time import Shared, time_is_simulated

pytestmark = pytest.mark.long


BUFFER_BYTES = 200_000
FRIENDLY = "https://friend.example"

both_ways_out = pytest.mark.parametrize(
    "app", [RawFrameProtocol, "websockets-sansio"], ids=["frames", "send_text"], indirect=True
)


@pytest.fixture
def exchange() -> Shared[Simulator]:
    return Shared(running_exchange(quiet_market()))


@pytest.fixture
def app(
    request: pytest.FixtureRequest, exchange: Shared[Simulator]
) -> contextlib.AbstractAsyncContextManager[RunningApp]:
    return app_at(exchange, getattr(request, "param", RawFrameProtocol))


@contextlib.asynccontextmanager
async def app_at(exchange: Shared[Simulator], protocol: Any) -> AsyncIterator[RunningApp]:
    async with exchange as running:
        settings = settings_for(
            running,
            max_symbols_per_client=2,
            max_clients=3,
            client_buffer_bytes=BUFFER_BYTES,
            allowed_origins=(FRIENDLY,),
        )
        async with running_app(settings, ws=protocol) as app:
            yield app


async def refusal(app: RunningApp, path: str = "/ws/markets", origin: str | None = None) -> int:
    """The HTTP status with which a handshake is refused; 101 when it is not."""
    try:
        client = await app.connect(greet=False, path=path, origin=origin)
    except InvalidStatus as error:
        return error.response.status_code
    await client.socket.close()
    return 101


@time_is_simulated
async def test_too_many_symbols_change_nothing(app: RunningApp, exchange: Simulator) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT")
    for symbols in (("ETHUSDT", "SOLUSDT"), ("BTCUSDT", "ETHUSDT", "SOLUSDT")):
        error = await client.subscribe(*symbols)
        assert (error["type"], error["code"]) == ("error", "symbol_limit")
        assert "2" in error["message"]
    listed = (await client.ask("list"))["subscriptions"]
    assert [entry["symbol"] for entry in listed] == ["BTCUSDT"]
    assert app.services.manager.counts() == (1, 1, 0)
    # What is held already costs nothing, and what is given back is free again.
    assert (await client.subscribe("BTCUSDT", "ETHUSDT"))["subscriptions"] == ["BTCUSDT", "ETHUSDT"]
    await client.unsubscribe("BTCUSDT")
    assert (await client.subscribe("SOLUSDT"))["subscriptions"] == ["ETHUSDT", "SOLUSDT"]


@time_is_simulated
async def test_the_limit_counts_both_exchanges_together(app: RunningApp) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT", "ETHUSDT")
    assert (await client.subscribe("BTCUSDT", exchange="simulator"))["code"] == "symbol_limit"


@time_is_simulated
async def test_streams_have_a_limit_of_their_own(app: RunningApp) -> None:
    """With one channel alone, the limit of streams decides only where it is below that of symbols."""
    limits = app.services.hub.limits
    app.services.hub.limits = msgspec.structs.replace(limits, symbols=100, streams=2)
    client = await app.connect()
    await client.subscribe("BTCUSDT", "ETHUSDT")
    refused = await client.subscribe("SOLUSDT", id=7)
    assert (refused["type"], refused["code"], refused["id"]) == ("error", "symbol_limit", 7)
    assert "at most 2 streams per client" in refused["message"]
    assert (await client.subscribe("BTCUSDT"))["subscriptions"] == ["BTCUSDT", "ETHUSDT"]
    app.services.hub.limits = msgspec.structs.replace(limits, symbols=2, streams=100)
    assert "at most 2 symbols per client" in (await client.subscribe("SOLUSDT"))["message"]
    app.services.hub.limits = msgspec.structs.replace(limits, symbols=3, streams=3)
    assert (await client.subscribe("SOLUSDT"))["results"] == [{"symbol": "SOLUSDT", "ok": True}]


@time_is_simulated
async def test_symbols_that_do_not_exist_do_not_count(app: RunningApp) -> None:
    client = await app.connect()
    reply = await client.subscribe("QQQ1", "QQQ2", "QQQ3", "BTCUSDT")
    assert reply["subscriptions"] == ["BTCUSDT"]


@both_ways_out
@time_is_simulated
async def test_too_many_messages_are_ignored_and_the_client_is_told(app: RunningApp) -> None:
    client = await app.connect()
    for number in range(60):
        await client.send(type="ping", id=number)
    error, pongs = await client.until("error")
    assert error["code"] == "rate_limited"
    assert [pong["id"] for pong in pongs] == list(range(len(pongs)))
    assert 40 <= len(pongs) < 60
    await client.send(type="list", id="later")

    async def answered() -> bool:
        await client.send(type="ping", id="again")
        with contextlib.suppress(TimeoutError):
            await client.next("pong", timeout_seconds=0.2, id="again")
            return True
        return False

    async with asyncio.timeout(5):  # a client that calms down is heard again
        while not await answered():
            pass


@time_is_simulated
async def test_messages_that_name_very_many_symbols_wait_and_are_answered(app: RunningApp) -> None:
    hub = app.services.hub
    hub.limits = msgspec.structs.replace(hub.limits, names_at_once=200, names_per_second=1000)
    client = await app.connect()
    names = [f"A{number:03}USDT" for number in range(200)]
    began = time.monotonic()
    for _ in range(3):
        await client.send(type="unsubscribe", exchange="binance", channel="trades", symbols=names, id="names")
    for _ in range(3):
        assert len((await client.next("unsubscribed", id="names"))["results"]) == 200
    assert time.monotonic() - began > 0.35, "400 names above what may come at once"


@both_ways_out
@time_is_simulated
async def test_a_client_that_floods_is_put_out_with_1008(app: RunningApp) -> None:
    client = await app.connect()
    flood = b'{"type":"ping"}'
    with contextlib.suppress(Exception):  # it may be closed while it is still sending
        for _ in range(1000):
            await client.socket.send(flood, text=True)
    assert await client.closed() == (1008, "policy: too many messages")
    await eventually(lambda: not app.services.hub.connections)
    assert await (await app.connect()).works()


@time_is_simulated
async def test_a_long_message_is_refused_and_the_connection_stays(app: RunningApp) -> None:
    client = await app.connect()
    limit = app.services.hub.limits.message_bytes
    shell = len(b'{"type":"ping","x":""}')
    await client.send(type="ping", x="x" * (limit - shell))
    assert (await client.receive())["type"] == "pong"
    for text in ("x" * (limit - shell + 1), "é" * (limit // 2), "x" * 65_000):
        await client.send(type="ping", x=text)
        error = await client.receive()
        assert (error["type"], error["code"]) == ("error", "message_too_big")
    assert await client.works()


@both_ways_out
@time_is_simulated
async def test_a_message_beyond_all_reason_closes_with_1009(app: RunningApp) -> None:
    client = await app.connect()
    with contextlib.suppress(Exception):
        await client.socket.send("x" * 2_000_000)
    code, reason = await client.closed()
    assert code == 1009
    assert reason == CLOSE_CODES[1009] or app.server.config.ws is not RawFrameProtocol
    assert await (await app.connect()).works()


@time_is_simulated
async def test_a_binary_frame_is_an_error_and_the_connection_stays(app: RunningApp) -> None:
    client = await app.connect()
    for data in (b'{"type":"ping"}', b"", b"\x00\xff"):
        await client.socket.send(data)
        error = await client.receive()
        assert (error["type"], error["code"]) == ("error", "invalid_message")
    assert await client.works()


@time_is_simulated
async def test_when_full_the_next_client_gets_503_before_the_upgrade(app: RunningApp) -> None:
    clients = [await app.connect() for _ in range(3)]
    assert await refusal(app) == 503
    await clients[0].socket.close()
    await eventually(lambda: len(app.services.hub.connections) == 2)
    assert await refusal(app) == 101
    assert all([await client.works() for client in clients[1:]])


@time_is_simulated
async def test_a_refusal_is_no_error_in_the_log(app: RunningApp, caplog: pytest.LogCaptureFixture) -> None:
    assert await refusal(app, origin="https://evil.example") == 403
    for _ in range(3):
        await app.connect()
    assert await refusal(app) == 503
    await asyncio.sleep(0)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@time_is_simulated
async def test_a_foreign_page_gets_403_and_our_own_and_listed_ones_pass(app: RunningApp) -> None:
    own = f"http://127.0.0.1:{app.port}"
    for origin in (
        "https://evil.example",
        "http://127.0.0.1",
        f"http://localhost:{app.port}",
        "null",
        "https://friend.example.evil.example",
        "not an origin",
        "",
    ):
        assert await refusal(app, origin=origin) == 403, origin
    for passing in (own, None, FRIENDLY):
        assert await refusal(app, origin=passing) == 101, passing
    assert app.services.hub.statistics().refused == {"origin": 7}


@pytest.mark.parametrize("flag", [True, False])
@time_is_simulated
async def test_an_unknown_path_is_refused_and_so_is_the_route_when_the_flag_is_off(flag: bool) -> None:
    async with running_app(settings_for(None, stream_enabled=flag)) as app:
        assert await refusal(app, "/ws/other") in (403, 404)
        assert await refusal(app) in ((101,) if flag else (403, 404))
        assert (await app.get("/healthz")).status_code == 200
        assert (await app.get("/readyz")).status_code == 200


@time_is_simulated
async def test_with_the_flag_off_there_is_nothing_but_health(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange, stream_enabled=False)) as app:
        assert app.services.exchanges() == ()
        assert (await app.get("/metrics")).status_code == 200
        assert (await app.get("/api/latest")).status_code == 404
        assert exchange.stats()["attempts"] == 0
        assert exchange.stats()["rest_calls"] == {}


@both_ways_out
@time_is_simulated
async def test_a_shutdown_tells_every_client_to_come_back(app: RunningApp, exchange: Simulator) -> None:
    clients = [await app.connect() for _ in range(3)]
    await clients[0].subscribe("BTCUSDT")
    await clients[0].next("status", state="live")
    began = time.monotonic()
    app.server.should_exit = True
    codes = await asyncio.gather(*(client.closed() for client in clients))
    assert [code for code, _ in codes] == [1012] * 3
    # Only our own protocol of the server gives the reason.
    reason = f"{CLOSE_CODES[1012]}; retry_after_ms=" if app.server.config.ws is RawFrameProtocol else ""
    assert all(why.startswith(reason) for _, why in codes)
    assert time.monotonic() - began < 2
    await eventually(lambda: not exchange.connections)


async def frozen_client(app: RunningApp) -> MarketsClient:
    """A client whose program has stopped reading, with little room on the way."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", app.port))
    client = await app.connect(sock=raw)
    await client.subscribe("BTCUSDT")
    client.socket.transport.pause_reading()
    return client


async def flood_until_it_lags(app: RunningApp, exchange: Simulator, reader: MarketsClient) -> list[int]:
    """Let trades happen until a client lags; return the ids that a reader got meanwhile."""
    ids: list[int] = []
    for _ in range(200):
        exchange.faults.burst(symbol="BTCUSDT", trades=500)
        ids += [trade["id"] for trade in await reader.trades(500)]
        assert all(one.mailbox.backlog_bytes <= 2 * BUFFER_BYTES for one in app.services.hub.connections)
        if app.services.fanout.statistics().lagging:
            return ids
    raise AssertionError("nobody lags")


@both_ways_out
@time_is_simulated
async def test_a_client_that_lags_is_told_what_it_missed_and_the_others_miss_nothing(
    app: RunningApp, exchange: Simulator
) -> None:
    reader, frozen = await app.connect(), await frozen_client(app)
    await reader.subscribe("BTCUSDT")
    await reader.next("status", state="live")
    sent = await flood_until_it_lags(app, exchange, reader)
    exchange.faults.burst(symbol="BTCUSDT", trades=1000)
    sent += [trade["id"] for trade in await reader.trades(1000)]
    assert missing_ids(sent) == []
    frozen.socket.transport.resume_reading()
    lagged, before = await frozen.until("lagged")
    received = [message["id"] for message in before if message["type"] == "trade"]
    assert received == sent[: len(received)]
    newest = (await frozen.trades(1))[0]["id"]
    assert newest == sent[-1]
    assert (lagged["from_id"], lagged["to_id"]) == (received[-1] + 1, newest - 1)
    assert len(received) + lagged["skipped"] + 1 == len(sent)
    exchange.faults.burst(symbol="BTCUSDT", trades=20)
    assert missing_ids([newest] + [trade["id"] for trade in await frozen.trades(20)]) == []
    assert app.services.fanout.statistics().lagging == 0


@both_ways_out
@time_is_simulated
async def test_a_client_that_stays_stuck_is_closed_with_1013(
    app: RunningApp, exchange: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "_CLOSE_SECONDS", 0.5)
    hub = app.services.hub
    hub.limits = msgspec.structs.replace(hub.limits, stuck_seconds=1.0)
    reader, frozen = await app.connect(), await frozen_client(app)
    await reader.subscribe("BTCUSDT")
    await reader.next("status", state="live")
    await flood_until_it_lags(app, exchange, reader)
    await eventually(lambda: len(hub.connections) == 1, timeout_seconds=10)
    assert hub.statistics().closed_slow == 1
    frozen.socket.transport.resume_reading()
    # Through plain ASGI there is no way to say it to a peer that takes nothing.
    codes = (1013,) if app.server.config.ws is RawFrameProtocol else (1013, 1006)
    code, reason = await frozen.closed()
    assert code in codes
    assert code == 1006 or reason == CLOSE_CODES[1013]
    assert await reader.works()


@time_is_simulated
async def test_a_ping_behind_data_that_was_not_read_closes_nobody(
    app: RunningApp, exchange: Simulator
) -> None:
    """It would, with 1011, before the 30 s that a client has."""
    reader, frozen = await app.connect(), await frozen_client(app)
    await reader.subscribe("BTCUSDT")
    await reader.next("status", state="live")
    await flood_until_it_lags(app, exchange, reader)
    protocols = [one for one in app.server.server_state.connections if isinstance(one, RawFrameProtocol)]
    (late,) = [one for one in protocols if one._writer is not None and one._writer.is_paused]
    late.send_keepalive_ping()
    late.keepalive_timeout()
    assert not late.close_sent
    frozen.socket.transport.resume_reading()
    assert await frozen.works()
    await eventually(lambda: late.pending_ping_payload is None, because="the answer to the ping counts")


@time_is_simulated
async def test_a_client_that_does_not_answer_a_ping_is_closed_with_1011(app: RunningApp) -> None:
    client = await app.connect()
    (protocol,) = app.server.server_state.connections
    assert isinstance(protocol, RawFrameProtocol)
    protocol.keepalive_timeout()
    assert (await client.closed())[0] == 1011


def crowd_of(size: int) -> Callable[[Services], None]:
    def prepare(services: Services) -> None:
        relaxed(services)
        services.hub.limits = msgspec.structs.replace(services.hub.limits, clients=size)

    return prepare


@time_is_simulated
async def test_many_clients_share_one_upstream_stream_and_all_get_everything(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange), prepare=crowd_of(100)) as app:
        clients = [await app.connect() for _ in range(60)]
        for client in clients:
            await client.subscribe("BTCUSDT", snapshot=0)
        await eventually(lambda: app.services.status("binance").state == "live")
        assert exchange.subscriptions() == {"btcusdt@trade"}
        assert len(exchange.connections) == 1
        exchange.faults.burst(symbol="BTCUSDT", trades=50)
        received = await asyncio.gather(*(client.trades(50) for client in clients))
        first = [trade["id"] for trade in received[0]]
        assert missing_ids(first) == []
        assert all([trade["id"] for trade in trades] == first for trades in received)
