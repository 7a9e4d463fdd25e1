"""What an ingest and an edge have in common."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Mapping
from typing import Protocol

from livemarkets.bus.link import Link
from livemarkets.bus.statistics import BusStatistics
from livemarkets.exchanges.base import ExchangePorts
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.feed.publisher import Publisher
from livemarkets.market.latest_updates import LatestUpdates
from livemarkets.market.models import ExchangeName
from livemarkets.market.stores import RecentTrades

__all__ = ["BusNode", "Stores", "new_node_name"]


class Stores(Protocol):
    """What feeds keep in memory."""

    trades: RecentTrades
    updates: LatestUpdates


class BusNode(Protocol):
    """This process on the bus."""

    link: Link

    @property
    def publisher(self) -> Publisher | None:
        """To what the feeds of an ingest publish; `None` for an edge."""

    def use(self, feeds: Mapping[str, ExchangeFeed]) -> None:
        """Take the feeds. Called once, before the start."""

    @property
    def ports(self) -> Callable[[ExchangeName], ExchangePorts] | None:
        """Return what makes the ports of an exchange; `None` for an ingest, which connects by itself."""

    def statistics(self) -> BusStatistics:
        """Return the state and the counters."""

    async def run(self) -> None:
        """Run until cancelled."""


def new_node_name(port: int) -> str:
    """Return a new name of a process, one token of a subject: host, port, and characters at random."""
    host = "".join(letter for letter in socket.gethostname() if letter.isascii() and letter.isalnum())
    return f"{host[:20] or 'node'}-{port}-{secrets.token_hex(4)}"
