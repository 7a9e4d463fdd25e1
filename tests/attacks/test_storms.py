"""Storms of subscriptions, against the shipped application."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.attacks.attacker import TEXT, frame, peer
from tests.attacks.target import Target
from tests.support.helpers import measured

one_loop = pytest.mark.asyncio(loop_scope="session")
pytestmark = measured

SUBSCRIBE = b'{"type":"subscribe","exchange":"binance","channel":"trades","symbols":["ETHUSDT","NOPE%d"]}'


@one_loop
async def test_a_storm_of_subscribes_ends_with_1008_and_leaves_nothing_subscribed(
    lasting_target: Target,
) -> None:
    async with peer(lasting_target.port, opened=True) as attacker:
        pieces = (frame(TEXT, SUBSCRIBE % number) for number in range(5_000))
        code, _ = await asyncio.gather(attacker.close_code(), attacker.send(*pieces))
        assert code == 1008


@one_loop
async def test_many_clients_that_come_and_go_are_no_storm_for_the_exchange(lasting_target: Target) -> None:
    """Within the limits of the route; the exchange would end the connection at a sixth message a second."""
    wish = b'{"type":"%s","exchange":"binance","channel":"trades","symbols":["ETHUSDT","SOLUSDT"]}'
    turn = frame(TEXT, wish % b"subscribe") + frame(TEXT, wish % b"unsubscribe")
    async with contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(peer(lasting_target.port, opened=True)) for _ in range(50)]
        for _ in range(18):
            assert all([await attacker.send(turn) for attacker in peers])
        for attacker in peers:
            async with asyncio.timeout(10):
                received = b""
                while received.count(b'"unsubscribed"') < 18:
                    received += await attacker.reader.read(65_536)
    metrics = (await lasting_target.get("/metrics")).text
    assert 'livemarkets_upstream_connects_total{exchange="binance"} 1.0' in metrics
