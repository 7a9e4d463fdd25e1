"""What a test needs besides this process: `make test-fast` leaves out whatever needs more.

Nobody keeps a list: its folder, its fixtures, and what its code can reach mark a test.
"""

from __future__ import annotations

import functools
import inspect
import subprocess
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

import pytest

MARKS = {
    "attack": "attacks a running app",
    "browser": "needs a real browser",
    "process": "starts a process",
    "long": "waits or computes for more than two seconds, or its file for more than four (marked by hand)",
}


def marks_of(item: pytest.Item) -> set[str]:
    """Which of `MARKS` follow from where this test lies and what it uses."""
    marks = set()
    if "attacks" in item.path.parts:
        marks.add("attack")
    if isinstance(item, pytest.Function):
        fixtures = item._fixtureinfo.name2fixturedefs
        if "chromium" in fixtures:
            marks.add("browser")
        used = [definitions[-1].func for definitions in fixtures.values()]
        if any(starts_a_process(function) for function in (item.function, *used)):
            marks.add("process")
    return marks


@functools.cache
def starts_a_process(function: Callable[..., Any]) -> bool:
    """Whether the code of a function, or of anything of the tests that it names, can start a process."""
    seen: set[int] = set()  # by identity, for not every value can be hashed
    waiting: list[object] = [function]
    while waiting:
        value = waiting.pop()
        if value is subprocess or getattr(value, "__name__", "") == "create_subprocess_exec":
            return True
        if id(value) not in seen:
            seen.add(id(value))
            waiting.extend(_named_by(value))
    return False


def _named_by(value: object) -> Iterator[Any]:
    """The global values that a function or class of the tests names, and their attributes that it names."""
    if isinstance(value, type) and value.__module__.startswith("tests"):
        yield from (part for part in vars(value).values() if isinstance(part, FunctionType))
        return
    function = inspect.unwrap(value) if callable(value) else None
    if not isinstance(function, FunctionType) or not function.__module__.startswith("tests"):
        return
    names = set(_names(function.__code__))
    for name in names & function.__globals__.keys():
        part = function.__globals__[name]
        yield part
        if inspect.ismodule(part):
            yield from (getattr(part, each) for each in names if hasattr(part, each))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _names(part)
