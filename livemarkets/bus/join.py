"""Makes this process an ingest or an edge."""

from __future__ import annotations

from livemarkets.bus.edge import Edge
from livemarkets.bus.ingest import Ingest
from livemarkets.bus.node import BusNode, Stores
from livemarkets.config.settings import Settings
from livemarkets.market.clock import Clock
from livemarkets.market.subscriptions import SubscriptionManager

__all__ = ["join_bus"]

_PRIVATE = frozenset({"simulator"})
"""Each ingest has an embedded exchange of its own, so that the same ids mean other trades."""


def join_bus(settings: Settings, manager: SubscriptionManager, stores: Stores, clock: Clock) -> BusNode:
    """Return this process as an ingest or an edge, by the settings. Starts nothing."""
    if settings.role == "edge":
        return Edge(settings, clock=clock)
    private = _PRIVATE if settings.simulator_enabled else frozenset[str]()
    return Ingest(settings, manager, stores, private=private, clock=clock)
