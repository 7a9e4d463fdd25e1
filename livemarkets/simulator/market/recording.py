"""Reads a recording of an exchange's frames: one JSON object per line, gzip or plain.

A line is `{"recv_ms": …, "frame": {"stream": …, "data": …}}`; the text of `frame` is kept byte for byte.
Recordings of `livemarkets-client record` are read too (:mod:`livemarkets.simulator.market.client_recording`).
Only a recording in microseconds (`web-socket-streams.md`, "Time unit") is converted: its first time decides.
Streams have milliseconds unless a client asks otherwise.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from livemarkets.simulator.market.client_recording import (
    exchange_frames,
    files_of,
    is_client_recording,
    whole_lines,
)
from livemarkets.simulator.market.history import Aggregate, Trade
from livemarkets.simulator.market.source import SimulatorError
from livemarkets.simulator.market.streams import StreamEvent, split_stream
from livemarkets.simulator.market.symbols import SymbolRules, to_units

__all__ = ["RecordedFrame", "Recording", "read_recording"]

_QUOTE_ASSETS = (
    *("FDUSD", "USDT", "USDC", "TUSD", "BUSD"),
    *("BTC", "ETH", "BNB", "EUR", "TRY", "BRL", "JPY", "USD"),
)
_TIME = re.compile(rb'("[ETt]":)(\d{13})\d{3}(?!\d)')
"""A time in microseconds, and its milliseconds. No id has so many digits."""
_FIRST_TIME = re.compile(rb'"[ET]":(\d+)')


class _Line(msgspec.Struct):
    recv_ms: float
    frame: msgspec.Raw


class _Frame(msgspec.Struct):
    stream: str
    data: msgspec.Raw


class _Trade(msgspec.Struct):
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class _Aggregate(msgspec.Struct):
    s: str
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741 (the exchange's own name)
    T: int
    m: bool


class _Book(msgspec.Struct):
    b: str
    B: str
    a: str
    A: str


_LINE = msgspec.json.Decoder(_Line)
_FRAME = msgspec.json.Decoder(_Frame)
_TRADE = msgspec.json.Decoder(_Trade)
_AGGREGATE = msgspec.json.Decoder(_Aggregate)
_BOOK = msgspec.json.Decoder(_Book)


class RecordedFrame(msgspec.Struct, gc=False):
    """One frame of a recording, with its time and its trades.

    Args:
        offset_ms: time since the first frame. It never decreases.
        emission: the frame.
        symbol: its symbol, upper case.
        trade: the trade of a `@trade` frame, else `None`.
        aggregate: the aggregate of an `@aggTrade` frame, or the aggregate that ends with this trade.

    """

    offset_ms: float
    event: StreamEvent
    symbol: str
    trade: Trade | None = None
    aggregate: Aggregate | None = None


@dataclass(slots=True)
class _Digits:
    """The price and size steps of a symbol: the lowest power of ten that was used."""

    price: int = 0
    size: int = 0

    def see(self, price: int, size: int) -> None:
        self.price = _finer(self.price, price)
        self.size = _finer(self.size, size)


@dataclass(slots=True)
class Recording:
    """A recording in memory: its frames in order and their symbols."""

    frames: list[RecordedFrame] = field(default_factory=list)
    rules: dict[str, SymbolRules] = field(default_factory=dict)
    was_in_microseconds: bool | None = None
    """`None` before the first frame with a time."""

    @property
    def streams(self) -> set[str]:
        """The streams that have a frame."""
        return {entry.event.stream for entry in self.frames}


def read_recording(path: Path) -> Recording:
    """Read a recording.

    Raises:
        SimulatorError: the file cannot be read or a line is not a frame; names the file and the line.

    """
    recording = Recording()
    digits: dict[str, _Digits] = {}
    first_ms: float | None = None
    offset_ms = 0.0
    for where, recv_ms, frame in _frames(path):
        first_ms = recv_ms if first_ms is None else first_ms
        offset_ms = max(recv_ms - first_ms, offset_ms)
        try:
            text = _in_milliseconds(recording, frame)
            recording.frames.append(_entry(offset_ms, text, digits))
        except (msgspec.MsgspecError, ArithmeticError, UnicodeDecodeError, RecursionError) as error:
            raise _no_frame(where, error) from None
    if not recording.frames:
        raise SimulatorError(f"{path}: the recording is empty")
    recording.rules = {symbol: _rules(symbol, seen) for symbol, seen in digits.items()}
    _add_aggregates(recording.frames)
    return recording


def _frames(path: Path) -> Iterator[tuple[str, float, bytes]]:
    """Yield the frames, each with its place in words and the time at which it came."""
    where = str(path)
    try:
        files = files_of(path)
        if is_client_recording(files):
            for recv_ms, text in exchange_frames(line for file in files for line in whole_lines(file)):
                yield where, recv_ms, text
            return
        for number, line in _lines(path):
            where = f"{path}, line {number}"
            parsed = _LINE.decode(line)
            yield where, parsed.recv_ms, bytes(parsed.frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _no_frame(where, error) from None
    except OSError as error:
        raise SimulatorError(f"{path}: cannot read the recording: {error.strerror or error}") from None


def _no_frame(where: str, error: Exception) -> SimulatorError:
    return SimulatorError(f"{where}: not a recorded frame: {error}")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers. Gzip is detected by content."""
    number = 0
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            source = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
            for line in source:
                number += 1
                if line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error) as error:
        where = f", after line {number}" if number else ""
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise SimulatorError(f"{path}{where}: cannot read the recording: {reason}") from None


def _in_milliseconds(recording: Recording, text: bytes) -> bytes:
    if recording.was_in_microseconds is None and (found := _FIRST_TIME.search(text)):
        recording.was_in_microseconds = len(found[1]) == 16
    return _TIME.sub(rb"\1\2", text) if recording.was_in_microseconds else text


def _entry(offset_ms: float, text: bytes, digits: dict[str, _Digits]) -> RecordedFrame:
    frame = _FRAME.decode(text)
    data = bytes(frame.data)
    data_at = text.rindex(data)
    event = StreamEvent(frame.stream, text, data_at, data_at + len(data))
    symbol, kind = split_stream(frame.stream)
    entry = RecordedFrame(offset_ms, event, symbol)
    if symbol:
        seen = digits.setdefault(symbol, _Digits())
        if kind == "trade":
            trade = _TRADE.decode(data)
            entry.trade = Trade(trade.t, to_units(trade.p), to_units(trade.q), trade.T, trade.m)
            seen.see(entry.trade.price, entry.trade.size)
        elif kind == "aggTrade":
            item = _AGGREGATE.decode(data)
            price, size = to_units(item.p), to_units(item.q)
            entry.aggregate = Aggregate(item.a, price, size, item.f, item.l, item.T, item.m)
            seen.see(price, size)
        elif kind == "bookTicker":
            book = _BOOK.decode(data)
            seen.see(to_units(book.b), to_units(book.B))
            seen.see(to_units(book.a), to_units(book.A))
    return entry


def _finer(unit: int, amount: int) -> int:
    """Return the largest power of ten that divides both, at most 1. A `unit` of 0 means unknown."""
    if amount == 0:
        return unit
    unit = unit or 10**8
    while amount % unit:
        unit //= 10
    return unit


def _rules(symbol: str, seen: _Digits) -> SymbolRules:
    quote = next(
        (asset for asset in _QUOTE_ASSETS if symbol.endswith(asset) and symbol != asset), symbol[-3:]
    )
    return SymbolRules(
        symbol=symbol,
        base=symbol[: len(symbol) - len(quote)],
        quote=quote,
        tick=seen.price or 1,
        lot=seen.size or 1,
    )


def _add_aggregates(frames: list[RecordedFrame]) -> None:
    """Compute the aggregates of symbols that have recorded trades but no recorded aggregates.

    Consecutive trades of the same time, price and side form one aggregate, which is set on the last of them.
    """
    recorded = {entry.symbol for entry in frames if entry.trade is None and entry.aggregate is not None}
    runs: dict[str, list[RecordedFrame]] = {}
    next_ids: dict[str, int] = {}
    for entry in frames:
        if entry.trade is None or entry.symbol in recorded:
            continue
        run = runs.setdefault(entry.symbol, [])
        if run and not _continues(run[-1].trade, entry.trade):
            _close(run, next_ids)
            run.clear()
        run.append(entry)
    for run in runs.values():
        _close(run, next_ids)


def _continues(last: Trade | None, trade: Trade) -> bool:
    return last is not None and (
        (trade.id, trade.time_ms, trade.price, trade.buyer_is_maker)
        == (last.id + 1, last.time_ms, last.price, last.buyer_is_maker)
    )


def _close(run: list[RecordedFrame], next_ids: dict[str, int]) -> None:
    trades = [entry.trade for entry in run if entry.trade is not None]
    first = trades[0]
    aggregate_id = next_ids.get(run[0].symbol, first.id // 3)
    next_ids[run[0].symbol] = aggregate_id + 1
    run[-1].aggregate = Aggregate(
        id=aggregate_id,
        price=first.price,
        size=sum(trade.size for trade in trades),
        first_id=first.id,
        last_id=trades[-1].id,
        time_ms=first.time_ms,
        buyer_is_maker=first.buyer_is_maker,
    )
