"""The selected market: its elements, its subscriptions, and what is sent to the browser."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from nicegui import ui

from livemarkets.market.channels import BOOK, DEPTH, TICKERS
from livemarkets.market.models import StreamKey, SymbolInfo
from livemarkets.market.updates import DepthUpdate
from livemarkets.security.addresses import client_address
from pages.elements.market_keys import MarketKeys
from pages.elements.order_book.order_book import OrderBook
from pages.elements.trade_tape import TradeTape
from pages.labs.market.chart import INTERVALS, MarketChart
from pages.labs.market.market_alert import MarketAlert
from pages.labs.market.summary import MarketSummary
from pages.labs.watchlist import PageSubscriber
from pages.ports import PageServices

__all__ = ["SelectedMarket", "ViewChanged"]


class ViewChanged(Protocol):
    """Called when the person changed something that stands in the address of the page."""

    def __call__(self, *, interval: str, minimum: str, paused: str, alert: str) -> None:
        """Note what is set now.

        Args:
            interval: the length of the candles.
            minimum: the smallest value of the tape; empty for all.
            paused: `1` while the tape is paused, else empty.
            alert: the price alert, such as `BTCUSDT>62000`; empty without one.
        """


class SelectedMarket:
    """The right half of a page: head, chart, tape and order book of one symbol.

    Args:
        services: the application.
        client_id: NiceGUI's id of the page. The subscriber is another one than that of the rows.
        on_view: called when the person changed interval, minimum, pause or alert.
        interval: the length of candles; one that is not on offer is ignored.
        minimum: the smallest value that the tape shows, in the quote asset; empty for all.
        alert: the alert, as the address has it; empty for none.
        is_paused: whether the tape is paused.
    """

    def __init__(
        self,
        services: PageServices,
        client_id: str,
        *,
        on_view: ViewChanged,
        interval: str = "",
        minimum: str = "",
        alert: str = "",
        is_paused: bool = False,
    ) -> None:
        self._services = services
        self._subscriber = PageSubscriber(f"{client_id} market")
        self._on_view = on_view
        self._key: StreamKey | None = None
        self._title, self._tone, self._tag = "", "quiet", ""
        self._info: SymbolInfo | None = None
        self._is_open = self._is_closed = False
        with ui.element("div").classes("selected-market") as self._root:
            address = client_address(self._root.client.request)
            keys = {str(at + 1): partial(self.choose_interval, name) for at, name in enumerate(INTERVALS)}
            MarketKeys({**keys, "p": self.toggle_pause, "b": self.toggle_book})
            with ui.element("div").classes("market-parts").props("data-book=auto") as self._parts:
                with ui.element("div").classes("market-top"):
                    self.summary = MarketSummary(services)
                    self.alert = MarketAlert(
                        services,
                        text=alert,
                        candle_key=lambda: self.chart.candle_key,
                        on_change=self._change_alert,
                    )
                self.chart = MarketChart(
                    services,
                    address,
                    interval=interval,
                    on_interval=self.choose_interval,
                    on_book=self.toggle_book,
                )
                self.tape = TradeTape(
                    on_change=self._fill_tape, on_view=self._tell_view, minimum=minimum, is_paused=is_paused
                )
                self.book = OrderBook(on_displayed=self._show_book)

    # For the address of the page

    @property
    def interval(self) -> str:
        """The length of the candles."""
        return self.chart.interval

    @property
    def minimum(self) -> str:
        """The smallest value that the tape shows, as the person wrote it; empty for all."""
        return self.tape.minimum

    @property
    def is_paused(self) -> bool:
        """Whether the tape is paused."""
        return self.tape.is_paused

    @property
    def alert_text(self) -> str:
        """The alert as an address has it: `BTCUSDT>62000`; empty for none."""
        return self.alert.text

    # What the person does

    def choose_interval(self, interval: str) -> None:
        """Show candles of another length."""
        if interval not in INTERVALS or interval == self.interval:
            return
        self.chart.interval = interval
        self.chart.describe(self._key, title=self._title, info=self._info)
        self._subscribe()
        if self._is_open:
            self.chart.fill()
        self._tell_view()

    def toggle_pause(self) -> None:
        """Pause the tape, or resume it."""
        if self._key is not None:
            self.tape.set_paused(not self.tape.is_paused)

    def toggle_book(self) -> None:
        """Show the order book, or hide it. On a narrow page it takes the place of the tape."""
        self._parts.props(f"data-book={'hidden' if self.book.is_displayed else 'shown'}")

    # What is shown

    def show(
        self, key: StreamKey | None, *, title: str, info: SymbolInfo | None, tone: str, tag: str = ""
    ) -> None:
        """Show a symbol, or say how its values are. It may be called with every flush.

        Without a change, nothing is sent.

        Args:
            key: its stream of trades; `None` for no symbol.
            title: the symbol as people write it.
            info: what is known of it.
            tone: how old the values of the exchange are.
            tag: a word that the prices bear: `simulated`.
        """
        if self._is_closed:
            return
        is_other = key != self._key
        is_new = is_other or info != self._info
        self._key, self._title, self._info, self._tone, self._tag = key, title, info, tone, tag
        self._root.set_visibility(key is not None)
        base, quote = (info.base_asset, info.quote_asset) if info else ("", "")
        self.summary.element.describe(title=title, base=base, quote=quote, tag=tag)
        self.alert.describe(key, info)
        self.chart.describe(key, title=title, info=info)
        self.book.describe(title=title, base=base, hint=self._book_hint())
        self._show_tape_state()
        if is_other:
            self.book.forget()
        if is_new and self._is_open:
            self._subscribe()
            self._fill()

    def send_all(self) -> None:
        """Subscribe and send everything: the page is open, visible again, or has reconnected."""
        if self._is_closed:
            return
        self._is_open = True
        self._subscribe()
        self._fill()

    def flush(self, *, is_visible: bool = True) -> None:
        """Send what changed since the last flush; to a hidden page, only an alert that goes off."""
        if not self._is_open:
            return
        self.alert.flush()
        if self._key is None or not is_visible:
            return
        self.summary.flush(self._key, self._info, self._tone)
        self.chart.flush()
        self.tape.flush(self._services.trades)
        self._show_tape_state()
        self._flush_book(self._key)

    def close(self) -> None:
        """Unsubscribe, and drop the elements that call this object, so that it is freed."""
        self._services.manager.release(self._subscriber)
        self._is_open, self._is_closed = False, True
        del self.chart, self.tape, self.book, self.alert

    # Inside

    def _tell_view(self) -> None:
        self._on_view(
            interval=self.interval,
            minimum=self.minimum,
            paused="1" if self.is_paused else "",
            alert=self.alert_text,
        )

    def _change_alert(self) -> None:
        self._subscribe()
        self._tell_view()

    def _subscribe(self) -> None:
        """Make the subscriptions those of what is shown and of the alert, as far as the exchange has them."""
        if not self._is_open:
            return
        wanted = [self.alert.key]
        if (key := self._key) is not None:
            channels = (TICKERS, BOOK, DEPTH) if self.book.is_displayed else (TICKERS, BOOK)
            wanted += [StreamKey(key.exchange, channel, key.symbol) for channel in channels]
            wanted.append(self.chart.candle_key)
        services = self._services
        keys = [
            each
            for each in wanted
            if each is not None
            and each.channel in services.channels(each.exchange)
            and services.symbols(each.exchange).accepts(each.symbol)
        ]
        services.manager.subscribe_all(self._subscriber, keys)

    def _fill(self) -> None:
        self.summary.fill(self._key, self._info, self._tone)
        self.book.resend()
        self._fill_tape()
        self.chart.fill()
        if self._key is not None:
            self._flush_book(self._key)

    # the order book

    def _show_book(self) -> None:
        self.chart.element.press_book(is_pressed=self.book.is_displayed)
        self._subscribe()
        if self._key is not None and self._is_open:
            self._flush_book(self._key)

    def _flush_book(self, key: StreamKey) -> None:
        depth = self._services.updates.get(StreamKey(key.exchange, DEPTH, key.symbol))
        assert depth is None or isinstance(depth, DepthUpdate)
        self.book.show(depth, self._info)

    def _book_hint(self) -> str:
        if self._key is None or DEPTH in self._services.channels(self._key.exchange):
            return "Loading the order book …"
        return f"{self._key.exchange} has no order book."

    # the tape

    def _fill_tape(self) -> None:
        self.tape.fill(self._key, title=self._title, info=self._info, trades=self._services.trades)
        self._show_tape_state()

    def _show_tape_state(self) -> None:
        """Update the caption of the tape. Call it after the lines changed, so that both fit."""
        self.tape.set_state(tag=self._tag, tone=self._tone, hint=self._tape_hint())

    def _tape_hint(self) -> str:
        if self._tone in ("stale", "down"):
            return "These are the last trades received."
        if self.tape.has_filter:
            return ""  # the tape itself says what its filter shows
        return "Every trade, newest on top." if self.tape.shown else "No trade yet."
