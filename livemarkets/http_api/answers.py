"""Answers of the API: JSON, CSV and lines of JSON, and refusals."""

from __future__ import annotations

import asyncio
import csv
import io
import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from fastapi import Response

from livemarkets.market.models import TradeTick
from livemarkets.protocol.encoding import encode_tick

__all__ = ["FORMATS", "Refused", "cells", "json_answer", "list_answer", "tick_answer"]

FORMATS = ("json", "csv", "ndjson")
_JSON = "application/json"
_TICK_COLUMNS = ("exchange", "symbol", "price", "size", "side", "ts", "id", "recv_ts")
"""The fields of a trade, in the order of the JSON."""
_AT_ONCE = 250
"""Entries that are encoded before the event loop runs."""

T = TypeVar("T")


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        status: the HTTP status.
        message: what is wrong and what is allowed, for the developer of the program.
        retry_after_seconds: when to try again; `None` if that does not help.
        fields: further fields of the answer.

    """

    def __init__(
        self, status: int, message: str, *, retry_after_seconds: float | None = None, **fields: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after_seconds = retry_after_seconds
        self.fields = fields

    def answer(self) -> Response:
        """Return the answer: `error`, and the further fields."""
        headers = {}
        if self.retry_after_seconds is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_seconds)))
        return json_answer({"error": self.message, **self.fields}, self.status, headers)


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer with one JSON value."""
    return Response(msgspec.json.encode(value), status, headers, media_type=_JSON)


async def tick_answer(form: str, head: Mapping[str, Any], name: str, ticks: Sequence[TradeTick]) -> Response:
    """Return trades encoded as on `/ws/markets`, so that prices keep the exchange's digits."""
    return await list_answer(form, head, name, ticks, _TICK_COLUMNS, encode_tick, _tick_row)


async def list_answer(
    form: str,
    head: Mapping[str, Any],
    name: str,
    items: Sequence[T],
    columns: Sequence[str],
    encode: Callable[[T], bytes],
    row: Callable[[T], Iterable[object]],
) -> Response:
    """Return a list in one of :data:`FORMATS`. Between parts of a long one, the event loop runs.

    Args:
        form: the format.
        head: in JSON, the fields before the list; left out in the other formats.
        name: in JSON, the field of the list.
        items: the entries.
        columns: in CSV, the names of the columns: those of the fields in JSON.
        encode: encodes an entry as JSON.
        row: returns the cells of an entry for CSV.

    """
    if form == "csv":
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(columns)
        async for part in _parts(items):
            lines.writerows(map(row, part))
        return Response(text.getvalue(), media_type="text/csv; charset=utf-8; header=present")
    encoded: list[bytes] = []
    async for part in _parts(items):
        encoded += map(encode, part)
    if form == "ndjson":
        return Response(b"".join(item + b"\n" for item in encoded), media_type="application/x-ndjson")
    body = msgspec.json.encode(head)[:-1] + f',"{name}":['.encode() + b",".join(encoded) + b"]}"
    return Response(body, media_type=_JSON)


async def _parts(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    for at in range(0, len(items), _AT_ONCE):
        if at:
            await asyncio.sleep(0)
        yield items[at : at + _AT_ONCE]


def cells(values: Iterable[object]) -> Iterable[object]:
    """Return values as CSV has them: an unknown one empty, and numbers with the exchange's digits."""
    for value in values:
        if isinstance(value, Decimal):
            yield f"{value:f}"
        elif isinstance(value, bool):
            yield str(value).lower()
        elif isinstance(value, tuple):  # the levels of an order book, as in JSON
            yield "[" + ",".join(f"[{price:f},{size:f}]" for price, size in value) + "]"
        else:
            yield value  # None becomes an empty cell


def _tick_row(tick: TradeTick) -> Iterable[object]:
    yield from (tick.exchange, tick.symbol, f"{tick.price:f}", f"{tick.size:f}")
    yield from (tick.side, tick.ts, tick.id, tick.recv_ts)
