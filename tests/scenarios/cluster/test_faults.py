"""A cluster of processes in network namespaces: whatever ends, is cut or slow, readers get every trade.

The short form is `tests/scenarios/cluster/test_in_short.py`.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.pages.weak_link import weak_link
from tests.scenarios.cluster.proof import PAUSES, SYMBOLS, Proof, proving
from tests.support.cluster.nodes import EDGES, INGESTS, balancer_of
from tests.support.cluster.places import Links, links
from tests.support.cluster.readers import reading
from tests.support.helpers import eventually

HEARTBEAT_SECONDS = 5.0
"""Of `/ws/markets`."""
CUT_SECONDS = 10.0
SLOW_SECONDS = 10.0
MEASURED_SECONDS = 3.0
BYTES_OF_A_TRADE = 180
"""In the stream of a reader, without the headers of packets."""
PACKETS = 40
"""What a slow link keeps of a burst."""
LOST_PERCENT = 5
ENDINGS = ("kill", "drain")
NODES = ("bus", *INGESTS, *EDGES, "balancer")


@pytest.mark.verify
async def test_each_process_and_each_link_fails_in_turn_and_readers_miss_nothing() -> None:
    """Two ingests, two edges, 30 readers at 500 trades a second."""
    async with (
        links() as network,
        # What a reader misses in ten seconds waits for it.
        proving(
            network, readers=30, trades_per_second=500.0, LIVE_CLIENT_BUFFER_BYTES=str(8 * 2**20)
        ) as proof,
    ):
        for ending in ENDINGS:
            for node in NODES:
                await end(proof, ending, node)
        for node in NODES:
            async with proof.phase(f"{node} cut for {CUT_SECONDS:.0f} s", most_connects=2):
                await network.cut(node)
                await asyncio.sleep(CUT_SECONDS)
                await network.mend(node)
                await proof.both_legs()
            proof.expect_nothing_declared()
        for node in NODES:
            await slow(proof, network, node)
        print(*proof.lines, sep="\n")  # noqa: T201 (the report of `make verify`)
        assert proof.failures == []


async def end(proof: Proof, ending: str, node: str) -> None:
    """End a process and start it again. Nothing is declared; an ingest's end is no event to anybody."""
    is_ingest = node in INGESTS
    limits = (0, HEARTBEAT_SECONDS) if is_ingest else (0 if node == "bus" else 1, 60.0)
    process = proof.cluster.nodes[node]
    async with proof.phase(f"{ending} {node}", most_connects=limits[0], most_wait_seconds=limits[1]):
        await (process.kill() if ending == "kill" else process.drain())
        await proof.trades(100)
        await process.start()
        await proof.both_legs()
    proof.expect_nothing_declared()


async def slow(proof: Proof, network: Links, node: str) -> None:
    """Let a link pass twice what it needs, lose each twentieth packet, and what is beyond a short queue."""
    before = network.carried(node)
    await asyncio.sleep(MEASURED_SECONDS)
    needs = max(
        (after - start) / MEASURED_SECONDS for after, start in zip(network.carried(node), before, strict=True)
    )
    what = f"{node} at twice {needs / 1000:.0f} kB/s with {LOST_PERCENT} % loss"
    async with proof.phase(what, most_connects=5):
        await network.slow(node, 2 * needs, PACKETS)
        await network.lose(node, LOST_PERCENT)
        await asyncio.sleep(SLOW_SECONDS)
        full, lost = await network.lost(node)
        await network.mend(node)
        await proof.both_legs()
    assert lost
    proof.lines[-1] += f", {lost} packets lost, {full} more by the queue"
    proof.expect_nothing_declared()


@pytest.mark.verify
async def test_a_link_slower_than_the_stream_is_told_to_its_readers_and_noticed_by_nobody_else() -> None:
    """First that of one reader, then that of an edge."""
    async with (
        links() as network,
        proving(
            network, readers=10, trades_per_second=500.0, LIVE_CLIENT_BUFFER_BYTES=str(64 * 2**10)
        ) as proof,
    ):
        await slow_reader(proof)
        await slow_edge(proof, network)
        print(*proof.lines, sep="\n")  # noqa: T201
        assert proof.failures == []


async def slow_reader(proof: Proof) -> None:
    """A reader whose link passes a third of what it needs is told what it does not get."""
    before = proof.readers[0].received
    await asyncio.sleep(MEASURED_SECONDS)
    needs = BYTES_OF_A_TRADE * (proof.readers[0].received - before) / MEASURED_SECONDS
    async with (
        weak_link(proof.cluster.site, needs / 3) as link,
        reading(1, link.address, list(SYMBOLS)) as [reader],
    ):
        async with proof.phase(
            f"one reader at a third of {needs / 1000:.0f} kB/s", most_wait_seconds=HEARTBEAT_SECONDS
        ):
            # What is told waits behind what the buffers of the kernels hold.
            await eventually(lambda: reader.declared["lagged"], 300, because="it is told what it misses")
        assert reader.declared.keys() == {"lagged"}
        assert reader.problems == []
    proof.expect_nothing_declared()


async def slow_edge(proof: Proof, network: Links) -> None:
    """The readers of an edge whose link is too slow are told, or go to the other one."""
    behind = (await eventually(balancer_of(proof.cluster).sessions, 20))["edge-a"]
    assert 0 < behind < len(proof.readers)
    before = network.carried("edge-a")
    await asyncio.sleep(MEASURED_SECONDS)
    needs = (network.carried("edge-a")[1] - before[1]) / MEASURED_SECONDS
    async with proof.phase(f"edge-a at a third of {needs / 1000:.0f} kB/s", most_connects=20):
        await network.slow("edge-a", needs / 3, 10 * PACKETS)
        await eventually(
            lambda: any(reader.declared["lagged"] or reader.connects for reader in proof.readers), 90
        )
        await asyncio.sleep(SLOW_SECONDS)
        await network.mend("edge-a")
    touched = [reader for reader in proof.readers if reader.declared or reader.connects]
    assert 0 < len(touched) <= behind
    assert all(reader.declared.keys() <= {"lagged"} for reader in touched)
    others = [reader for reader in proof.readers if reader not in touched]
    limit_seconds = HEARTBEAT_SECONDS + PAUSES * proof.longest_pause_seconds
    assert max(reader.longest_wait_seconds for reader in others) < limit_seconds
