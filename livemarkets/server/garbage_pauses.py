"""Measures garbage collections: nothing else runs in the process meanwhile."""

from __future__ import annotations

import contextlib
import gc
import time

from livemarkets.server.histogram import Histogram

__all__ = ["GarbagePauses"]

_BOUNDS_SECONDS = (0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_GENERATIONS = 3


class GarbagePauses:
    """How long garbage collections took, from :meth:`start` to :meth:`stop`."""

    def __init__(self) -> None:
        self.by_generation = tuple(Histogram(_BOUNDS_SECONDS) for _ in range(_GENERATIONS))
        """Seconds, by the oldest generation that was collected; 2 is a full collection."""
        self._began = 0.0

    def start(self) -> None:
        """Measure from now on."""
        gc.callbacks.append(self._note)

    def stop(self) -> None:
        """Measure no longer. Idempotent."""
        with contextlib.suppress(ValueError):
            gc.callbacks.remove(self._note)

    def _note(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        elif self._began:
            self.by_generation[info["generation"]].add(time.perf_counter() - self._began)
