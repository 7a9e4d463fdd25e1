"""The program `livemarkets-client`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NoReturn

from livemarkets_client.errors import LiveMarketsError
from livemarkets_client.version import __version__

__all__ = ["argument_parser", "main"]

TOKEN_VARIABLE = "LIVEMARKETS_TOKEN"
_CHANNELS = ("trades", "tickers", "book", "depth", "depth:5", "depth:10", "depth:20")
_TABLE_CHANNELS = ("trades", "tickers", "book", "depth", "candles")
_URL = "ws://127.0.0.1:8080/ws/markets"


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with a message of one line."""
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Return the exit code: 0, or 1 when it cannot be done."""
    options = argument_parser().parse_args(arguments)
    if options.command == "convert":
        return _convert(options)
    try:
        return asyncio.run(_until_interrupted(options))
    except KeyboardInterrupt:  # where signals cannot be handled
        return 0


def argument_parser() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = _Parser(
        prog="livemarkets-client",
        description="Reads market data from a Live Markets server.",
        epilog=f"The access token, if the server asks for one, is read from the variable {TOKEN_VARIABLE}.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"livemarkets-client {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    watching = commands.add_parser("watch", help="a live table in the terminal", allow_abbrev=False)
    watching.add_argument("symbols", nargs="+", metavar="SYMBOL")
    recording = commands.add_parser(
        "record",
        help="write frames into files, and go on when started again",
        description="Writes frames with the times at which they came into gzip files, which are numbered. "
        "It may be ended at any time; started again with the same --out, it goes on behind what is written.",
        allow_abbrev=False,
    )
    recording.add_argument("--symbols", required=True, type=_names, help="such as BTCUSDT,ETHUSDT")
    recording.add_argument(
        "--channels",
        default=["trades"],
        type=_channels,
        help="such as trades,book,depth:5,tickers,candles:1m; trades unless it is given",
    )
    recording.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="trades.jsonl.gz: trades-000001.jsonl.gz, …"
    )
    recording.add_argument(
        "--rotate-mb", type=_megabytes, default=100.0, help="begin another file after so many megabytes (100)"
    )
    recording.add_argument(
        "--from-start", action="store_true", help="begin with the oldest trades that can be had"
    )
    converting = commands.add_parser(
        "convert",
        help="make a CSV or Parquet table of a recording",
        description="Makes a table of what was recorded: nothing twice, with the exchange's digits. "
        "Parquet needs pyarrow.",
        allow_abbrev=False,
    )
    converting.add_argument(
        "recording", type=Path, metavar="RECORDING", help="what --out was, or one of its files"
    )
    converting.add_argument(
        "table", type=Path, metavar="TABLE", help="trades.csv, trades.csv.gz, trades.parquet"
    )
    converting.add_argument(
        "--channel",
        default="trades",
        type=_table_channel,
        help="such as book or candles:1m; trades unless given",
    )
    converting.add_argument("--gaps", type=Path, metavar="TABLE", help="another table, of what is missing")
    converting.add_argument(
        "--floats", action="store_true", help="in Parquet, prices and sizes as floating-point numbers"
    )
    for command in (watching, recording):
        command.add_argument("--url", default=_URL, help=f"of the server ({_URL})")
        command.add_argument("--exchange", default="binance", help="binance unless it is given")
    return parser


def _names(text: str) -> list[str]:
    names = [name for part in text.split(",") if (name := part.strip())]
    if not names:
        raise ArgumentTypeError("name at least one")
    return names


def _channels(text: str) -> list[str]:
    names = _names(text)
    for name in names:
        kind, _, parameter = name.partition(":")
        if name not in _CHANNELS and not (kind == "candles" and parameter):
            raise ArgumentTypeError(f"{name!r} is none of {', '.join(_CHANNELS)}, candles:1m")
    return names


def _table_channel(text: str) -> str:
    if text.partition(":")[0] != "candles" and text not in _TABLE_CHANNELS:
        raise ArgumentTypeError(f"{text!r} is none of {', '.join(_TABLE_CHANNELS)}, candles:1m")
    return text


def _megabytes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e6:
        raise ArgumentTypeError(f"{text!r} is no number above 0")
    return number


async def _until_interrupted(options: Namespace) -> int:
    # What the library warns of is said here, or stands in the table.
    log = logging.getLogger("livemarkets_client")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, stop.set)
    command: Callable[[Namespace, asyncio.Event], Awaitable[None]] = (
        _watch if options.command == "watch" else _record
    )
    try:
        await command(options, stop)
    except (LiveMarketsError, OSError, ValueError) as error:
        _say(f"livemarkets-client: {error}")
        return 1
    return 0


async def _watch(options: Namespace, stop: asyncio.Event) -> None:
    from livemarkets_client.live_table import watch

    token = os.environ.get(TOKEN_VARIABLE)
    await watch(options.url, options.symbols, exchange=options.exchange, token=token, stop=stop)


async def _record(options: Namespace, stop: asyncio.Event) -> None:
    from livemarkets_client.record import Options, record

    await record(
        Options(
            url=options.url,
            token=os.environ.get(TOKEN_VARIABLE),
            exchange=options.exchange,
            symbols=options.symbols,
            channels=options.channels,
            out=options.out,
            rotate_bytes=int(options.rotate_mb * 2**20),
            from_start=options.from_start,
        ),
        stop,
        _progress if sys.stderr.isatty() else _say,
    )


def _convert(options: Namespace) -> int:
    from livemarkets_client.convert import Options, convert

    try:
        convert(
            Options(
                recording=options.recording,
                table=options.table,
                channel=options.channel,
                gaps=options.gaps,
                floats=options.floats,
            ),
            _say,
        )
    except (OSError, ValueError) as error:
        _say(f"livemarkets-client: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _progress(text: str) -> None:
    """Say it in the place of what was said before."""
    sys.stderr.write(f"\r\x1b[2K{text}")
    sys.stderr.flush()
