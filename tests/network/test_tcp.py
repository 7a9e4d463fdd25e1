"""Connections to hosts of which one address does not answer."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
import uvloop

from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.binance.rest import BinanceRest
from livemarkets.exchanges.failures import explain
from livemarkets.market.clock import system_clock
from livemarkets.network.proxies import Proxy, parse_proxy
from livemarkets.network.tcp import open_tcp
from tests.support.helpers import free_port, measured
from tests.support.two_addresses import ALIVE, DEAD, NAME, black_hole, loop_that_knows
from tests.support.upstream import Listener, connect_to, exchange

UNROUTABLE = "255.255.255.255"

pytestmark = measured


async def both_halves(loop_is_uvloop: bool) -> tuple[float, float]:
    """How long streams and REST take to reach an exchange, in seconds."""
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop) is loop_is_uvloop
    async with exchange() as venue:
        with black_hole(venue.port):
            began = time.monotonic()
            listener = Listener()
            connection = connect_to(f"ws://{NAME}:{venue.port}", "btcusdt@trade", listener=listener)
            task = asyncio.create_task(connection.run())
            await listener.more_trades(1)
            opened = time.monotonic()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            rest = BinanceRest("simulator", [f"http://{NAME}:{venue.port}"], clock=system_clock())
            asked = time.monotonic()
            assert (await rest.symbols()).symbols
            answered = time.monotonic()
            await rest.aclose()
            return opened - began, answered - asked


@pytest.mark.parametrize("has_uvloop", [False, True])
def test_a_dead_first_address_costs_a_moment(has_uvloop: bool) -> None:
    """Without a second attempt beside the first, the stream's time limit of 2 s here would be used up."""

    with asyncio.Runner(loop_factory=loop_that_knows(DEAD, ALIVE, has_uvloop=has_uvloop)) as runner:
        for seconds in runner.run(both_halves(has_uvloop)):
            assert 0.2 < seconds < 1.5


@pytest.mark.parametrize("has_uvloop", [False, True])
def test_addresses_that_fail_differently_are_each_explained(has_uvloop: bool) -> None:
    """The library puts the errors of all addresses into one text, without a number."""

    async def fail() -> str:
        with pytest.raises(OSError, match="Multiple exceptions") as caught:
            await open_tcp(NAME, free_port(), None)
        return explain(caught.value)

    factory = loop_that_knows(UNROUTABLE, ALIVE, "127.0.0.2", has_uvloop=has_uvloop)
    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(fail()) == "network is unreachable, connection refused"


@contextlib.asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[Proxy]:
    """A proxy that says what it likes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.read(1000)
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield parse_proxy(f"socks5://user:zebra@127.0.0.1:{port}", "ALL_PROXY")
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([b"HTTP/1.1 400 Bad\r\n\r\n"], "did not answer as a SOCKS 5 proxy"),
        ([b"\x05\xff"], "does not accept the user name"),
        ([b"\x05\x07"], "does not accept the user name"),
        ([b"\x05\x02", b"\x01\x01"], "does not accept the user name"),
        ([b"\x05\x00", b"\x05\x05\x00\x01" + bytes(6)], "did not connect: connection refused"),
        ([b"\x05\x00", b"\x05\x63\x00\x01" + bytes(6)], "did not connect: error 99"),
        ([b"\x05"], "closed the connection"),
        ([b"\x05\x00", b"\x05\x00\x00\x03\x04ab"], "closed the connection"),
    ],
)
async def test_what_a_socks_proxy_may_answer(answers: list[bytes], why: str) -> None:
    async with answering(*answers) as proxy:
        with pytest.raises(ExchangeUnreachable) as caught:
            await open_tcp("exchange.test", 443, proxy)
    assert caught.value.reason.startswith(f"the proxy {proxy} ")
    assert why in caught.value.reason


@pytest.mark.parametrize("kind", [b"\x01" + bytes(4), b"\x04" + bytes(16), b"\x03\x07proxy.x"])
@pytest.mark.parametrize("host", ["exchange.test", "10.0.0.1", "fd00::1"])
async def test_every_kind_of_address_is_understood(kind: bytes, host: str) -> None:
    async with answering(b"\x05\x00", b"\x05\x00\x00" + kind + b"\x00\x09first words") as proxy:
        connected = await open_tcp(host, 443, proxy)
        assert await asyncio.get_running_loop().sock_recv(connected, 100) == b"first words"
        connected.close()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1", b"220 mail.test ESMTP\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", b"x" * 70_000]
)
async def test_what_an_http_proxy_may_not_answer(answer: bytes) -> None:
    async with answering(answer) as proxy:
        proxy = parse_proxy(proxy.url.replace("socks5", "http"), "ALL_PROXY")
        with pytest.raises(ExchangeUnreachable, match="did not answer as an HTTP proxy"):
            await open_tcp("exchange.test", 443, proxy)


async def test_a_proxy_that_nobody_listens_at() -> None:
    proxy = parse_proxy(f"127.0.0.1:{free_port()}", "ALL_PROXY")
    with pytest.raises(ConnectionRefusedError):
        await open_tcp("exchange.test", 443, proxy)
