"""The processes of a cluster, started as `deploy/cluster/` says, each of which can be killed or drained."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.support.app import Process, running_process
from tests.support.bus import NOT_INSTALLED, nats_program
from tests.support.cluster.balancer import Balancer, running_haproxy
from tests.support.cluster.places import Place, Places
from tests.support.helpers import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "deploy" / "cluster"
PASSWORDS = {"BUS_INGEST_PASSWORD": "kIngest", "BUS_EDGE_PASSWORD": "kEdge"}
INGESTS, EDGES = ("ingest-a", "ingest-b"), ("edge-a", "edge-b")
START_SECONDS = 180.0
END_SECONDS = 30.0


class Node:
    """A process of the cluster. After it has ended it can be started again.

    Args:
        name: as in `deploy/cluster/`.
        address: `host:port` where it serves.
        begin: runs the process until it serves.

    """

    def __init__(
        self, name: str, address: str, begin: Callable[[], AbstractAsyncContextManager[Process]]
    ) -> None:
        self.name = name
        self.address = address
        self._begin = begin
        self._stack = contextlib.AsyncExitStack()
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        assert self._process is not None, f"{self.name} does not run"
        return self._process

    async def start(self) -> None:
        """Start it, and wait until it serves."""
        assert self._process is None, f"{self.name} runs"
        self._process = await self._stack.enter_async_context(self._begin())

    async def kill(self) -> None:
        """End it as a machine that fails does."""
        self.process.signal(signal.SIGKILL)
        await self._wait()

    async def drain(self) -> None:
        """End it as `systemctl stop` does."""
        self.process.signal(signal.SIGTERM)
        await self._wait()

    async def aclose(self) -> None:
        """End it, if it runs."""
        await self._stack.aclose()
        self._process = None

    async def _wait(self) -> None:
        await self.process.ended(END_SECONDS)
        await self.aclose()


class Cluster:
    """All nodes by name, in the order of their start; the last one is the balancer."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.balancer_status = ""
        """`host:port` of the balancer's own page."""

    @property
    def site(self) -> str:
        """`host:port` of the balancer."""
        return self.nodes["balancer"].address

    async def start(self) -> None:
        """Start every node. They may come in any order, and a bus that is there saves them an attempt."""
        bus, *others = self.nodes.values()
        await bus.start()
        async with asyncio.TaskGroup() as tasks:
            for node in others:
                tasks.create_task(node.start(), name=f"start of {node.name}")

    async def aclose(self) -> None:
        """End every node, the balancer first."""
        for node in reversed(self.nodes.values()):
            await node.aclose()


def settings_of(node: str) -> dict[str, str]:
    """What the file of a node says."""
    text = (FOLDER / "env" / f"{node}.env").read_text(encoding="utf-8")
    return dict(re.findall(r"^(LIVE_\w+)=(.*)$", text, re.MULTILINE))


async def lay_out(
    places: Places,
    *,
    program: Sequence[str] = ("main.py",),
    ingest: dict[str, str],
    edge: dict[str, str],
) -> Cluster:
    """Return a cluster that is not started yet.

    Args:
        places: where its nodes run.
        program: what Python runs as an ingest or an edge.
        ingest: settings of both ingests, beside and instead of those in their files.
        edge: likewise of both edges.

    """
    cluster = Cluster()
    bus = await places.add("bus")
    bus_port = bus.port(4222)
    cluster.nodes["bus"] = Node("bus", f"{bus.host}:{bus_port}", lambda: _bus(bus, bus_port))
    for name in (*INGESTS, *EDGES):
        role = name.partition("-")[0]
        variables = settings_of(name)
        place = await places.add(name)
        port = place.port(int(variables["LIVE_PORT"]))
        variables |= {
            "LIVE_HOST": place.host,
            "LIVE_PORT": str(port),
            "LIVE_BUS_URL": f"nats://{bus.host}:{bus_port}",
            "LIVE_BUS_PASSWORD": PASSWORDS[f"BUS_{role.upper()}_PASSWORD"],
            "LIVE_PROXY_URL": "direct",
            **(ingest if role == "ingest" else edge),
        }
        begin = _started(place, program, variables)
        cluster.nodes[name] = Node(name, f"{place.host}:{port}", begin)
    place = await places.add("balancer")
    ports = (place.port(8080), place.port(8404))
    edges = [cluster.nodes[name].address for name in EDGES]
    cluster.balancer_status = f"{place.host}:{ports[1]}"
    cluster.nodes["balancer"] = Node(
        "balancer", f"{place.host}:{ports[0]}", lambda: _balancer(place, ports, edges)
    )
    return cluster


@contextlib.asynccontextmanager
async def _bus(place: Place, port: int) -> AsyncIterator[Process]:
    program = nats_program()
    if program is None:
        pytest.skip(NOT_INSTALLED)
    options = ("--addr", place.host, "--port", str(port), "--http_port", str(place.port(8222)))
    command = [*place.enter, program, "--config", str(FOLDER / "nats" / "nats.conf"), *options]
    async with running_process(*command[1:], program=command[0], environment=PASSWORDS) as process:
        await process.says("Server is ready", START_SECONDS)
        yield process


def _started(
    place: Place, program: Sequence[str], variables: dict[str, str]
) -> Callable[[], AbstractAsyncContextManager[Process]]:
    @contextlib.asynccontextmanager
    async def begin() -> AsyncIterator[Process]:
        arguments: list[Any] = list(program)
        options: dict[str, Any] = {"environment": variables}
        if place.enter:
            options["program"] = place.enter[0]
            arguments = [*place.enter[1:], sys.executable, "-u", *program]
        async with running_process(*arguments, **options) as process:
            await process.says("is listening on", START_SECONDS)
            yield process

    return begin


@contextlib.asynccontextmanager
async def _balancer(place: Place, ports: tuple[int, int], edges: Sequence[str]) -> AsyncIterator[Process]:
    async with running_haproxy(edges, host=place.host, ports=ports, enter=place.enter) as balancer:
        yield balancer.process


def balancer_of(cluster: Cluster) -> Balancer:
    """The running balancer of a cluster."""
    node = cluster.nodes["balancer"]
    return Balancer(node.process, node.address, cluster.balancer_status)
