"""Where the processes of a cluster run: on the loopback interface, or each behind a link of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest

from tests.support.helpers import free_port

ETHERNET_BYTES = 1514
"""The longest packet of a link."""


class Place(NamedTuple):
    """Where a process runs."""

    host: str
    """The address at which it listens."""
    enter: tuple[str, ...] = ()
    """The command that runs another one there."""
    has_usual_ports: bool = False
    """Whether it tries the ports that the files of `deploy/cluster/` name."""

    def port(self, usual: int) -> int:
        """The usual port where it can be had, else a free one."""
        if self.enter or (self.has_usual_ports and _is_free(usual)):
            return usual
        return free_port()


class Places(Protocol):
    """Gives each node its place."""

    home: str
    """The address of the tests themselves, for the exchange."""

    async def add(self, node: str) -> Place:
        """Return the place of a new node."""


class Loopback:
    """All nodes share one address."""

    home = "127.0.0.1"

    def __init__(self, *, has_usual_ports: bool = False) -> None:
        self._has_usual_ports = has_usual_ports

    async def add(self, node: str) -> Place:
        return Place(self.home, has_usual_ports=self._has_usual_ports)


class Links:
    """Each node in a network namespace of its own, with one link to a bridge that this process shares."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._bridge = f"lmb{number}"
        self._nodes: list[str] = []
        # Addresses for benchmarks of networks: nobody has them.
        self._network = f"198.18.{number % 256}"
        self.home = f"{self._network}.1"

    async def start(self) -> None:
        await _run("ip", "link", "add", self._bridge, "type", "bridge")
        await _run("ip", "address", "add", f"{self.home}/24", "dev", self._bridge)
        await _run("ip", "link", "set", self._bridge, "up")

    async def add(self, node: str) -> Place:
        self._nodes.append(node)
        name, outer, host = self._name(node), self._outer(node), f"{self._network}.{10 + len(self._nodes)}"
        await _run("ip", "netns", "add", name)
        await _run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name)
        await _run("ip", "link", "set", outer, "master", self._bridge, "up")
        await _run("ip", "-n", name, "address", "add", f"{host}/24", "dev", "eth0")
        await _run("ip", "-n", name, "link", "set", "eth0", "up")
        await _run("ip", "-n", name, "link", "set", "lo", "up")
        return Place(host, ("ip", "netns", "exec", name))

    async def cut(self, node: str) -> None:
        """From now on packets of a node are lost, in both directions."""
        await _run("ip", "link", "set", self._outer(node), "down")

    async def slow(self, node: str, bytes_per_second: float, packets: int) -> None:
        """Let a link pass so much in each direction. Of a burst, what is beyond so many packets is lost."""
        bucket = ("burst", str(4 * ETHERNET_BYTES), "limit", str(packets * ETHERNET_BYTES))
        rate = ("rate", f"{int(8 * bytes_per_second)}bit")
        await _run("tc", "qdisc", "replace", "dev", self._outer(node), "root", "tbf", *rate, *bucket)
        inside = ("tc", "-n", self._name(node), "qdisc", "replace", "dev", "eth0", "root", "tbf")
        await _run(*inside, *rate, *bucket)

    async def lose(self, node: str, percent: int) -> None:
        """Let a link lose so many packets of a hundred, at random, in each direction."""
        rule = f"numgen random mod 100 < {percent} counter drop"
        for inside, device in (((), self._outer(node)), (("ip", "netns", "exec", self._name(node)), "eth0")):
            table = f"table netdev {self._outer(node)}"
            hook = f'type filter hook ingress device "{device}" priority 0 ;'
            await _run(*inside, "nft", f"{table} {{ chain loss {{ {hook} {rule} ; }} ; }}")

    async def mend(self, node: str) -> None:
        """Let a link be as it was."""
        for inside in ((), ("ip", "netns", "exec", self._name(node))):
            await _run(*inside, "nft", "delete", "table", "netdev", self._outer(node), may_fail=True)
        await _run("ip", "link", "set", self._outer(node), "up")
        await _run("tc", "qdisc", "del", "dev", self._outer(node), "root", may_fail=True)
        await _run("tc", "-n", self._name(node), "qdisc", "del", "dev", "eth0", "root", may_fail=True)

    def carried(self, node: str) -> tuple[int, int]:
        """Return the bytes that a link has carried so far: to the node, and from it."""
        counters = Path("/sys/class/net", self._outer(node), "statistics")
        sent, received = (int((counters / f"{kind}_bytes").read_text()) for kind in ("tx", "rx"))
        return sent, received

    async def lost(self, node: str) -> tuple[int, int]:
        """Return how many packets a link has lost, in both directions: by a full queue, and by `lose`."""
        outer = await _run("tc", "-s", "qdisc", "show", "dev", self._outer(node), "root")
        inner = await _run("tc", "-s", "-n", self._name(node), "qdisc", "show", "dev", "eth0", "root")
        full = sum(int(text.partition("dropped ")[2].partition(",")[0] or 0) for text in (outer, inner))
        lists = ("nft", "list", "table", "netdev", self._outer(node))
        told = [await _run(*lists), await _run("ip", "netns", "exec", self._name(node), *lists)]
        return full, sum(int(text.partition("packets ")[2].split()[0]) for text in told)

    async def aclose(self) -> None:
        for node in self._nodes:
            await self.mend(node)  # the namespace of this process would keep its rule
            await _run("ip", "netns", "del", self._name(node), may_fail=True)
        await _run("ip", "link", "del", self._bridge, may_fail=True)

    def _name(self, node: str) -> str:
        return f"lm{self._number}-{node}"

    def _outer(self, node: str) -> str:
        return f"lmv{self._number}n{self._nodes.index(node)}"


@contextlib.asynccontextmanager
async def links() -> AsyncIterator[Links]:
    """Links for a cluster. Skips where this process may make none."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root can make network namespaces")
    if missing := [name for name in ("ip", "tc", "nft") if shutil.which(name) is None]:
        pytest.skip(f"no {missing[0]} found")
    made = Links(os.getpid() % 10_000)
    try:
        try:
            await made.start()
            await made.add("trial")
            await made.slow("trial", 1e6, 10)
            await made.lose("trial", 1)
            await made.lost("trial")
        except AssertionError as error:
            pytest.skip(f"no network namespace and no slow link can be made here: {error}")
        yield made
    finally:
        await made.aclose()


def _is_free(port: int) -> bool:
    with socket.socket() as listener, contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        return True
    return False


async def _run(*command: str, may_fail: bool = False) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0 or may_fail, f"{' '.join(command)}: {said.decode().strip()}"
    return said.decode()
