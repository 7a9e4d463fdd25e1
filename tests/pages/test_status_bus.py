"""What the status page and the list of needs say of the bus."""

from __future__ import annotations

from msgspec.structs import replace

from livemarkets.status.bus_report import BusNodeReport, BusReport
from livemarkets.status.needs import find_needs
from pages.labs.status.bus import bus_facts, node_rows
from tests.support.reports import NOW, report

INGEST = BusNodeReport(
    node="a-1", role="ingest", heard_ts=NOW, streams=None, exchanges={"binance": "live"}, first=1234
)
EDGE = BusReport(
    role="edge",
    node="b-2",
    is_connected=True,
    reason=None,
    url="nats://bus:4222",
    connects=2,
    failures=1,
    sent=1000,
    received=2000,
    dropped=3,
    trades=1234,
    lost_batches=4,
    malformed=0,
    lapsed_leases=0,
    questions=7,
    failed_questions=1,
    from_memory=0,
    nodes=[INGEST, replace(INGEST, node="c-3", first=0)],
)


def said(bus: BusReport) -> dict[str, str]:
    return {name: row["value"].text for name, row in bus_facts(bus).items()}


def test_an_edge_is_told_at_a_glance() -> None:
    assert said(EDGE) == {
        "Role": "edge b-2",
        "State": "connected to nats://bus:4222",
        "Connections": "2 opened, 1 failed or lost",
        "Messages": "1,000 sent, 2,000 read, 3 not sent",
        "Trades": "1,234 read",
        "Questions to ingests": "7, 1 without an answer",
        "Messages lost": "4",
    }
    row = node_rows(EDGE)["a-1"]
    assert (row["role"].text, row["heard"].age, row["first"].text) == ("ingest", NOW, "1,234")
    assert (row["exchanges"].text, row["streams"].text) == ("binance live", "")


def test_an_ingest_is_told_at_a_glance() -> None:
    edge = replace(INGEST, role="edge", streams=50, exchanges={})
    ingest = replace(EDGE, role="ingest", is_connected=False, reason="refused", from_memory=5, nodes=[edge])
    told = said(ingest)
    assert told["State"] == "not connected: refused"
    assert told["Questions of edges"] == "7, 5 answered from memory, 1 without an answer"
    assert node_rows(ingest)["a-1"]["streams"].text == "50"


def test_a_bus_that_fails_needs_a_person() -> None:
    def needs(bus: BusReport) -> list[tuple[str, str]]:
        return [(need.kind, need.level) for need in find_needs(replace(report(), bus=bus))]

    assert needs(EDGE) == []
    assert needs(replace(EDGE, nodes=[INGEST])) == [("ingest", "warning")]
    assert needs(replace(EDGE, nodes=[])) == [("ingest", "problem")]
    other_edge = replace(INGEST, role="edge")
    assert needs(replace(EDGE, nodes=[other_edge])) == [("ingest", "problem")], "edges bring nothing"
    assert needs(replace(EDGE, is_connected=False, nodes=[])) == [("bus", "problem")]
    assert needs(replace(EDGE, role="ingest", nodes=[])) == []
