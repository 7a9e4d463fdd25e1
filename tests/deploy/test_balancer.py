"""The balancers of `deploy/cluster/` in front of two apps: who gets new readers, who keeps those it has."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path

import httpx
from websockets.exceptions import ConnectionClosed

from tests.support.app import RunningApp, running_app, settings_for
from tests.support.cluster.balancer import Balancer, running_haproxy
from tests.support.documents import text_of
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient, open_client
from tests.support.nginx import Front, running_nginx

WAIT_SECONDS = 20.0


async def states_become(balancer: Balancer, *states: str) -> None:
    async def are_so() -> bool:
        return tuple((await balancer.states()).values()) == states

    await eventually(are_so, WAIT_SECONDS, because=f"the balancer calls its edges {states}")


def readers(app: RunningApp) -> int:
    return len(app.services.hub.connections)


async def answers(client: MarketsClient) -> bool:
    """Whether the connection is served."""
    await client.send(type="ping", id=1)
    return bool(await client.next("pong", WAIT_SECONDS))


async def test_readers_go_where_there_are_few_and_an_edge_that_stops_keeps_its_own_until_it_is_gone() -> None:
    async with (
        running_app(settings_for(None)) as one,
        running_app(settings_for(None)) as other,
        running_haproxy([f"127.0.0.1:{app.port}" for app in (one, other)]) as balancer,
    ):
        await states_become(balancer, "UP", "UP")
        url = f"ws://{balancer.site}/ws/markets"
        async with open_client(url) as first, open_client(url) as second, open_client(url) as third:
            await eventually(lambda: Counter(map(readers, (one, other))) == {1: 1, 2: 1}, WAIT_SECONDS)
            await third.socket.close()
            await eventually(lambda: Counter(map(readers, (one, other))) == {1: 2}, WAIT_SECONDS)

            # It refuses new readers at once, so the balancer asks the other, long before its next check.
            one.services.drain()
            async with open_client(url) as fourth:
                assert await answers(fourth)
                assert (readers(one), readers(other)) == (1, 2)
            await states_become(balancer, "NOLB", "UP")
            for client in (first, second):
                assert await answers(client), "a reader is not cut off by the balancer"

        async with httpx.AsyncClient(trust_env=False, base_url=f"http://{balancer.site}") as browser:
            answer = await browser.get("/healthz")
            assert answer.headers["set-cookie"] == (
                "livemarkets_edge=edge-b; path=/; HttpOnly; SameSite=Lax"
            ), "the edge that stops gets no new browser either"
            assert (await browser.get("/healthz")).headers.get("set-cookie") is None, "it has its edge"


async def test_an_edge_that_does_not_answer_loses_its_readers_at_once() -> None:
    """As when its link is cut: neither side of the connection is told."""
    async with running_app(settings_for(None)) as one, running_app(settings_for(None)) as other:
        edges = [f"127.0.0.1:{app.port}" for app in (one, other)]
        async with running_haproxy(edges) as balancer:
            await states_become(balancer, "UP", "UP")
            url = f"ws://{balancer.site}/ws/markets"
            async with open_client(url) as first, open_client(url) as second:
                await eventually(lambda: readers(one) == readers(other) == 1, WAIT_SECONDS)
                one.server.servers[0].close()  # it accepts nobody, and what is open stays open
                await states_become(balancer, "DOWN", "UP")
                outcomes = [await outlives(client) for client in (first, second)]
                assert sorted(outcomes) == [False, True]


async def outlives(client: MarketsClient) -> bool:
    try:
        return await answers(client)
    except ConnectionClosed:
        return False


async def test_what_a_proxy_in_front_says_is_passed_on() -> None:
    async def show(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer with the head of the request."""
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + head)
        writer.close()

    async with await asyncio.start_server(show, "127.0.0.1", 0) as server:
        edge = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with running_haproxy([edge, edge]) as balancer, httpx.AsyncClient(trust_env=False) as client:
            told = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
            seen = []
            for headers in ({}, told):
                answer = await client.get(f"http://{balancer.site}/", headers=headers)
                seen.append(re.findall(r"(?mi)^x-forwarded-(\w+): (.+)\r$", answer.text))
    assert seen == [
        [("for", "127.0.0.1"), ("proto", "http")],
        [("proto", "https"), ("for", "203.0.113.7, 127.0.0.1")],
    ]


async def test_nginx_asks_the_next_edge_and_a_browser_keeps_its_own(tmp_path: Path) -> None:
    text = text_of("deploy/cluster/nginx/cluster.conf")
    server = text.partition("\n}\n")[2].replace("127.0.0.1:8081", "127.0.0.1:8080")
    server = server.replace("127.0.0.1:8082", "127.0.0.1:8081")
    async with (
        running_app(settings_for(None)) as one,
        running_app(settings_for(None)) as other,
        running_nginx(tmp_path, Front(server, [one.port, other.port])) as [port],
    ):
        one.services.drain()
        async with open_client(f"ws://127.0.0.1:{port}/ws/markets") as client:
            assert await answers(client)
            assert (readers(one), readers(other)) == (0, 1)
        async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as browser:
            answer = await browser.get("/healthz")
            cookie = re.fullmatch(
                r"livemarkets_edge=\w{32}; Path=/; HttpOnly; SameSite=Lax", answer.headers["set-cookie"]
            )
            assert cookie, answer.headers
            assert (await browser.get("/healthz")).headers.get("set-cookie") is None
