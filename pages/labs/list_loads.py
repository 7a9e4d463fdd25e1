"""When a page asks for the list of symbols of an exchange: at once, and again some time after a failure."""

from __future__ import annotations

from collections.abc import Iterable

from livemarkets.market.models import ExchangeName
from pages.ports import PageServices

__all__ = ["LOAD_AGAIN_AFTER_MS", "ListLoads"]

LOAD_AGAIN_AFTER_MS = 15_000
"""How long a page waits, ms, before it asks again for a list of symbols that failed to load."""


class ListLoads:
    """The lists of symbols that one page asked for.

    Args:
        services: the application.
    """

    def __init__(self, services: PageServices) -> None:
        self._services = services
        self._asked_ms: dict[ExchangeName, int] = {}

    def take_due(self, exchanges: Iterable[ExchangeName]) -> list[ExchangeName]:
        """Return those whose symbols should be loaded now, and note that they are being loaded."""
        now_ms = self._services.elapsed_ms()
        due = [
            exchange
            for exchange in dict.fromkeys(exchanges)
            if not self._services.symbols(exchange).is_loaded
            and now_ms - self._asked_ms.get(exchange, -LOAD_AGAIN_AFTER_MS) >= LOAD_AGAIN_AFTER_MS
        ]
        self._asked_ms.update(dict.fromkeys(due, now_ms))
        return due
