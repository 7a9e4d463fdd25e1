"""The tape of one symbol: every new trade, newest on top. Omitted and lost trades are counted and shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from decimal import Context, Decimal

from livemarkets.market.models import Gap, StreamKey, SymbolInfo, TradeTick
from livemarkets.market.stores import RecentTrades
from pages.elements.live_element import LiveElement
from pages.elements.market_grid.market_grid import symbol_argument
from pages.number_format import AlignedNumbers, decimals_of, read_amount

__all__ = ["MAX_LINES", "MAX_PER_FLUSH", "TradeTape"]

MAX_LINES = 200
"""Lines that a tape shows."""
_FILL_TRADES = 2_000
"""Among how many recent trades a filled tape looks for those that are large enough. Memory may have more."""
_FIRST_DECIMALS = (2, 0)
"""Of prices and of sizes, while nothing is known of the symbol."""
MAX_PER_FLUSH = 100
"""Trades that one flush sends at most. Nobody can read more at four flushes a second."""


class TradeTape(
    LiveElement,
    component="trade_tape.js",
    dependencies=[
        "shared/dom.js",
        "shared/number_format.js",
        "shared/page_link.js",
        "shared/server_clock.js",
        "shared/time_format.js",
    ],
):
    """The trades of one stream in the order of their arrival.

    Args:
        on_change: called when the tape has to be filled again: the person resumed it or changed the smallest
            value, or the exchange restarted its trade ids.
        on_view: called when the person paused it, resumed it, or changed the smallest value.
        minimum: the smallest value, in the quote asset, of the trades that are shown; empty text for all.
        is_paused: whether the first symbol is shown paused.
    """

    def __init__(
        self,
        *,
        on_change: Callable[[], None],
        on_view: Callable[[], None],
        minimum: str = "",
        is_paused: bool = False,
    ) -> None:
        super().__init__()
        self._props["maxLines"] = MAX_LINES
        self.key: StreamKey | None = None
        self.shown: deque[TradeTick] = deque(maxlen=MAX_LINES)
        """The trades sent to the browser, oldest first."""
        self.left_out = 0
        """Trades without a line since the tape was last filled."""
        self.missing = 0
        """Trades that the feed declared lost since the tape was last filled."""
        self.waiting = 0
        """Trades that arrived since the tape was paused."""
        self.filter_words = ""
        """What the filter hides, as last sent to the browser; empty without a filter."""
        self._on_change = on_change
        self._on_view = on_view
        self._base = self._quote = ""
        self._price = Decimal(0)
        self._seen = 0
        self._hidden = 0
        self._minimum = read_amount(minimum) or Decimal(0)
        self._props["minimum"] = minimum if self._minimum else ""
        self._props["paused"] = is_paused
        self._last_id = 0
        self._prices, self._sizes = map(AlignedNumbers, _FIRST_DECIMALS)
        self.on("pause", lambda event: self.set_paused(event.args is True))
        self.on("minimum", lambda event: self.set_minimum(symbol_argument(event)))

    @property
    def is_paused(self) -> bool:
        """Whether the tape is paused."""
        return bool(self._props.get("paused", False))

    @property
    def minimum(self) -> str:
        """The smallest value, as the person wrote it; empty text for all trades."""
        return str(self._props["minimum"]) if self._minimum else ""

    @property
    def has_filter(self) -> bool:
        """Whether small trades are hidden."""
        return self._minimum > 0

    def set_paused(self, is_paused: bool) -> None:
        """Pause the tape, or resume it with the newest trades."""
        if is_paused == self.is_paused:
            return
        self._props["paused"] = is_paused
        self.waiting = 0
        if is_paused:
            self.call("count", 0)
        else:
            self._on_change()
        self._on_view()

    def set_minimum(self, text: str) -> None:
        """Show only trades of at least this value. Text that is no value is marked and changes nothing."""
        minimum = read_amount(text)
        self._props["invalid"] = minimum is None
        if minimum is None:
            return
        self._props["minimum"] = text.strip()
        self._minimum = minimum
        self._props["paused"] = False
        self._on_change()
        self._on_view()

    def set_state(self, *, tag: str, tone: str, hint: str) -> None:
        """Set the mark, the tone and the caption of the trades."""
        for name, value in (("tag", tag), ("tone", tone), ("hint", hint)):
            if self._props.get(name) != value:
                self._props[name] = value

    def fill(
        self, key: StreamKey | None, *, title: str, info: SymbolInfo | None, trades: RecentTrades
    ) -> None:
        """Replace the lines by the recent trades of `key`; by none when it is `None`."""
        if key != self.key and self.key is not None:
            self._props["paused"] = False
        self.key = key
        self._props["title"] = title
        decimals = (decimals_of(info.tick_size), decimals_of(info.step_size)) if info else _FIRST_DECIMALS
        self._prices, self._sizes = map(AlignedNumbers, decimals)
        self._base = info.base_asset if info else ""
        self._quote = info.quote_asset if info else ""
        self._props["base"], self._props["quote"] = self._base, self._quote
        self.shown.clear()
        self.left_out = self.missing = self.waiting = self._seen = self._hidden = 0
        recent = trades.recent(key, _FILL_TRADES) if key else []
        gaps = [gap for gap in trades.gaps(key) if recent and gap.from_id > recent[0].id] if key else []
        self._last_id = recent[-1].id if recent else 0
        self._send(self._lines(recent, gaps)[-MAX_LINES:], 0, is_reset=True)
        self._send_filter_words()

    def flush(self, trades: RecentTrades) -> None:
        """Send the trades since the last flush. Without any, nothing is sent."""
        if self.key is None:
            return
        newest = trades.recent(self.key, 1)
        if newest and newest[0].id < self._last_id:
            self._on_change()  # the exchange restarted its ids: earlier ones mean nothing now
            return
        fresh = trades.after(self.key, self._last_id)
        if not fresh:
            return
        gaps = [gap for gap in trades.gaps(self.key) if gap.from_id > self._last_id]
        # Ids are consecutive. Trades between two ids were lost, or left the feed before this flush.
        jumped = fresh[0].id - self._last_id - 1 if self._last_id else 0
        unseen = max(0, jumped - sum(_length(gap) for gap in gaps if gap.to_id < fresh[0].id))
        self._last_id = fresh[-1].id
        lines = self._lines(fresh, gaps)
        self._send_filter_words()
        if self.is_paused:
            # The value of an unseen trade is unknown, so it counts only without a filter.
            self.waiting += (0 if self._minimum else unseen) + sum(isinstance(x, TradeTick) for x in lines)
            self.call("count", self.waiting)
            return
        self._send(lines[-MAX_PER_FLUSH:], unseen + max(0, len(lines) - MAX_PER_FLUSH), is_reset=False)

    def _lines(self, ticks: Sequence[TradeTick], gaps: Sequence[Gap]) -> list[TradeTick | Gap]:
        """Return the trades that are large enough and the gaps between them, oldest first."""
        if not ticks:
            return []
        lost = [gap for gap in gaps if gap.cause != "venue" and gap.to_id < ticks[-1].id]
        self._price = ticks[-1].price
        lines: list[TradeTick | Gap] = (
            [tick for tick in ticks if tick.price * tick.size >= self._minimum]
            if self._minimum
            else list(ticks)
        )
        self._seen += len(ticks)
        self._hidden += len(ticks) - len(lines)
        if lost:
            lines += lost
            lines.sort(key=lambda line: line.from_id if isinstance(line, Gap) else line.id)
        return lines

    def _send_filter_words(self) -> None:
        words = ""
        if self._minimum:
            value = value_words(self._minimum, self._quote, self._base, self._price)
            words = filter_words(value, seen=self._seen, hidden=self._hidden)
        if words != self.filter_words:
            self.filter_words = words
            self.call("showFilter", words)

    def _send(self, lines: Sequence[TradeTick | Gap], left_out: int, *, is_reset: bool) -> None:
        if not lines and not left_out and not is_reset:
            return
        self.shown.extend(line for line in lines if isinstance(line, TradeTick))
        self.missing += sum(_length(line) for line in lines if isinstance(line, Gap))
        self.left_out += left_out
        payload = {"lines": list(map(self._described, lines)), "left_out": left_out}
        self.call("apply", {**payload, "reset": True} if is_reset else payload)

    def _described(self, line: TradeTick | Gap) -> tuple[int | str, ...]:
        if isinstance(line, Gap):
            return (_length(line),)
        return line.ts, self._prices.text(line.price), self._sizes.text(line.size), line.side


def value_words(minimum: Decimal, quote: str, base: str, price: Decimal) -> str:
    """Return a smallest value in words, with what it is in the base asset: `1,000 USDT (0.016 BTC)`."""
    value = f"{minimum.normalize():,f} {quote}".rstrip()
    if not price or not base:
        return value
    size = (minimum / price).normalize(Context(prec=2))
    return f"{value} ({size:,f} {base})"


def filter_words(value: str, *, seen: int, hidden: int) -> str:
    """Return what a filter hides of `seen` trades, in words.

    Args:
        value: the smallest value in words.
        seen: how many trades were looked at.
        hidden: how many of them are smaller.
    """
    trades = "1 trade" if seen == 1 else f"the last {seen:,} trades"
    if seen == 0:
        return f"Value from {value}: no trade yet."
    if hidden == seen:
        return f"The filter hides all of {trades}: value from {value}."
    return f"Value from {value}: hides {f'{hidden:,}' if hidden else 'none'} of {trades}."


def _length(gap: Gap) -> int:
    return max(0, gap.to_id - gap.from_id + 1)
