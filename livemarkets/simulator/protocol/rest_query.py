"""The parameters of a REST call, and the documented errors (errors.md)."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

import msgspec

from livemarkets.simulator.market.source import Source
from livemarkets.simulator.market.symbols import SymbolRules
from livemarkets.simulator.protocol.http_wire import Answer
from livemarkets.simulator.protocol.time_unit import in_milliseconds

__all__ = ["BAD_TIME_UNIT", "NOT_SUPPORTED", "Query", "Refused", "error_answer", "rules_of", "symbols_in"]

BAD_TIME_UNIT = (-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")
NOT_SUPPORTED = (-1020, "This operation is not supported.")
BAD_COMBINATION = (-1128, "Combination of optional parameters invalid.")
_STATUSES = ("TRADING", "HALT", "BREAK")
_SYMBOL = re.compile(r"(?:(?![a-z])[\w\-.]){1,50}")
_ZONE = re.compile(r"([+-]?)([0-9]{1,2})(?::([0-5][0-9]))?")
_ZONE_MINUTES = range(-12 * 60, 14 * 60 + 1)


class Refused(Exception):
    """A call gets an error: Binance's code and text."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


def error_answer(status: int, code: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Return an error with Binance's body `{"code":…,"msg":…}`."""
    return Answer(status, msgspec.json.encode({"code": code, "msg": message}), 1, headers)


class Query:
    """The parameters of one call. A parameter that the call does not read is an error.

    Args:
        text: the query of the address.
        weight: request weight of the call, which its parameters may change.
        behind_ms: by how much an answer from the database is behind.

    """

    def __init__(self, text: str, weight: int, behind_ms: int = 0) -> None:
        self.weight = weight
        self.behind_ms = behind_ms
        pairs = parse_qsl(text, keep_blank_values=True)
        self.values = dict(pairs)
        if len(self.values) != len(pairs):
            raise Refused(-1101, "Duplicate values for a parameter detected.")
        self.read: set[str] = set()

    def text(self, name: str) -> str | None:
        """Return a parameter; `None` when it was not sent."""
        self.read.add(name)
        value = self.values.get(name)
        if value == "":
            raise Refused(-1105, f"Parameter '{name}' was empty.")
        return value

    def mandatory(self, name: str) -> str:
        """Return a parameter that must be sent."""
        value = self.text(name)
        if value is None:
            raise Refused(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        return value

    def integer(self, name: str, low: int = 0, high: int = 2**63 - 1) -> int | None:
        """Return a whole number."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?[0-9]{1,20}", value):
            raise Refused(
                -1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
            )
        number = int(value)
        if not low <= number <= high:
            raise invalid(name)
        return number

    def limit(self, default: int = 500, most: int = 1000) -> int:
        """Return how many items are wanted. More than the most count as the most."""
        number = self.integer("limit", low=1)
        return default if number is None else min(number, most)

    def times(self) -> tuple[int | None, int | None]:
        """Return `startTime` and `endTime` in ms. They may be given in milliseconds or microseconds."""
        start, end = self.integer("startTime"), self.integer("endTime")
        return (
            None if start is None else in_milliseconds(start, rounds_up=True),
            None if end is None else in_milliseconds(end),
        )

    def time_zone_ms(self) -> int:
        """Return the offset of `timeZone` from UTC, such as `-1:00` or `8`, in ms."""
        value = self.text("timeZone")
        found = _ZONE.fullmatch(value or "0")
        minutes = 0
        if found is not None:
            minutes = int(found[2]) * 60 + int(found[3] or 0)
            minutes = -minutes if found[1] == "-" else minutes
        if found is None or minutes not in _ZONE_MINUTES:
            raise invalid("timeZone")
        return minutes * 60_000

    def ticker_type(self) -> str:
        """Return `FULL` or `MINI`."""
        kind = self.text("type") or "FULL"
        if kind not in ("FULL", "MINI"):
            raise Refused(-1139, "Invalid ticker type.")
        return kind

    def status(self) -> str | None:
        """Return the `symbolStatus` that is wanted; `None` for any."""
        status = self.text("symbolStatus")
        if status is not None and status not in _STATUSES:
            raise Refused(-1122, "Invalid symbolStatus.")
        return status

    def finish(self) -> None:
        """Refuse parameters that nobody has read."""
        if unread := set(self.values) - self.read:
            sent = len(self.values)
            raise Refused(
                -1104,
                f"Not all sent parameters were read; read '{sent - len(unread)}' parameter(s) "
                f"but was sent '{sent}'.",
            )


def invalid(name: str) -> Refused:
    """Return the error for a value out of range."""
    return Refused(-1130, f"Data sent for parameter '{name}' is not valid.")


def rules_of(source: Source, symbol: str) -> SymbolRules:
    """Return the rules of a symbol that a client has named."""
    rules = source.rules.get(symbol)
    if rules is not None:
        return rules
    if not _SYMBOL.fullmatch(symbol):
        raise Refused(
            -1100,
            r"Illegal characters found in parameter 'symbol'; legal range is '^[\w\-._&&[^a-z]]{1,50}$'.",
        )
    raise Refused(-1121, "Invalid symbol.")


def symbols_in(query: Query, source: Source, *, most: int | None = None) -> list[SymbolRules] | None:
    """Return the symbols of the parameter `symbols`; `None` when it was not sent."""
    text = query.text("symbols")
    if text is None:
        return None
    try:
        names = msgspec.json.decode(text, type=list[str])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise Refused(-1100, "Illegal characters found in parameter 'symbols'.") from None
    if not names:
        raise Refused(-1105, "Parameter 'symbols' was empty.")
    if len(set(names)) < len(names):
        raise Refused(-1151, "Symbol is present multiple times in the list.")
    if most is not None and len(names) > most:
        raise Refused(-1101, f"Too many parameters; expected '{most}' and received '{len(names)}'.")
    return [rules_of(source, name) for name in names]
