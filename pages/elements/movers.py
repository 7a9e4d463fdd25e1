"""The symbols that moved most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from nicegui import ui

__all__ = ["Mover", "Movers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mover:
    """One symbol and how far it moved."""

    symbol: str
    title: str
    change: str
    """Percent, with its sign."""
    href: str


class Movers(ui.element, component="movers.js"):
    """Groups of symbols that moved most, each a link.

    Args:
        hint: which symbols were compared, for the tooltip.
    """

    def __init__(self, *, hint: str) -> None:
        super().__init__()
        self._props["hint"] = hint
        self.groups: Mapping[str, Sequence[Mover]] = {}

    def show(self, groups: Mapping[str, Sequence[Mover]], *, is_new: bool = False) -> None:
        """Show groups by their titles. Nothing is sent without a change, unless the browser `is_new`."""
        if groups == self.groups and not is_new:
            return
        self.groups = groups
        described = [
            {"title": title, "items": [asdict(mover) for mover in group]} for title, group in groups.items()
        ]
        self.run_method("show", described)
