"""The part of the report about the bus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livemarkets.status.bus_report import BusNodeReport, BusReport
from livemarkets.status.times import Times

if TYPE_CHECKING:
    from livemarkets.bus.node import BusNode

__all__ = ["describe_bus"]


def describe_bus(node: BusNode | None, times: Times) -> BusReport | None:
    """Return the report; `None` without a role on the bus."""
    if node is None:
        return None
    bus = node.statistics()
    link = bus.link
    return BusReport(
        role=bus.role,
        node=bus.node,
        is_connected=link.is_connected,
        reason=link.reason,
        url=link.url,
        connects=link.connects,
        failures=link.failures,
        sent=link.sent,
        received=link.received,
        dropped=link.dropped,
        trades=bus.trades,
        lost_batches=bus.lost_batches,
        malformed=bus.malformed,
        lapsed_leases=bus.lapsed_leases,
        questions=bus.questions,
        failed_questions=bus.failed_questions,
        from_memory=bus.from_memory,
        nodes=[
            BusNodeReport(
                node=each.node,
                role=each.role,
                heard_ts=times.ts(each.heard_at),
                streams=each.streams,
                exchanges=dict(each.exchanges),
                first=each.first,
            )
            for each in bus.nodes
        ],
    )
