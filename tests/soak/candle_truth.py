"""The verdict on the candles that a client got, held against those that the trades of the exchange make.

It computes candles by itself, and shares nothing with the product.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["SPANS_MS", "CandleEvent", "CandleTruth", "CandleVerdict", "Tick", "candle_truth", "judge_candles"]

SPANS_MS = {"1s": 1000, "1m": 60_000}
"""The intervals of a campaign."""
_UNIT = 10**8
_EXAMPLES = 10
_RELIST_MS = 30_000
"""What ended so long before a symbol was listed anew, and was not fetched by then, cannot be had any more."""


class Tick(NamedTuple):
    """A trade of the exchange; price and size in 10⁻⁸."""

    id: int
    time_ms: int
    price: int
    size: int
    is_taker_buy: bool


class CandleEvent(NamedTuple):
    """What a client got: a candle, or a gap from one open time to another."""

    kind: str
    open_ts: int
    to_ts: int = 0
    figures: tuple[str, ...] = ()
    ids: tuple[int | None, int | None] = (None, None)
    closed: bool = False
    revised: bool = False


class _Bar:
    """The trades of one span of time, summed up."""

    def __init__(self, tick: Tick) -> None:
        self.prices = [tick.price]  # open, high, low, close
        self.prices *= 4
        self.volume = self.quote = self.bought = self.count = 0
        self.first_id = self.last_id = tick.id

    def add(self, tick: Tick) -> None:
        opened, high, low, _ = self.prices
        self.prices = [opened, max(high, tick.price), min(low, tick.price), tick.price]
        self.volume += tick.size
        self.quote += tick.price * tick.size // _UNIT
        self.bought += tick.size if tick.is_taker_buy else 0
        self.count += 1
        self.last_id = tick.id

    def figures(self) -> tuple[str, ...]:
        amounts = (*self.prices, self.volume, self.quote, self.bought)
        return (*map(_digits, amounts), str(self.count))


@dataclass
class CandleTruth:
    """The candles of one symbol and interval."""

    span_ms: int
    begin_ms: int
    """When the first candle opens of which all trades are known."""
    bars: Mapping[int, _Bar]
    """By open time; none where nothing traded."""
    closes: Sequence[tuple[int, int]]
    """(time, price) of the last trade of each span with trades, for the spans without."""
    doubtful: Sequence[tuple[int, int]] = ()
    """Spans of time about which the exchange contradicts itself."""

    def figures(self, open_ms: int) -> tuple[str, ...]:
        """Return what the candle that opens at this time should have."""
        bar = self.bars.get(open_ms)
        if bar is not None:
            return bar.figures()
        price = next((price for at_ms, price in reversed(self.closes) if at_ms < open_ms), 0)
        return (*(_digits(price),) * 4, *(_digits(0),) * 3, "0")

    def is_judged(self, open_ms: int) -> bool:
        """Return whether anything can be said of the candle that opens at this time."""
        return open_ms >= self.begin_ms and not self.is_doubtful(open_ms, open_ms + self.span_ms)

    def is_doubtful(self, from_ms: int, to_ms: int) -> bool:
        """Return whether the exchange contradicts itself somewhere between."""
        return any(first < to_ms and from_ms <= last for first, last in self.doubtful)


@dataclass
class CandleVerdict:
    """One client's candles of one name held against the truth."""

    closed: int = 0
    running: int = 0
    revised: int = 0
    missing: int = 0
    repeated: int = 0
    disordered: int = 0
    wrong: int = 0
    """Closed with other figures than those of the trades, and not revised."""
    declared: int = 0
    """Gaps, though the exchange's history had the candles."""
    examples: list[str] = field(default_factory=list)

    def add(self, other: CandleVerdict) -> None:
        """Add another verdict's figures."""
        for name in ("closed", "running", "revised", *self.faults()):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.examples = (self.examples + other.examples)[:_EXAMPLES]

    def faults(self) -> dict[str, int]:
        """Return what must be 0."""
        return {
            name: getattr(self, name) for name in ("missing", "repeated", "disordered", "wrong", "declared")
        }

    @property
    def is_clean(self) -> bool:
        """Whether no promise was broken."""
        return not any(self.faults().values())

    def complain(self, name: str, text: str) -> None:
        """Count a fault."""
        setattr(self, name, getattr(self, name) + 1)
        self.examples.append(f"{name}: {text}")


def candle_truth(
    numberings: Sequence[Sequence[Tick]], span_ms: int, doubtful: Iterable[tuple[int, int]] = ()
) -> CandleTruth:
    """Return the candles that trades make, numbering by numbering.

    When a symbol is listed anew, the exchange forgets its candles: what was not told by then cannot be had.
    Where its clock goes back, trades of earlier seconds count as those of the newest second.

    Args:
        numberings: the trades.
        span_ms: length of the candles.
        doubtful: spans about which the exchange contradicts itself, as where its clock went back.

    """
    bars: dict[int, _Bar] = {}
    doubts = list(doubtful)
    closes: list[tuple[int, int]] = []
    begin_ms = numberings[0][0].time_ms // span_ms * span_ms + span_ms
    for number, ticks in enumerate(numberings):
        newest_ms = 0
        for tick in ticks:
            second_ms = tick.time_ms // 1000 * 1000
            newest_ms = max(newest_ms, second_ms)
            open_ms = newest_ms // span_ms * span_ms
            if open_ms not in bars:
                bars[open_ms] = _Bar(tick)
            bars[open_ms].add(tick)
            if closes and closes[-1][0] // span_ms == newest_ms // span_ms:
                closes.pop()
            closes.append((newest_ms, tick.price))
        if number and ticks:
            doubts.append((numberings[number - 1][-1].time_ms - _RELIST_MS, ticks[0].time_ms + 1000))
    return CandleTruth(span_ms, begin_ms, bars, closes, doubts)


def judge_candles(events: Sequence[CandleEvent], truth: CandleTruth) -> CandleVerdict:
    """Hold a record against the truth."""
    verdict = CandleVerdict()
    told: dict[int, CandleEvent] = {}
    last = None  # the open time of the newest closed candle, or of the newest one declared missing
    running_ts = 0
    for event in events:
        if event.kind == "gap":
            _judge_gap(verdict, event, truth)
            last = max(last or 0, event.to_ts // truth.span_ms * truth.span_ms)
        elif event.revised:
            verdict.revised += 1
            if event.open_ts not in told:
                verdict.complain("disordered", f"revised and never told: {event}")
            told[event.open_ts] = event
        elif not event.closed:
            verdict.running += 1
            if event.open_ts < running_ts or (last is not None and event.open_ts <= last):
                verdict.complain("disordered", f"running after a later one: {event}")
            running_ts = event.open_ts
        elif event.open_ts in told:
            verdict.complain("repeated", str(event))
        else:
            verdict.closed += 1
            _judge_place(verdict, event, last, truth)
            told[event.open_ts] = event
            last = max(last or 0, event.open_ts)
    for open_ts, event in told.items():
        _judge_figures(verdict, open_ts, event, truth)
    return verdict


def _judge_gap(verdict: CandleVerdict, event: CandleEvent, truth: CandleTruth) -> None:
    if event.to_ts >= event.open_ts and not truth.is_doubtful(event.open_ts, event.to_ts + 1):
        verdict.complain("declared", str(event))


def _judge_place(verdict: CandleVerdict, event: CandleEvent, last: int | None, truth: CandleTruth) -> None:
    if last is None or event.open_ts == last + truth.span_ms:
        return
    if truth.is_doubtful(min(last, event.open_ts), max(last, event.open_ts)):
        return
    if event.open_ts > last:
        verdict.complain("missing", f"between {last} and {event}")
    else:
        verdict.complain("disordered", f"after {last}: {event}")


def _judge_figures(verdict: CandleVerdict, open_ts: int, event: CandleEvent, truth: CandleTruth) -> None:
    if not truth.is_judged(open_ts):
        return
    figures, bar = truth.figures(open_ts), truth.bars.get(open_ts)
    if event.figures != figures:
        verdict.complain("wrong", f"{event}, truly {figures}")
    elif event.ids != (None, None) and (bar is None or event.ids != (bar.first_id, bar.last_id)):
        verdict.complain("wrong", f"other ids: {event}")


def _digits(units: int) -> str:
    return f"{units // _UNIT}.{units % _UNIT:08d}"
