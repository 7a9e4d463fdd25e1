"""The state of one Labs page, without its elements: symbols, subscriptions, fallback, notices."""

from __future__ import annotations

from dataclasses import dataclass

from livemarkets.market.models import ExchangeName, ExchangeStatus, StreamKey, SymbolInfo
from livemarkets.market.symbols import SYMBOL_SHAPE
from pages.elements.market_grid.market_grid import GridLine
from pages.labs.fallback import Fallback
from pages.labs.url import Notice, WatchlistUrl, clip, read_typed
from pages.ports import PageServices
from pages.wording import QUALITY_WORDS, Banner, banner_for, label

__all__ = ["PageSubscriber", "Watchlist"]

LOAD_AGAIN_AFTER_MS = 15_000
"""How long a page waits, ms, before it asks again for a list of symbols that failed to load."""

MAX_UNKNOWN_NAMED = 3
"""Unlisted symbols that get a notice of their own; the rest are counted."""


@dataclass(frozen=True, slots=True)
class PageSubscriber:
    """Identifies one open page as a subscriber. It does not refer to the page, so the page can be freed."""

    client_id: str


class Watchlist:
    """The state of one Labs page.

    Args:
        services: the application.
        view: exchange and symbols from the address.
        subscriber: identifies the page.
    """

    def __init__(self, services: PageServices, view: WatchlistUrl, subscriber: PageSubscriber) -> None:
        self._services = services
        self._subscriber = subscriber
        self._is_open = False
        self._asked: ExchangeName = view.exchange
        self._symbols = list(view.symbols)
        self._selected = view.symbols[0] if view.symbols else ""
        self._fallback = Fallback(is_available=self._can_fall_back(), now_ms=services.elapsed_ms())
        self._loads: dict[str, int] = {}
        self._checked: set[str] = set()
        self._quality_version = -1
        self._states: dict[str, tuple[str, str]] = {}  # of the rows that are not live

    @property
    def view(self) -> WatchlistUrl:
        """What the address of the page says."""
        return WatchlistUrl(exchange=self._asked, symbols=tuple(self._symbols))

    @property
    def selected(self) -> str:
        """The symbol whose tape is shown; empty when there is none."""
        return self._selected

    @property
    def shown(self) -> ExchangeName:
        """The exchange whose prices are shown: the one asked for, or the simulator in its place."""
        return "simulator" if self._fallback.is_active else self._asked

    @property
    def is_simulated(self) -> bool:
        """Whether the prices shown are simulated."""
        return self.shown == "simulator"

    @property
    def status(self) -> ExchangeStatus:
        """The state of the exchange that was asked for."""
        return self._services.status(self._asked)

    @property
    def strip(self) -> Banner:
        """What the banner under the header says."""
        return banner_for(self.status, shown=self.shown, symbol_count=len(self._symbols))

    # Opening and closing

    def open(self) -> None:
        """Subscribe to what the page shows. Idempotent: a page that reconnects calls it again."""
        self._is_open = True
        self._subscribe()

    def close(self) -> None:
        """End all subscriptions of the page, finally."""
        self._is_open = False
        self._services.manager.release(self._subscriber)

    # What the person does

    def add(self, text: str) -> list[Notice]:
        """Add one or more symbols. Return notices about those that were not added."""
        wanted, malformed = read_typed(text)
        notices = [
            Notice(f"{clip(word)} cannot be a symbol. A symbol is {SYMBOL_SHAPE}, such as BTCUSDT.")
            for word in malformed[:1]
        ]
        limit = self._services.settings.max_symbols_per_client
        unlisted: list[str] = []
        count = len(self._symbols)
        for symbol in wanted:
            if symbol in self._symbols:
                self._selected = symbol
            elif not self._is_listed(symbol):
                unlisted.append(symbol)
            elif len(self._symbols) >= limit:
                notices.append(
                    Notice(f"A page shows up to {limit} symbols. Remove one to add {clip(symbol)}.")
                )
                break
            else:
                self._symbols.append(symbol)
                self._selected = self._selected or symbol
        if len(self._symbols) > count:
            self._subscribe()
        self._services.seek_symbols(self._asked, unlisted, ask=True)
        return notices + self._unlisted(unlisted)

    def remove(self, symbol: str) -> None:
        """Remove a symbol from the page. If it was selected, its neighbour is selected."""
        if symbol in self._symbols:
            self._take_off(symbol)
            self._subscribe()

    def _take_off(self, symbol: str) -> None:
        index = self._symbols.index(symbol)
        self._symbols.remove(symbol)
        if self._selected == symbol:
            self._selected = self._symbols[min(index, len(self._symbols) - 1)] if self._symbols else ""
        if not self._symbols:
            self._start_over()

    def select(self, symbol: str) -> None:
        """Show the tape of `symbol`."""
        if symbol in self._symbols:
            self._selected = symbol

    def choose(self, exchange: str) -> None:
        """Show the same symbols of another exchange."""
        if exchange in self._services.exchanges() and exchange != self._asked:
            self._asked = exchange
            self._checked.discard(exchange)
            self._start_over()
            self._subscribe()

    # What the exchanges do

    def follow(self) -> list[Notice] | None:
        """Check the exchanges. Return notices, perhaps none, if what the page shows changed, else `None`."""
        has_changed = False
        if self._symbols and self._fallback.update(self.status.state, self._services.elapsed_ms()):
            has_changed = True
        notices: list[Notice] = []
        for exchange in dict.fromkeys((self._asked, self.shown)):
            if exchange not in self._checked and self._services.symbols(exchange).is_loaded:
                self._checked.add(exchange)
                has_changed = True
                notices += self._check_listed() if exchange == self._asked else []
        has_changed |= self._have_states_changed()
        if not has_changed:
            return None
        self._subscribe()
        return notices

    def take_due_directories(self) -> list[str]:
        """Return the exchanges whose symbols should be loaded now, and note that they are being loaded."""
        now_ms = self._services.elapsed_ms()
        due: list[str] = [
            exchange
            for exchange in dict.fromkeys((self._asked, self.shown))
            if not self._services.symbols(exchange).is_loaded
            and now_ms - self._loads.get(exchange, -LOAD_AGAIN_AFTER_MS) >= LOAD_AGAIN_AFTER_MS
        ]
        self._loads.update(dict.fromkeys(due, now_ms))
        return due

    # What is shown

    def shown_keys(self) -> list[StreamKey]:
        """Return the streams of the rows, in their order. Rows without a stream are left out."""
        return [
            StreamKey.trades(self.shown, symbol)
            for symbol in self._symbols
            if self._is_known(self.shown, symbol)
        ]

    def selected_key(self) -> StreamKey | None:
        """Return the stream of the tape."""
        return StreamKey.trades(self.shown, self._selected) if self._selected else None

    def info(self, symbol: str) -> SymbolInfo | None:
        """Return what is known of a symbol: from the exchange shown, else from the one asked for."""
        shown, asked = (self._services.symbols(exchange) for exchange in (self.shown, self._asked))
        return shown.get(symbol) or asked.get(symbol)

    def lines(self) -> list[GridLine]:
        """Return the rows, in the order of the person."""
        return [self._line(symbol) for symbol in self._symbols]

    def title(self, symbol: str) -> str:
        """Return a symbol as people write it: `BTC/USDT`."""
        info = self.info(symbol)
        return f"{info.base_asset}/{info.quote_asset}" if info else symbol

    # Inside

    def _line(self, symbol: str) -> GridLine:
        info = self.info(symbol)
        if not self._is_known(self.shown, symbol):
            return GridLine(symbol=symbol, note=f"not on the {self.shown}", **_names(info))
        note = "not trading" if info is not None and not info.is_trading else "no trade yet"
        tag = "simulated" if self.is_simulated else ""
        state, reason = self._state(symbol)
        return GridLine(symbol=symbol, note=note, tag=tag, state=state, reason=reason, **_names(info))

    def _state(self, symbol: str) -> tuple[str, str]:
        """Return the word for the state of a row's stream, and why; empty while it is live."""
        quality = self._services.quality(StreamKey.trades(self.shown, symbol))
        return ("", "") if quality is None else (QUALITY_WORDS[quality.state], quality.reason or "")

    def _have_states_changed(self) -> bool:
        version = self._services.quality_version(self.shown)
        if version == self._quality_version:
            return False
        before = self._states
        states = {symbol: self._state(symbol) for symbol in self._symbols}
        self._quality_version = version
        self._states = {symbol: state for symbol, state in states.items() if state[0]}
        return self._states != before

    def _is_listed(self, symbol: str) -> bool:
        return self._is_known(self._asked, symbol)

    def _is_known(self, exchange: ExchangeName, symbol: str) -> bool:
        """Return whether an exchange has a symbol: it is listed, or it has traded since somebody subscribed.

        So a row whose symbol is delisted stays, with its last price.
        """
        key = StreamKey.trades(exchange, symbol)
        return self._services.symbols(exchange).accepts(symbol) or self._services.latest.get(key) is not None

    def _unknown(self, symbol: str) -> Notice:
        suggestions = tuple(self._services.symbols(self._asked).suggest(symbol))
        question = " Did you mean" if suggestions else " Search above for listed symbols."
        return Notice(f"{label(self._asked)} does not list {clip(symbol)}.{question}", suggestions)

    def _check_listed(self) -> list[Notice]:
        """Drop symbols that the exchange does not list, once its list is loaded. The caller subscribes."""
        unlisted = [symbol for symbol in self._symbols if not self._is_listed(symbol)]
        for symbol in unlisted:
            self._take_off(symbol)
        return self._unlisted(unlisted)

    def _unlisted(self, unlisted: list[str]) -> list[Notice]:
        """Name the first few with suggestions and count the rest: each search for suggestions costs time."""
        notices = [self._unknown(symbol) for symbol in unlisted[:MAX_UNKNOWN_NAMED]]
        if len(unlisted) > MAX_UNKNOWN_NAMED:
            notices.append(Notice(f"{len(unlisted) - MAX_UNKNOWN_NAMED} more symbols are not listed either."))
        return notices

    def _subscribe(self) -> None:
        """Make the subscriptions of the page those of what it shows.

        During a fallback those of the exchange asked for stay, so that its client keeps trying to connect.
        """
        if not self._is_open:
            return
        keys = [key for key in self.view.stream_keys() if self._is_listed(key.symbol)]
        if self._fallback.is_active and self._services.symbols(self.shown).is_loaded:
            keys += self.shown_keys()
        self._services.manager.subscribe_all(self._subscriber, keys)

    def _start_over(self) -> None:
        self._fallback.reset(is_available=self._can_fall_back(), now_ms=self._services.elapsed_ms())

    def _can_fall_back(self) -> bool:
        return (
            self._asked != "simulator"
            and self._services.settings.simulator_enabled
            and "simulator" in self._services.exchanges()
        )


def _names(info: SymbolInfo | None) -> dict[str, str]:
    return {"base": info.base_asset, "quote": info.quote_asset} if info else {}
