"""The price alert of a page: set by the person or by the address, judged with every flush."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from livemarkets.market.models import StreamKey, SymbolInfo
from pages.elements.price_alert import PriceAlertBox
from pages.labs.market.alert import AlertWatch, Direction, PriceAlert, Touch, read_alert
from pages.number_format import read_amount
from pages.ports import PageServices

__all__ = ["MarketAlert"]

_RECENT_CANDLES = 3
_SIGNS: dict[Direction, str] = {"above": "≥", "below": "≤"}


class MarketAlert:
    """One alert at most. It stays on its symbol when the person selects another one.

    Args:
        services: the application.
        text: what the address says; text that is no alert sets none.
        candle_key: returns the stream of candles that the page has, which are judged as well.
        on_change: called when an alert was set, removed, or went off.
    """

    def __init__(
        self,
        services: PageServices,
        *,
        text: str,
        candle_key: Callable[[], StreamKey | None],
        on_change: Callable[[], None],
    ) -> None:
        self._services = services
        self._candle_key = candle_key
        self._on_change = on_change
        self._asked = read_alert(text)  # by the address, until the exchange is known
        self._watch: AlertWatch | None = None
        self._alert_key: StreamKey | None = None
        self._key: StreamKey | None = None
        self._info: SymbolInfo | None = None
        self.element = PriceAlertBox(on_set=self.set, on_remove=self.remove)

    @property
    def text(self) -> str:
        """What the address says: `BTCUSDT>62000`; empty without an alert."""
        alert = self._watch.alert if self._watch is not None else self._asked
        return "" if alert is None else alert.text

    @property
    def key(self) -> StreamKey | None:
        """The trades that are judged; `None` without an alert."""
        return self._alert_key

    def describe(self, key: StreamKey | None, info: SymbolInfo | None) -> None:
        """Say which symbol is selected: an alert is set on it."""
        self._key, self._info = key, info
        if self._asked is not None and key is not None:
            self._begin(self._asked, StreamKey.trades(key.exchange, self._asked.symbol))
            self._asked = None
        self._follow(key)
        self._show()

    def set(self, direction: str, level_text: str) -> None:
        """Set an alert on the selected symbol, in place of the one before."""
        key, level = self._key, read_amount(level_text)
        if key is None or direction not in _SIGNS:
            return
        if not level:
            self.element.refuse("This is not a price. Example: 62000")
            return
        alert = PriceAlert(key.symbol, "above" if direction == "above" else "below", level)
        tick = self._services.latest.get(key)
        if tick is not None and alert.is_met_by(tick.price):
            where = "at or above" if direction == "above" else "at or below"
            self.element.refuse(f"The price is {where} that already: {_plain(tick.price)}")
            return
        self.element.refuse("")
        self._begin(alert, key)
        self._show()
        self._on_change()

    def remove(self) -> None:
        """Remove the alert. Idempotent."""
        self._watch = self._alert_key = None
        self._show()
        self._on_change()

    def flush(self) -> None:
        """Judge the trades since the last flush. Call it for hidden pages too."""
        watch, key = self._watch, self._alert_key
        if watch is None or key is None:
            return
        trades, before = self._services.trades, watch.unjudged
        newest = self._services.latest.get(key)
        if newest is not None and newest.id < watch.last_id:  # the exchange restarted its ids
            self._begin(watch.alert, key)
            return
        fresh = trades.after(key, watch.last_id)
        known = [gap for gap in trades.gaps(key) if gap.from_id > watch.last_id] if fresh else []
        lost = sum(gap.to_id - gap.from_id + 1 for gap in known if gap.to_id < fresh[0].id)
        touch = watch.judge(fresh, lost) or self._judge_candles(watch, key)
        if touch is not None:
            self._go_off(watch.alert, touch)
        elif watch.unjudged != before:
            self._show()

    # Inside

    def _follow(self, key: StreamKey | None) -> None:
        """Judge the prices of the exchange that the page shows now."""
        watch, judged = self._watch, self._alert_key
        if watch is not None and judged is not None and key is not None and key.exchange != judged.exchange:
            self._begin(watch.alert, judged._replace(exchange=key.exchange))

    def _begin(self, alert: PriceAlert, key: StreamKey) -> None:
        tick = self._services.latest.get(key)
        since_ts = self._services.now_ms() if tick is None else tick.ts
        self._watch = AlertWatch(alert, since_ts=since_ts, last_id=0 if tick is None else tick.id)
        self._alert_key = key

    def _judge_candles(self, watch: AlertWatch, key: StreamKey) -> Touch | None:
        candle_key = self._candle_key()
        if candle_key is None or (candle_key.exchange, candle_key.symbol) != (key.exchange, key.symbol):
            return None
        line = self._services.candles(key.exchange).line(candle_key)
        if line is None:
            return None
        touches = map(watch.judge_candle, (*line.closed[-_RECENT_CANDLES:], line.running))
        return next((touch for touch in touches if touch is not None), None)

    def _go_off(self, alert: PriceAlert, touch: Touch) -> None:
        how = "A candle shows" if touch.is_candle else "Traded at"
        words = f"{alert.symbol} {_SIGNS[alert.direction]} {_plain(alert.level)}"
        if self._alert_key is not None and self._alert_key.exchange == "simulator":
            words = f"SIMULATED {words}"
        self.element.ring(f"{words}. {how} {_plain(touch.price)}", touch.ts, alarm=f"⏰ {words}")
        self.remove()

    def _show(self) -> None:
        quote = self._info.quote_asset if self._info is not None else ""
        words = details = ""
        if self._watch is not None:
            alert = self._watch.alert
            name = "" if self._alert_key == self._key else f"{alert.symbol} "
            words = f"{name}{_SIGNS[alert.direction]} {_plain(alert.level)}"
            details = "It judges every trade, also while this tab is hidden."
            if self._watch.unjudged:
                details = f"{self._watch.unjudged:,} trades left memory before they could be judged."
        self.element.describe(words=words, details=details, quote=quote)


def _plain(price: Decimal) -> str:
    """Return a price without trailing zeros and with separators between thousands."""
    return f"{price.normalize():,f}"
