"""What is logged meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from loguru import logger


@contextlib.contextmanager
def logged() -> Iterator[list[str]]:
    """The lines of the log from INFO on, without time and level."""
    lines: list[str] = []
    handler = logger.add(lambda line: lines.append(str(line).rstrip("\n")), level="INFO", format="{message}")
    try:
        yield lines
    finally:
        logger.remove(handler)
