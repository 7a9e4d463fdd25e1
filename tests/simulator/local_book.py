"""A client's order book, kept by the documented procedure ("How to manage a local order book correctly")."""

from typing import Any

Levels = list[list[str]]


class MissedEventsError(Exception):
    """The book has to be begun anew."""


class LocalBook:
    """The bids and asks of one symbol, from a snapshot and the events of its diff. depth stream."""

    def __init__(self) -> None:
        self.update_id = -1
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self._waiting: list[dict[str, Any]] = []

    @property
    def has_begun(self) -> bool:
        return self.update_id >= 0

    def needs_newer(self, snapshot: dict[str, Any]) -> bool:
        """Whether the snapshot is older than the first event, so that another has to be got."""
        return not self._waiting or snapshot["lastUpdateId"] < self._waiting[0]["U"]

    def begin(self, snapshot: dict[str, Any]) -> None:
        self.update_id = snapshot["lastUpdateId"]
        self.bids, self.asks = dict(snapshot["bids"]), dict(snapshot["asks"])
        waiting = [event for event in self._waiting if event["u"] > self.update_id]
        self._waiting.clear()
        for event in waiting:
            self.take(event)

    def take(self, event: dict[str, Any]) -> None:
        """Apply an event, or keep it until there is a snapshot.

        Raises:
            MissedEventsError: events before it are missing.

        """
        if not self.has_begun:
            self._waiting.append(event)
            return
        if event["u"] < self.update_id:
            return
        if event["U"] > self.update_id + 1:
            raise MissedEventsError
        for side, levels in ((self.bids, event["b"]), (self.asks, event["a"])):
            for price, size in levels:
                if float(size) == 0:
                    side.pop(price, None)
                else:
                    side[price] = size
        self.update_id = event["u"]

    def top(self, limit: int) -> tuple[Levels, Levels]:
        """The best levels, the best first."""
        bids = sorted(self.bids.items(), key=lambda level: -float(level[0]))
        asks = sorted(self.asks.items(), key=lambda level: float(level[0]))
        return [list(level) for level in bids[:limit]], [list(level) for level in asks[:limit]]
