"""`livemarkets-client record`: writes frames into files, and goes on when it is started again."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from livemarkets_client.client import Markets, connect
from livemarkets_client.errors import SubscribeError
from livemarkets_client.models import Gap
from livemarkets_client.recording import Accounts, Note, Position, Writer, positions_of
from livemarkets_client.requests import normalise
from livemarkets_client.states import Transition
from livemarkets_client.subscription import Subscription
from livemarkets_client.until import run_until

__all__ = ["Options", "record"]

_FLUSH_SECONDS = 1.0
_QUIET_PROGRESS_SECONDS = 10.0
"""How often the progress is told where the output is no terminal."""


class Options(Struct, frozen=True, kw_only=True):
    """What is to be recorded, and where."""

    url: str
    token: str | None = None
    exchange: str
    symbols: list[str]
    channels: list[str]
    """`trades`, `tickers`, `book`, `depth`, `depth:5`, `candles:1m`."""
    out: Path
    rotate_bytes: int = 100 * 2**20
    from_start: bool = False
    """Whether a new recording begins with the oldest trades that can be had."""


class Recorder:
    """Keeps what comes, and the accounts of it."""

    def __init__(self, options: Options) -> None:
        self.accounts = Accounts()
        self.accounts.begin(positions_of(options.out))
        self.writer = Writer(options.out, self.accounts, options.rotate_bytes)
        self.state = "connecting"
        self.writer.begin(_now_ms())

    def on_frame(self, raw: bytes) -> None:
        """Keep a frame. What cannot be read ends the connection elsewhere, and is not kept."""
        now = _now_ms()
        try:
            items = self.accounts.take(raw)
        except msgspec.DecodeError:
            return
        self.writer.frame(now, raw)
        for item in items:
            if isinstance(item, Gap) and item.cause == "undeclared":
                self.writer.note(now, Note("gap", f"{item.symbol} {item.from_id} to {item.to_id}"))

    def on_state(self, transition: Transition) -> None:
        """Note in which state the connection is."""
        self.state = transition.state.name.lower()
        text = f"{self.state}: {transition.reason} ({transition.code})"
        self.writer.note(_now_ms(), Note("state", text))

    def progress(self, seconds: float) -> str:
        """Return what was recorded so far, in one line."""
        counts = self.accounts.counts
        gaps = sum(counts[kind] for kind in ("Gap", "Lagged", "CandleGap", "CandleLagged"))
        items = counts.total() - gaps
        name = self.writer.path.name if self.writer.path else "-"
        size = self.writer.bytes / 2**20
        return f"{seconds:,.0f} s: {items:,} items, {gaps} gaps, {size:,.1f} MB, {name}, {self.state}"


async def record(options: Options, stop: asyncio.Event, say: Callable[[str], None]) -> None:
    """Record until `stop` is set.

    Raises:
        ConnectionEnded: the server refuses this client for good; what came before is kept.

    """
    recorder = Recorder(options)
    client = connect(
        options.url,
        token=options.token,
        exchange=options.exchange,
        on_frame=recorder.on_frame,
        on_state=recorder.on_state,
    )
    try:
        async with client as markets:
            subscriptions = _subscriptions(markets, options, recorder.accounts.positions())
            await run_until(stop, [*(_drain(each, say) for each in subscriptions), _flush(recorder, say)])
    finally:
        recorder.writer.close(_now_ms())


def _subscriptions(
    markets: Markets, options: Options, positions: Iterable[Position]
) -> list[Subscription[Any]]:
    known = {
        (each.channel, each.interval, each.symbol): each.after
        for each in positions
        if each.exchange == options.exchange
    }
    symbols = [normalise(symbol) for symbol in options.symbols]

    def after(channel: str, interval: str | None = None) -> dict[str, int]:
        first = dict.fromkeys(symbols, 0) if options.from_start and channel == "trades" else {}
        return first | {
            symbol: known[channel, interval, symbol]
            for symbol in symbols
            if (channel, interval, symbol) in known
        }

    found: list[Subscription[Any]] = []
    for channel in options.channels:
        name, _, parameter = channel.partition(":")
        match name:
            case "trades":
                found.append(markets.trades(*symbols, after=after("trades")))
            case "candles":
                where = after("candles", parameter)
                found.append(markets.candles(*symbols, interval=parameter, after=where))
            case "tickers":
                found.append(markets.tickers(*symbols))
            case "book":
                found.append(markets.book(*symbols))
            case _:
                found.append(markets.depth(*symbols, levels=int(parameter or 20)))  # type: ignore[arg-type]
    return found


async def _drain(subscription: Subscription[Any], say: Callable[[str], None]) -> None:
    """Read and forget: the frames are kept elsewhere."""
    while True:
        try:
            async for _ in subscription:
                pass
            return
        except SubscribeError as error:
            if not set(subscription.symbols) - subscription.refused.keys():
                raise
            say(str(error))


async def _flush(recorder: Recorder, say: Callable[[str], None]) -> None:
    began = told = time.monotonic()
    while True:
        await asyncio.sleep(_FLUSH_SECONDS)
        recorder.writer.flush(_now_ms())
        now = time.monotonic()
        if sys.stderr.isatty() or now - told >= _QUIET_PROGRESS_SECONDS:
            told = now
            say(recorder.progress(now - began))


def _now_ms() -> float:
    return time.time() * 1000
