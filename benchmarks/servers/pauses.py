"""`main.py` as shipped, asked from outside how long its garbage collections took."""

from __future__ import annotations

import gc
import json
import runpy
import sys
import threading
import time
from typing import Any

from benchmarks.programs import ROOT
from benchmarks.servers.contract import say


class _Pauses:
    """The collections since start-up ended, which `gc.freeze()` tells, and the longest, by generation.

    In CPU time: a browser that starts beside the app takes its core away for longer than any collection.
    """

    def __init__(self) -> None:
        self._began = 0.0
        self._is_running = False
        self._counts = [0, 0, 0]
        self._longest_ms = [0.0, 0.0, 0.0]

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began = time.thread_time()
            return
        took_ms = 1000 * (time.thread_time() - self._began)
        if self._is_running or gc.get_freeze_count():  # it counts all of them, which takes long
            self._is_running = True
            generation = info["generation"]
            self._counts[generation] += 1
            self._longest_ms[generation] = max(self._longest_ms[generation], took_ms)

    def answer(self) -> None:
        """Tell what there was since the last line of standard input, for each."""
        for _ in sys.stdin:
            say(json.dumps({"counts": self._counts, "longest_ms": self._longest_ms}))
            self._counts, self._longest_ms = [0, 0, 0], [0.0, 0.0, 0.0]


if __name__ == "__main__":
    pauses = _Pauses()
    gc.callbacks.append(pauses)
    threading.Thread(target=pauses.answer, daemon=True, name="pauses").start()
    sys.argv = [str(ROOT / "main.py")]
    runpy.run_path(sys.argv[0], run_name="__main__")
