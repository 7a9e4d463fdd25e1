"""The head of the selected market, kept up to date: its figures, and the quality of its trades."""

from __future__ import annotations

from livemarkets.market.channels import BOOK, TICKERS
from livemarkets.market.models import StreamKey, SymbolInfo, TradeTick
from livemarkets.market.updates import BookUpdate, TickerUpdate
from pages.elements.market_head.market_head import MarketHead
from pages.labs.market.figures import Figures, quality_text
from pages.ports import PageServices

__all__ = ["MarketSummary"]

_RATE_TRADES = 500
"""How many recent trades the rate of a newly selected symbol begins with."""


class MarketSummary:
    """The head of one symbol on a page.

    Args:
        services: the application.
    """

    def __init__(self, services: PageServices) -> None:
        self._services = services
        self._figures = Figures()
        self._last_id = 0
        self._key: StreamKey | None = None
        self.element = MarketHead()

    def fill(self, key: StreamKey | None, info: SymbolInfo | None, tone: str) -> None:
        """Send everything: the symbol is another one, or the browser has nothing."""
        self._figures.forget()
        self._last_id = 0
        if key == self._key:
            self.element.resend()
        else:
            self._key = key
            self.element.forget()
        if key is not None:
            self._take(self._services.trades.recent(key, _RATE_TRADES))
            self.flush(key, info, tone)

    def flush(self, key: StreamKey, info: SymbolInfo | None, tone: str) -> None:
        """Send what changed.

        Args:
            key: the stream of trades.
            info: what is known of the symbol.
            tone: how old the values of the exchange are.
        """
        services = self._services
        tick = services.latest.get(key)
        if tick is not None and tick.id < self._last_id:  # the exchange restarted its ids
            self._figures.forget()
            self._last_id = 0
        self._take(services.trades.after(key, self._last_id))
        ticker = services.updates.get(StreamKey(key.exchange, TICKERS, key.symbol))
        book = services.updates.get(StreamKey(key.exchange, BOOK, key.symbol))
        assert ticker is None or isinstance(ticker, TickerUpdate)
        assert book is None or isinstance(book, BookUpdate)
        self.element.show(self._figures.values(tick, ticker, book, info))
        per_second = self._figures.per_second(services.now_ms())
        self.element.show_quality(*quality_text(tone, services.quality(key), per_second))

    def _take(self, fresh: list[TradeTick]) -> None:
        if fresh:
            self._last_id = fresh[-1].id
            self._figures.take(fresh)
