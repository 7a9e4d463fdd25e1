"""The channels in which the newest wins, beside trades: cost per delivery, many readers, all tickers."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack

import msgspec

from benchmarks.apps import PATH
from benchmarks.contestants import Server, start_driven_app
from benchmarks.figures import Goal, Options, Report, Table, median, spread
from benchmarks.load import Load, Readers
from benchmarks.programs import BenchmarkError
from benchmarks.slow import Peak

__all__ = ["run"]

_READERS = (100, 500)
_DELIVERIES = 200_000
_RATE = 1_000
_RATE_READERS = ((50, 0), (50, 50), (500, 0), (500, 500))
"""How many read, and how many never read. The first two are few enough for any machine."""
_PACE_SECONDS = 0.01
_MEGABYTE = 2**20
_DELTA_READERS = 200
_DELTAS = 20
_DELTA_MESSAGES = 10
"""Messages of a delta of 2,000 symbols."""


class _Channel(msgspec.Struct, frozen=True):
    name: str
    kind: str
    """The type of its messages."""
    field: str = '"symbol":"BTCUSDT"'

    @property
    def hello(self) -> str:
        """The message that subscribes it."""
        fields = json.loads("{" + self.field + "}")
        return json.dumps({"type": "subscribe", "exchange": "binance", "channel": self.name} | fields)

    @property
    def match(self) -> str:
        """How its messages begin."""
        return f'{{"type":"{self.kind}"'


_TRADES = _Channel("trades", "trade")
_BOOK = _Channel("book", "book")
_DEPTH = _Channel("depth", "depth", '"symbol":"BTCUSDT","levels":5')
_ALL = _Channel("tickers", "tickers", '"symbols":"*"')


def run(options: Options) -> Report:
    """Measure the channels in turn, in one run of one app."""
    report = Report("channels")
    costs: dict[tuple[str, int], list[float]] = {}
    deltas: list[float] = []
    paced: list[_Paced] = []
    with ExitStack() as stack:
        server = start_driven_app(stack)
        for number in range(options.rounds):
            for readers in _READERS:
                options.say(f"channels: {readers} readers, round {number + 1}")
                for channel in (_TRADES, _BOOK, _DEPTH):
                    cost = _cost(server, channel, readers, options)
                    costs.setdefault((channel.name, readers), []).append(cost)
            options.say(f"channels: all tickers, round {number + 1}")
            deltas.append(_delta_cost(server))
        for readers, stalled in _RATE_READERS:
            options.say(f"channels: {readers} readers beside {stalled} that never read, {_RATE} updates/s")
            paced.append(_paced(server, readers, stalled, options))
    report.tables += [_costs(costs), _deltas(deltas), _rates(paced)]
    for readers in _READERS:
        pairs = zip(costs[_BOOK.name, readers], costs[_TRADES.name, readers], strict=True)
        ratio = median([book / trade for book, trade in pairs])
        report.goals.append(Goal(f"book against trades, N = {readers}", ratio, 1.1))
    alone, beside = paced[0], paced[1]
    ratio = beside.load.worst_p99_us / alone.load.worst_p99_us
    report.goals.append(Goal("worst reader's p99, × that without slow ones", ratio, 2.0))
    report.goals.append(
        Goal(
            "memory grown by, beside readers that never read",
            max(each.grown_bytes for each in paced) / _MEGABYTE,
            max(each.stalled for each in paced) * 2 + 64,
            0,
            " MB",
        )
    )
    report.goals.append(Goal("all tickers once a second, % of a core", 100 * median(deltas), 10.0))
    return report


def _cost(server: Server, channel: _Channel, readers: int, options: Options) -> float:
    """Return µs per delivery."""
    ticks = max(int(_DELIVERIES / readers / (3 if options.is_quick else 1)), 50)
    with _reading(server, channel, readers, ticks) as load:
        before = server.program.cpu()
        server.order(ticks, 1)
        result = load.result(60.0)
        used = server.program.cpu().since(before)
    return 1e6 * used.total / result.messages


def _delta_cost(server: Server) -> float:
    """Return seconds of CPU per update of 2,000 symbols, from the bytes of the exchange to all readers."""
    with _reading(server, _ALL, _DELTA_READERS, _DELTAS * _DELTA_MESSAGES) as load:
        before = server.program.cpu()
        server.order(_DELTAS, 1)
        load.result(60.0)
        used = server.program.cpu().since(before)
    return used.total / _DELTAS


class _Paced(msgspec.Struct, frozen=True):
    """What readers of `book` saw at a steady rate, some beside others that never read."""

    readers: int
    stalled: int
    load: Load
    core: float
    """% of a core that the app took."""
    grown_bytes: int


class _Pace:
    """Orders updates at a steady rate until it is stopped."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Order no more."""
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        turn, began = 0, time.monotonic()
        while not self._is_over.wait(max(0.0, began + turn * _PACE_SECONDS - time.monotonic())):
            self._server.order(int(_RATE * _PACE_SECONDS), 1)
            turn += 1


def _paced(server: Server, readers: int, stalled: int, options: Options) -> _Paced:
    wanted = ["--seconds", f"{options.seconds(3.0)}", "--warmup", "0.5", "--each", "--stalled", str(stalled)]
    wanted += ["--hello", _BOOK.hello, "--match", _BOOK.match, "--await", '{"type":"snapshot"']
    wanted += ["--stamp", "recv_ts:ms", "--sample", "53"]
    peak = Peak(server.program)
    with Readers(server.port, PATH, readers + stalled, wanted) as load:
        pace = _Pace(server)
        try:
            load.expect("BEGIN", 30.0)
            before = server.program.cpu()
            result = load.result(60.0)
            used = server.program.cpu().since(before)
        finally:
            pace.stop()
            peak.stop()
    core = 100 * used.total / result.wall_seconds
    return _Paced(readers, stalled, result, core, peak.most - peak.least)


def _reading(server: Server, channel: _Channel, readers: int, messages: int, *options: str) -> Readers:
    wanted = ["--messages", str(messages), "--hello", channel.hello, "--match", channel.match]
    wanted += ["--await", '{"type":"snapshot"', *options]
    try:
        return Readers(server.port, PATH, readers, wanted)
    except BenchmarkError as error:
        raise BenchmarkError(f"{channel.name}: {error}") from error


def _costs(costs: dict[tuple[str, int], list[float]]) -> Table:
    table = Table(
        "CPU µs per delivery, one update a write", ["channel", *(f"N = {readers}" for readers in _READERS)]
    )
    for name in (_TRADES.name, _BOOK.name, _DEPTH.name):
        table.add(name, *(spread(costs[name, readers]) for readers in _READERS))
    table.notes.append("depth: 5 levels of an order book of 20; it is cut and encoded once for all readers")
    return table


def _deltas(deltas: list[float]) -> Table:
    title = (
        f"All tickers: an update of 2,000 symbols, parsed, stored, encoded, sent to {_DELTA_READERS} readers"
    )
    table = Table(title, ["", "CPU ms per update"])
    table.add("`tickers` `*`", spread([1000 * each for each in deltas], 1))
    return table


def _rates(paced: list[_Paced]) -> Table:
    columns = ["readers", "never reading", "deliveries/s", "p50, ms", "p99, ms", "worst reader's p99, ms"]
    table = Table(
        f"Readers of `book` at {_RATE:,} updates/s", [*columns, "memory grown by, MB", "CPU of the app, %"]
    )
    for each in paced:
        load, latency = each.load, each.load.latency_us["recv_ts"]
        table.add(
            f"{each.readers}",
            f"{each.stalled}",
            f"{load.messages / load.wall_seconds:,.0f}",
            f"{latency.p50 / 1000:.1f}",
            f"{latency.p99 / 1000:.1f}",
            f"{load.worst_p99_us / 1000:.1f}",
            f"{each.grown_bytes / _MEGABYTE:.0f}",
            f"{each.core:.0f}",
        )
    table.notes.append("a reader that cannot keep up gets fewer updates, each with `skipped`")
    return table
