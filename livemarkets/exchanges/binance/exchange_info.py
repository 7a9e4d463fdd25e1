"""Decodes `exchangeInfo`, up to 15 MB, in slices, so that the event loop is never held for long.

Source: Binance spot API documents, `rest-api.md`, "Exchange information", and `enums.md`, "Symbol status".
A thread is no help: a decoder keeps the interpreter's lock. Therefore a slice of the text is decoded at a
time, and the event loop runs in between. An odd entry is skipped and counted. It costs the others nothing.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import re
from decimal import Decimal
from typing import Any

import msgspec

from livemarkets.errors import MalformedMessage
from livemarkets.exchanges.base import ListedSymbols
from livemarkets.market.models import SymbolInfo
from livemarkets.market.symbols import MAX_SYMBOL_LENGTH, is_well_formed

__all__ = ["ExchangeInfo", "decode_exchange_info"]

_SLICE_BYTES = 65_536
_MOST_CHARACTERS = 524_288
"""A longer entry makes the list unreadable, because decoding it at once would hold the event loop."""
_MOST_ENTRIES = 250
"""Entries, however short, that are looked at before the event loop runs."""
_DIGITS = 18
"""A longer whole number stays a text: Python converts none of more than 4,300 digits. Nobody needs one."""
_MOST_NESTED_CHARACTERS = 65_536
"""A longer value that is nested too deeply makes the list unreadable: finding its end takes long."""
_NESTED = "nested too deeply"
_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*("?)|[\[\]{}]', re.DOTALL)
"""A bracket, or a text, in which brackets mean nothing."""
_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 40


class ExchangeInfo(msgspec.Struct, frozen=True):
    """The used part of `exchangeInfo`."""

    listed: ListedSymbols
    weight_per_minute: int | None
    """The limit of request weight per minute and address; `None` if it is not announced."""


class _Filter(msgspec.Struct):
    filterType: str = ""
    tickSize: str = "0"
    stepSize: str = "0"


class _Symbol(msgspec.Struct):
    """`{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[…],…}`."""

    symbol: str
    status: str
    baseAsset: str
    quoteAsset: str
    filters: list[_Filter] = []


class _RateLimit(msgspec.Struct):
    """`{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000}`."""

    rateLimitType: str
    interval: str
    intervalNum: int
    limit: int


class _Incomplete(Exception):
    """The text ends within a value, or it is not JSON."""


async def decode_exchange_info(body: bytes) -> ExchangeInfo:
    """Decode an answer of `exchangeInfo`. The event loop runs between two slices.

    Raises:
        MalformedMessage: it is not JSON, it has no list of symbols, or no entry of the list makes sense.

    """
    text = _SlicedText(body)
    while (head := text.take_head()) is None:
        text.extend()
        await asyncio.sleep(0)
    found: dict[str, SymbolInfo] = {}
    faults: list[str] = []
    while True:
        entries = text.take_entries(_MOST_ENTRIES)
        for entry in entries:
            _collect(entry, found, faults)
        if text.has_ended:
            break
        if len(entries) < _MOST_ENTRIES:
            text.extend()
        await asyncio.sleep(0)
    if faults and not found:
        raise MalformedMessage("malformed list of symbols", f"no entry makes sense, such as {faults[0]}")
    listed = ListedSymbols(list(found.values()), len(faults), tuple(filter(None, faults)))
    return ExchangeInfo(listed, _weight_per_minute(head.get("rateLimits")))


def _collect(entry: object, found: dict[str, SymbolInfo], faults: list[str]) -> None:
    try:
        info = _symbol_info(msgspec.convert(entry, _Symbol))
        if info.symbol in found:
            raise ValueError("there are two entries with this name")
        found[info.symbol] = info
    except (msgspec.ValidationError, ValueError) as error:
        faults.append(f"{_name_of(entry)}: {error}" if len(faults) < _EXAMPLES else "")


class _SlicedText:
    """The text of an answer, of which a slice at a time is looked at."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._read = 0
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self._decode = json.JSONDecoder(parse_int=_whole_number).raw_decode
        self._text = ""
        self._place = 0
        self._is_first_entry = True
        self.has_ended = False

    def extend(self) -> None:
        """Look at another slice.

        Raises:
            MalformedMessage: there is none, or a value is too long.

        """
        piece = self._body[self._read : self._read + _SLICE_BYTES]
        rest = self._text[self._place :]
        if not piece or len(rest) > _MOST_CHARACTERS:
            why = "it ends early, or it is not JSON" if not piece else "a value in it is too long"
            raise MalformedMessage("malformed list of symbols", f"{why}: {rest[:_EXAMPLE_CHARACTERS]!a}")
        self._read += len(piece)
        try:
            self._text = rest + self._utf8.decode(piece)
        except UnicodeDecodeError as error:
            raise MalformedMessage("malformed list of symbols", str(error)) from None
        self._place = 0

    def take_head(self) -> dict[str, Any] | None:
        """Return the fields before `symbols`; `None` if the slice does not reach as far."""
        start, head = self._place, dict[str, Any]()
        try:
            self._expect("{")
            while (name := self._value()) != "symbols":
                self._expect(":")
                head[str(name)] = self._value()
                self._expect(",")
            self._expect(":")
            self._expect("[")
        except _Incomplete:
            self._place = start
            return None
        return head

    def take_entries(self, most: int) -> list[Any]:
        """Return the next entries of the list: at most `most`, and as far as the slice holds them."""
        entries: list[Any] = []
        while len(entries) < most:
            start = self._place
            try:
                if self._next() == "]":
                    self.has_ended = True
                    break
                if not self._is_first_entry:
                    self._expect(",")
                entry = self._value()
                if self._next() not in (",", "]"):  # a number may go on in the next slice
                    raise _Incomplete
            except _Incomplete:
                self._place = start
                break
            self._is_first_entry = False
            entries.append(entry)
        return entries

    def _next(self) -> str:
        """Return the next character that is not blank."""
        text = self._text
        while (letter := text[self._place : self._place + 1]) in (" ", "\n", "\r", "\t"):
            self._place += 1
        if not letter:
            raise _Incomplete
        return letter

    def _expect(self, letter: str) -> None:
        if self._next() != letter:
            raise _Incomplete
        self._place += 1

    def _value(self) -> Any:
        self._next()
        try:
            value, self._place = self._decode(self._text, self._place)
        except RecursionError:
            value, self._place = _NESTED, self._end_of_nested()
        except ValueError:
            raise _Incomplete from None
        return value

    def _end_of_nested(self) -> int:
        """Return where a value ends that the decoder cannot read, because it is nested too deeply."""
        end, depth = self._place + _MOST_NESTED_CHARACTERS, 0
        for found in _BRACKET.finditer(self._text, self._place, end):
            letter = found[0]
            if found[1] == "":
                break  # a text that goes on
            depth += (letter in "[{") - (letter in "]}")
            if not depth:
                return found.end()
        if len(self._text) >= end:
            raise MalformedMessage("malformed list of symbols", f"a long value in it is {_NESTED}")
        raise _Incomplete


def _whole_number(text: str) -> int | str:
    return int(text) if len(text) <= _DIGITS else text


def _symbol_info(symbol: _Symbol) -> SymbolInfo:
    """Return the description of an entry.

    Raises:
        ValueError: the name or a step makes no sense.

    """
    if not is_well_formed(symbol.symbol):
        raise ValueError("this is no name of a symbol")
    for name in (symbol.baseAsset, symbol.quoteAsset, symbol.status):
        if not 0 < len(name) <= MAX_SYMBOL_LENGTH or not name.isprintable():
            raise ValueError("an asset or the status has no sensible name")
    sizes = {entry.filterType: entry for entry in symbol.filters}
    price, lot = sizes.get("PRICE_FILTER"), sizes.get("LOT_SIZE")
    return SymbolInfo(
        symbol=symbol.symbol,
        base_asset=symbol.baseAsset,
        quote_asset=symbol.quoteAsset,
        tick_size=_step(price.tickSize if price else "0"),
        step_size=_step(lot.stepSize if lot else "0"),
        status=symbol.status,
        is_trading=symbol.status == "TRADING",
    )


def _step(text: str) -> Decimal:
    try:
        step = Decimal(text).normalize()
    except ArithmeticError:
        step = Decimal(-1)
    if not step.is_finite() or step < 0 or step.adjusted() > 30 or step.adjusted() < -30:
        raise ValueError(f"{text[:_EXAMPLE_CHARACTERS]!a} is no step of prices or sizes")
    return step


def _name_of(entry: object) -> str:
    name = entry.get("symbol") if isinstance(entry, dict) else entry
    return ascii(name)[:_EXAMPLE_CHARACTERS]


def _weight_per_minute(limits: object) -> int | None:
    for limit in limits if isinstance(limits, list) else ():
        try:
            found = msgspec.convert(limit, _RateLimit)
        except msgspec.ValidationError:
            continue
        if (found.rateLimitType, found.interval, found.intervalNum) == ("REQUEST_WEIGHT", "MINUTE", 1):
            return found.limit if found.limit > 0 else None
    return None
