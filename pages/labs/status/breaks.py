"""The buttons that cause faults of the simulator, and of nothing else."""

from __future__ import annotations

from nicegui import ui

from livemarkets.embedded.faults import FaultRefused
from livemarkets.market.models import StreamKey
from pages.labs.watchlist import PageSubscriber
from pages.ports import FaultButtons, PageServices
from pages.shell import text

__all__ = ["Breaks"]

WATCHED = ("BTCUSDT", "ETHUSDT")


class Breaks:
    """Buttons to watch the simulator, and to break it.

    Args:
        services: the application.
        faults: what causes the faults.
        client_id: of the page, which is the subscriber while it watches.
    """

    def __init__(self, services: PageServices, faults: FaultButtons, client_id: str) -> None:
        self._services = services
        self._faults = faults
        self._subscriber = PageSubscriber(f"{client_id} status")
        self.is_watching = False
        with ui.element("div").classes("breaks") as self._root:
            text("h3", "Break it")
            text(
                "p",
                "Cause a fault of the simulator, and watch how it heals. Other exchanges are not concerned, "
                "but everybody who watches the simulator is.",
            )
            with ui.element("div").classes("breaks-buttons"):
                self._watch = self._button("Watch the simulator", "Subscribe to two of its symbols")
                self._watch.on("click", self.watch)
                for offer in faults.offers.values():
                    button = self._button(offer.label, offer.hint)
                    button.on("click", lambda _, name=offer.name: self.press(name))
            self.outcome = text("p", "", "breaks-outcome").props('role="status"')

    def _button(self, label: str, hint: str) -> ui.element:
        button = text("button", label, "button").props('type="button"')
        button._props["title"] = hint
        return button

    def watch(self) -> None:
        """Subscribe to symbols of the simulator, so that there is something to break, or end that."""
        self.is_watching = not self.is_watching
        keys = [StreamKey.trades("simulator", symbol) for symbol in WATCHED] if self.is_watching else []
        if keys:
            self._services.manager.subscribe_all(self._subscriber, keys)
        else:
            self._services.manager.release(self._subscriber)
        self._watch.props(f'aria-pressed="{str(self.is_watching).lower()}"')

    async def press(self, name: str) -> None:
        """Cause a fault, and say what came of it."""
        try:
            await self._faults.inject(name)
            said = f"Done: {self._faults.offers[name].label}. {self._faults.offers[name].hint}"
        except FaultRefused as refusal:
            said = f"Not done: {refusal}."
        if not self._root.is_deleted:
            self.outcome.set_text(said)

    def close(self) -> None:
        """End the subscriptions: the page is closed."""
        self._services.manager.release(self._subscriber)
