"""The symbols that moved most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from pages.elements.live_element import LiveElement

__all__ = ["Mover", "Movers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mover:
    """One symbol and how far it moved."""

    symbol: str
    title: str
    change: str
    """Percent, with its sign."""
    href: str


class Movers(LiveElement, component="movers.js"):
    """Groups of symbols that moved most, each a link.

    Args:
        hint: which symbols were compared, for the tooltip.
    """

    def __init__(self, *, hint: str) -> None:
        super().__init__()
        self._props["hint"] = hint
        self.groups: Mapping[str, Sequence[Mover]] = {}

    def show(self, groups: Mapping[str, Sequence[Mover]]) -> None:
        """Show groups by their titles. Without a change, nothing is sent."""
        if groups != self.groups:
            self.groups = groups
            self.send()

    def send(self) -> None:
        """Send the groups to a browser that is new."""
        described = [
            {"title": title, "items": [asdict(mover) for mover in group]}
            for title, group in self.groups.items()
        ]
        self.call("show", described)
