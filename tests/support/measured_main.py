"""`main.py` as shipped, which tells what held its event loop: a line of JSON for each line of its input.

In CPU time of the loop's thread, for the machine's other work is not the loop's. After a line `collect`, it
first collects all garbage there is, frozen or not.
"""

from __future__ import annotations

import asyncio
import gc
import runpy
import socket
import sys
import threading
import time
from collections import Counter

import msgspec

from livemarkets.server import run
from tests.support.helpers import PROJECT_ROOT

TICK_SECONDS = 0.001
STEP_MS = 0.01


class Held(msgspec.Struct):
    """What held the loop since the line before."""

    ticks: int = 0
    """How often a timer of 1 ms came."""
    p999_ms: float = 0.0
    """CPU time between two ticks: all but one of a thousand took less."""
    longest_ms: float = 0.0
    collections: list[int] = msgspec.field(default_factory=lambda: [0, 0, 0])
    """Garbage collections, by generation."""
    collections_ms: list[float] = msgspec.field(default_factory=list)
    """The three longest, the longest first. A machine that is itself a guest may stop: one is no proof."""
    unfreed: int = 0
    """Objects that were garbage and could be freed by a collection only."""
    looked_at: int = 0
    """Objects at which a full collection would look now."""


class Turns:
    """How long turns took, counted by their length: a list would grow by 2 MB a minute, as if the app did."""

    def __init__(self) -> None:
        self.count = 0
        self.longest_ms = 0.0
        self._counts: Counter[int] = Counter()  # by length in steps

    def add(self, milliseconds: float) -> None:
        self.count += 1
        self.longest_ms = max(self.longest_ms, milliseconds)
        self._counts[int(milliseconds / STEP_MS)] += 1

    def p999_ms(self) -> float:
        """What all but one of a thousand took less than, within a step."""
        beyond = self.count // 1000
        for step, count in sorted(self._counts.items(), reverse=True):
            beyond -= count
            if beyond < 0:
                return min((step + 1) * STEP_MS, self.longest_ms)
        return 0.0


class _Meter:
    def __init__(self) -> None:
        self._turns = Turns()
        self._at = self._collection_began = 0.0
        self._held = Held()

    def tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.thread_time()
        self._turns.add(1000 * (now - self._at))
        loop.call_later(TICK_SECONDS, self.tick, loop)
        self._at = time.thread_time()

    def note_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collection_began = time.thread_time()
            return
        took_ms = 1000 * (time.thread_time() - self._collection_began)
        self._held.collections[info["generation"]] += 1
        self._held.collections_ms = sorted([*self._held.collections_ms, took_ms], reverse=True)[:3]
        self._held.unfreed += info["collected"]

    def answer(self) -> None:
        for line in sys.stdin:
            if line.strip() == "collect":
                gc.unfreeze()
                gc.collect()
            held, self._held = self._held, Held()
            held.looked_at = len(gc.get_objects())
            turns, self._turns = self._turns, Turns()
            held.ticks, held.p999_ms, held.longest_ms = turns.count, turns.p999_ms(), turns.longest_ms
            print(msgspec.json.encode(held).decode(), flush=True)  # noqa: T201


async def _measured_startup(self: run._Server, sockets: list[socket.socket] | None = None) -> None:
    await _startup(self, sockets)
    meter = _Meter()
    gc.callbacks.append(meter.note_collection)
    meter.tick(asyncio.get_running_loop())
    threading.Thread(target=meter.answer, daemon=True, name="meter").start()


_startup = run._Server.startup

if __name__ == "__main__":
    run._Server.startup = _measured_startup  # type: ignore[method-assign]
    sys.argv = [str(PROJECT_ROOT / "main.py")]
    runpy.run_path(sys.argv[0], run_name="__main__")
