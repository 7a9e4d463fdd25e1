"""Logging: loguru is the one sink, on stderr; what libraries log through the stdlib is led into it.

The log tells a story: connect, subscribe, lose and retry at INFO and WARNING with bound fields, nothing per
trade. `logger.bind(symbol=…)` binds a field: a key of the JSON line, `symbol='…'` behind the text. What the
outside world can repeat at will passes `livemarkets.rate_limit.LogLimiter` first.
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

from livemarkets.rate_limit import LogLimiter

if TYPE_CHECKING:
    from loguru import Message, Record

__all__ = ["setup"]

QUIET_LOGGERS = ("asyncio", "engineio", "httpcore", "httpx", "nicegui", "socketio", "uvicorn", "websockets")
"""Libraries that are heard from WARNING on. At INFO they repeat what we log, and uvicorn prints whole
addresses, in which a token or NiceGUI's client id may stand."""

_COLOURS = {"DEBUG": "36", "SUCCESS": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
# Text from outside must neither begin a line of its own in the log nor steer a terminal.
_CONTROL_CHARACTERS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}


def setup(level: str, json_lines: bool) -> None:
    """Make loguru on stderr the only place that log records go to. A second call replaces the first.

    Args:
        level: the least severe level that is written, a name of loguru's.
        json_lines: one JSON object a line (`ts`, `level`, `logger`, `caller`, `message`, the bound fields,
            and `exception` where there is one) in place of text for people.

    """
    logger.remove()
    logger.add(
        _write_json if json_lines else _write_text,
        level=level,
        format=_no_format,
        backtrace=False,
        diagnose=False,  # would print the values of variables, a token among them
    )
    _lead_in_stdlib(logger.level(level).no)


def _lead_in_stdlib(level_number: int) -> None:
    for name in list(logging.root.manager.loggerDict):
        # A library that brought its own handler would write every line twice.
        other = logging.getLogger(name)
        other.handlers = []
        other.propagate = True
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(level_number, logging.WARNING))
    logging.root.handlers = [_Intercept()]
    logging.root.setLevel(level_number)
    logging.captureWarnings(True)


class _Intercept(logging.Handler):
    """Hands a stdlib record on to loguru, with its level, its logger's name and the place that logged it.

    The web server warns of each bad request, of which anybody can send as many as he likes: one line of each
    kind a minute is enough.
    """

    def __init__(self) -> None:
        super().__init__()
        self._limiter = LogLimiter(interval_seconds=60.0, clock=time.monotonic)

    def emit(self, record: logging.LogRecord) -> None:
        is_about_a_client = record.name == "uvicorn.error" and record.levelno == logging.WARNING
        if is_about_a_client and self._limiter.suppressed_since_last(str(record.msg)) is None:
            return
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # the arguments do not fit the text: still better than nothing
            message = f"{record.msg} {record.args!r}"
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        bound = logger.bind(logger=record.name)
        bound.opt(depth=_caller_depth(), exception=record.exc_info).log(level, "{}", message)


def _caller_depth() -> int:
    """How many frames above `emit` the code stands that called logging."""
    frame: FrameType | None = sys._getframe(1)
    depth = 0
    while frame is not None and (depth == 0 or frame.f_code.co_filename == logging.__file__):
        frame = frame.f_back
        depth += 1
    return depth


def _no_format(record: "Record") -> str:
    """The writers build their lines from the record itself, so loguru need not format one."""
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
    """The stdlib logger's name, else the module's that called loguru."""
    return str(record["extra"].get("logger") or record["name"])


def _traceback(record: "Record") -> str:
    exception = record["exception"]
    if exception is None:
        return ""
    return "".join(traceback.format_exception(exception.type, exception.value, exception.traceback))


def _plain(value: object) -> object:
    """A value that JSON has; everything else as text."""
    if (
        value is None
        or isinstance(value, (str, bool, int))
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return value
    return str(value)
