"""Makes an exchange's frames of what `livemarkets-client record` has written.

Such a recording has messages of `/ws/markets`. A trade that a snapshot repeats is played once. What a gap
declares is left out, so the exchange of the replay does not have these ids either.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Raw

from livemarkets.simulator.market.symbols import in_small_letters

__all__ = ["exchange_frames", "files_of", "is_client_recording", "whole_lines"]

_AT_ONCE = 2**20


class _Line(msgspec.Struct):
    recv_ms: float
    frame: Raw = Raw()


class _Message(msgspec.Struct):
    type: str
    channel: str = ""
    symbol: str = ""
    interval: str | None = None
    data: list[Raw] = []
    from_id: int = 0
    to_id: int = 0


class _Trade(msgspec.Struct):
    symbol: str
    price: Raw
    size: Raw
    side: str
    ts: int
    id: int


class _Book(msgspec.Struct):
    symbol: str
    bid: Raw
    bid_size: Raw
    ask: Raw
    ask_size: Raw
    update_id: int | None


class _Depth(msgspec.Struct):
    symbol: str
    bids: list[tuple[Raw, Raw]]
    asks: list[tuple[Raw, Raw]]
    update_id: int | None


class _Candle(msgspec.Struct):
    symbol: str
    interval: str
    open_ts: int
    close_ts: int
    open: Raw
    high: Raw
    low: Raw
    close: Raw
    volume: Raw
    quote_volume: Raw
    taker_buy_volume: Raw
    trades: int
    first_id: int | None
    last_id: int | None
    closed: bool
    ts: int


_LINE = msgspec.json.Decoder(_Line)
_MESSAGE = msgspec.json.Decoder(_Message)
_TRADE = msgspec.json.Decoder(_Trade)
_BOOK = msgspec.json.Decoder(_Book)
_DEPTH = msgspec.json.Decoder(_Depth)
_CANDLE = msgspec.json.Decoder(_Candle)
_Name = tuple[str, str, str | None]
"""Channel, symbol, interval."""
_CHANNELS = {"trade": "trades", "book": "book", "depth": "depth", "candle": "candles"}


_SAID = ("gap", "lagged", "subscribed", "unsubscribed", "subscriptions", "quality", "tickers", "error")
"""Messages about streams, which no exchange sends; and tickers, which lack what an exchange tells."""


def files_of(path: Path) -> list[Path]:
    """Return the file, or where there is none the numbered files of a recording: `trades-000001.jsonl.gz`."""
    if path.exists():
        return [path]
    stem, dot, suffix = path.name.partition(".")
    numbered = re.compile(re.escape(stem) + r"-(\d{6,})" + re.escape(f"{dot}{suffix}"))
    found = [
        (int(name[1]), each) for each in path.parent.glob("*") if (name := numbered.fullmatch(each.name))
    ]
    return [each for _, each in sorted(found)] or [path]


def is_client_recording(paths: Iterable[Path]) -> bool:
    """Return whether the first line that can be read is one of the client's recorder."""
    line = next((line for path in paths for line in whole_lines(path)), b"")
    return re.match(rb'\{"recv_ms":[\d.]+,("note":|"frame":\{"type":)', line) is not None


def whole_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, gzip or plain. What is torn at the end of a gzip file is left out."""
    rest = b""
    for piece in _unzipped(path):
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines


def _unzipped(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        data = file.read(_AT_ONCE)
        if not data.startswith(b"\x1f"):
            while data:
                yield data
                data = file.read(_AT_ONCE)
            return
        member = zlib.decompressobj(wbits=31)
        while data := data or file.read(_AT_ONCE):
            try:
                yield member.decompress(data)
            except zlib.error:
                return
            data = member.unused_data
            if member.eof:
                member = zlib.decompressobj(wbits=31)


def exchange_frames(lines: Iterable[bytes]) -> Iterator[tuple[float, bytes]]:
    """Yield the frames of the exchange in combined shape, each with the time at which it came in ms.

    Raises:
        msgspec.MsgspecError: a line is something else.
        UnicodeDecodeError: a line is not UTF-8.

    """
    known: dict[_Name, int] = {}  # the last id; of candles, the last open time
    for line in lines:
        if not line.strip():
            continue
        parsed = _LINE.decode(line)
        if not bytes(parsed.frame):
            continue  # a note
        message = _MESSAGE.decode(parsed.frame)
        name = (message.channel or _CHANNELS.get(message.type, ""), message.symbol, message.interval)
        if message.type in _SAID:
            if message.type == "gap" and message.channel == "trades" and message.to_id < message.from_id:
                known[name] = message.to_id  # the exchange has begun its ids again
            continue
        rows = message.data if message.type == "snapshot" else [parsed.frame]
        if message.channel == "candles" and name not in known:
            rows = rows[-1:]  # its stream begins with the running one
        for row in rows:
            text = _frame(name, row, known)
            if text is not None:
                yield parsed.recv_ms, text


def _frame(name: _Name, row: Raw, known: dict[_Name, int]) -> bytes | None:
    match name[0]:
        case "trades":
            trade = _TRADE.decode(row)
            if trade.id <= known.get(name, -1):
                return None
            known[name] = trade.id
            return _trade_frame(trade)
        case "candles":
            candle = _CANDLE.decode(row)
            if candle.open_ts < known.get(name, 0):
                return None
            known[name] = candle.open_ts
            return _kline_frame(candle)
        case "book":
            book = _BOOK.decode(row)
            return None if book.update_id is None else _book_frame(book, book.update_id)
        case "depth":
            depth = _DEPTH.decode(row)
            return None if depth.update_id is None else _depth_frame(depth, depth.update_id)
    return None


def _combined(symbol: str, kind: str, payload: bytes) -> bytes:
    return b'{"stream":"%b@%b","data":%b}' % (in_small_letters(symbol).encode(), kind.encode(), payload)


def _trade_frame(trade: _Trade) -> bytes:
    payload = b'{"e":"trade","E":%d,"s":"%b","t":%d,"p":"%b","q":"%b","T":%d,"m":%b,"M":true}' % (
        trade.ts,
        trade.symbol.encode(),
        trade.id,
        trade.price,
        trade.size,
        trade.ts,
        b"true" if trade.side == "sell" else b"false",
    )
    return _combined(trade.symbol, "trade", payload)


def _book_frame(book: _Book, update_id: int) -> bytes:
    payload = b'{"u":%d,"s":"%b","b":%b,"B":%b,"a":%b,"A":%b}' % (
        update_id,
        book.symbol.encode(),
        _text(book.bid),
        _text(book.bid_size),
        _text(book.ask),
        _text(book.ask_size),
    )
    return _combined(book.symbol, "bookTicker", payload)


def _depth_frame(depth: _Depth, update_id: int) -> bytes:
    payload = b'{"lastUpdateId":%d,"bids":[%b],"asks":[%b]}' % (
        update_id,
        _levels(depth.bids),
        _levels(depth.asks),
    )
    return _combined(depth.symbol, "depth20@100ms", payload)


def _levels(levels: list[tuple[Raw, Raw]]) -> bytes:
    return b",".join(b"[%b,%b]" % (_text(price), _text(size)) for price, size in levels)


def _kline_frame(candle: _Candle) -> bytes:
    """Make a kline. Nobody has recorded how much of the quote volume takers bought."""
    symbol = candle.symbol.encode()
    kline = (
        b'{"t":%d,"T":%d,"s":"%b","i":"%b","f":%d,"L":%d,"o":%b,"c":%b,"h":%b,"l":%b,"v":%b,"n":%d,"x":%b,'
        b'"q":%b,"V":%b,"Q":"0.00000000","B":"0"}'
    ) % (
        candle.open_ts,
        candle.close_ts,
        symbol,
        candle.interval.encode(),
        -1 if candle.first_id is None else candle.first_id,
        -1 if candle.last_id is None else candle.last_id,
        _text(candle.open),
        _text(candle.close),
        _text(candle.high),
        _text(candle.low),
        _text(candle.volume),
        candle.trades,
        b"true" if candle.closed else b"false",
        _text(candle.quote_volume),
        _text(candle.taker_buy_volume),
    )
    payload = b'{"e":"kline","E":%d,"s":"%b","k":%b}' % (candle.ts, symbol, kline)
    return _combined(candle.symbol, f"kline_{candle.interval}", payload)


def _text(number: Raw) -> bytes:
    """Return a number as the exchange writes it, with the same digits; where there is none, 0."""
    return b'"%b"' % (b"0.00000000" if bytes(number) == b"null" else number)
