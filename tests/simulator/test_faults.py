"""Every fault on demand: what a client sees of it, and that it ends."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus

from livemarkets.simulator import Faults, Replay, Simulator, SimulatorError
from livemarkets.simulator.faults.active import ActiveFault
from livemarkets.simulator.faults.commands import describe_commands
from livemarkets.simulator.faults.disturbances import Disturbances, Lose, Mute, Repeat, Swap
from livemarkets.simulator.faults.garbage import GARBAGE
from livemarkets.simulator.market.streams import StreamEvent
from tests.simulator.conftest import Client, Started, quick_market
from tests.support.helpers import eventually
from tests.support.recordings import recording

Dial = Callable[..., Awaitable[Client]]
Rest = Callable[..., Awaitable[httpx.Response]]
BTC = "btcusdt@trade"


@pytest.fixture
async def simulator(start: Started) -> Simulator:
    return await start()


@pytest.fixture
async def client(simulator: Simulator, dial: Dial) -> Client:
    client = await dial(simulator, f"/stream?streams={BTC}", max_queue=None)
    await client.trades(1)
    return client


async def ids_of(client: Client, count: int) -> list[int]:
    return [trade["t"] for trade in await client.trades(count)]


async def ids_around(client: Client, after: int = 5) -> list[int]:
    """Read until ids do not rise by one, and some more: what was in flight before a fault does not count."""
    ids = [client.last_id, *await ids_of(client, 1)]
    while not steps(ids[-2:]):
        ids += await ids_of(client, 1)
        assert len(ids) < 5_000
    return ids + await ids_of(client, after)


def steps(ids: list[int]) -> list[int]:
    """Differences of neighbouring ids that are not 1."""
    return [later - earlier for earlier, later in pairwise(ids) if later - earlier != 1]


async def drain(client: Client) -> None:
    """Read what has arrived already."""
    with contextlib.suppress(TimeoutError):
        while True:
            await client.receive(timeout_seconds=0.02)


async def fresh_trade(client: Client, simulator: Simulator) -> None:
    """Read up to a trade that was made after this call."""
    now_ms = simulator.now_ms()
    while (await client.trades(1))[0]["T"] < now_ms:
        pass


async def in_rest(rest: Rest, simulator: Simulator, first: int, last: int) -> list[int]:
    answer = await rest(simulator, "historicalTrades", symbol="BTCUSDT", fromId=first, limit=1000)
    return [trade["id"] for trade in answer.json() if trade["id"] <= last]


# Connections


async def test_drop_cuts_without_a_close_frame(simulator: Simulator, client: Client, dial: Dial) -> None:
    other = await dial(simulator, f"/ws/{BTC}")
    simulator.faults.drop(connection=1)
    assert (await client.closed())[0] == 1006
    assert await other.trades(1)
    simulator.faults.drop()
    assert (await other.closed())[0] == 1006
    assert simulator.stats()["faults"] == {"drop": 2}
    assert simulator.subscriptions() == set()


async def test_close_says_why(simulator: Simulator, client: Client) -> None:
    simulator.faults.close(code=1012, reason="restart")
    assert await client.closed() == (1012, "restart")


@pytest.mark.parametrize("status", [451, 403, 418, 429, 500, 503])
async def test_refuse_answers_with_a_status(simulator: Simulator, dial: Dial, status: int) -> None:
    simulator.faults.refuse(count=2, status=status, retry_after_seconds=7)
    for _ in range(2):
        with pytest.raises(InvalidStatus) as caught:
            await dial(simulator)
        assert caught.value.response.status_code == status
        assert caught.value.response.headers["Retry-After"] == "7"
    await dial(simulator)
    assert simulator.stats()["refused"] == 2


@pytest.mark.parametrize(("code", "seen"), [(1001, 1001), (1008, 1008), (0, 1006)])
async def test_accept_close(simulator: Simulator, dial: Dial, code: int, seen: int) -> None:
    simulator.faults.accept_close(code=code)
    assert (await (await dial(simulator)).closed())[0] == seen
    assert (await (await dial(simulator)).ask("LIST_SUBSCRIPTIONS"))["result"] == []


async def test_silence_still_answers_pings(simulator: Simulator, client: Client) -> None:
    simulator.faults.silence()
    await (await client.socket.ping())
    await drain(client)
    await client.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
    await (await client.socket.ping())
    with pytest.raises(TimeoutError):
        await client.receive(timeout_seconds=0.1)
    simulator.faults.clear()
    await fresh_trade(client, simulator)


async def test_half_open_answers_nothing_until_it_wakes(simulator: Simulator, client: Client) -> None:
    simulator.faults.half_open()
    pong = await client.socket.ping()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(pong), 0.15)
    assert simulator.connections
    simulator.faults.clear()
    await asyncio.wait_for(pong, 5)
    await fresh_trade(client, simulator)


async def test_silence_and_half_openness_can_be_timed(simulator: Simulator, client: Client) -> None:
    simulator.faults.silence(seconds=0.05)
    simulator.faults.half_open(seconds=0.1)
    await asyncio.wait_for(await client.socket.ping(), 5)
    await fresh_trade(client, simulator)


async def test_a_half_open_connection_does_not_delay_the_close(simulator: Simulator, client: Client) -> None:
    simulator.faults.half_open()
    async with asyncio.timeout(0.9):
        await simulator.aclose()


async def test_a_client_may_leave_a_half_open_connection(simulator: Simulator, client: Client) -> None:
    simulator.faults.half_open()
    client.socket.transport.abort()
    await eventually(lambda: simulator.subscriptions() == set())


async def test_shutdown_is_announced_in_both_shapes_and_then_happens(
    simulator: Simulator, client: Client, dial: Dial
) -> None:
    raw = await dial(simulator, f"/ws/{BTC}")
    simulator.faults.shutdown(notice_seconds=0.1)
    while (message := await client.receive()).get("stream") != "!serverShutdown":
        pass
    assert message["data"]["e"] == "serverShutdown"
    while (message := await raw.receive())["e"] != "serverShutdown":
        pass
    assert set(message) == {"e", "E"}
    assert isinstance(message["E"], int)
    assert (await client.closed())[0] == (await raw.closed())[0] == 1001


async def test_max_age_ends_the_present_connections(simulator: Simulator, client: Client) -> None:
    simulator.faults.max_age(seconds=0.05)
    assert (await client.closed())[0] == 1001


# Replies


@pytest.mark.serial
async def test_slow_acks_come_late_and_act_late(simulator: Simulator, client: Client) -> None:
    simulator.faults.slow_acks(delay_seconds=0.15)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await client.send('{"method":"SUBSCRIBE","params":["ethusdt@trade"],"id":3}')
    await client.trades(3)
    assert "ethusdt@trade" not in simulator.subscriptions()
    assert await client.reply() == {"result": None, "id": 3}
    assert loop.time() - began >= 0.15
    began = loop.time()
    await client.ask("LIST_SUBSCRIPTIONS")
    assert loop.time() - began < 0.15


async def test_a_client_that_leaves_during_a_slow_ack_is_no_trouble(
    simulator: Simulator, client: Client
) -> None:
    simulator.faults.slow_acks(delay_seconds=30)
    await client.send('{"method":"SUBSCRIBE","params":["ethusdt@trade"],"id":3}')
    client.socket.transport.abort()
    await eventually(lambda: simulator.subscriptions() == set())


async def test_no_acks_acts_without_a_word(simulator: Simulator, dial: Dial) -> None:
    client = await dial(simulator)
    simulator.faults.no_acks(count=1)
    await client.send('{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":3}')
    assert (await client.receive())["e"] == "trade"
    assert (await client.ask("LIST_SUBSCRIPTIONS"))["result"] == [BTC]


async def test_wrong_acks_carry_an_id_nobody_used(simulator: Simulator, dial: Dial) -> None:
    client = await dial(simulator)
    simulator.faults.wrong_acks()
    reply = await client.ask("SUBSCRIBE", [BTC], 3)
    assert reply["result"] is None
    assert reply["id"] != 3


async def test_error_acks_refuse(simulator: Simulator, dial: Dial) -> None:
    client = await dial(simulator)
    simulator.faults.error_acks(message="No")
    assert await client.ask("SUBSCRIBE", [BTC], 3) == {"code": 2, "msg": "No", "id": 3}
    assert simulator.subscriptions() == set()
    simulator.faults.error_shape()
    simulator.faults.error_acks(message="No")
    assert await client.ask("SUBSCRIBE", [BTC], 3) == {"error": {"code": 2, "msg": "No"}, "id": 3}


# Events


async def test_lost_trades_are_in_rest(simulator: Simulator, client: Client, rest: Rest) -> None:
    simulator.faults.lose(stream=BTC, count=7)
    ids = await ids_around(client)
    assert steps(ids) == [8]
    assert await in_rest(rest, simulator, ids[0], ids[-1]) == list(range(ids[0], ids[-1] + 1))


async def test_a_loss_can_concern_one_connection(simulator: Simulator, client: Client, dial: Dial) -> None:
    other = await dial(simulator, f"/ws/{BTC}")
    await other.trades(1)
    simulator.faults.lose(stream=BTC, count=5, connection=2)
    assert steps(await ids_of(client, 60)) == []
    assert steps(await ids_around(other)) == [6]


async def test_repeat_sends_a_range_twice(simulator: Simulator, client: Client) -> None:
    simulator.faults.repeat(count=5)
    ids = await ids_around(client, after=10)
    assert steps(ids) == [-4]
    assert len(ids) - len(set(ids)) == 5


async def test_swap_exchanges_neighbours(simulator: Simulator, client: Client) -> None:
    simulator.faults.swap(count=1)
    ids = await ids_around(client)
    assert sorted(ids) == list(range(min(ids), max(ids) + 1))
    assert steps(ids) == [2, -1, 2]


async def test_a_muted_stream_is_cured_by_subscribing_again(simulator: Simulator, client: Client) -> None:
    await client.ask("SUBSCRIBE", ["ethusdt@trade"])
    simulator.faults.mute(stream=BTC)
    await eventually(lambda: simulator.connections[0].muted == {BTC})
    await client.ask("LIST_SUBSCRIPTIONS")
    assert {trade["s"] for trade in await client.trades(30)} == {"ETHUSDT"}
    await client.ask("SUBSCRIBE", [BTC])
    assert {trade["s"] for trade in await client.trades(60)} == {"BTCUSDT", "ETHUSDT"}


async def test_a_stubborn_mute_lasts_until_it_is_cleared(simulator: Simulator, dial: Dial) -> None:
    simulator.faults.mute(stream=BTC, stubborn=True)
    client = await dial(simulator, f"/ws/{BTC}")
    with pytest.raises(TimeoutError):
        await client.receive(timeout_seconds=0.1)
    simulator.faults.clear()
    assert await client.trades(1)


async def test_a_timed_mute_ends(simulator: Simulator, client: Client) -> None:
    simulator.faults.mute(stream=BTC, seconds=0.3)
    assert steps(await ids_around(client))[0] > 1


@pytest.mark.parametrize("kind", [*GARBAGE, "all"])
async def test_garbage_comes_between_good_frames(simulator: Simulator, client: Client, kind: str) -> None:
    simulator.faults.garbage(kind=kind, count=2)
    expected = 2 * (len(GARBAGE) if kind == "all" else 1)
    good: list[int] = []
    bad = 0
    while bad < expected or len(good) < 20:
        message = await asyncio.wait_for(client.socket.recv(decode=False), 5)
        try:
            data = msgspec.json.decode(message)["data"]
            genuine = data["e"] == "trade" and data["t"] > 4_000_000_000 and isinstance(data["t"], int)
        except (msgspec.MsgspecError, RecursionError, KeyError, TypeError):
            genuine = False
        if genuine and data["t"] != 3735683259 and len(str(data["t"])) < 20:
            good.append(data["t"])
        else:
            bad += 1
    assert bad == expected
    assert steps(good) == []


# The market


async def test_a_hole_is_nowhere(simulator: Simulator, client: Client, rest: Rest) -> None:
    simulator.faults.hole(symbol="BTCUSDT", count=5)
    ids = await ids_around(client)
    assert steps(ids) == [6]
    assert await in_rest(rest, simulator, ids[0], ids[-1]) == ids


async def test_relist_starts_the_ids_again(simulator: Simulator, client: Client, rest: Rest) -> None:
    simulator.faults.relist(symbol="BTCUSDT", first_id=100)
    assert (await ids_around(client))[-1] < 200
    answer = await rest(simulator, "trades", symbol="BTCUSDT", limit=1000)
    assert answer.json()[0]["id"] == 100


async def test_a_burst_arrives_at_once(simulator: Simulator, client: Client) -> None:
    simulator.faults.burst(symbol="BTCUSDT", factor=100)
    assert steps(await ids_of(client, 2600)) == []
    simulator.faults.burst(trades=500)
    assert steps(await ids_of(client, 500)) == []
    assert simulator.stats()["faults"] == {"burst": 2}


async def test_skew_moves_the_exchanges_clock(simulator: Simulator, client: Client, rest: Rest) -> None:
    simulator.faults.skew(ms=3_600_000)
    late = (await client.trades(1))[0]
    while late["T"] - simulator.now_ms() < 3_000_000:
        late = (await client.trades(1))[0]
    assert late["E"] >= late["T"]
    server_ms = (await rest(simulator, "time")).json()["serverTime"]
    assert server_ms - simulator.now_ms() == pytest.approx(3_600_000, abs=2000)


# REST


async def test_rest_down_cuts_or_answers_503(simulator: Simulator, rest: Rest) -> None:
    simulator.faults.rest_down(count=1)
    with pytest.raises(httpx.TransportError):
        await rest(simulator, "time")
    simulator.faults.rest_down(count=1, status=503)
    assert (await rest(simulator, "time")).status_code == 503
    assert (await rest(simulator, "time")).status_code == 200


async def test_rest_limit_says_when_to_come_back(simulator: Simulator, rest: Rest) -> None:
    simulator.faults.rest_limit(retry_after_seconds=3)
    answer = await rest(simulator, "trades", symbol="BTCUSDT")
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["code"]) == (429, "3", -1003)
    assert (await rest(simulator, "trades", symbol="BTCUSDT")).status_code == 200


async def test_rest_lag_serves_what_the_database_has_by_then(simulator: Simulator, rest: Rest) -> None:
    """Its last kline has fewer trades than in truth; what is in memory is up to date."""
    await rest(simulator, "trades", symbol="BTCUSDT")
    simulator.faults.rest_lag(behind_seconds=30.0)
    now_ms = simulator.now_ms()
    answers = {
        name: (await rest(simulator, name, symbol="BTCUSDT", **fields)).json()
        for name, fields in (
            ("historicalTrades", {}),
            ("aggTrades", {}),
            ("trades", {}),
            ("klines", {"interval": "1s", "limit": 20}),
        )
    }
    assert now_ms - 40_000 < answers["historicalTrades"][-1]["time"] <= now_ms - 25_000
    assert answers["aggTrades"][-1]["T"] <= now_ms - 25_000
    assert answers["trades"][-1]["time"] > now_ms - 25_000
    newest_ms = answers["klines"][-1][0]
    assert now_ms - 40_000 < newest_ms <= now_ms - 25_000
    simulator.faults.clear()
    fields = {"symbol": "BTCUSDT", "interval": "1h", "limit": 1}
    whole = (await rest(simulator, "klines", **fields)).json()[0]
    simulator.faults.rest_lag(behind_seconds=3.0, count=1)
    partial = (await rest(simulator, "klines", **fields)).json()[0]
    assert partial[8] < whole[8], "the number of trades"
    assert (await rest(simulator, "klines", **fields)).json()[0][8] >= whole[8]


# Altogether


async def test_faults_apply_to_a_recording_too(start: Started, dial: Dial, rest: Rest) -> None:
    simulator = await start(Replay(recording("spot_btc_eth_20240808_trade.jsonl.gz"), speed=500))
    simulator.faults.lose(stream=BTC, count=3)
    client = await dial(simulator, f"/stream?streams={BTC}", max_queue=None)
    first = (await ids_of(client, 1))[0]
    assert first == 3735683259 + 3
    assert await in_rest(rest, simulator, 3735683259, first) == list(range(3735683259, first + 1))


async def test_clear_ends_everything(simulator: Simulator, client: Client, rest: Rest) -> None:
    faults = simulator.faults
    faults.refuse(count=99)
    faults.slow_acks(delay_seconds=9, count=99)
    faults.rest_down()
    faults.mute(stream=BTC, stubborn=True)
    faults.lose(count=10**6)
    faults.swap(count=10**6)
    faults.silence()
    faults.half_open()
    faults.skew(ms=10**9)
    faults.clear()
    assert (await client.ask("LIST_SUBSCRIPTIONS"))["result"] == [BTC]
    assert (await rest(simulator, "time")).json()["serverTime"] < simulator.now_ms() + 1000
    assert steps(await ids_of(client, 20)) == []
    assert len(faults.disturbances) == 0


def test_every_documented_fault_has_a_verb() -> None:
    verbs = describe_commands(Faults)
    assert verbs.keys() >= {
        "drop",
        "refuse",
        "accept_close",
        "silence",
        "half_open",
        "lose",
        "repeat",
        "swap",
        "hole",
        "relist",
        "shutdown",
        "max_age",
        "slow_acks",
        "no_acks",
        "error_acks",
        "mute",
        "rest_down",
        "rest_limit",
        "rest_lag",
        "garbage",
        "skew",
        "burst",
        "clear",
    }
    assert all(description.endswith(".") for description in verbs.values())


def test_faults_of_no_exchange_say_so() -> None:
    with pytest.raises(SimulatorError):
        Faults().drop()


async def test_faults_at_random_never_stop_the_exchange(start: Started, dial: Dial) -> None:
    simulator = await start(quick_market(trades_per_second=2000.0))
    verbs: list[Callable[[], Any]] = [
        lambda: simulator.faults.drop(connection=simulator.connections[-1].number),
        simulator.faults.silence,
        simulator.faults.half_open,
        lambda: simulator.faults.garbage(count=3),
        lambda: simulator.faults.lose(count=3),
        lambda: simulator.faults.repeat(count=3),
        lambda: simulator.faults.swap(count=3),
        lambda: simulator.faults.hole(symbol="BTCUSDT"),
        lambda: simulator.faults.burst(trades=100),
        lambda: simulator.faults.mute(stream=BTC),
        lambda: simulator.faults.skew(ms=-5000),
        simulator.faults.clear,
    ]
    for round_ in range(3):
        clients = [await dial(simulator, f"/stream?streams={BTC}", max_queue=None) for _ in range(3)]
        for verb in verbs[round_:] + verbs[:round_]:
            verb()
            await asyncio.sleep(0)
        for one in clients:
            one.socket.transport.abort()
    simulator.faults.clear()
    last = await dial(simulator, f"/stream?streams={BTC}")
    assert steps(await ids_of(last, 50)) == []
    await eventually(lambda: len(simulator.connections) == 1)


# Without a socket


def run_of(*ids: int) -> list[StreamEvent]:
    return [StreamEvent("a@trade", b"%d" % trade_id, 0) for trade_id in ids]


RUNS = st.lists(st.integers(0, 6), max_size=20)


@given(RUNS, st.integers(1, 10), st.sampled_from([Lose, Repeat, Swap]), st.integers(0, 20))
def test_disturbances_do_what_they_say_however_events_are_cut_up(
    sizes: list[int], count: int, kind: type[Any], cleared_after: int
) -> None:
    disturbances = Disturbances()
    sent: list[StreamEvent] = []
    received: list[StreamEvent] = []
    disturbances.add(kind("a@trade", count))
    for number, size in enumerate(sizes):
        run = run_of(*range(len(sent), len(sent) + size))
        sent += run
        received += disturbances.apply(run)
        if number == cleared_after:
            disturbances.clear()
    received += disturbances.apply(run_of(10**6, 10**6 + 1))
    disturbances.clear()
    received += disturbances.apply(run_of(10**6 + 2))
    sent += run_of(10**6, 10**6 + 1, 10**6 + 2)
    if kind is Lose:
        assert received == sent[len(sent) - len(received) :]
        assert len(sent) - len(received) <= count
    else:
        assert list(dict.fromkeys(sorted(received, key=sent.index))) == sent
        assert len(received) - len(sent) in ((0, count) if kind is Repeat else (0,))


def test_a_mute_ends_with_its_time() -> None:
    over = False
    mute = Mute("a@trade", lambda: over)
    assert mute.apply(run_of(1)) == []
    over = True
    assert mute.apply(run_of(2)) == run_of(2)
    assert mute.done


def test_a_standing_fault_ends_by_count_or_by_time() -> None:
    now = 0.0
    standing: ActiveFault[str] = ActiveFault(lambda: now)
    assert standing.take() is None
    standing.set("x", 2, None)
    assert [standing.take() for _ in range(3)] == ["x", "x", None]
    standing.set("x", None, 5.0)
    assert standing.take() == "x"
    now = 5.0
    assert standing.take() is None
    standing.set("x", None, None)
    standing.clear()
    assert standing.take() is None
