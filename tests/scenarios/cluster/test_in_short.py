"""The short form of `tests/scenarios/cluster/test_faults.py`: ingests and edges are in this process."""

from __future__ import annotations

from collections import Counter
from functools import partial

from tests.support.bus import running_cluster
from tests.support.cluster.balancer import is_ready, running_haproxy
from tests.support.cluster.readers import ClusterReader, reading
from tests.support.helpers import eventually

SYMBOLS = ["BTCUSDT", "ETHUSDT"]
WAIT_SECONDS = 30.0


async def go_on(readers: list[ClusterReader], count: int = 10) -> None:
    """Wait until each reader has so many more trades; nobody is told of a loss."""
    wanted = {reader.name: reader.received + count for reader in readers}
    await eventually(
        lambda: all(reader.received >= wanted[reader.name] for reader in readers),
        WAIT_SECONDS,
        because=f"{count} more trades at every reader",
    )
    assert [reader.problems for reader in readers if reader.problems] == []
    assert [dict(reader.declared) for reader in readers if reader.declared] == []


async def test_an_ingest_and_then_an_edge_end_and_readers_miss_nothing() -> None:
    async with running_cluster(None, "ingest", "edge") as cluster:
        second_ingest = await cluster.add("ingest")
        second_edge = await cluster.add("edge")
        edges = [f"127.0.0.1:{edge.port}" for edge in cluster.edges]
        for edge in edges:
            await eventually(partial(is_ready, edge), WAIT_SECONDS, because="an edge that has the bus")
        async with (
            running_haproxy(edges) as balancer,
            reading(4, f"ws://{balancer.site}", SYMBOLS) as readers,
        ):
            await go_on(readers)
            behind = len(cluster.edges[1].services.hub.connections)
            assert 0 < behind < len(readers), "the balancer spreads readers"

            await second_ingest.aclose()
            await go_on(readers)
            connects = Counter(reader.connects for reader in readers)
            assert connects == {1: len(readers)}, "nobody notices the end of an ingest"

            await second_edge.aclose()
            moved = {1: len(readers) - behind, 2: behind}
            await eventually(
                lambda: Counter(reader.connects for reader in readers) == moved,
                WAIT_SECONDS,
                because="its readers connect to the other edge, at once",
            )
            await go_on(readers)
