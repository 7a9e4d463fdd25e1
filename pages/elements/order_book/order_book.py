"""The order book of one symbol: twenty price levels of each side. Only levels that changed are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from livemarkets.market.models import SymbolInfo
from livemarkets.market.updates import DepthUpdate, Level
from pages.elements.live_element import LiveElement
from pages.number_format import decimals_of, significant_decimals, trimmed

__all__ = ["LEVELS", "OrderBook", "SentLevel"]

LEVELS = 20
"""Price levels of each side."""


class SentLevel(NamedTuple):
    """One price level, as last sent to the browser. Empty text is an empty level."""

    price: str = ""
    size: str = ""


class OrderBook(
    LiveElement,
    component="order_book.js",
    dependencies=[
        "../shared/dom.js",
        "../shared/number_format.js",
        "../shared/page_link.js",
        "../shared/server_clock.js",
        "../shared/time_format.js",
    ],
):
    """The best price levels of a symbol, with bars of the running sum.

    Args:
        on_displayed: called when the layout of the page begins or ceases to display it.
    """

    def __init__(self, *, on_displayed: Callable[[], None]) -> None:
        super().__init__()
        self._props["levels"] = LEVELS
        self.is_displayed = False
        """Whether the layout displays it: not so on a narrow page, until the person asks for it."""
        self.bids = [SentLevel()] * LEVELS
        """As last sent, the best one first."""
        self.asks = [SentLevel()] * LEVELS
        self._shown: DepthUpdate | None = None
        self._on_displayed = on_displayed
        self.on("displayed", lambda event: self._note_displayed(event.args is True))

    def describe(self, *, title: str, base: str, hint: str) -> None:
        """Say which symbol this is, and what to say while there are no levels."""
        for name, value in (("title", title), ("base", base), ("hint", hint)):
            if self._props.get(name) != value:
                self._props[name] = value

    def forget(self) -> None:
        """Begin anew, for another symbol."""
        self.bids, self.asks = [SentLevel()] * LEVELS, [SentLevel()] * LEVELS
        self._shown = None
        self.call("clear")

    def resend(self) -> None:
        """Send everything again next time, and ask whether it is displayed: the page was opened just now."""
        self.bids, self.asks, self._shown = [], [], None
        self.call("tellDisplayed")

    def show(self, depth: DepthUpdate | None, info: SymbolInfo | None) -> None:
        """Send the levels that changed, while it is displayed."""
        if depth is None or depth is self._shown or not self.is_displayed:
            return
        self._shown = depth
        bids, asks = _levels(depth.bids, info), _levels(depth.asks, info)
        changed = {"bids": _changed(self.bids, bids), "asks": _changed(self.asks, asks)}
        self.bids, self.asks = bids, asks
        if changed["bids"] or changed["asks"]:
            self.call("apply", changed)

    def _note_displayed(self, is_displayed: bool) -> None:
        if is_displayed is not self.is_displayed:
            self.is_displayed = is_displayed
            self._on_displayed()


def _levels(levels: Sequence[Level], info: SymbolInfo | None) -> list[SentLevel]:
    shown = levels[:LEVELS]
    price_decimals = decimals_of(info.tick_size) if info else _most_decimals(price for price, _ in shown)
    size_decimals = decimals_of(info.step_size) if info else _most_decimals(size for _, size in shown)
    sent = [SentLevel(trimmed(price, price_decimals), trimmed(size, size_decimals)) for price, size in shown]
    return sent + [SentLevel()] * (LEVELS - len(sent))


def _most_decimals(values: Iterable[Decimal]) -> int:
    return max(map(significant_decimals, values), default=0)


def _changed(before: Sequence[SentLevel], now: Sequence[SentLevel]) -> list[dict[str, int | str]]:
    return [
        {"level": number, "price": level.price, "size": level.size}
        for number, level in enumerate(now)
        if not before or level != before[number]
    ]
