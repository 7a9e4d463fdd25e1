"""Hold what programs were told against what their frames brought: every id once, or declared."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.clients.reading import Line, Order, read_lines

__all__ = ["check"]


def check(folder: Path, symbols: Sequence[str], orders: Sequence[Order]) -> str:
    """Check everything that is in a folder, and return it in figures.

    Args:
        folder: where :mod:`tests.clients.reading` wrote.
        symbols: what it subscribed.
        orders: by run, the order.

    """
    lines = read_lines(folder / "items.jsonl")
    counted = Counter[str]()
    for symbol in symbols:
        told = [line for line in lines if line.symbol == symbol]
        texts: dict[int, str] = {}
        for line in told:
            if line.kind == "trade":
                assert texts.setdefault(line.first, line.text) == line.text, f"another trade: {line}"
            else:
                counted[f"{line.kind} {line.text}".strip()] += 1
        counted["trades"] += len(texts)
        after: int | None = None
        for run, part in itertools.groupby(told, key=lambda line: line.run):
            hold_order = in_order if orders[run] == "id" else each_once
            after = hold_order(after, part)
    assert not {"gap undeclared", "pending taken back"} & counted.keys(), counted
    for run in range(len(orders)):
        mine = [line for line in lines if line.run == run and line.kind == "trade"]
        before = {line.symbol: line.position for line in lines if line.run < run}
        brought = brought_by(folder / f"frames-{run}.jsonl", before, symbols)
        for symbol in symbols:
            given = [(line.first, line.text) for line in mine if line.symbol == symbol]
            assert given == brought[symbol][: len(given)], (run, symbol)
    return f"{dict(counted)}; runs: {dict(Counter(orders))}"


def in_order(after: int | None, lines: Iterator[Line]) -> int | None:
    """In order of ids, each item goes on where the one before ended."""
    for line in lines:
        assert line.kind != "pending", line
        assert after is None or line.first == after + 1, (after, line)
        assert line.position == line.last, line
        after = line.last
    return after


def each_once(after: int | None, lines: Iterator[Line]) -> int | None:
    """In order of arrival, each id is settled once, and the position is the one before the first open one."""
    settled: set[int] = set()
    pending: set[int] = set()
    position = after
    for line in lines:
        ids = set(range(line.first, line.last + 1))
        assert ids
        assert not ids & settled, f"{line} again"
        assert after is None or line.first > after, (after, line)
        if line.kind == "pending":
            assert not ids & pending, f"{line} again"
            pending |= ids
        else:
            pending -= ids
            settled |= ids
        position = line.position
        # The whole account takes long, so it is drawn up where something was pending.
        if line.kind == "pending" or not pending:
            assert position == min(pending, default=max(settled, default=0) + 1) - 1, line
    known = settled | pending
    if known:
        begin = min(known) if after is None else after + 1
        assert len(known) == max(known) + 1 - begin, f"{after}: ids are missing in {begin} to {max(known)}"
    return position


def brought_by(
    frames: Path, before: dict[str, int], symbols: Sequence[str]
) -> dict[str, list[tuple[int, str]]]:
    """The trades in frames, by symbol, as they came: each id once, without what came before."""
    had: dict[str, set[int]] = {symbol: set() for symbol in symbols}
    found: dict[str, list[tuple[int, str]]] = {symbol: [] for symbol in symbols}
    for frame in frames.read_bytes().rpartition(b"\n")[0].splitlines():
        message = json.loads(frame, parse_float=str)
        if message["type"] in ("gap", "lagged") and message.get("cause") != "pending":
            # In order of arrival, such a trade may yet come after a reconnect. It is not given.
            had[message["symbol"]].update(range(message["from_id"], message["to_id"] + 1))
        elif message["type"] in ("trade", "snapshot"):
            for trade in message.get("data", [message]):
                symbol, number = trade["symbol"], trade["id"]
                if number > before.get(symbol, 0) and number not in had[symbol]:
                    had[symbol].add(number)
                    found[symbol].append((number, f"{trade['price']} {trade['size']} {trade['side']}"))
    return found
