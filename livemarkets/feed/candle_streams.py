"""The wanted streams of candles of one exchange, and what is known of each. No I/O."""

from __future__ import annotations

from livemarkets.feed.candle_comparison import TradeComparison
from livemarkets.feed.candle_limits import CandleLimits
from livemarkets.feed.candle_line import CandleLine
from livemarkets.market.candles import Candle
from livemarkets.market.models import StreamKey

__all__ = ["CandleStream"]


class CandleStream:
    """One wanted stream of candles."""

    __slots__ = (
        "answered_at",
        "ask_at",
        "asks",
        "behind_since",
        "comparison",
        "delay_ms",
        "is_mute",
        "key",
        "last_at",
        "limits",
        "line",
        "newest",
        "suspected_at",
    )

    def __init__(self, key: StreamKey, limits: CandleLimits, now: float) -> None:
        self.key = key
        self.limits = limits
        self.line = CandleLine(key, limits)
        self.comparison = TradeComparison()
        self.newest: Candle | None = None
        """The newest candle that the stream itself brought."""
        self.last_at = now
        """When the stream brought something, or its silence began to count."""
        self.delay_ms = 0
        """By how much our clock was ahead of the exchange's when the newest candle came."""
        self.behind_since: float | None = None
        """Since when something newer than :attr:`newest` is known to exist."""
        self.is_mute = False
        self.suspected_at = float("-inf")
        self.answered_at = now
        """When the history answered, or was first needed."""
        self.ask_at = now
        """When the history may be asked again."""
        self.asks = 0
        """How often it was asked without help."""

    def note_arrival(self, candle: Candle, now: float) -> None:
        """Note that the stream brought a candle."""
        self.last_at = now
        self.delay_ms = candle.recv_ts - candle.ts
        if self.line.waiting_since is None:
            self.asks = 0
        if self.newest is None or candle.open_ts >= self.newest.open_ts:
            self.newest = candle
            self.behind_since = None

    def exchange_ms(self, now_ms: int) -> int:
        """Return the exchange's time."""
        return now_ms - self.delay_ms

    def needs_history(self, now: float, now_ms: int) -> bool:
        """Return whether the exchange's history should be asked."""
        line, exchange_ms = self.line, self.exchange_ms(now_ms)
        return (
            line.waiting_since is not None
            or line.is_overdue(exchange_ms)
            or line.is_unproved(exchange_ms)
            or now - max(self.last_at, self.answered_at) >= self.limits.quiet_seconds
        )

    def is_older_than(self, trade_id: int) -> bool:
        """Return whether a trade with this id happened after the newest candle that the stream brought."""
        newest = self.newest
        return newest is not None and newest.last_id is not None and newest.last_id < trade_id

    def lacks(self, fetched: Candle) -> bool:
        """Return whether a fetched candle has trades that the stream did not bring."""
        newest = self.newest
        if newest is None or not fetched.trades:
            return fetched.trades > 0
        return fetched.open_ts > newest.open_ts or (
            fetched.open_ts == newest.open_ts and fetched.trades > newest.trades
        )
