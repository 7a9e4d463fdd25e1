"""For which streams a rotation waits, in simulated time with the real time limits."""

import asyncio
from collections.abc import Callable

import pytest

from livemarkets.exchanges.binance.client import ClientTimings
from livemarkets.market.clock import Clock
from tests.support.helpers import eventually
from tests.support.scripted_exchange import ScriptedExchange, scripted_exchange
from tests.support.simulated_time import run_in_simulated_time
from tests.support.upstream import Recorder, client, key

TAKEOVER_SECONDS = ClientTimings().shard.takeover_seconds
TRADED = ("BTCUSDT", "ETHUSDT")
GONE_STREAM = "goneusdt@trade"
TIME_MS = 1_723_161_255_342


async def send_trade(venue: ScriptedExchange, symbol: str) -> None:
    trade = {"e": "trade", "E": TIME_MS + 1, "s": symbol, "t": 1, "p": "1.00", "q": "1.00"}
    await venue.send(f"{symbol.lower()}@trade", trade | {"T": TIME_MS, "m": True})


def takeover_seconds(prepare: Callable[[ScriptedExchange, Recorder], object]) -> float:
    """How long a new connection whose streams are acknowledged waits for `GONEUSDT`, which brings nothing."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        clock = Clock(loop.time, lambda: int(loop.time() * 1000))
        async with (
            scripted_exchange() as venue,
            client(venue.ws_url, timings=ClientTimings(), clock=clock) as recorder,
        ):
            prepare(venue, recorder)
            for symbol in (*TRADED, "GONEUSDT"):
                recorder.client.want(key(symbol))
            await recorder.live()
            recorder.rotate()
            await eventually(
                lambda: (
                    len(recorder.client.connections) == 2
                    and all(
                        one.is_open and one.session.is_acknowledged() for one in recorder.client.connections
                    )
                )
            )
            began = loop.time()
            for symbol in TRADED:
                await send_trade(venue, symbol)
            await eventually(lambda: recorder.rotations == 1, 10 * TAKEOVER_SECONDS)
            return loop.time() - began

    return run_in_simulated_time(main(), has_sockets=True)


def is_not_traded(venue: ScriptedExchange, recorder: Recorder) -> None:
    recorder.not_traded.add(key("GONEUSDT"))


def is_refused(venue: ScriptedExchange, recorder: Recorder) -> None:
    venue.refused.add(GONE_STREAM)


@pytest.mark.parametrize("prepare", [is_not_traded, is_refused])
def test_a_rotation_does_not_wait_for_a_stream_that_cannot_bring_anything(
    prepare: Callable[[ScriptedExchange, Recorder], object],
) -> None:
    assert takeover_seconds(prepare) < TAKEOVER_SECONDS / 3


def test_a_rotation_waits_for_a_stream_that_is_only_quiet() -> None:
    assert takeover_seconds(lambda venue, recorder: None) > TAKEOVER_SECONDS * 0.9
