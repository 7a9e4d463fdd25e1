"""A program that uses the client library, run as a process that may be killed or stopped at any time.

It appends each item to a file before it asks for the next one; the position from which it goes on when it is
started again is what that file says. Beside it, it keeps the frames as they came.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import Literal

import msgspec

from livemarkets_client import Gap, Lagged, Pending, Timings, Trade, Transition, connect

__all__ = ["Line", "Order", "Reading", "read_lines"]

Order = Literal["id", "arrival"]


class Line(msgspec.Struct):
    """One item. It has the position of its symbol once it was read."""

    run: int
    kind: Literal["trade", "gap", "lagged", "pending"]
    symbol: str
    first: int
    last: int
    text: str
    position: int


class Reading(msgspec.Struct):
    """What the process is told: one line of JSON on its command line."""

    url: str
    symbols: list[str]
    folder: str
    run: int
    """How often it has been started before."""
    sleeps: bool
    """Whether it sleeps now and then."""
    order: Order

    @property
    def items(self) -> Path:
        return Path(self.folder, "items.jsonl")

    @property
    def frames(self) -> Path:
        return Path(self.folder, f"frames-{self.run}.jsonl")


def read_lines(path: Path) -> list[Line]:
    """What was written; a torn last line was not."""
    whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    return [msgspec.json.decode(line, type=Line) for line in whole.splitlines()]


def line_of(run: int, item: Trade | Gap | Lagged | Pending, position: int) -> Line:
    match item:
        case Trade():
            text = f"{item.price} {item.size} {item.side}"
            return Line(run, "trade", item.symbol, item.id, item.id, text, position)
        case Gap():
            return Line(run, "gap", item.symbol, item.from_id, item.to_id, item.cause, position)
        case Pending():
            text = "taken back" if item.takes_back else ""
            return Line(run, "pending", item.symbol, item.from_id, item.to_id, text, position)
    return Line(run, "lagged", item.symbol, item.from_id, item.to_id, item.by, position)


def say(transition: Transition) -> None:
    print(f"{transition.state.name} {transition.code} {transition.reason}", flush=True)  # noqa: T201


async def run(reading: Reading) -> None:
    after = {line.symbol: line.position for line in read_lines(reading.items)}
    timings = Timings(
        first_pause_seconds=0.05, longest_pause_seconds=0.3, too_slow_pause_seconds=0.3, silence_seconds=2.0
    )
    with reading.frames.open("wb", buffering=0) as frames, reading.items.open("ab", buffering=0) as items:

        def keep(raw: bytes) -> None:
            frames.write(raw + b"\n")

        options = {"proxy": None, "timings": timings, "on_state": say, "on_frame": keep}
        async with connect(reading.url, **options) as markets:  # type: ignore[arg-type]
            trades = markets.trades(*reading.symbols, after=after, buffer=200, order=reading.order)
            async for item in trades:
                line = line_of(reading.run, item, trades.position()[item.symbol])
                items.write(msgspec.json.encode(line) + b"\n")
                if reading.sleeps and random.random() < 0.002:
                    await asyncio.sleep(random.uniform(0, 0.4))


if __name__ == "__main__":
    asyncio.run(run(msgspec.json.decode(sys.argv[1], type=Reading)))
