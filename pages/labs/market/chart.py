"""The chart of the selected market: which candles, their past, and what is sent of them."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from livemarkets.market.channels import CANDLES
from livemarkets.market.models import StreamKey, SymbolInfo
from pages.elements.candle_chart.candle_chart import MOST_CANDLES, CandleChart
from pages.labs.market.chart_candles import ChartCandles
from pages.labs.market.missing_trades import MissingTrades
from pages.ports import PageServices

__all__ = ["DEFAULT_INTERVAL", "HISTORY_CANDLES", "INTERVALS", "MarketChart"]

INTERVALS = ("1s", "1m", "5m", "1h", "1d")
"""The lengths of candles on offer, by the keys 1 to 5."""
DEFAULT_INTERVAL = "1m"
HISTORY_CANDLES = 500
"""Past candles that a chart begins with."""
FLUSHES_PER_DRAWING = 2
"""The chart is sent what changed with every second flush: it is drawn at most twice a second."""
PAST_AWAITED_MS = 2_000
"""How long a chart waits for past candles before it shows what comes, ms."""
ASK_AGAIN_MS = 30_000
"""While there are fewer past candles than wanted, they are asked for again after so many ms."""


class MarketChart:
    """The candles of one symbol on a page.

    Args:
        services: the application.
        address: of the person: what the page asks of the exchange's history is counted for it.
        interval: the length of candles; :data:`DEFAULT_INTERVAL` if it is none of those on offer.
        on_interval: called with the length that the person chose.
        on_book: called when the person wants to see the order book, or no longer.
    """

    def __init__(
        self,
        services: PageServices,
        address: str,
        *,
        interval: str,
        on_interval: Callable[[str], None],
        on_book: Callable[[], None],
    ) -> None:
        self._services = services
        self._address = address
        self._key: StreamKey | None = None
        self._candles, self._missing = ChartCandles(MOST_CANDLES), MissingTrades()
        self._flushes = 0
        self._filled: StreamKey | None = None  # the candles that the browser has
        self._asked: tuple[StreamKey, int] | None = None  # for which candles, and when
        self._loading: set[StreamKey] = set()  # the candles whose past is asked for
        self.interval = interval if interval in INTERVALS else DEFAULT_INTERVAL
        self.element = CandleChart(INTERVALS, on_interval=on_interval, on_book=on_book)

    @property
    def candle_key(self) -> StreamKey | None:
        """The stream of candles that is shown; `None` without a symbol."""
        key = self._key
        return None if key is None else StreamKey(key.exchange, CANDLES, key.symbol, self.interval)

    def describe(self, key: StreamKey | None, *, title: str, info: SymbolInfo | None) -> None:
        """Say which symbol is shown, by its stream of trades."""
        self._key = key
        hint = ""
        if key is not None:
            has_candles = CANDLES in self._services.channels(key.exchange)
            hint = "Loading candles …" if has_candles else f"{key.exchange} has no candles."
        self.element.describe(title=title, info=info, interval=self.interval, hint=hint)

    def fill(self) -> None:
        """Send everything: the candles are others, or the browser may have missed something."""
        self._candles.forget()
        if self.candle_key != self._filled:
            self._filled = self.candle_key
            self._missing.forget()
            self.element.put([], is_whole=True)
        self._send()

    def flush(self) -> None:
        """Send what changed, with every second call."""
        self._flushes += 1
        if self._flushes % FLUSHES_PER_DRAWING == 0:
            self._send()

    def _send(self) -> None:
        key, candle_key, services = self._key, self.candle_key, self._services
        if key is None or candle_key is None:
            return
        line = services.candles(key.exchange).line(candle_key)
        if line is None:
            return  # not wanted: the exchange does not list the symbol, or has no candles
        if len(line.closed) < HISTORY_CANDLES and self._is_time_to_ask(candle_key):
            self._load_history(candle_key)
        if not line.closed and self._is_past_awaited(candle_key):
            return
        news = self._candles.news(line, lambda trade_id: services.trades.after(key, trade_id))
        if news.candles:
            self.element.put(news.candles, is_whole=news.is_whole, after_holes=self._candles.after_holes)
        self._missing.note(key, services.trades)
        self.element.shade([*self._missing.among(self._candles.sent), *self._candles.unfinished])

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

    def _is_past_awaited(self, candle_key: StreamKey) -> bool:
        """Return whether the past may come in a moment: it is drawn before what follows it."""
        asked = self._asked
        waited_ms = 0 if asked is None else self._services.elapsed_ms() - asked[1]
        return candle_key in self._loading and waited_ms < PAST_AWAITED_MS

    def _load_history(self, candle_key: StreamKey) -> None:
        async def load() -> None:
            candles = self._services.candles(candle_key.exchange)
            await candles.ensure(candle_key, HISTORY_CANDLES, self._address)
            self._loading.discard(candle_key)

        # The timer is cancelled when the page is deleted, and with it the wait for the exchange.
        self._loading.add(candle_key)
        with self.element:
            ui.timer(0, load, once=True)
