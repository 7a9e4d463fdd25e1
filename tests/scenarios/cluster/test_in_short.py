"""The short form of `tests/scenarios/cluster/test_faults.py`: one bus, one balancer, the apps in this process."""

from __future__ import annotations

import pytest

from tests.support.bus import running_cluster
from tests.support.cluster.balancer import running_haproxy
from tests.support.cluster.readers import ClusterReader, reading
from tests.support.helpers import eventually

SYMBOLS = ["BTCUSDT", "ETHUSDT"]
WAIT_SECONDS = 30.0


async def go_on(readers: list[ClusterReader], count: int = 10) -> None:
    """Wait until each reader has so many more trades, and nobody was told of a loss."""
    wanted = {reader.name: reader.received + count for reader in readers}
    await eventually(
        lambda: all(reader.received >= wanted[reader.name] for reader in readers),
        WAIT_SECONDS,
        because=f"{count} more trades at every reader",
    )
    assert [reader.problems for reader in readers if reader.problems] == []
    assert [dict(reader.declared) for reader in readers if reader.declared] == []


@pytest.mark.long
async def test_an_ingest_and_then_an_edge_end_and_readers_miss_nothing() -> None:
    async with running_cluster(None, "ingest", "edge") as cluster:
        second_ingest = await cluster.add("ingest")
        second_edge = await cluster.add("edge")
        edges = [f"127.0.0.1:{edge.port}" for edge in cluster.edges]
        async with (
            running_haproxy(edges) as balancer,
            reading(4, f"ws://{balancer.site}", SYMBOLS) as readers,
        ):
            await go_on(readers)
            for edge in cluster.edges:
                assert len(edge.services.hub.connections) == 2, "the balancer spreads readers"

            await second_ingest.aclose()
            await go_on(readers)
            assert [reader.connects for reader in readers] == [1] * 4, (
                "nobody notices that an ingest has ended"
            )

            await second_edge.aclose()
            await eventually(
                lambda: sorted(reader.connects for reader in readers) == [1, 1, 2, 2], WAIT_SECONDS
            )
            await go_on(readers)
