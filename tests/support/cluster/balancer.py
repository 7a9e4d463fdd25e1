"""The balancer of `deploy/cluster/`, HAProxy, on other addresses."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import socket
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from tests.support.app import Process, running_process
from tests.support.helpers import PROJECT_ROOT, eventually

CONFIGURATION = PROJECT_ROOT / "deploy" / "cluster" / "haproxy" / "haproxy.cfg"
UNPACKED = PROJECT_ROOT / ".venv" / "haproxy"
NOT_INSTALLED = "no haproxy found: `make test` unpacks Debian's where that is possible"
START_SECONDS = 20.0
_MOST_HERE = "1000"
"""Connections. Not every machine of tests allows the open files for more."""


def haproxy_program() -> str | None:
    """HAProxy: an installed one, else the one that `make test` has unpacked."""
    places = (os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", str(UNPACKED))
    return shutil.which("haproxy", path=os.pathsep.join(places))


class Balancer:
    """A running HAProxy: the address of its site, `host:port`, and what it thinks of the edges."""

    def __init__(self, process: Process, site: str, status: str) -> None:
        self.process = process
        self.site = site
        self.status = status

    async def states(self) -> dict[str, str]:
        """By edge, `UP`, `NOLB` (it gets no new readers) or `DOWN`, and other words while that changes.

        Empty while HAProxy starts.
        """
        return {row["svname"]: row["status"] for row in await self._edges()}

    async def sessions(self) -> dict[str, int]:
        """By edge, how many readers it has by way of this balancer."""
        return {row["svname"]: int(row["scur"]) for row in await self._edges()}

    async def _edges(self) -> list[dict[str, str]]:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
                answer = await client.get(f"http://{self.status}/;csv")
        except httpx.TransportError:
            assert self.process.process.returncode is None, self.process.output
            return []
        if answer.status_code != 200:
            return []
        rows = csv.DictReader(answer.text.removeprefix("# ").splitlines())
        return [row for row in rows if row["pxname"] == "readers" and row["svname"] != "BACKEND"]


async def is_ready(edge: str) -> bool:
    """Whether an edge, `host:port`, says that it can take readers: before, the balancer gives it none."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            return (await client.get(f"http://{edge}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


@contextlib.asynccontextmanager
async def running_haproxy(
    edges: Sequence[str],
    *,
    host: str = "127.0.0.1",
    ports: tuple[int, int] = (0, 0),
    enter: Sequence[str] = (),
) -> AsyncIterator[Balancer]:
    """Run HAProxy in front of two edges, `host:port`; without HAProxy, the test is skipped.

    Args:
        edges: the addresses of the edges.
        host: where it listens.
        ports: of the site and of its status. On the loopback interface, 0 is a free port.
        enter: a command that runs HAProxy elsewhere; then the ports are needed.

    """
    program = haproxy_program()
    if program is None:
        pytest.skip(NOT_INSTALLED)
    with contextlib.ExitStack() as stack:
        listeners = []
        if not enter:
            listeners = [stack.enter_context(socket.create_server((host, port))) for port in ports]
            ports = (listeners[0].getsockname()[1], listeners[1].getsockname()[1])
        site, status = (f"{host}:{port}" for port in ports)
        # It takes over listeners, so nobody else can take a port meanwhile.
        binds = [f"fd@{listener.fileno()}" for listener in listeners] or [site, status]
        names = ("MARKETS_CLEAR", "MARKETS_STATUS", "EDGE_A", "EDGE_B")
        environment = dict(zip(names, (*binds, *edges), strict=True)) | {"MARKETS_CONNECTIONS": _MOST_HERE}
        command = [*enter, program, "-db", "-f", str(CONFIGURATION)]
        async with running_process(
            *command[1:], program=command[0], environment=environment, listeners=listeners
        ) as process:
            for listener in listeners:
                listener.close()
            balancer = Balancer(process, site, status)
            await eventually(balancer.states, START_SECONDS, because="HAProxy to start")
            yield balancer
