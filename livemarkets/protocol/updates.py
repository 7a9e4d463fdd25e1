"""Encodes updates of which the newest wins: tickers, best bids and asks, depth. No I/O.

The values of :mod:`livemarkets.market.updates` have the fields of the messages, in the same order. So they
are encoded as they are, once for all readers; a test compares them with the types of
:mod:`livemarkets.protocol.update_messages`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from livemarkets.market.models import StreamKey
from livemarkets.market.updates import BookUpdate, DepthUpdate, Level, TickerRow, TickerUpdate

__all__ = [
    "DEPTH_FIELDS",
    "depth_cells",
    "encode_depth",
    "encode_object",
    "encode_row",
    "encode_rows",
    "encode_update",
    "encode_update_object",
    "encode_update_snapshot",
]

_encode = msgspec.json.Encoder(decimal_format="number").encode
_NAMES = len('{"exchange":"","symbol":"')
_NAME = len('{"symbol":"')


class _Depth(msgspec.Struct, gc=False):
    """An order book cut to some levels, with the fields of the message."""

    exchange: str
    symbol: str
    levels: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    update_id: int
    recv_ts: int


DEPTH_FIELDS = _Depth.__struct_fields__
"""The fields of a message about an order book, without its type."""


def encode_update(update: TickerUpdate | BookUpdate) -> bytes:
    """Encode a live ticker, or best bid and ask."""
    kind = b"book" if type(update) is BookUpdate else b"ticker"
    return b'{"type":"%b",' % kind + encode_object(update, _NAMES + len(update.exchange + update.symbol))[1:]


def encode_depth(update: DepthUpdate, levels: int) -> bytes:
    """Encode a live order book with at most so many levels of each side."""
    names = _NAMES + len(update.exchange + update.symbol)
    return b'{"type":"depth",' + encode_object(_cut(update, levels), names)[1:]


def encode_update_snapshot(
    key: StreamKey, update: TickerUpdate | BookUpdate | DepthUpdate | None, levels: int
) -> bytes:
    """Encode the newest known update of a stream as a `snapshot`, which is empty if none is known."""
    if update is None:
        return _snapshot(key, ())
    return _snapshot(key, (encode_update_object(update, levels),))


def encode_update_object(update: TickerUpdate | BookUpdate | DepthUpdate, levels: int) -> bytes:
    """Encode the newest known update of a stream, with at most so many levels of each side."""
    value = _cut(update, levels) if isinstance(update, DepthUpdate) else update
    return encode_object(value, _NAMES + len(update.exchange + update.symbol))


def depth_cells(update: DepthUpdate, levels: int) -> Sequence[object]:
    """Return the values of :data:`DEPTH_FIELDS`."""
    return msgspec.structs.astuple(_cut(update, levels))


def encode_row(row: TickerRow) -> bytes:
    """Encode one symbol of a message about many."""
    return encode_object(row, _NAME + len(row.symbol))


def encode_rows(key: StreamKey, rows: Sequence[bytes], *, is_snapshot: bool = False) -> bytes:
    """Encode a message about many symbols, whose rows are encoded already."""
    if is_snapshot:
        return _snapshot(key, rows)
    head = b'{"type":"tickers","exchange":%b,"channel":%b,"symbols":%b,"data":[' % (
        _encode(key.exchange),
        _encode(key.channel),
        _encode(key.symbol),
    )
    return head + b",".join(rows) + b"]}"


def _snapshot(key: StreamKey, data: Sequence[bytes]) -> bytes:
    head = b'{"type":"snapshot","exchange":%b,"channel":%b,"symbol":%b,"data":[' % (
        _encode(key.exchange),
        _encode(key.channel),
        _encode(key.symbol),
    )
    return head + b",".join(data) + b"]}"


def _cut(update: DepthUpdate, levels: int) -> _Depth:
    return _Depth(
        update.exchange,
        update.symbol,
        levels,
        update.bids[:levels],
        update.asks[:levels],
        update.update_id,
        update.recv_ts,
    )


def encode_object(value: msgspec.Struct, names_end: int) -> bytes:
    """Encode a value as a JSON object. Its numbers have the exchange's digits, without an exponent.

    Args:
        value: the value.
        names_end: where the names of the exchange and the symbol end. If they are not ASCII, they end a
            little later, so that an E in them may cost a second encoding.

    """
    encoded = _encode(value)
    # A Decimal below 1e-6 is written as 1.0E-7. After the names, a capital E occurs nowhere else.
    if encoded.find(b"E", names_end) < 0:
        return encoded
    return _encode(_plain(msgspec.to_builtins(value, builtin_types=(Decimal,))))


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return msgspec.Raw(f"{value:f}".encode())
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
