"""What the standalone simulator costs: its start, a wide market under load, the first use of every symbol."""

from __future__ import annotations

import contextlib
import gc
import http.client
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Self

from benchmarks.figures import Goal, Options, Report, Table, median, spread
from benchmarks.programs import BenchmarkError, Program, free_port
from livemarkets.simulator import SimulatedMarket
from livemarkets.simulator.market.symbols import DEFAULT_RULES

__all__ = ["run"]

_SYMBOLS = 400
_DEPTHS = 100
_RATE = 50
"""Trades a second of each symbol."""
_SECONDS = 15.0
_WARM_UP_SECONDS = 6.0
_FIRST_USE_MS = 4000
_BEGIN_MS = 1_700_000_000_300.0
_CHUNK = 1 << 20
_KINDS = ("trade", "depth@100ms", "kline_1m", "ticker", "!miniTicker@arr")
_COUNTED = {"trades": b'"e":"trade"', "depth events": b'"e":"depthUpdate"', "klines": b'"e":"kline"'}


class _Reader:
    """A connection that counts what it is sent, and decodes nothing."""

    def __init__(self, port: int, streams: Sequence[str]) -> None:
        self.counts = dict.fromkeys(_COUNTED, 0)
        self._socket = socket.create_connection(("127.0.0.1", port), 10.0)
        request = (
            f"GET /stream?streams={'/'.join(streams)} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n"
        )
        self._socket.sendall(request.encode())
        answer = self._socket.recv(_CHUNK)
        if not answer.startswith(b"HTTP/1.1 101"):
            raise BenchmarkError(f"the simulator refused {len(streams)} streams: {answer[:100]!r}")
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        self._socket.settimeout(None)
        with contextlib.suppress(OSError):
            while chunk := self._socket.recv(_CHUNK):
                for name, mark in _COUNTED.items():
                    self.counts[name] += chunk.count(mark)


def run(options: Options) -> Report:
    """Measure the load and the start with new processes, then the first use of every symbol."""
    names = [rules.symbol for rules in DEFAULT_RULES[:_SYMBOLS]]
    load = Table(
        f"{_SYMBOLS} symbols with {_RATE} trades/s each, all subscribed, with {_DEPTHS} `@depth@100ms` and "
        f"{_SYMBOLS} `@kline_1m`",
        ["round", "cores", "CPU µs/trade", *(f"{name}/s read" for name in _COUNTED), "MB"],
    )
    costs = []
    for number in range(options.rounds):
        options.say(f"simulator: load, round {number + 1}")
        cost_us, cells = _load(names, options.seconds(_SECONDS))
        costs.append(cost_us)
        load.add(str(number + 1), *cells)
    starts = []
    for number in range(options.rounds):
        options.say(f"simulator: start, round {number + 1}")
        with _started() as (_, _, start):
            starts.append(start)
    load.notes.append(f"start of the process to its first byte over HTTP: {spread(starts)} s")
    pieces = Table(
        f"The first use of {len(DEFAULT_RULES)} symbols, by subscribed stream: turns of the event loop",
        ["stream of every symbol", "longest turn, ms of CPU", "CPU of all turns in 4 s, s"],
    )
    longest = []
    for kind in _KINDS:
        options.say(f"simulator: first use, {kind}")
        turns = [_first_use(kind) for _ in range(options.rounds)]
        longest.append(median([most for most, _ in turns]))
        pieces.add(f"`{kind}`", spread([most for most, _ in turns], 1), spread([cpu for _, cpu in turns]))
    pieces.notes.append("measured in the benchmark's own process, without sockets: the market alone")
    # From the cost of a trade, since a busy machine may delay trades of one round to the next.
    cores = median(costs) * _SYMBOLS * _RATE / 1e6
    goals = [
        Goal(f"{_SYMBOLS * _RATE:,} trades/s with depth and klines, cores", cores, 1.0),
        Goal("start to the first byte, s", median(starts), 1.0),
        Goal("longest turn while every symbol is first used, ms of CPU", max(longest), 20.0, digits=1),
    ]
    return Report("simulator", [load, pieces], goals)


@contextlib.contextmanager
def _started(*arguments: str) -> Iterator[tuple[Program, int, float]]:
    """The simulator, its port, and the seconds from its start to the first byte over HTTP."""
    port, began = free_port(), time.monotonic()
    command = [sys.executable, "-m", "livemarkets.simulator", "--port", str(port), *arguments]
    with Program("the simulator", command) as venue:
        venue.wait_for_port(port)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10.0)
        connection.request("GET", "/api/v3/ping")
        connection.getresponse().read()
        connection.close()
        yield venue, port, time.monotonic() - began


def _load(names: Sequence[str], seconds: float) -> tuple[float, list[str]]:
    lower = [name.lower() for name in names]
    wanted = [
        [f"{name}@trade" for name in lower],
        [f"{name}@depth@100ms" for name in lower[:_DEPTHS]],
        [f"{name}@kline_1m" for name in lower],
    ]
    market = ["--symbols", ",".join(names), "--trades-per-second", str(_RATE)]
    with contextlib.ExitStack() as stack:
        venue, port, _ = stack.enter_context(_started(*market))
        readers = [stack.enter_context(_Reader(port, streams)) for streams in wanted]
        time.sleep(_WARM_UP_SECONDS)
        before, cpu, began = _sums(readers), venue.cpu(), time.monotonic()
        time.sleep(seconds)
        lasted, used, after = time.monotonic() - began, venue.cpu().since(cpu).total, _sums(readers)
        read = {name: after[name] - before[name] for name in _COUNTED}
        memory = venue.memory_bytes() / 2**20
    figures = [f"{count / lasted:,.0f}" for count in read.values()]
    cost_us = 1e6 * used / max(read["trades"], 1)
    return cost_us, [f"{used / lasted:.2f}", f"{cost_us:.1f}", *figures, f"{memory:.0f}"]


def _sums(readers: Sequence[_Reader]) -> dict[str, int]:
    return {name: sum(reader.counts[name] for reader in readers) for name in _COUNTED}


def _first_use(kind: str) -> tuple[float, float]:
    """The longest turn in ms of CPU, and the CPU of all in seconds, with the times that the market wants."""
    market = SimulatedMarket(seed=7)
    streams = {kind} if kind.startswith("!") else {f"{name.lower()}@{kind}" for name in market.rules}
    turns: list[float] = []
    now_ms = _BEGIN_MS

    gc.collect()
    gc.freeze()  # the garbage of earlier markets is not this one's
    while now_ms < _BEGIN_MS + _FIRST_USE_MS:
        before = time.thread_time()
        if turns:
            market.advance(now_ms)
        else:
            market.want(streams, now_ms)
        turns.append(time.thread_time() - before)
        now_ms = max(now_ms + 1000 * turns[-1] + 1.0, market.next_ms() or 0.0)
    return 1000 * max(turns), sum(turns)
