"""The klines of one symbol from its listing until now: the past from the seed, then the trades."""

from __future__ import annotations

from copy import copy
from math import gcd
from typing import Protocol

from livemarkets.simulator.market.bars import Bars
from livemarkets.simulator.market.statistics import INTERVALS_MS, Bar, Summary, flat_bar, span_of

__all__ = ["Candles", "NoPast", "PastBars"]

_DAY_MS = 86_400_000
_MINUTE_MS = 60_000
_KEPT_SECONDS_MS = 7_200_000
_KEPT_PAST_PARTS = 64


class PastBars(Protocol):
    """The klines before the first trade."""

    begin_ms: int
    end_ms: int

    def between(self, from_ms: int, to_ms: int) -> Bar | None:
        """Return the kline of a span, the end excluded; `None` when nothing traded."""

    def close_before(self, time_ms: int) -> int:
        """Return the price of the last trade before a time."""


class NoPast:
    """Of a symbol whose klines begin with its first trade."""

    def __init__(self) -> None:
        self.begin_ms = 0
        self.end_ms = 0

    def between(self, from_ms: int, to_ms: int) -> Bar | None:
        """Return `None`."""
        return None

    def close_before(self, time_ms: int) -> int:
        """Return 0, because there is no price."""
        return 0


class Candles:
    """The klines of one symbol.

    Args:
        past: the klines before the first trade.
        bars: the klines of the trades.

    """

    def __init__(self, past: PastBars, bars: Bars) -> None:
        self._past = past
        self._bars = bars
        self._past_parts: dict[tuple[int, int], Bar | None] = {}

    def bar(self, open_ms: int, close_ms: int, until_ms: int | None = None) -> Bar | None:
        """Return the kline of one interval, with the trades before a time; `None` when nothing traded."""
        past = self._past
        end_ms = close_ms + 1 if until_ms is None else min(close_ms + 1, until_ms)
        bar = self._past_part(open_ms, min(end_ms, past.end_ms)) if open_ms < past.end_ms else None
        if end_ms > past.end_ms and (traded := self._bars.between(open_ms, end_ms)) is not None:
            if bar is None:
                bar = traded
            else:
                bar.merge(traded)
        if bar is not None:
            bar.open_ms, bar.close_ms = open_ms, close_ms
        return bar

    def running(self, interval: str, offset_ms: int, from_ms: int, to_ms: int, limit: int) -> list[Bar]:
        """Return every kline from that of `from_ms` to that of `to_ms`, at most the last `limit`."""
        spans: list[tuple[int, int]] = []
        at_ms = to_ms
        while at_ms >= from_ms and len(spans) < limit:
            spans.append(span_of(at_ms, interval, offset_ms))
            at_ms = spans[-1][0] - 1
        return self._filled(spans[::-1])

    def rows(
        self,
        interval: str,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
        now_ms: int,
        offset_ms: int = 0,
        until_ms: int | None = None,
    ) -> list[Bar]:
        """Return klines as REST does: from `start_ms` on the oldest, without it the newest up to `end_ms`.

        Both are compared with the open time, and are included. With `until_ms`, what happened in the second
        of that time or later is left out.
        """
        oldest_ms = self._oldest_ms(interval, offset_ms)
        if oldest_ms is None:
            return []
        newest_ms = max(now_ms, self._bars.last_ms)
        if until_ms is not None:
            until_ms = until_ms // 1000 * 1000
            newest_ms = min(newest_ms, until_ms - 1)
        if end_ms is not None:
            newest_ms = min(newest_ms, end_ms)
        spans: list[tuple[int, int]] = []
        if start_ms is not None and start_ms > newest_ms:
            return []
        if start_ms is None:
            at_ms = newest_ms
            while at_ms >= oldest_ms and len(spans) < limit:
                spans.append(span_of(at_ms, interval, offset_ms))
                at_ms = spans[-1][0] - 1
            spans.reverse()
        else:
            at_ms = max(start_ms, oldest_ms)
            span = span_of(at_ms, interval, offset_ms)
            if span[0] < start_ms:
                span = span_of(span[1] + 1, interval, offset_ms)
            while span[0] <= newest_ms and len(spans) < limit:
                spans.append(span)
                span = span_of(span[1] + 1, interval, offset_ms)
        return self._filled(spans, until_ms)

    def summary(self, start_ms: int, now_ms: int) -> Summary | None:
        """Return a summary of the trades since a time; `None` when there has never been a trade.

        The start is rounded down: to a second, and to a minute if it is more than two hours ago.
        """
        step_ms = 1000 if now_ms - start_ms <= _KEPT_SECONDS_MS else _MINUTE_MS
        open_ms = start_ms // step_ms * step_ms
        close_ms = max(now_ms, self._bars.last_ms) // 1000 * 1000 + 999
        bar = self.bar(open_ms, close_ms)
        before = self._close_before(open_ms)
        if bar is None:
            price = before or self._bars.last_close or 0
            if not price:
                return None
            bar = flat_bar(price, open_ms, close_ms)
        bar.previous_close = before or bar.open
        return bar

    def _filled(self, spans: list[tuple[int, int]], until_ms: int | None = None) -> list[Bar]:
        """Return the klines of consecutive spans, flat ones where nothing traded."""
        rows: list[Bar] = []
        price = 0
        for open_ms, close_ms in spans:
            bar = self.bar(open_ms, close_ms, until_ms)
            if bar is None:
                price = price or self._close_before(open_ms)
                if not price:
                    continue
                bar = flat_bar(price, open_ms, close_ms)
            price = bar.close
            rows.append(bar)
        return rows

    def _close_before(self, time_ms: int) -> int:
        traded = self._bars.close_before(time_ms)
        if traded is not None:
            return traded
        begin_ms, end_ms = self._past.begin_ms, self._past.end_ms
        return self._past.close_before(min(time_ms, end_ms)) if time_ms > begin_ms else 0

    def _oldest_ms(self, interval: str, offset_ms: int) -> int | None:
        """Return when the oldest kline may open; `None` when there is none."""
        first_ms = self._bars.first_ms
        if self._past.end_ms:
            first_ms = self._past.begin_ms
        elif first_ms is None:
            return None
        step_ms = gcd(INTERVALS_MS[interval] or _DAY_MS, offset_ms)
        return max(first_ms, self._bars.forgotten_until_ms(step_ms))

    def _past_part(self, from_ms: int, to_ms: int) -> Bar | None:
        """Return a kline of the past; the parts of klines that still run are needed again and again."""
        if to_ms < self._past.end_ms:
            return self._past.between(from_ms, to_ms)
        if (from_ms, to_ms) not in self._past_parts:
            if len(self._past_parts) >= _KEPT_PAST_PARTS:
                self._past_parts.clear()
            self._past_parts[from_ms, to_ms] = self._past.between(from_ms, to_ms)
        part = self._past_parts[from_ms, to_ms]
        return copy(part) if part is not None else None
