"""The keys of the selected market, wherever the focus is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nicegui import ui

from pages.elements.market_grid.market_grid import symbol_argument

__all__ = ["MarketKeys"]


class MarketKeys(ui.element, component="market_keys.js"):
    """Calls what belongs to a key that is pressed outside of fields.

    Args:
        actions: what each key does.
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]]) -> None:
        super().__init__()
        self._props["keys"] = list(actions)

        def press(key: str) -> None:
            action = actions.get(key)
            if action is not None:
                action()

        self.on("press", lambda event: press(symbol_argument(event)))
