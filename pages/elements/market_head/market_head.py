"""The head of the selected market: last price, the figures of 24 hours, and the quality in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pages.elements.live_element import LiveElement

__all__ = ["HeadValues", "MarketHead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadValues:
    """The figures of one symbol, as text. Empty text means that it is not known."""

    last: str = ""
    is_from_ticker: bool = False
    """Whether the last price is the ticker's, because no trade has come yet."""
    change: str = ""
    """Percent, with its sign, over 24 hours. The others are those of the same 24 hours."""
    high: str = ""
    low: str = ""
    volume: str = ""
    """In the quote asset."""
    base_volume: str = ""
    spread: str = ""
    """Best ask minus best bid."""


class MarketHead(
    LiveElement,
    component="market_head.js",
    dependencies=[
        "tab_title.js",
        "../shared/dom.js",
        "../shared/number_format.js",
        "../shared/page_link.js",
        "../shared/price_flash.js",
        "../shared/server_clock.js",
        "../shared/time_format.js",
    ],
):
    """What one symbol does at a glance. It also writes the title of the browser's tab."""

    def __init__(self) -> None:
        super().__init__()
        self.values = HeadValues()
        """As last sent."""
        self.words = ""
        """The quality, as last sent."""
        self._details = ""
        self._is_whole_owed = False

    def describe(self, *, title: str, base: str, quote: str, tag: str) -> None:
        """Say which symbol this is. Without a change, nothing is sent.

        Args:
            title: the symbol as people write it.
            base: the base asset.
            quote: the quote asset.
            tag: a word beside the title: `simulated`.
        """
        for name, value in (("title", title), ("base", base), ("quote", quote), ("tag", tag)):
            if self._props.get(name) != value:
                self._props[name] = value

    def forget(self) -> None:
        """Begin anew, for another symbol."""
        self.values, self.words, self._details = HeadValues(), "", ""
        self.call("clear")

    def resend(self) -> None:
        """Send everything again next time: the browser may have missed something."""
        self._is_whole_owed, self.words = True, ""

    def show(self, values: HeadValues) -> None:
        """Send the figures that changed."""
        new, old = asdict(values), asdict(self.values)
        changed = {name: value for name, value in new.items() if self._is_whole_owed or value != old[name]}
        if changed:
            self.values, self._is_whole_owed = values, False
            self.call("show", changed)

    def show_quality(self, words: str, details: str, tone: str) -> None:
        """Send the quality in words, if it changed."""
        if (words, details) != (self.words, self._details):
            self.words, self._details = words, details
            self.call("showQuality", {"words": words, "details": details, "tone": tone})
