"""Describes the clients of `/ws/markets`."""

from __future__ import annotations

import asyncio
import heapq

from livemarkets.delivery.fanout import Fanout
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.status.report import ReaderReport, ReadersReport
from livemarkets.ws_markets.connection import MarketsConnection
from livemarkets.ws_markets.hub import MarketsHub

__all__ = ["describe_readers"]

WORST = 100
_AT_ONCE = 500


async def describe_readers(
    hub: MarketsHub, fanout: Fanout, manager: SubscriptionManager, *, worst: int = WORST
) -> ReadersReport:
    """Describe the clients; `worst` of them one by one."""
    statistics, subscribers = hub.statistics(), manager.counts()[0]
    candidates: list[MarketsConnection] = []
    connections = list(hub.connections)
    subscribed = 0
    for begin in range(0, len(connections), _AT_ONCE):
        part = connections[begin : begin + _AT_ONCE]
        subscribed += sum(bool(manager.subscriptions(each.mailbox)) for each in part)
        candidates = heapq.nlargest(worst, [*candidates, *part], key=_backlog)
        await asyncio.sleep(0)
    present = [each for each in candidates if each in hub.connections]
    return ReadersReport(
        connected=statistics.clients,
        most=hub.limits.clients,
        pages=max(subscribers - subscribed, 0),
        lagging=fanout.statistics().lagging,
        closed_slow=statistics.closed_slow,
        refused=statistics.refused,
        worst=[_describe(each, hub, fanout) for each in present],
        others=max(statistics.clients - len(present), 0),
    )


def _backlog(connection: MarketsConnection) -> tuple[int, str]:
    return connection.mailbox.backlog_bytes, connection.client_id


def _describe(connection: MarketsConnection, hub: MarketsHub, fanout: Fanout) -> ReaderReport:
    mailbox, now = connection.mailbox, hub.clock.monotonic()
    modes = connection.streams.modes()
    return ReaderReport(
        client=connection.client_id,
        names=len(modes),
        mode=", ".join(sorted(set(modes))),
        is_lagging=mailbox in fanout.lagging,
        backlog_bytes=mailbox.backlog_bytes,
        behind_ms=int((now - mailbox.moved_at) * 1000) if mailbox.backlog else 0,
    )
