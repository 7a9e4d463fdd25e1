"""Puts results into `docs/performance.md`, each between its marks, with where and when it was taken."""

from __future__ import annotations

import datetime
import os
import platform
import re
from pathlib import Path

from benchmarks.programs import ROOT, BenchmarkError

__all__ = ["describe_machine", "record"]

_DOCUMENT = ROOT / "docs" / "performance.md"


def record(name: str, text: str, command: str) -> None:
    """Replace one benchmark's part of the document.

    Raises:
        BenchmarkError: the document has no marks for it.

    """
    marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
    document = _DOCUMENT.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(marks[0])}.*{re.escape(marks[1])}", re.DOTALL)
    if not pattern.search(document):
        raise BenchmarkError(f"{_DOCUMENT.name} has no marks {' … '.join(marks)}")
    day = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    part = f"{marks[0]}\n\n`{command}`, {day}, {describe_machine()}.\n\n{text.strip()}\n\n{marks[1]}"
    _DOCUMENT.write_text(pattern.sub(lambda _: part, document), encoding="utf-8")


def describe_machine() -> str:
    """Say in a line what this was measured on."""
    model = "unknown processor"
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"model name\s*: (.*)", information.read_text())
        model = found[1].strip() if found else model
    kernel = ".".join(platform.release().split(".")[:2])
    cores = os.cpu_count()
    return f"{cores} cores ({model}), {platform.system()} {kernel}, Python {platform.python_version()}"
