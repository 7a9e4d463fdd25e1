"""What needs a person, on top of the status page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from livemarkets.status.report import Need
from pages.elements.live_element import LiveElement

__all__ = ["NeedsList"]


class NeedsList(LiveElement, component="needs_list.js", dependencies=["shared/time_format.js"]):
    """A list of what a person should do, each with the way to do it.

    Args:
        none: what is said when there is nothing to do.
        on_visibility: called with whether the page is visible; what it returns is awaited.
    """

    def __init__(self, *, none: str, on_visibility: Callable[[bool], Awaitable[None] | None]) -> None:
        super().__init__()
        self._props["none"] = none
        self.needs: tuple[Need, ...] = ()
        self.on("visibility", lambda event: on_visibility(event.args is True))

    def show(self, needs: Sequence[Need]) -> None:
        """Show what needs a person. Without a change, nothing is sent."""
        if tuple(needs) != self.needs:
            self.needs = tuple(needs)
            self.send()

    def send(self) -> None:
        """Send the list to a browser that is new."""
        described = [
            {
                "kind": need.kind,
                "level": need.level,
                "what": need.what,
                "way": need.way,
                "until": need.until_ts,
            }
            for need in self.needs
        ]
        self.call("show", described)
