"""Which exchange's prices a Live page shows: the one asked for, or the simulator in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from livemarkets.market.models import ExchangeName, ExchangeState, ExchangeStatus, QualityState, StreamKey
from pages.labs.fallback import Fallback
from pages.ports import PageServices
from pages.wording import Banner, banner_for

__all__ = ["PriceSource"]


class PriceSource:
    """The exchange that a page asks for, and the one whose prices it shows.

    Args:
        services: the application.
        asked: the exchange that the person chose.
    """

    def __init__(self, services: PageServices, asked: ExchangeName) -> None:
        self.asked = asked
        self._services = services
        self._had_prices = False
        self._fallback = Fallback(is_available=self._can_fall_back(), now_ms=services.elapsed_ms())

    @property
    def shown(self) -> ExchangeName:
        """The exchange whose prices are shown."""
        return "simulator" if self._fallback.is_active else self.asked

    @property
    def status(self) -> ExchangeStatus:
        """The state of the exchange that was asked for."""
        return self._services.status(self.asked)

    def stale_count(self, symbols: Sequence[str]) -> int:
        """Return for how many of these symbols the exchange has newer trades that do not arrive."""
        if self.status.state is not ExchangeState.STALE:
            return 0
        found = (self._services.quality(StreamKey.trades(self.asked, symbol)) for symbol in symbols)
        return sum(quality is not None and quality.state is QualityState.STALE for quality in found)

    def banner(self, symbols: Sequence[str]) -> Banner:
        """Return what the banner under the header says, and what it offers."""
        count, stale_count = len(symbols), self.stale_count(symbols)
        banner = banner_for(self.status, shown=self.shown, symbol_count=count, stale_count=stale_count)
        if self._fallback.is_offered:
            return replace(banner, action="Show simulated prices")
        return replace(banner, action="Back to the last prices") if self._fallback.is_chosen else banner

    def choose(self, exchange: ExchangeName) -> None:
        """Ask for another exchange."""
        self.asked = exchange
        self.start_over()

    def choose_simulator(self) -> None:
        """Take what the banner offers: simulated prices during an outage, or the last real ones again."""
        self._fallback.choose(not self._fallback.is_chosen)

    def start_over(self) -> None:
        """Forget what the page has shown."""
        self._had_prices = False
        self._fallback.reset(is_available=self._can_fall_back(), now_ms=self._services.elapsed_ms())

    def follow(self, has_prices: Callable[[], bool]) -> bool:
        """Check the exchange. Return whether a decision changed.

        Args:
            has_prices: returns whether the rows have any price of the exchange shown.
        """
        if not self._had_prices and self.shown == self.asked:
            self._had_prices = has_prices()
        now_ms = self._services.elapsed_ms()
        return self._fallback.update(self.status.state, now_ms, has_prices=self._had_prices)

    def _can_fall_back(self) -> bool:
        return (
            self.asked != "simulator"
            and self._services.settings.simulator_enabled
            and "simulator" in self._services.exchanges()
        )
