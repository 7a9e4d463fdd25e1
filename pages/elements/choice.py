"""A list of options of which one is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nicegui import ui

from pages.elements.market_grid.market_grid import symbol_argument

__all__ = ["Choice"]


class Choice(ui.element):
    """The browser's own drop-down list.

    Args:
        label: what is chosen.
        on_choose: called with the value of the option.
    """

    def __init__(self, label: str, *, on_choose: Callable[[str], None]) -> None:
        super().__init__("select")
        self.classes("field").props(f'aria-label="{label}"')
        self.options: dict[str, str] = {}
        self.chosen = ""
        self.on(
            "change",
            lambda event: on_choose(symbol_argument(event)),
            js_handler="(event) => emit(event.target.value)",
        )

    def set_options(self, options: Mapping[str, str], chosen: str) -> None:
        """Offer options, by value with their texts. Without a change, nothing is sent."""
        if (dict(options), chosen) == (self.options, self.chosen):
            return
        self.options, self.chosen = dict(options), chosen
        self.clear()
        with self:
            for value, text in options.items():
                option = ui.label(text)
                option.tag = "option"
                option._props["value"] = value
                if value == chosen:
                    option._props["selected"] = True
