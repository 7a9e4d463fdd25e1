"""What each node of a cluster costs, for docs/scaling.md. Run as `python -m tests.cluster.measure`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

from tests.scenarios.cluster.proof import SYMBOLS, Proof, proving
from tests.support.cluster.nodes import EDGES, Node
from tests.support.cluster.places import Links, links

_TICKS = os.sysconf("SC_CLK_TCK")
_SETTLED_SECONDS = 5.0


def cpu_seconds(node: Node) -> float:
    """CPU time of a process so far, in user and kernel mode."""
    fields = Path(f"/proc/{node.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mb(node: Node) -> float:
    """Memory of a process at present."""
    fields = Path(f"/proc/{node.process.pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def measure(network: Links, proof: Proof, seconds: float) -> list[str]:
    """Return a line for each node."""
    nodes = proof.cluster.nodes
    await asyncio.sleep(_SETTLED_SECONDS)
    cpu = {name: cpu_seconds(node) for name, node in nodes.items()}
    carried = {name: network.carried(name) for name in nodes}
    first, received, began_at = (
        proof.exchange.truth.newest("BTCUSDT"),
        sum(reader.received for reader in proof.readers),
        time.monotonic(),
    )
    await asyncio.sleep(seconds)
    took = time.monotonic() - began_at
    trades = (proof.exchange.truth.newest("BTCUSDT") - first) * len(SYMBOLS)
    deliveries = sum(reader.received for reader in proof.readers) - received
    lines = [f"{trades / took:.0f} trades/s, {deliveries / took:.0f} deliveries/s, {took:.0f} s"]
    for name, node in nodes.items():
        used = 1e6 * (cpu_seconds(node) - cpu[name])
        inward, outward = (
            after - before for after, before in zip(network.carried(name), carried[name], strict=True)
        )
        lines.append(
            f"{name:9} CPU {used / trades:6.1f} µs a trade, {used / deliveries:5.2f} µs a delivery; "
            f"{inward / trades:6.0f} bytes a trade in, {outward / trades:6.0f} out; "
            f"{resident_mb(node):.0f} MB"
        )
    return lines


async def connect(site: str) -> asyncio.StreamWriter:
    """Return a reader of `/ws/markets` that subscribes nothing."""
    host, port = site.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"GET /ws/markets HTTP/1.1\r\nHost: markets\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    return writer


async def measure_idle(proof: Proof, count: int) -> list[str]:
    """Return a line for what idle readers take of the balancer's memory and of the edges'."""
    names = ("balancer", *EDGES)
    before = {name: resident_mb(proof.cluster.nodes[name]) for name in names}
    writers = [await connect(proof.cluster.site) for _ in range(count)]
    await asyncio.sleep(_SETTLED_SECONDS)
    grown = {name: 1000 * (resident_mb(proof.cluster.nodes[name]) - before[name]) for name in names}
    for writer in writers:
        writer.transport.abort()
    edges = sum(grown[name] for name in EDGES) / count
    return [
        f"{count} idle readers: {grown['balancer'] / count:.1f} kB each at the balancer, {edges:.1f} at edges"
    ]


async def run(readers: int, trades_per_second: float, seconds: float, idle: int) -> None:
    """Run a cluster and print what it costs."""
    async with (
        links() as network,
        proving(network, readers=readers, trades_per_second=trades_per_second) as proof,
    ):
        for line in [*await measure(network, proof, seconds), *await measure_idle(proof, idle)]:
            sys.stdout.write(f"{line}\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.measure", description=__doc__)
    parser.add_argument("--readers", type=int, default=30)
    parser.add_argument("--trades", type=float, default=500.0, help="a second, over five symbols")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--idle", type=int, default=800)
    options = parser.parse_args()
    asyncio.run(run(options.readers, options.trades, options.seconds, options.idle))


if __name__ == "__main__":
    main()
