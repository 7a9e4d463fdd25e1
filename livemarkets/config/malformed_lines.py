"""Which lines of a settings file the library that reads it cannot parse. No I/O."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

__all__ = ["malformed_lines"]


class _Collector(logging.Handler):
    def __init__(self, lines: list[int]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Note the line that a record is about. Its number is the only argument."""
        if isinstance(record.args, tuple):
            self._lines += [number for number in record.args if isinstance(number, int)]


@contextlib.contextmanager
def malformed_lines() -> Iterator[list[int]]:
    """Collect the numbers of such lines, which the library only logs, and keep its log lines back."""
    lines: list[int] = []
    library = logging.getLogger("dotenv.main")
    collector, propagates = _Collector(lines), library.propagate
    library.addHandler(collector)
    library.propagate = False
    try:
        yield lines
    finally:
        library.removeHandler(collector)
        library.propagate = propagates
