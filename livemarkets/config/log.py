"""Logging: loguru writes to stderr, and records of the standard library's `logging` are forwarded to it.

Connections, subscriptions, losses and retries are logged at INFO and WARNING; single trades are never logged.
`logger.bind(symbol=…)` binds a field: a key of the JSON line, or `symbol='…'` after the text. Messages that a
peer can cause at any rate pass `livemarkets.rate_limit.LogLimiter` first.
"""

import json
import logging
import math
import sys
import time
import traceback
from datetime import UTC
from types import FrameType
from typing import TYPE_CHECKING

from loguru import logger

from livemarkets.config.log_volume import LogVolume
from livemarkets.rate_limit import LogLimiter

if TYPE_CHECKING:
    from loguru import Message, Record

__all__ = ["setup"]

QUIET_LOGGERS = ("asyncio", "engineio", "httpcore", "httpx", "nicegui", "socketio", "uvicorn", "websockets")
"""Libraries that are logged from WARNING on. At INFO they repeat our own lines, and uvicorn logs whole
addresses, which may contain a token or NiceGUI's client id."""

_ABOUT_PEERS = frozenset({"asyncio", "engineio", "nicegui", "socketio", "uvicorn"})
"""Libraries whose records the peers can cause."""
_LONGEST_MESSAGE = 500
_COLOURS = {"DEBUG": "36", "SUCCESS": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
# Text from a peer must not start a new log line or control a terminal.
_CONTROL_CHARACTERS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}


def setup(level: str, json_lines: bool) -> LogVolume:
    """Send all log records to loguru on stderr. A second call replaces the first.

    Args:
        level: the least severe level to write, a level name of loguru.
        json_lines: write one JSON object per line (`ts`, `level`, `logger`, `caller`, `message`, the bound
            fields, and `exception` if there is one) instead of text.

    Returns:
        What counts the lines from INFO on.

    """
    write, volume = _write_json if json_lines else _write_text, LogVolume(time.monotonic)

    def write_and_count(message: "Message") -> None:
        if message.record["level"].no >= logging.INFO:
            volume.note()
        write(message)

    logger.remove()
    logger.add(
        write_and_count,
        level=level,
        format=_no_format,
        backtrace=False,
        diagnose=False,  # would print the values of variables, a token among them
    )
    _lead_in_stdlib(logger.level(level).no)
    return volume


def _lead_in_stdlib(level_number: int) -> None:
    for name in list(logging.root.manager.loggerDict):
        # With a library's own handler, its lines would be written twice.
        other = logging.getLogger(name)
        other.handlers = []
        other.propagate = True
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(level_number, logging.WARNING))
    logging.root.handlers = [_Intercept()]
    logging.root.setLevel(level_number)
    logging.captureWarnings(True)


class _Intercept(logging.Handler):
    """Forwards a stdlib record to loguru, with its level, logger name and caller.

    Peers can send bad requests and bad page events at any rate, and the web server and the page framework log
    each one. So these records are limited to one per place in the code and minute, and shortened.
    """

    def __init__(self) -> None:
        super().__init__()
        self._limiter = LogLimiter(interval_seconds=60.0, clock=time.monotonic)

    def emit(self, record: logging.LogRecord) -> None:
        held_back = 0
        may_be_a_flood = record.name.partition(".")[0] in _ABOUT_PEERS
        if may_be_a_flood:
            allowed = self._limiter.suppressed_since_last(_place(record))
            if allowed is None:
                return
            held_back = allowed
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # the arguments do not match the format: log both
            message = f"{record.msg} {record.args!r}"
        if may_be_a_flood and len(message) > _LONGEST_MESSAGE:
            # The end of a traceback says what went wrong.
            half = _LONGEST_MESSAGE // 2
            message = f"{message[:half]} … {message[-half:]} ({len(message)} characters)"
        if held_back:
            message += f" ({held_back} similar messages not logged)"
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        bound = logger.bind(logger=record.name)
        bound.opt(depth=_caller_depth(), exception=record.exc_info).log(level, "{}", message)


def _place(record: logging.LogRecord) -> str:
    """Return where in the code a record comes from. Its text may be the choice of a peer."""
    raised = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
    return f"{record.name}:{record.pathname}:{record.lineno}:{raised}"


def _caller_depth() -> int:
    """Return how many frames above `emit` the caller of logging is."""
    frame: FrameType | None = sys._getframe(1)
    depth = 0
    while frame is not None and (depth == 0 or frame.f_code.co_filename == logging.__file__):
        frame = frame.f_back
        depth += 1
    return depth


def _no_format(record: "Record") -> str:
    """Return an empty format, because the writers build their lines from the record."""
    return ""


def _write_json(message: "Message") -> None:
    record = message.record
    line: dict[str, object] = {
        "ts": record["time"].astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record["level"].name,
        "logger": _logger_name(record),
        "caller": f"{record['name']}:{record['function']}:{record['line']}",
        "message": record["message"],
    }
    line |= {key: _plain(value) for key, value in record["extra"].items() if key not in line}
    if record["exception"]:
        line["exception"] = _traceback(record)
    sys.stderr.write(json.dumps(line) + "\n")


def _write_text(message: "Message") -> None:
    record = message.record
    level = record["level"].name
    colour = _COLOURS.get(level) if sys.stderr.isatty() else None
    shown_level = f"\x1b[{colour}m{level:<8}\x1b[0m" if colour else f"{level:<8}"
    fields = "".join(f" {key}={value!r}" for key, value in record["extra"].items() if key != "logger")
    text = record["message"].rstrip().translate(_CONTROL_CHARACTERS)
    time = f"{record['time']:%Y-%m-%d %H:%M:%S}.{record['time'].microsecond // 1000:03}"
    sys.stderr.write(f"{time} {shown_level} {_logger_name(record)}: {text}{fields}\n{_traceback(record)}")


def _logger_name(record: "Record") -> str:
    """Return the stdlib logger's name, or the name of the module that called loguru."""
    return str(record["extra"].get("logger") or record["name"])


def _traceback(record: "Record") -> str:
    exception = record["exception"]
    if exception is None:
        return ""
    return "".join(traceback.format_exception(exception.type, exception.value, exception.traceback))


def _plain(value: object) -> object:
    """Return a value that JSON supports; other values as text."""
    if (
        value is None
        or isinstance(value, (str, bool, int))
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return value
    return str(value)
