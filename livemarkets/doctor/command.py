"""The command line: `python -m livemarkets doctor`."""

from __future__ import annotations

import asyncio
import io
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from livemarkets.config.settings import Settings, load, outbound_variables
from livemarkets.doctor.checks import CHECKS
from livemarkets.doctor.limits import Limits
from livemarkets.doctor.observe import Observer
from livemarkets.doctor.record import Record
from livemarkets.doctor.report import as_json, as_text, summary
from livemarkets.doctor.values import judge
from livemarkets.errors import SettingsError
from livemarkets.exchanges.outbound import Outbound
from livemarkets.market.clock import system_clock

__all__ = ["main"]

_ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 180.0
_SECONDS_BOUNDS = (1.0, 3600.0)
_MOST_SYMBOLS = 10
_PASSED, _FAILED, _CANNOT_RUN, _INTERRUPTED = 0, 1, 2, 130


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with a message of one line."""
        self.exit(_CANNOT_RUN, f"{self.prog}: {message}; see --help\n")


def main(arguments: Sequence[str] | None = None, limits: Limits | None = None) -> int:
    """Run the program. Return the exit code.

    Args:
        arguments: the words after `doctor`; `None` takes those of the process.
        limits: the limits that decide; `None` for those that the product relies on.

    """
    options = _parser().parse_args(arguments)
    try:
        settings = load(_ROOT, options=_settings_of(options))
        _check_file(options.json)
    except (SettingsError, OSError) as error:
        return _cannot_run(str(error))
    if len(settings.default_symbols) > _MOST_SYMBOLS:
        return _cannot_run(f"--symbols names more than {_MOST_SYMBOLS} symbols")
    record = Record(limits or Limits(), settings.default_symbols, options.seconds)
    is_interrupted = False
    try:
        asyncio.run(_observe(record, settings))
    except KeyboardInterrupt:
        is_interrupted = True
        record.end = "it was interrupted"
    return _report(record, options.json, is_interrupted)


def _parser() -> ArgumentParser:
    parser = _Parser(
        prog="python -m livemarkets doctor",
        description="Talks to the exchange for three minutes, and checks every assumption that Live Markets "
        "makes of it. It needs no key, sends no order and stores no price. See docs/doctor.md.",
        epilog="Exit code 0: every check that could be made passed; 1: a check failed; 2: it cannot run; "
        "130: interrupted, and nothing had failed.",
        allow_abbrev=False,
    )
    low, high = _SECONDS_BOUNDS
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=_SECONDS,
        help=f"how long to observe, {low:g} to {high:g}; default 180",
    )
    parser.add_argument(
        "--symbols", help="symbols to observe, such as BTCUSDT,ETHUSDT; default: LIVE_DEFAULT_SYMBOLS"
    )
    parser.add_argument("--json", metavar="FILE", help="write the report as JSON; - for the standard output")
    parser.add_argument("--ws-url", help="addresses of the streams; default: LIVE_BINANCE_WS_URL")
    parser.add_argument("--rest-url", help="addresses of REST; default: LIVE_BINANCE_REST_URL")
    return parser


def _seconds(text: str) -> float:
    low, high = _SECONDS_BOUNDS
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not low <= value <= high:
        raise ArgumentTypeError(f"{text[:20]!r} is not a number from {low:g} to {high:g}")
    return value


def _settings_of(options: Namespace) -> Mapping[str, str]:
    given = {
        "default_symbols": options.symbols,
        "binance_ws_url": options.ws_url,
        "binance_rest_url": options.rest_url,
    }
    return {name: value for name, value in given.items() if value is not None}


def _check_file(name: str | None) -> None:
    """Find out before three minutes have passed whether the file can be written."""
    if name not in (None, "-"):
        with open(str(name), "ab"):
            pass


async def _observe(record: Record, settings: Settings) -> None:
    outbound = Outbound(settings.proxy_url.get_secret_value(), outbound_variables())
    urls = settings.binance_ws_url, settings.binance_rest_url
    observer = Observer(record, system_clock(), *urls, outbound, _say_progress)
    _say_progress(f"observing {', '.join(settings.default_symbols)} for {record.seconds:g} s; Ctrl-C ends it")
    await observer.run()


def _report(record: Record, json_file: str | None, is_interrupted: bool) -> int:
    if not record.reached("stream") and not record.reached("rest"):
        if is_interrupted:
            return _cannot_run("interrupted before an address was reached")
        reasons = [channel.failure for channel in record.channels] + [each.failure for each in record.answers]
        return _cannot_run(f"no address of the exchange can be reached: {'; '.join(_once(reasons))}")
    findings = judge(CHECKS, record)
    out = sys.stderr if json_file == "-" else sys.stdout
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors="backslashreplace")  # symbols may have letters that a terminal lacks
    out.write(as_text(record, findings, colours=out.isatty()))
    out.flush()
    try:
        if json_file == "-":
            sys.stdout.buffer.write(as_json(record, findings))
            sys.stdout.flush()
        elif json_file is not None:
            Path(json_file).write_bytes(as_json(record, findings))
    except OSError as error:
        return _cannot_run(str(error))
    if summary(findings)["fail"]:
        return _FAILED
    return _INTERRUPTED if is_interrupted else _PASSED


def _once(texts: Sequence[str | None]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))


def _cannot_run(reason: str) -> int:
    sys.stderr.write(f"doctor: {reason}\n")
    return _CANNOT_RUN


def _say_progress(text: str) -> None:
    sys.stderr.write(f"doctor: {text}\n")
    sys.stderr.flush()
