"""`make cluster`: a bus, two ingests, two edges and a balancer on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator

from tests.cluster.node import SHARED
from tests.support.app import NOWHERE_REST, NOWHERE_WS, running_process
from tests.support.bus import NOT_INSTALLED, nats_program
from tests.support.cluster.balancer import NOT_INSTALLED as NO_HAPROXY
from tests.support.cluster.balancer import haproxy_program, is_ready
from tests.support.cluster.nodes import Cluster, Node, lay_out
from tests.support.cluster.places import Loopback
from tests.support.helpers import eventually, free_port

AGAIN_SECONDS = 1.0
"""A node that has ended is started again after so long, as systemd does."""
READY_SECONDS = 60.0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextlib.asynccontextmanager
async def simulated() -> AsyncIterator[dict[str, str]]:
    """Run one simulator, and yield the settings of nodes whose only exchange it is."""
    port = free_port()
    async with running_process("-m", "livemarkets.simulator", "--port", str(port)) as process:
        await process.says("simulator", 60.0)
        say(f"simulator  http://127.0.0.1:{port}, process {process.pid}")
        yield {
            SHARED: f"127.0.0.1:{port}",
            "LIVE_BINANCE_WS_URL": NOWHERE_WS,
            "LIVE_BINANCE_REST_URL": NOWHERE_REST,
        }


@contextlib.asynccontextmanager
async def binance() -> AsyncIterator[dict[str, str]]:
    """Yield what the settings of the app have."""
    yield {}


async def keep_running(node: Node) -> None:
    """Start a node again whenever it has ended."""
    while True:
        code = await node.process.process.wait()
        say(f"{node.name} has ended with {code}")
        await node.aclose()
        await asyncio.sleep(AGAIN_SECONDS)
        await node.start()
        say(f"{node.name} runs again, process {node.process.pid}")


def tell(cluster: Cluster) -> None:
    """Say what is where."""
    for name, node in cluster.nodes.items():
        page = {"bus": "", "balancer": "/labs"}.get(name, "/labs/status")
        scheme = "nats" if name == "bus" else "http"
        say(f"{name:10} {scheme}://{node.address}{page}, process {node.process.pid}")
    say(f"The balancer's own page is http://{cluster.balancer_status}/")
    say(
        "Every node's status page shows the whole. End a process, and see who notices. Ctrl-C ends all of it."
    )


async def run(exchange: str) -> None:
    """Run the cluster until SIGINT or SIGTERM."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with (simulated if exchange == "simulator" else binance)() as settings:
        program = ("-m", "tests.cluster.node") if exchange == "simulator" else ("main.py",)
        settings["LIVE_LOG_JSON"] = "false"
        cluster = await lay_out(
            Loopback(has_usual_ports=True), program=program, ingest=settings, edge=settings
        )
        try:
            await cluster.start()
            # Until the balancer has seen that an edge is ready, whoever opens the page is told that none is.
            await eventually(lambda: is_ready(cluster.site), READY_SECONDS, because="an edge takes readers")
            tell(cluster)
            keepers = [
                asyncio.create_task(keep_running(node), name=f"keeper of {node.name}")
                for node in cluster.nodes.values()
            ]
            await ended.wait()
            # Ctrl-C has reached the nodes too. What they end with is no failure of theirs.
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
        finally:
            await cluster.aclose()
            say("All has ended.")


def main() -> int:
    """Return 0 after Ctrl-C, and 1 where a program is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument(
        "--exchange",
        choices=("simulator", "binance"),
        default="simulator",
        help="the simulator needs no network",
    )
    options = parser.parse_args()
    for program, why in ((nats_program(), NOT_INSTALLED), (haproxy_program(), NO_HAPROXY)):
        if program is None:
            say(why)
            return 1
    asyncio.run(run(options.exchange))
    return 0


if __name__ == "__main__":
    sys.exit(main())
