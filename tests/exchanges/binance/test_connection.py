"""One connection against a real exchange that does everything wrong."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator
from typing import Literal

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.binance.connection import Connection, ConnectionTimings
from livemarkets.exchanges.binance.session import SessionTimings
from livemarkets.exchanges.failures import explain, retry_after
from livemarkets.simulator import ExchangeLimits, Simulator
from livemarkets.simulator.faults.garbage import GARBAGE
from livemarkets.simulator.protocol.connection import text_frame
from tests.support.helpers import eventually, free_port
from tests.support.sessions import is_settled
from tests.support.simulated_time import time_is_simulated
from tests.support.upstream import QUICK, Listener, assert_consecutive, connect_to, exchange, quick_market

BTC, ETH = "btcusdt@trade", "ethusdt@trade"
HASTY = ConnectionTimings(
    close_seconds=0.1, session=SessionTimings(spacing_seconds=0.02, ack_timeout_seconds=0.1)
)


@pytest.fixture
def venue() -> contextlib.AbstractAsyncContextManager[Simulator]:
    return exchange()


@pytest.fixture
def quiet() -> contextlib.AbstractAsyncContextManager[Simulator]:
    return exchange(quick_market(0.001))


@contextlib.asynccontextmanager
async def running(connection: Connection) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(connection.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def failure_of(task: asyncio.Task[None]) -> ExchangeUnreachable:
    with pytest.raises(ExchangeUnreachable) as caught:
        await asyncio.wait_for(task, 5)
    return caught.value


@time_is_simulated
async def test_it_subscribes_reads_and_ends_in_good_order(venue: Simulator) -> None:
    listener = Listener()
    connection = connect_to(venue.ws_url, BTC, ETH, listener=listener)
    async with running(connection) as task:
        await listener.more_trades(50)
        assert connection.opened_at is not None
        assert is_settled(connection.session, time.monotonic())
        assert venue.subscriptions() == {BTC, ETH}
        for symbol in ("BTCUSDT", "ETHUSDT"):
            assert_consecutive(tick.id for tick in listener.ticks if tick.symbol == symbol)
        connection.retire()
        await asyncio.wait_for(task, 2)
    await eventually(lambda: venue.stats()["open"] == 0)
    assert not connection.is_open
    assert listener.complaints == []


@time_is_simulated
async def test_it_follows_the_wishes(venue: Simulator) -> None:
    connection = connect_to(venue.ws_url, BTC)
    async with running(connection):
        await eventually(lambda: venue.subscriptions() == {BTC})
        connection.set_wanted([ETH])
        await eventually(lambda: venue.subscriptions() == {ETH})
        assert venue.stats()["connects"] == 1


@time_is_simulated
async def test_a_mute_stream_is_asked_for_again(venue: Simulator) -> None:
    listener = Listener()
    connection = connect_to(venue.ws_url, BTC, listener=listener)
    async with running(connection):
        await listener.more_trades()
        venue.faults.mute(stream=BTC)
        before = len(listener.ticks)
        connection.resubscribe([BTC])
        await eventually(lambda: len(listener.ticks) > before + 5)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (503, "HTTP 503"),
        (404, "HTTP 404 (no stream endpoint at this address)"),
        (403, "HTTP 403 (refused by the exchange's firewall)"),
        (418, "HTTP 418 (this address is banned temporarily)"),
        (429, "HTTP 429 (too many connection attempts)"),
        (451, "HTTP 451 (not available in this country)"),
    ],
)
@time_is_simulated
async def test_a_refused_handshake(venue: Simulator, status: int, reason: str) -> None:
    venue.faults.refuse(status=status, retry_after_seconds=7 if status == 429 else None)
    connection = connect_to(venue.ws_url, BTC)
    async with running(connection) as task:
        error = await failure_of(task)
    assert error.reason == reason
    assert error.retry_after_seconds == (7 if status == 429 else None)
    assert connection.opened_at is None


@time_is_simulated
async def test_nobody_listens() -> None:
    connection = connect_to(f"ws://127.0.0.1:{free_port()}", BTC)
    async with running(connection) as task:
        assert "refused" in (await failure_of(task)).reason


@contextlib.asynccontextmanager
async def tcp_server(answer: bytes | None) -> AsyncIterator[str]:
    """Something that is no exchange: it says `answer` and hangs up, or never says anything."""
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if answer is not None:
            writer.write(answer)
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("answer", [b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
@time_is_simulated
async def test_what_answers_is_no_exchange(answer: bytes) -> None:
    async with tcp_server(answer) as url, running(connect_to(url, BTC)) as task:
        assert (await failure_of(task)).reason


@time_is_simulated
async def test_a_handshake_that_never_ends() -> None:
    timings = ConnectionTimings(open_seconds=0.1, close_seconds=0.1)
    async with tcp_server(None) as url, running(connect_to(url, BTC, timings=timings)) as task:
        assert (await failure_of(task)).reason == "timeout"


@time_is_simulated
async def test_a_connection_that_is_cut(venue: Simulator) -> None:
    listener = Listener()
    async with running(connect_to(venue.ws_url, BTC, listener=listener)) as task:
        await listener.more_trades()
        venue.faults.drop()
        assert (await failure_of(task)).reason == "connection lost"


@time_is_simulated
async def test_a_connection_that_is_closed(venue: Simulator) -> None:
    listener = Listener()
    async with running(connect_to(venue.ws_url, BTC, listener=listener)) as task:
        await listener.more_trades()
        venue.faults.close(code=1001, reason="maintenance")
        assert (await failure_of(task)).reason == "closed by the exchange with 1001 (maintenance)"


@time_is_simulated
async def test_accepted_and_closed_at_once(venue: Simulator) -> None:
    venue.faults.accept_close()
    async with running(connect_to(venue.ws_url, BTC)) as task:
        assert "closed by the exchange with 1001" in (await failure_of(task)).reason


@time_is_simulated
async def test_a_dead_connection_is_known_by_its_pings(venue: Simulator) -> None:
    listener = Listener()
    async with running(connect_to(venue.ws_url, BTC, listener=listener)) as task:
        await listener.more_trades()
        venue.faults.half_open()
        assert "ping was not answered" in (await failure_of(task)).reason


@time_is_simulated
async def test_a_silent_connection_that_answers_pings_is_kept(venue: Simulator) -> None:
    """Whether its silence is right can only be said by who knows the streams."""
    timings = ConnectionTimings(ping_seconds=0.1, pong_seconds=0.09, session=QUICK.session)
    listener = Listener()
    async with running(connect_to(venue.ws_url, BTC, listener=listener, timings=timings)) as task:
        await listener.more_trades()
        venue.faults.silence(seconds=0.5)  # five pings
        before = len(listener.ticks)
        await eventually(lambda: len(listener.ticks) > before + 5)
        assert not task.done()


@time_is_simulated
async def test_garbage_is_counted_and_harms_nothing(venue: Simulator) -> None:
    listener = Listener()
    async with running(connect_to(venue.ws_url, BTC, listener=listener)) as task:
        await listener.more_trades()
        venue.faults.garbage(count=3)
        await listener.more_trades(20)
        assert not task.done()
    kinds = {kind for kind, _ in listener.complaints}
    assert kinds == {
        "not JSON",
        "not an object",
        "event without a name",
        "malformed trade",
        "implausible trade",
        "unknown event",
    }
    harmless = 1  # a reply to nothing
    assert len(listener.complaints) == 3 * (len(GARBAGE) - harmless)
    assert_consecutive(tick.id for tick in listener.ticks)


@time_is_simulated
async def test_an_invalid_trade_is_reported_after_the_trades_before_it(venue: Simulator) -> None:
    """With its id, in its turn, and to the log once."""
    listener = Listener()

    def frame(symbol: str, trade_id: int, price: str) -> bytes:
        return text_frame(
            b'{"stream":"%b@trade","data":{"e":"trade","E":1723161255343,"s":"%b","t":%d,"p":"%b",'
            b'"q":"1.0","T":1723161255342,"m":true}}'
            % (symbol.lower().encode(), symbol.encode(), trade_id, price.encode())
        )

    async with running(connect_to(venue.ws_url, BTC, listener=listener)):
        await listener.more_trades()
        before = len(listener.ticks)
        frames = [("BTCUSDT", 7, "1.0"), ("BTCUSDT", 8, "0.0"), ("BTCUSDT", 9, "1.0"), ("NOBODY", 10, "0.0")]
        venue.connections[0].outbox.append(b"".join(frame(*entry) for entry in frames))
        await eventually(lambda: [tick.id for tick in listener.ticks].count(9))
    ((symbol, trade_id, position),) = listener.invalid
    assert (symbol, trade_id) == ("BTCUSDT", 8)
    assert position > before
    assert [tick.id for tick in listener.ticks[position - 1 :]][:1] == [7]
    assert [kind for kind, _ in listener.complaints] == ["implausible trade"] * 2


@time_is_simulated
async def test_a_message_beyond_all_size_ends_the_connection_not_the_program(venue: Simulator) -> None:
    listener = Listener()
    async with running(connect_to(venue.ws_url, BTC, listener=listener)) as task:
        await listener.more_trades()
        venue.connections[0].outbox.append(text_frame(b"[" + b" " * 5 * 2**20 + b"]"))
        assert (await failure_of(task)).reason


@pytest.mark.parametrize("fault", ["no_acks", "wrong_acks"])
@time_is_simulated
async def test_one_missing_answer_is_asked_for_again(quiet: Simulator, fault: str) -> None:
    getattr(quiet.faults, fault)(count=1)
    connection = connect_to(quiet.ws_url, BTC)
    async with running(connection):
        await eventually(lambda: is_settled(connection.session, time.monotonic()))
        assert quiet.stats()["control_messages"] == 2
        assert connection.session.lost_answers == 0


@pytest.mark.parametrize("fault", ["no_acks", "wrong_acks"])
@time_is_simulated
async def test_an_exchange_that_sends_nothing_and_never_answers_is_left(quiet: Simulator, fault: str) -> None:
    getattr(quiet.faults, fault)(count=100)
    connection = connect_to(quiet.ws_url, BTC, timings=HASTY)
    async with running(connection) as task:
        assert "does not answer" in (await failure_of(task)).reason
    assert connection.proved_at is None


@pytest.mark.parametrize("fault", ["no_acks", "wrong_acks"])
@time_is_simulated
async def test_trades_are_as_good_as_an_answer(venue: Simulator, fault: str) -> None:
    """An exchange that never answers, but does what it was asked to."""
    getattr(venue.faults, fault)(count=1000)
    listener = Listener()
    connection = connect_to(venue.ws_url, BTC, ETH, listener=listener, timings=HASTY)
    async with running(connection) as task:
        await eventually(lambda: is_settled(connection.session, time.monotonic()))
        assert connection.proved_at is not None
        connection.set_wanted([ETH])  # the UNSUBSCRIBE is not answered either
        await eventually(lambda: venue.subscriptions() == {ETH})
        requests = venue.stats()["control_messages"]
        await eventually(lambda: venue.stats()["control_messages"] > requests + 5)
        assert not task.done(), "trades come, so the exchange is not left"


@time_is_simulated
async def test_a_stream_that_never_trades_is_still_asked_for(venue: Simulator) -> None:
    venue.faults.no_acks(count=1000)
    never = "neverusdt@trade"
    connection = connect_to(venue.ws_url, BTC, never, timings=HASTY)
    async with running(connection) as task:
        await eventually(lambda: venue.stats()["control_messages"] > 6)
        assert connection.session.acknowledged == {BTC}
        assert not task.done()
        venue.faults.clear()
        await eventually(lambda: connection.session.acknowledged == {BTC, never})


@time_is_simulated
async def test_an_exchange_that_stops_answering_is_replaced_without_a_break(venue: Simulator) -> None:
    connection = connect_to(venue.ws_url, BTC, timings=HASTY)
    async with running(connection) as task:
        await eventually(connection.session.is_acknowledged)
        venue.faults.no_acks(count=1000)
        venue.faults.lose(stream=ETH, count=100_000)
        connection.set_wanted([BTC, ETH])
        await eventually(lambda: connection.end_reason)
        assert connection.end_reason == "the exchange no longer answers subscribe requests"
        assert not task.done()


@time_is_simulated
async def test_slow_answers_are_waited_for(venue: Simulator) -> None:
    venue.faults.slow_acks(delay_seconds=0.4, count=2)
    connection = connect_to(venue.ws_url, BTC)
    async with running(connection):
        await eventually(lambda: is_settled(connection.session, time.monotonic()))
        connection.set_wanted([ETH])
        await eventually(lambda: is_settled(connection.session, time.monotonic()))
        assert venue.subscriptions() == {ETH}
        assert venue.stats()["control_messages"] == 3


@pytest.mark.parametrize("shape", ["flat", "nested"])
@time_is_simulated
async def test_a_refused_stream_does_not_take_the_others_with_it(
    venue: Simulator, shape: Literal["flat", "nested"]
) -> None:
    venue.faults.error_shape(shape=shape)
    listener = Listener()
    bad = "a b c"  # no stream name has blanks
    connection = connect_to(venue.ws_url, BTC, ETH, bad, listener=listener)
    async with running(connection):
        await eventually(lambda: connection.session.is_acknowledged() and connection.session.rejected)
        assert venue.subscriptions() == {BTC, ETH}
        assert connection.session.rejected.keys() == {bad}
        assert "invalid stream" in connection.session.rejected[bad]
        assert {kind for kind, _ in listener.complaints} == {"refused"}


@time_is_simulated
async def test_a_refusal_is_not_for_ever(venue: Simulator) -> None:
    venue.faults.error_acks(count=2)
    connection = connect_to(venue.ws_url, BTC)
    async with running(connection):
        await eventually(lambda: BTC in connection.session.rejected)
        await eventually(lambda: venue.subscriptions() == {BTC})
        await eventually(lambda: is_settled(connection.session, time.monotonic()))


@pytest.mark.parametrize("combined", [True, False])
@time_is_simulated
async def test_a_shutdown_is_announced(venue: Simulator, combined: bool) -> None:
    listener = Listener()
    connection = connect_to(venue.ws_url, BTC, listener=listener)
    async with running(connection) as task:
        await listener.more_trades()
        venue.connections[0].combined = combined
        venue.faults.shutdown(notice_seconds=0.3)
        await eventually(lambda: connection.end_reason)
        assert not task.done()
        assert "1001" in (await failure_of(task)).reason


@time_is_simulated
async def test_retiring_is_not_kept_waiting_by_a_message_under_way(venue: Simulator) -> None:
    """`retire` may be called while a control message is being sent, and no answer may come."""
    venue.faults.no_acks()
    timings = ConnectionTimings(ping_seconds=60, close_seconds=0.2)
    connection = connect_to(venue.ws_url, timings=timings)
    async with running(connection) as task:
        await eventually(lambda: connection.is_open)
        socket_ = connection._socket
        assert socket_ is not None
        send = socket_.send

        async def send_and_retire(*args: object, **kwargs: object) -> None:
            connection.retire()
            await send(*args, **kwargs)  # type: ignore[arg-type]

        socket_.send = send_and_retire  # type: ignore[method-assign]
        connection.set_wanted([BTC])
        await asyncio.wait_for(task, 3)


@pytest.mark.long
@time_is_simulated
async def test_the_limit_of_messages_is_kept_whatever_is_wanted() -> None:
    """With the real timings and the exchange's real limit, which it enforces by closing."""
    async with exchange(quick_market(), limits=ExchangeLimits(ping_interval_seconds=2.0)) as venue:
        timings = ConnectionTimings(ping_seconds=0.4)
        connection = connect_to(venue.ws_url, timings=timings)
        began = time.monotonic()
        async with running(connection) as task:
            for turn in range(100):
                connection.set_wanted([BTC] if turn % 2 else [ETH, "solusdt@trade"])
                await asyncio.sleep(0.02)
            await eventually(lambda: is_settled(connection.session, time.monotonic()))
            assert not task.done()
            assert venue.subscriptions() == {BTC}
        assert venue.stats()["violations"] == {}
        # However long a busy machine takes for that: no two of them are closer than their spacing.
        spaced = (time.monotonic() - began) / timings.session.spacing_seconds
        assert venue.stats()["control_messages"] <= spaced + 1


def bad_certificate() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError()
    error.verify_message = "certificate has expired"
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "name lookup failed"),
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError(), "connection refused"),
        (OSError(113, "No route to host"), "no route to host"),
        (OSError(), "oserror"),
        (bad_certificate(), "certificate not accepted: certificate has expired"),
    ],
)
def test_reasons_are_for_people(error: Exception, words: str) -> None:
    assert words in explain(error)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("9" * 400, 604_800.0),
        (" 600 ", 600.0),
        ("Wed, 21 Oct 2015 07:38:00 GMT", 600.0),
        ("Wednesday, 21-Oct-15 07:38:00 GMT", 600.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", None),
        ("Wed, 21 Oct 2099 07:27:00 GMT", 604_800.0),
        ("Wed, 99 Oct 2015 07:27:00 GMT", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    """A date counts from the date of the answer: the clock here may be wrong."""
    headers = Headers({"Retry-After": value, "Date": "Wed, 21 Oct 2015 07:28:00 GMT"})
    response = Response(429, "Too Many Requests", headers)
    assert retry_after(InvalidStatus(response)) == seconds
    assert retry_after(TimeoutError()) is None
