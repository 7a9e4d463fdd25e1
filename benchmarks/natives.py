"""The C programs: compiled when they are first needed, and again when their source has changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import zlib
from pathlib import Path

from benchmarks.programs import ROOT, BenchmarkError

__all__ = ["RESULTS", "compiler", "native"]

_SOURCES = ROOT / "benchmarks" / "c"
RESULTS = ROOT / "benchmarks" / "results"
"""What the benchmarks leave behind; ignored by git."""


def compiler() -> str | None:
    """Return the C compiler; `None` where there is none."""
    return os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), None)


def native(name: str) -> Path:
    """Return the executable made of `c/<name>.c`.

    Raises:
        BenchmarkError: there is no C compiler, or it refuses.

    """
    source = _SOURCES / f"{name}.c"
    texts = [source.read_bytes(), *(header.read_bytes() for header in sorted(_SOURCES.glob("*.h")))]
    program = RESULTS / "bin" / f"{name}-{zlib.crc32(b''.join(texts)):08x}"
    if program.exists():
        return program
    found = compiler()
    if found is None:
        raise BenchmarkError(
            "the load generator is written in C and there is no C compiler here; "
            "on Debian and Ubuntu: sudo apt-get install gcc libc6-dev"
        )
    program.parent.mkdir(parents=True, exist_ok=True)
    command = [found, "-O2", "-Wall", "-o", str(program), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)} failed:\n{done.stderr}")
    return program
