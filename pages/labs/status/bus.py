"""The part of the status page about the bus: this process on it, and the others that it hears."""

from __future__ import annotations

from collections.abc import Iterator

from nicegui import ui

from livemarkets.status.bus_report import BusNodeReport, BusReport
from pages.elements.fact_table.fact_table import Cell, Column, FactTable
from pages.labs.status.columns import FACT_COLUMNS
from pages.shell import text

__all__ = ["BusSection", "bus_facts", "node_rows"]

NODE_COLUMNS = (
    Column(name="node", title="Process", is_text=True),
    Column(name="role", title="Role", is_text=True),
    Column(name="heard", title="Heard", hint="How long ago"),
    Column(name="streams", title="Streams", hint="What an edge wants"),
    Column(name="first", title="First", hint="Trades that this ingest brought here before any other"),
    Column(name="exchanges", title="Exchanges", is_text=True),
)

Row = dict[str, Cell]


class BusSection:
    """The card of the bus."""

    def __init__(self) -> None:
        with ui.element("section").classes("card").props('aria-labelledby="bus-title"'):
            text("h2", "Bus").props('id="bus-title"')
            self.facts = FactTable("Bus at a glance", FACT_COLUMNS, has_head=False)
            self.nodes = FactTable("Bus: processes", NODE_COLUMNS, caption="Other processes on the bus")

    def tables(self) -> list[FactTable]:
        """Return the tables."""
        return [self.facts, self.nodes]

    def show(self, bus: BusReport, now_ms: int) -> None:
        """Show the present state."""
        self.facts.show(bus_facts(bus), now_ms=now_ms)
        self.nodes.show(node_rows(bus), now_ms=now_ms)


def bus_facts(bus: BusReport) -> dict[str, Row]:
    """Return the facts of this process on the bus, one a row."""
    return {name: {"fact": Cell(text=name), "value": value} for name, value in _facts(bus)}


def _facts(bus: BusReport) -> Iterator[tuple[str, Cell]]:
    yield "Role", Cell(text=f"{bus.role} {bus.node}")
    if bus.is_connected:
        yield "State", Cell(text=f"connected to {bus.url}", tone="good")
    else:
        yield "State", Cell(text=f"not connected: {bus.reason or 'not yet tried'}", tone="bad")
    yield "Connections", Cell(text=f"{bus.connects:,} opened, {bus.failures:,} failed or lost")
    dropped = f", {bus.dropped:,} not sent" if bus.dropped else ""
    yield "Messages", Cell(text=f"{bus.sent:,} sent, {bus.received:,} read{dropped}")
    yield "Trades", Cell(text=f"{bus.trades:,} {'published' if bus.role == 'ingest' else 'read'}")
    failed = f", {bus.failed_questions:,} without an answer" if bus.failed_questions else ""
    if bus.role == "ingest":
        memory = f"{bus.questions:,}, {bus.from_memory:,} answered from memory{failed}"
        yield "Questions of edges", Cell(text=memory)
        yield "Leases that lapsed", Cell(text=f"{bus.lapsed_leases:,}")
    else:
        yield "Questions to ingests", Cell(text=f"{bus.questions:,}{failed}")
        lost = bus.lost_batches
        yield "Messages lost", Cell(text=f"{lost:,}", tone="warn" if lost else "")
    if bus.malformed:
        yield "Not understood", Cell(text=f"{bus.malformed:,}", tone="warn")


def node_rows(bus: BusReport) -> dict[str, Row]:
    """Return a row for each other process."""
    return {node.node: _node_row(node, is_read=bus.role == "edge") for node in bus.nodes}


def _node_row(node: BusNodeReport, *, is_read: bool) -> Row:
    has_first = is_read and node.role == "ingest"
    return {
        "node": Cell(text=node.node),
        "role": Cell(text=node.role),
        "heard": Cell(age=node.heard_ts),
        "streams": Cell(text="" if node.streams is None else f"{node.streams:,}"),
        "first": Cell(text=f"{node.first:,}" if has_first else ""),
        "exchanges": Cell(text=", ".join(f"{name} {state}" for name, state in node.exchanges.items())),
    }
