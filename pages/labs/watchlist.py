"""The state of one Live page, without its elements: what its address says, its rows, its subscriptions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from livemarkets.market.models import ExchangeName, StreamKey, SymbolInfo
from livemarkets.market.symbols import SYMBOL_SHAPE
from pages.elements.market_grid.market_grid import GridLine
from pages.labs.list_loads import ListLoads
from pages.labs.price_source import PriceSource
from pages.labs.row_lines import RowLines, is_known, unlisted_notices
from pages.labs.row_values import RowValues, row_keys
from pages.labs.sorting import OWN_ORDER, ordered, sorted_next
from pages.labs.undo import Removal
from pages.labs.url import Notice, WatchlistUrl, clip, read_typed, with_market
from pages.ports import PageServices
from pages.wording import Banner

__all__ = ["PageSubscriber", "Watchlist"]


@dataclass(frozen=True, slots=True)
class PageSubscriber:
    """Identifies one open page as a subscriber. It does not refer to the page, so the page can be freed."""

    client_id: str


class Watchlist:
    """The state of one Live page.

    Args:
        services: the application.
        view: what the address says.
        subscriber: identifies the page.
    """

    def __init__(self, services: PageServices, view: WatchlistUrl, subscriber: PageSubscriber) -> None:
        self.view = view
        """What the address of the page says."""
        self.order = list(view.symbols)
        """The symbols of the rows, from the top."""
        self.values = RowValues(services)
        self._services = services
        self._subscriber = subscriber
        self._lines = RowLines(services)
        self._is_open = self._is_held = False
        self._source = PriceSource(services, view.exchange)
        self._removal: Removal | None = None
        self._loads = ListLoads(services)
        self._checked: set[str] = set()
        self._follow_rows()

    @property
    def selected(self) -> str:
        """The symbol of the market shown; empty when there is none."""
        return self.view.selected or (self.view.symbols[0] if self.view.symbols else "")

    @property
    def shown(self) -> ExchangeName:
        """The exchange whose prices are shown: the one asked for, or the simulator in its place."""
        return self._source.shown

    @property
    def is_simulated(self) -> bool:
        """Whether the prices shown are simulated."""
        return self.shown == "simulator"

    @property
    def strip(self) -> Banner:
        """What the banner under the header says, and what it offers."""
        return self._source.banner(self.view.symbols)

    @property
    def tone(self) -> str:
        """How old all prices are. Simulated ones are marked elsewhere, single old ones in their rows."""
        tone, symbols = self.strip.tone, self.view.symbols
        is_some = tone == "stale" and self._source.stale_count(symbols) < len(symbols)
        return "live" if is_some or tone == "simulated" else tone

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
        symbols, unlisted = list(self.view.symbols), []
        for symbol in wanted:
            if symbol in symbols:
                self.select(symbol)
            elif not self._is_listed(symbol):
                unlisted.append(symbol)
            elif len(symbols) >= limit:
                said = f"A page shows up to {limit} symbols. Remove one to add {clip(symbol)}."
                notices.append(Notice(said))
                break
            else:
                symbols.append(symbol)
        if tuple(symbols) != self.view.symbols:
            self.view = replace(self.view, symbols=tuple(symbols))
            self._follow_rows()
        self._services.seek_symbols(self.view.exchange, unlisted, ask=True)
        return notices + unlisted_notices(self._services, self.view.exchange, unlisted)

    def remove(self, symbol: str) -> None:
        """Remove a symbol from the page. If it was selected, its neighbour is selected."""
        if symbol in self.view.symbols:
            self._removal = Removal(symbol, self.view, self._services.elapsed_ms())
            self._take_off([symbol])
            self._follow_rows()

    def undo(self) -> None:
        """Bring the row back that was removed last, to its place, if that was a moment ago."""
        if self._removal is not None and self.removed:
            self.view = self._removal.undone(self.view)
            self._follow_rows()

    @property
    def removed(self) -> str:
        """The symbol whose removal can be undone; empty if there is none."""
        removal, limit = self._removal, self._services.settings.max_symbols_per_client
        now_ms = self._services.elapsed_ms()
        return removal.symbol if removal and removal.is_open(self.view, now_ms, limit=limit) else ""

    def select(self, symbol: str) -> None:
        """Show the market of `symbol`; that of the first row if it is empty."""
        if symbol in (*self.view.symbols, ""):
            before = self.selected
            self.view = replace(self.view, selected=symbol)
            self._note_selection(before)

    def move(self, symbol: str, place: int) -> None:
        """Move a row to a place from the top. What was sorted becomes the person's own order."""
        if symbol in self.order:
            symbols = [other for other in self.order if other != symbol]
            symbols.insert(max(0, place), symbol)
            self.view = replace(self.view, symbols=tuple(symbols), sort=OWN_ORDER)
            self.order = symbols

    def sort(self, column: str) -> None:
        """Sort by a column, the other way round, or not at all: one press each."""
        self.view = replace(self.view, sort=sorted_next(self.view.sort, column))
        self._sort()

    def hold(self, is_held: bool) -> None:
        """Keep every row where it is, until called with `False`: the person points at the rows."""
        self._is_held = is_held

    def set_market_view(self, **told: str | None) -> None:
        """Note what the person set in the market; see :func:`~pages.labs.url.with_market`."""
        self.view = with_market(self.view, **told)

    def choose(self, exchange: str) -> None:
        """Show the same symbols of another exchange."""
        if exchange in self._services.exchanges() and exchange != self.view.exchange:
            self.view = replace(self.view, exchange=exchange)
            self._checked.discard(exchange)
            self._source.choose(exchange)
            self._follow_rows()

    def choose_simulator(self) -> None:
        """Take what the banner offers: simulated prices during an outage, or the last real ones again."""
        self._source.choose_simulator()
        self._follow_rows()

    # What the exchanges do

    def follow(self) -> list[Notice] | None:
        """Check the exchanges. Return notices, perhaps none, if what the page shows changed, else `None`."""
        has_changed = bool(self.view.symbols) and self._source.follow(self.values.has_any)
        notices: list[Notice] = []
        for exchange in dict.fromkeys((self.view.exchange, self.shown)):
            if exchange not in self._checked and self._services.symbols(exchange).is_loaded:
                self._checked.add(exchange)
                has_changed = True
                notices += self._check_listed() if exchange == self.view.exchange else []
        has_changed |= self._lines.have_states_changed(self.view.symbols, self.shown)
        if not has_changed:
            return None
        self._follow_rows()
        return notices

    def take_due_directories(self) -> list[ExchangeName]:
        """Return the exchanges whose symbols should be loaded now, and note that they are being loaded."""
        return self._loads.take_due((self.view.exchange, self.shown))

    def sort_anew(self) -> bool:
        """Sort by the present values, unless the rows are held. Return whether a row moved."""
        before = self.order
        if not self._is_held:
            self._sort()
        return self.order != before

    # What is shown

    def shown_keys(self) -> list[StreamKey]:
        """Return the streams of trades of the rows, in the person's order. Rows without one are left out."""
        return [
            StreamKey.trades(self.shown, symbol)
            for symbol in self.view.symbols
            if is_known(self._services, self.shown, symbol)
        ]

    def selected_key(self) -> StreamKey | None:
        """Return the stream of trades of the market shown."""
        return StreamKey.trades(self.shown, self.selected) if self.selected else None

    def info(self, symbol: str) -> SymbolInfo | None:
        """Return what is known of a symbol."""
        return self._lines.info(symbol, asked=self.view.exchange, shown=self.shown)

    def lines(self) -> list[GridLine]:
        """Return the rows, from the top."""
        return self._lines.lines(self.order, asked=self.view.exchange, shown=self.shown)

    def title(self, symbol: str) -> str:
        """Return a symbol as people write it: `BTC/USDT`."""
        info = self.info(symbol)
        return f"{info.base_asset}/{info.quote_asset}" if info else symbol

    # Inside

    def _take_off(self, symbols: list[str]) -> None:
        """Remove rows; the caller subscribes. The neighbour of a selected one is selected."""
        before = self.selected
        kept = [symbol for symbol in self.view.symbols if symbol not in symbols]
        if self.view.selected in symbols:
            place = self.order.index(self.view.selected)
            nearest = [*self.order[place:], *reversed(self.order[:place])]
            selected = next((symbol for symbol in nearest if symbol in kept), "")
            self.view = replace(self.view, selected=selected)
        self.view = replace(self.view, symbols=tuple(kept))
        self._note_selection(before)
        if not kept:
            self._source.start_over()

    def _note_selection(self, before: str) -> None:
        """End the pause when another symbol than before is selected: its tape runs."""
        if self.selected != before:
            self.view = with_market(self.view, paused="")

    def _follow_rows(self) -> None:
        """Subscribe to the rows that the page has now, and read their values."""
        self._subscribe()
        self.values.follow(self.shown_keys())
        if self._is_held:
            kept = [symbol for symbol in self.order if symbol in self.view.symbols]
            self.order = list(dict.fromkeys([*kept, *self.view.symbols]))
        else:
            self._sort()

    def _sort(self) -> None:
        """Rows with the same value keep the order that they had."""
        symbols = dict.fromkeys([*self.order, *self.view.symbols] if self.view.sort.column else ())
        wanted = set(self.view.symbols)
        before = [symbol for symbol in symbols or self.view.symbols if symbol in wanted]
        self.order = ordered(before, self.view.sort, self.values.trades, self.values.tickers)

    def _is_listed(self, symbol: str) -> bool:
        return is_known(self._services, self.view.exchange, symbol)

    def _check_listed(self) -> list[Notice]:
        """Drop symbols that the exchange does not list, once its list is loaded. The caller subscribes."""
        unlisted = [symbol for symbol in self.view.symbols if not self._is_listed(symbol)]
        if unlisted:
            self._take_off(unlisted)
        return unlisted_notices(self._services, self.view.exchange, unlisted)

    def _subscribe(self) -> None:
        """Make the subscriptions of the page those of what it shows.

        During a fallback those of the exchange asked for stay, so that its client keeps trying to connect.
        """
        if not self._is_open:
            return
        asked = self.view.exchange
        keys = row_keys(self._services, asked, filter(self._is_listed, self.view.symbols))
        if self.shown != asked and self._services.symbols(self.shown).is_loaded:
            keys += row_keys(self._services, self.shown, [key.symbol for key in self.shown_keys()])
        self._services.manager.subscribe_all(self._subscriber, keys)
