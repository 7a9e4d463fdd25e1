"""`livemarkets-client watch`: a live table in the terminal, or a line for each change where there is none."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from shutil import get_terminal_size
from typing import Any

from msgspec import Struct

from livemarkets_client.client import Markets, connect
from livemarkets_client.errors import SubscribeError
from livemarkets_client.models import Book, Ticker, Trade
from livemarkets_client.requests import normalise
from livemarkets_client.subscription import Subscription
from livemarkets_client.until import run_until

__all__ = ["Row", "fitting", "table", "watch"]

_EVERY_MS = 250
_COLUMNS = ("Symbol", "Last", "Side", "24 h", "Bid", "Ask", "Volume", "Age")


class Row(Struct):
    """What is shown of a symbol."""

    symbol: str
    trade: Trade | None = None
    ticker: Ticker | None = None
    book: Book | None = None
    note: str = ""
    """Why there is nothing."""

    def cells(self, now_ms: float) -> list[str]:
        """Return the text of each column."""
        last = self.trade.price if self.trade else self.ticker.last if self.ticker else None
        side = self.trade.side if self.trade else ""
        change = f"{self.ticker.change_percent:+.2f} %" if self.ticker else ""
        bid, ask = (self.book.bid, self.book.ask) if self.book else (None, None)
        volume = _compact(self.ticker.quote_volume) if self.ticker else ""
        age = f"{max(0.0, now_ms - self.trade.ts) / 1000:.1f} s" if self.trade else ""
        return [self.symbol, _plain(last), side, change, _plain(bid), _plain(ask), volume, age]


def table(rows: Sequence[Row], state: str, now_ms: float) -> list[str]:
    """Return the lines of the table, the state of the connection last."""
    cells = [[row.symbol] if row.note else row.cells(now_ms) for row in rows]
    widths = [
        max(len(line[column]) for line in [_COLUMNS, *cells] if column < len(line))
        for column in range(len(_COLUMNS))
    ]

    def aligned(line: Sequence[str], note: str = "") -> str:
        texts = [text.rjust(width) for text, width in zip(line, widths, strict=False)]
        return "  ".join([line[0].ljust(widths[0]), *texts[1:], note]).rstrip()

    lines = [aligned(line, row.note) for line, row in zip(cells, rows, strict=True)]
    return [aligned(_COLUMNS), *lines, "", state]


async def watch(
    url: str, symbols: Sequence[str], *, exchange: str, token: str | None, stop: asyncio.Event
) -> None:
    """Show the symbols until `stop` is set.

    Raises:
        ConnectionEnded: the server refuses this client for good.
        SubscribeError: the server lists none of the symbols.

    """
    rows = {name: Row(name) for name in map(normalise, symbols)}
    is_terminal = sys.stdout.isatty()
    async with connect(url, token=token, exchange=exchange) as markets:
        subscriptions = (
            markets.trades(*rows, every_ms=_EVERY_MS, on_gap="skip"),
            markets.tickers(*rows, every_ms=_EVERY_MS),
            markets.book(*rows, every_ms=_EVERY_MS),
        )
        reading = [_keep(each, rows, is_terminal=is_terminal) for each in subscriptions]
        await run_until(stop, [*reading, _paint(markets, rows)] if is_terminal else reading)


async def _keep(subscription: Subscription[Any], rows: dict[str, Row], *, is_terminal: bool) -> None:
    """Keep the newest of everything, and print the trades where nothing is painted."""
    while True:
        try:
            async for item in subscription:
                row = rows.setdefault(item.symbol, Row(item.symbol))
                match item:
                    case Trade():
                        row.trade = item
                        if not is_terminal:
                            _print(f"{item.symbol} {item.price} {item.size} {item.side} {item.ts}\n")
                    case Ticker():
                        row.ticker = item
                    case Book():
                        row.book = item
            return
        except SubscribeError as error:
            for refusal in error.refusals:
                if refusal.symbol in rows:
                    rows[refusal.symbol].note = refusal.message
            if not set(rows) - subscription.refused.keys():
                raise


async def _paint(markets: Markets, rows: dict[str, Row]) -> None:
    """Paint the table again and again, over itself."""
    back = "\x1b[?25l"  # no cursor
    try:
        while True:
            status = markets.exchanges.get(markets.exchange)
            state = f"{markets.exchange}: {status.state if status else 'unknown'}"
            text = f"{state}; {markets.state.name.lower()}: {markets.transition.reason}"
            lines = fitting(table(list(rows.values()), text, time.time() * 1000), get_terminal_size())
            _print(back + "".join(f"\x1b[2K{line}\n" for line in lines))
            back = f"\x1b[{len(lines)}A"
            await asyncio.sleep(_EVERY_MS / 1000)
    finally:
        _print("\x1b[?25h")


def fitting(lines: list[str], size: os.terminal_size) -> list[str]:
    """Return the lines that the terminal can show, cut to its width; the last two always."""
    most = max(size.lines - 1, 4)
    if len(lines) > most:
        hidden = len(lines) - most + 1
        lines = [*lines[: most - 3], f"… {hidden} more symbols: make the terminal higher", *lines[-2:]]
    return [line if len(line) <= size.columns else line[: size.columns - 1] + "…" for line in lines]


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _plain(number: Decimal | None) -> str:
    return "" if number is None else f"{number:f}"


def _compact(number: Decimal) -> str:
    """Return a number in at most four digits."""
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= unit:
            return f"{number / unit:.1f}{name}"
    return f"{number:.1f}"
