"""The state of the exchange in the header."""

from __future__ import annotations

from collections.abc import Sequence

from livemarkets.market.models import ExchangeStatus
from pages.elements.live_element import LiveElement
from pages.wording import STATE_WORDS, label

__all__ = ["BEAT_MS", "ConnectionBadge"]

BEAT_MS = 1_000
"""Interval of the heartbeat to a page. `shared/page_link.js` depends on it."""


class ConnectionBadge(
    LiveElement,
    component="connection_badge.js",
    dependencies=["shared/page_link.js", "shared/server_clock.js", "shared/time_format.js"],
):
    """The state of the exchange in the header. Pressing it opens a panel with all exchanges.

    It also sends the page's heartbeat: a page that receives nothing for 2.5 s says that it is not connected.

    Args:
        has_age: whether the page shows trades; the badge then shows the age of the last one.
    """

    def __init__(self, *, has_age: bool) -> None:
        super().__init__()
        self._props["hasAge"] = has_age
        self.statuses: tuple[ExchangeStatus, ...] = ()
        self.shown = ""
        self.asked = ""
        self._beat_ms = 0

    def show(self, statuses: Sequence[ExchangeStatus], *, asked: str, shown: str, now_ms: int) -> None:
        """Show the state of `asked`. Without a change, only the heartbeat is sent, once a second.

        Pages call it at least once a second while they are visible.

        Args:
            statuses: of every exchange, for the panel.
            asked: the exchange that the person chose.
            shown: the exchange whose prices the page shows.
        """
        if now_ms - self._beat_ms >= BEAT_MS:
            self._beat_ms = now_ms
            self.call("beat", now_ms)
        if (tuple(statuses), asked, shown) == (self.statuses, self.asked, self.shown):
            return
        self.statuses, self.asked, self.shown = tuple(statuses), asked, shown
        self._props["exchanges"] = [_described(status) for status in statuses]
        self._props["asked"] = asked
        self._props["shown"] = shown
        self._props["tag"] = "simulated" if shown == "simulator" else ""
        self._props["now"] = now_ms


def _described(status: ExchangeStatus) -> dict[str, str | int | None]:
    return {
        "exchange": status.exchange,
        "label": label(status.exchange),
        "state": status.state.value,
        "word": STATE_WORDS[status.state],
        "reason": status.reason,
        "since": status.ts,
        "retry_ts": status.retry_ts,
    }
