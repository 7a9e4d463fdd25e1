"""`livemarkets-client convert`: makes a table of a recording, and says what is missing in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple

from livemarkets_client.messages import UPDATES
from livemarkets_client.models import Candle, CandleGap, CandleLagged, Gap, Lagged
from livemarkets_client.recording import files_of, read
from livemarkets_client.tables import Table, TableError, columns_of, table_in

__all__ = ["Options", "convert"]

_WITH_GAPS = ("trades", "candles")


class Missing(Struct, frozen=True):
    """A row of the table of gaps of trades."""

    exchange: str
    symbol: str
    from_id: int
    to_id: int
    cause: str
    """Of a `Lagged`: `lagged`."""


class MissingCandles(Struct, frozen=True):
    """A row of the table of gaps of candles."""

    exchange: str
    symbol: str
    interval: str
    from_open_ts: int
    to_open_ts: int
    cause: str


class Options(Struct, frozen=True, kw_only=True):
    """What is to be made of what."""

    recording: Path
    """As it was given to `record --out`, or one of its files."""
    table: Path
    channel: str
    """`trades`, `tickers`, `book`, `depth`, `candles:1m`."""
    gaps: Path | None = None
    """The table of what is missing."""
    floats: bool = False


def convert(options: Options, say: Callable[[str], None]) -> None:
    """Write the tables. A file that is there is replaced once the new one is whole.

    Raises:
        TableError: the recording or the table makes no sense.
        OSError: a file cannot be read or written.

    """
    channel, _, interval = options.channel.partition(":")
    if options.gaps is not None and channel not in _WITH_GAPS:
        raise TableError(f"{channel} have no gaps: the newest update replaces those before")
    files = [options.recording] if options.recording.exists() else files_of(options.recording)
    if not files:
        raise TableError(f"{options.recording}: there is neither this file nor numbered ones")
    row = UPDATES[channel]
    gap_row = Missing if channel == "trades" else MissingCandles
    rows = gaps = 0
    with ExitStack() as stack:

        def opened(path: Path, kind: type[Struct]) -> Any:
            table = table_in(path, floats=options.floats)
            return stack.enter_context(_replacing(path, table, columns_of(kind)))

        add = opened(options.table, row)
        add_gap = opened(options.gaps, gap_row) if options.gaps is not None else None
        for item in read(*files):
            if isinstance(item, row):
                if not (isinstance(item, Candle) and interval not in ("", item.interval)):
                    add(astuple(item))
                    rows += 1
            elif (gap := _missing(item, channel, interval)) is not None:
                gaps += 1
                if add_gap is not None:
                    add_gap(astuple(gap))
    declared = f", {gaps:,} gaps" if channel in _WITH_GAPS else ""
    say(f"{options.table.name}: {rows:,} rows{declared}")


def _missing(item: Any, channel: str, interval: str) -> Missing | MissingCandles | None:
    cause = getattr(item, "cause", "lagged")
    match item:
        case Gap() | Lagged() if channel == "trades":
            return Missing(item.exchange, item.symbol, item.from_id, item.to_id, cause)
        case CandleGap() if channel == "candles" and interval in ("", item.interval):
            return MissingCandles(
                item.exchange, item.symbol, item.interval, item.from_open_ts, item.to_open_ts, cause
            )
        case CandleLagged():
            return None  # its candles follow
    return None


@contextmanager
def _replacing(path: Path, table: Table, columns: dict[str, type]) -> Iterator[Any]:
    """Open a table beside the file, and put it in its place when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name.partition('.')[0]}.part-{os.getpid()}{path.suffix}")
    try:
        with table(part, columns) as add:
            yield add
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
