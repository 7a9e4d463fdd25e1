"""The state of one overview page, without its elements: subscription, order of the rows, what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from livemarkets.market.channels import ALL_SYMBOLS, TICKERS
from livemarkets.market.models import (
    ExchangeState,
    ExchangeStatus,
    QualityState,
    StreamKey,
    StreamQuality,
    SymbolInfo,
)
from livemarkets.market.updates import TickerRow
from pages.labs.list_loads import ListLoads
from pages.labs.overview.ranking import COLUMNS, Worth, matching, movers, ordered
from pages.labs.overview.url import MAX_QUERY_LENGTH, OverviewUrl
from pages.labs.watchlist import PageSubscriber
from pages.ports import PageServices
from pages.wording import QUALITY_WORDS, Banner, banner_for, label

__all__ = ["Overview"]


class Overview:
    """The state of one overview page.

    Args:
        services: the application.
        view: what the address says.
        subscriber: identifies the page.
    """

    def __init__(self, services: PageServices, view: OverviewUrl, subscriber: PageSubscriber) -> None:
        self.view = view
        """What the address of the page says."""
        self.order: list[str] = []
        """The symbols of the rows, from the top."""
        self.is_held = False
        """Whether the rows stay where they are, because the person points at them."""
        self.news_ms: int | None = None
        """When the page first saw its newest figures, ms since the epoch; `None` without any."""
        self._services = services
        self._subscriber = subscriber
        self._is_open = False
        self._newest_ts = 0
        self._mark: tuple[object, ...] = ()
        self._loads = ListLoads(services)

    # Opening and closing

    def open(self) -> None:
        """Subscribe to the one stream behind the page. Idempotent: a page that reconnects calls it again."""
        self._is_open = True
        self._subscribe()

    def close(self) -> None:
        """End the subscription of the page, finally."""
        self._is_open = False
        self._services.manager.release(self._subscriber)

    # What the person does

    def choose(self, exchange: str) -> None:
        """Show another exchange."""
        if exchange in self._services.exchanges() and exchange != self.view.exchange:
            self.view = replace(self.view, exchange=exchange, quote="")
            self.news_ms, self._newest_ts = None, 0
            self._subscribe()
            self._arrange()

    def filter(self, quote: str) -> None:
        """Show only symbols with a quote asset; all if it is empty, or no symbol has it."""
        self.view = replace(self.view, quote=quote if quote in self.quotes() else "")
        self._arrange()

    def search(self, query: str) -> None:
        """Show only symbols that contain the words of `query`."""
        self.view = replace(self.view, query=query[:MAX_QUERY_LENGTH].strip())
        self._arrange()

    def sort(self, name: str) -> None:
        """Sort by a column: the largest first, names from A. By the same column again, reverse the order."""
        for column in COLUMNS:
            if column == name:
                is_same = column == self.view.column
                is_descending = not self.view.is_descending if is_same else column != "symbol"
                self.view = replace(self.view, column=column, is_descending=is_descending)
                self._arrange()

    def hold(self, is_held: bool) -> None:
        """Keep every row where it is, until called with `False`."""
        self.is_held = is_held

    # What the exchange does

    def sample(self) -> bool:
        """Take the newest figures, and return whether anything is new since the last time.

        Rows that are held stay in place, and new symbols come last.
        """
        rows = self.rows
        newest_ts = max((row.ts for row in rows.values()), default=0)
        if newest_ts != self._newest_ts:
            now_ms = self._services.now_ms()
            self.news_ms = now_ms if self._newest_ts else min(now_ms, newest_ts)
            self._newest_ts = newest_ts
        # Each new row has another time, so that all that is shown follows from these.
        times = sum(row.ts for row in rows.values())
        mark = (self.view, self.is_held, len(rows), times, len(self._services.symbols(self.view.exchange)))
        if mark == self._mark:
            return False
        self._mark = mark
        if self.is_held:
            shown = set(self.order)
            self.order = [symbol for symbol in self.order if symbol in rows]
            self.order += [symbol for symbol in self._matching() if symbol not in shown]
        else:
            self._arrange()
        return True

    def take_due_directory(self) -> str | None:
        """Return the exchange if its symbols should be loaded now, and note that they are being loaded."""
        due = self._loads.take_due([self.view.exchange])
        return due[0] if due else None

    # What is shown

    @property
    def rows(self) -> Mapping[str, TickerRow]:
        """The newest figures of each symbol."""
        return self._services.updates.rows(self._key)

    def info(self, symbol: str) -> SymbolInfo | None:
        """Return what is known of a symbol."""
        return self._services.symbols(self.view.exchange).get(symbol)

    def quotes(self) -> list[str]:
        """Return the quote assets to filter by, those with the most symbols first."""
        infos = (self.info(symbol) for symbol in self.rows)
        counts = Counter(info.quote_asset for info in infos if info is not None)
        return [asset for asset, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]

    def movers(self, count: int) -> tuple[list[TickerRow], list[TickerRow]]:
        """Return the rows that rose most and those that fell most, among what the filter shows."""
        symbols = matching(self.rows, self.info, quote=self.view.quote, query="")
        return movers(symbols, self.rows, self._worth(), count=count)

    @property
    def is_simulated(self) -> bool:
        """Whether the figures are simulated."""
        return self.view.exchange == "simulator"

    @property
    def status(self) -> ExchangeStatus:
        """The state of the exchange."""
        return self._services.status(self.view.exchange)

    @property
    def banner(self) -> Banner:
        """What the banner under the header says."""
        # A stale exchange is one whose trades do not arrive: that says nothing of these figures.
        banner = banner_for(self.status, shown=self.view.exchange, symbol_count=1, stale_count=0)
        if banner.tone != "live":
            return banner
        quality = self._quality()
        if quality is not None and quality.state is QualityState.STALE:
            return Banner(tone="stale", head="The figures are stale.", text=_sentence(quality.reason))
        return replace(banner, text="Its figures are updated once a second.")

    @property
    def tone(self) -> str:
        """How old the figures are. Simulated ones are marked elsewhere."""
        tone = self.banner.tone
        if tone != "simulated":
            return tone
        quality = self._quality()
        is_stale = quality is not None and quality.state is QualityState.STALE
        return "stale" if is_stale else "live"

    def counted(self) -> str:
        """Return how many symbols are shown, as a sentence for people and screen readers."""
        total, count = len(self.rows), len(self.order)
        if not total:
            is_down = self.status.state is ExchangeState.DOWN
            return (
                "No figures yet." if is_down else f"Waiting for the figures of {label(self.view.exchange)} …"
            )
        if not count:
            return f"No symbol fits. {label(self.view.exchange)} has {total:,}."
        return f"{total:,} symbols." if count == total else f"{count:,} of {total:,} symbols."

    def quality_text(self) -> str:
        """Return the state of the figures, in words."""
        quality = self._quality()
        if not self.rows or quality is None:
            return ""
        if quality.state is QualityState.LIVE:
            return "Live." if self.tone == "live" else "These are the last figures received."
        return f"{QUALITY_WORDS[quality.state].capitalize()}. {_sentence(quality.reason)}".strip()

    # Inside

    @property
    def _key(self) -> StreamKey:
        return StreamKey(self.view.exchange, TICKERS, ALL_SYMBOLS)

    def _quality(self) -> StreamQuality | None:
        return self._services.quality(self._key)

    def _subscribe(self) -> None:
        if self._is_open:
            self._services.manager.subscribe_all(self._subscriber, [self._key])

    def _matching(self) -> list[str]:
        return matching(self.rows, self.info, quote=self.view.quote, query=self.view.query)

    def _arrange(self) -> None:
        """Filter and sort. Symbols with the same value keep the order that they had."""
        fitting = dict.fromkeys(self._matching())
        before = [symbol for symbol in self.order if symbol in fitting]
        symbols = dict.fromkeys([*before, *fitting])
        view = self.view
        self.order = ordered(
            symbols, self.rows, self._worth(), column=view.column, is_descending=view.is_descending
        )

    def _worth(self) -> Worth | None:
        return None if self.view.quote else Worth(self.rows, self.info)


def _sentence(reason: str | None) -> str:
    return f"{reason[0].upper()}{reason[1:]}." if reason else ""
