"""The selected market: its elements, its subscriptions, and what is sent to the browser."""

from __future__ import annotations

from typing import Protocol

from nicegui import ui

from livemarkets.market.channels import BOOK, CANDLES, DEPTH, TICKERS
from livemarkets.market.models import StreamKey, SymbolInfo
from livemarkets.market.updates import BookUpdate, TickerUpdate
from livemarkets.security.addresses import client_address
from pages.elements.candle_chart.candle_chart import MOST_CANDLES, CandleChart
from pages.elements.market_head.market_head import MarketHead
from pages.elements.trade_tape import TradeTape
from pages.labs.market.chart_candles import ChartCandles
from pages.labs.market.figures import Figures, quality_text
from pages.labs.market.missing_trades import MissingTrades
from pages.labs.watchlist import PageSubscriber
from pages.ports import PageServices

__all__ = ["HISTORY_CANDLES", "INTERVALS", "SelectedMarket", "ViewChanged"]

INTERVALS = ("1s", "1m", "5m", "1h", "1d")
"""The lengths of candles on offer, by the keys 1 to 5."""
DEFAULT_INTERVAL = "1m"
HISTORY_CANDLES = 500
"""Past candles that a chart begins with."""
FLUSHES_PER_DRAWING = 2
"""The chart is sent what changed with every second flush: it is drawn at most twice a second."""
ASK_AGAIN_MS = 30_000
"""While there are fewer past candles than wanted, they are asked for again after so many ms."""
_RATE_TRADES = 500
"""How many recent trades the rate of a newly selected symbol begins with."""


class ViewChanged(Protocol):
    """Called when the person changed something that stands in the address of the page."""

    def __call__(self, *, interval: str, minimum: str) -> None:
        """Note the length of the candles, and the smallest value of the tape."""


class SelectedMarket:
    """The right half of a page: head, chart and tape of one symbol.

    Args:
        services: the application.
        client_id: NiceGUI's id of the page. The subscriber is another one than that of the rows.
        interval: the length of candles; :data:`DEFAULT_INTERVAL` if it is none of those on offer.
        minimum: the smallest value that the tape shows, in the quote asset; empty for all.
        on_view: called when the person changed either.
    """

    def __init__(
        self,
        services: PageServices,
        client_id: str,
        *,
        on_view: ViewChanged,
        interval: str = "",
        minimum: str = "",
    ) -> None:
        self._services = services
        self._subscriber = PageSubscriber(f"{client_id} market")
        self._on_view = on_view
        self._key: StreamKey | None = None
        self._title, self._tone, self._tag = "", "quiet", ""
        self._info: SymbolInfo | None = None
        self._is_open = False
        self.interval = interval if interval in INTERVALS else DEFAULT_INTERVAL
        self._figures, self._candles, self._missing = Figures(), ChartCandles(MOST_CANDLES), MissingTrades()
        self._last_id = 0
        self._flushes = 0
        self._asked: tuple[StreamKey, int] | None = None  # for which candles, and when
        self._loading: set[StreamKey] = set()  # the candles whose past is asked for
        with ui.element("div").classes("selected-market") as self._root:
            self._address = client_address(self._root.client.request)
            self.head = MarketHead()
            self.chart = CandleChart(INTERVALS, on_interval=self.choose_interval)
            self.tape = TradeTape(on_change=self._fill_tape)

    @property
    def minimum(self) -> str:
        """The smallest value that the tape shows."""
        return ""

    # What the person does

    def choose_interval(self, interval: str) -> None:
        """Show candles of another length."""
        if interval not in INTERVALS or interval == self.interval:
            return
        self.interval = interval
        self._subscribe()
        self._fill_chart()
        self._on_view(interval=self.interval, minimum=self.minimum)

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
        is_other, self._key = key != self._key, key
        is_known_now = info != self._info
        self._title, self._info, self._tone, self._tag = title, info, tone, tag
        self._root.set_visibility(key is not None)
        names = (info.base_asset, info.quote_asset) if info else ("", "")
        self.head.describe(title=title, base=names[0], quote=names[1], tag=tag)
        self._describe_chart()
        self._show_tape_state()
        if is_other or is_known_now:
            self._subscribe()
            if self._is_open:
                self._fill()

    def send_all(self) -> None:
        """Subscribe and send everything: the page is open, visible again, or has reconnected."""
        self._is_open = True
        self._subscribe()
        self._fill()

    def flush(self) -> None:
        """Send what changed since the last flush."""
        if self._key is None or not self._is_open:
            return
        self._flush_head(self._key)
        self.tape.flush(self._services.trades)
        self._show_tape_state()
        self._flushes += 1
        if self._flushes % FLUSHES_PER_DRAWING == 0:
            self._flush_chart(self._key)

    def close(self) -> None:
        """Unsubscribe, and drop the elements that call this object, so that it is freed. Idempotent."""
        self._services.manager.release(self._subscriber)
        self._is_open = False
        del self.chart, self.tape

    # Inside

    def _subscribe(self) -> None:
        """Make the subscriptions those of what is shown: what the exchange has of a symbol that it lists."""
        if not self._is_open:
            return
        keys: list[StreamKey] = []
        if (key := self._key) is not None and self._services.symbols(key.exchange).accepts(key.symbol):
            wanted = [StreamKey(key.exchange, channel, key.symbol) for channel in (TICKERS, BOOK, DEPTH)]
            wanted.append(self._candle_key(key))
            keys = [each for each in wanted if each.channel in self._services.channels(key.exchange)]
        self._services.manager.subscribe_all(self._subscriber, keys)

    def _candle_key(self, key: StreamKey) -> StreamKey:
        return StreamKey(key.exchange, CANDLES, key.symbol, self.interval)

    def _fill(self) -> None:
        self._figures.forget()
        self.head.clear()
        self._last_id = 0
        self._fill_tape()
        self._fill_chart()
        if self._key is not None:
            recent = self._services.trades.recent(self._key, _RATE_TRADES)
            self._figures.take(recent)
            self._last_id = recent[-1].id if recent else 0
            self._flush_head(self._key)

    def _flush_head(self, key: StreamKey) -> None:
        services = self._services
        tick = services.latest.get(key)
        if tick is not None and tick.id < self._last_id:  # the exchange restarted its ids
            self._figures.forget()
            self._last_id = 0
        fresh = services.trades.after(key, self._last_id)
        if fresh:
            self._last_id = fresh[-1].id
            self._figures.take(fresh)
        ticker = services.updates.get(StreamKey(key.exchange, TICKERS, key.symbol))
        book = services.updates.get(StreamKey(key.exchange, BOOK, key.symbol))
        assert ticker is None or isinstance(ticker, TickerUpdate)
        assert book is None or isinstance(book, BookUpdate)
        self.head.show(self._figures.values(tick, ticker, book, self._info))
        per_second = self._figures.per_second(services.now_ms())
        self.head.show_quality(*quality_text(self._tone, services.quality(key), per_second))

    # the chart

    def _describe_chart(self) -> None:
        hint = ""
        if self._key is not None:
            has_candles = CANDLES in self._services.channels(self._key.exchange)
            hint = "Loading candles …" if has_candles else f"{self._key.exchange} has no candles."
        self.chart.describe(title=self._title, info=self._info, interval=self.interval, hint=hint)

    def _fill_chart(self) -> None:
        self._describe_chart()
        self._candles.forget()
        self._missing.forget()
        self.chart.put([], is_whole=True)
        self.chart.shade([])
        if self._key is not None and self._is_open:
            self._flush_chart(self._key)

    def _flush_chart(self, key: StreamKey) -> None:
        services = self._services
        candle_key = self._candle_key(key)
        line = services.candles(key.exchange).line(candle_key)
        if line is None:
            return
        if len(line.closed) < HISTORY_CANDLES and self._is_time_to_ask(candle_key):
            self._load_history(candle_key)
        if candle_key in self._loading and not line.closed:
            return  # the past comes first
        news = self._candles.news(line, lambda trade_id: services.trades.after(key, trade_id))
        if news.candles:
            self.chart.put(news.candles, is_whole=news.is_whole)
        self._missing.note(key, services.trades)
        self.chart.shade(self._missing.among(self._candles.sent))

    def _is_time_to_ask(self, candle_key: StreamKey) -> bool:
        now_ms = self._services.elapsed_ms()
        if (
            self._asked is not None
            and self._asked[0] == candle_key
            and now_ms - self._asked[1] < ASK_AGAIN_MS
        ):
            return False
        self._asked = (candle_key, now_ms)
        return True

    def _load_history(self, candle_key: StreamKey) -> None:
        async def load() -> None:
            candles = self._services.candles(candle_key.exchange)
            await candles.ensure(candle_key, HISTORY_CANDLES, self._address)
            self._loading.discard(candle_key)

        # The timer is cancelled when the page is deleted, and with it the wait for the exchange.
        self._loading.add(candle_key)
        with self._root:
            ui.timer(0, load, once=True)

    # the tape

    def _fill_tape(self) -> None:
        self.tape.fill(self._key, title=self._title, info=self._info, trades=self._services.trades)
        self._show_tape_state()

    def _show_tape_state(self) -> None:
        """Update the caption of the tape. Call it after the lines changed, so that both fit."""
        self.tape.set_state(tag=self._tag, tone=self._tone, hint=self._tape_hint(self._tone))

    def _tape_hint(self, tone: str) -> str:
        if tone in ("stale", "down"):
            return "These are the last trades received."
        if self.tape.has_filter:
            return ""  # the tape itself says what its filter shows
        return "Every trade, newest on top." if self.tape.shown else "No trade yet."
