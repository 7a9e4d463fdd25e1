"""A campaign's readers of all channels but trades: who they are, when they are up to date, the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Protocol

from tests.soak.candle_truth import (
    SPANS_MS,
    CandleTruth,
    CandleVerdict,
    Tick,
    candle_truth,
    judge_candles,
)
from tests.soak.channel_reader import PACES, ChannelReader

__all__ = ["ChannelMarket", "channel_readers", "judge_channels", "late_readers"]

_MODES = ("all", "latest")
_ROW_DIGITS = 8


class ChannelMarket(Protocol):
    """What an exchange with every channel tells of its truth."""

    @property
    def doubtful(self) -> Sequence[tuple[int, int]]:
        """Spans of time about which the exchange contradicts itself."""

    def cut_and_halt(self) -> None:
        """Cut all connections, let every symbol trade once more, and then none any more."""

    def subscribed(self) -> set[str]:
        """Return the streams that are subscribed."""

    def ticks(self, symbol: str) -> list[list[Tick]]:
        """Return all trades, for every numbering, oldest first."""

    def book(self, symbol: str) -> tuple[str, ...]:
        """Return the best bid, its size, the best ask, its size."""

    def depth(self, symbol: str) -> tuple[list[list[str]], list[list[str]]]:
        """Return price and size of the 20 best bids and asks."""


def channel_readers(url: str, symbols: tuple[str, ...], random: Random) -> list[ChannelReader]:
    """Return a reader for every mode and pace, and one that dies now and then."""
    kinds = [(mode, pace, 0.0) for mode in _MODES for pace in PACES] + [("all", "fast", 4.0)]
    return [
        ChannelReader(
            f"{mode}, {'dying' if dies else pace}",
            url,
            symbols,
            Random(random.random()),
            mode=mode,
            pace=pace,
            dies_every_seconds=dies,
        )
        for mode, pace, dies in kinds
    ]


class _Truth:
    """What every reader should know in the end."""

    def __init__(self, market: ChannelMarket, symbol: str) -> None:
        numberings = market.ticks(symbol)
        self.last = numberings[-1][-1]
        self.book = market.book(symbol)
        self.depth = market.depth(symbol)
        self.candles = {
            name: candle_truth(numberings, span_ms, market.doubtful) for name, span_ms in SPANS_MS.items()
        }


def late_readers(readers: Sequence[ChannelReader], market: ChannelMarket) -> list[str]:
    """Return what each reader has not got yet, or has other than it is."""
    truths = {symbol: _Truth(market, symbol) for symbol in readers[0].symbols}
    return [
        f"{reader.name}: {symbol} {what}"
        for reader in readers
        for symbol, truth in truths.items()
        for what in _late(reader, symbol, truth)
    ]


def _late(reader: ChannelReader, symbol: str, truth: _Truth) -> list[str]:
    late = []
    book, depth = reader.newest.get(("book", symbol), {}), reader.newest.get(("depth", symbol), {})
    if (shown := _best(book)) != truth.book:
        late.append(f"book is {shown} and should be {truth.book}")
    if (depth.get("bids"), depth.get("asks")) != truth.depth:
        late.append("depth is another")
    for channel in ("tickers", "*"):
        row = reader.newest.get((channel, symbol), {})
        if (last := (row.get("last_id"), row.get("last"))) != (truth.last.id, _digits(truth.last.price)):
            late.append(f"{channel}: the last trade is {last} and should be {truth.last.id}")
    if (shown := _best(reader.newest.get(("tickers", symbol), {}))) != truth.book:
        late.append(f"tickers: {shown} and should be {truth.book}")
    for interval, candles in truth.candles.items():
        if (what := _late_candle(reader, symbol, interval, candles, truth.last)) is not None:
            late.append(f"{interval}: {what}")
    return late


def _late_candle(
    reader: ChannelReader, symbol: str, interval: str, candles: CandleTruth, last: Tick
) -> str | None:
    open_ms = last.time_ms // candles.span_ms * candles.span_ms
    told_to, newest = reader.told_to(symbol, interval), reader.newest_candle(symbol, interval)
    if told_to is not None and told_to >= open_ms:
        return None
    if interval == "1s" or newest is None or newest.open_ts < open_ms:
        return f"closed up to {told_to}, and {open_ms} has trades"
    if candles.is_judged(open_ms) and newest.figures != candles.figures(open_ms):
        return f"{newest}, and should be {candles.figures(open_ms)}"
    return None


def judge_channels(reader: ChannelReader, market: ChannelMarket) -> CandleVerdict:
    """Hold all candles of a reader against the truth; its own complaints count too."""
    total = CandleVerdict()
    for symbol in reader.symbols:
        numberings = market.ticks(symbol)
        for interval, span_ms in SPANS_MS.items():
            truth = candle_truth(numberings, span_ms, market.doubtful)
            verdict = judge_candles(reader.candles[symbol, interval], truth)
            verdict.examples = [f"{reader.name}, {symbol} {interval}: {each}" for each in verdict.examples]
            total.add(verdict)
    for problem in reader.problems:
        total.complain("disordered", f"{reader.name}: {problem}")
    return total


def _best(data: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(data.get(name)) for name in ("bid", "bid_size", "ask", "ask_size"))


def _digits(units: int) -> str:
    return f"{units // 10**_ROW_DIGITS}.{units % 10**_ROW_DIGITS:0{_ROW_DIGITS}d}"
