"""What the contestants share: the arguments, and the meter that ends them."""

from __future__ import annotations

import argparse
import json
import os
import time

__all__ = ["STREAM", "Meter", "parse_arguments"]

STREAM = "btcusdt@trade"
_WARM_UP = 500


def parse_arguments() -> argparse.Namespace:
    """Return `port`, `trades`, `library`, and `second_port` for the second leg of who has one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--trades", type=int, required=True)
    parser.add_argument("--library", default="")
    parser.add_argument("--second-port", type=int, default=0)
    return parser.parse_args()


class Meter:
    """Counts trades; with the last it tells the CPU time used since the first, and ends the process."""

    def __init__(self, trades: int) -> None:
        self._seen = 0
        self._wanted = trades
        self._started: os.times_result | None = None
        self._first = 0

    def count(self) -> None:
        """Count one trade."""
        self._seen += 1
        if self._seen == _WARM_UP or self._seen == self._wanted:
            self.reach(self._seen)

    def reach(self, seen: int) -> None:
        """Take note that so many trades have been seen; for who counts by itself."""
        if self._started is None:
            if seen >= _WARM_UP:
                self._started, self._first = os.times(), seen
                self._cpu = time.process_time()
        elif seen >= self._wanted:
            now, cpu = os.times(), time.process_time()
            used = {
                "user": now.user - self._started.user,
                "system": now.system - self._started.system,
                "total": cpu - self._cpu,
                "wall": now.elapsed - self._started.elapsed,
                "trades": seen - self._first,
            }
            print(json.dumps(used), flush=True)
            os._exit(0)  # libraries differ in how they end; here nothing is left to save
