"""The channels in which the newest wins, beside trades: cost per delivery, many readers, all tickers."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack

import msgspec

from benchmarks.apps import PATH
from benchmarks.contestants import Server, start_driven_app
from benchmarks.figures import Goal, Options, Report, Table, median, spread
from benchmarks.load import Load, Readers
from benchmarks.programs import BenchmarkError

__all__ = ["run"]

_READERS = (100, 500)
_DELIVERIES = 200_000
_RATE = 1_000
_RATE_READERS = 500
_PACE_SECONDS = 0.01
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
    paced: list[tuple[Load, float]] = []
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
        options.say(f"channels: {_RATE_READERS} readers at {_RATE} updates/s")
        paced.append(_paced(server, options))
    report.tables += [_costs(costs), _deltas(deltas), _rates(paced)]
    for readers in _READERS:
        pairs = zip(costs[_BOOK.name, readers], costs[_TRADES.name, readers], strict=True)
        ratio = median([book / trade for book, trade in pairs])
        report.goals.append(Goal(f"book against trades, N = {readers}", ratio, 1.1))
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


def _paced(server: Server, options: Options) -> tuple[Load, float]:
    """Return what readers of `book` saw at a steady rate, and the share of a core that it took."""
    seconds = options.seconds(3.0)
    turns = int(seconds / _PACE_SECONDS)
    updates = turns * int(_RATE * _PACE_SECONDS)
    with _reading(server, _BOOK, _RATE_READERS, updates, "--stamp", "recv_ts:ms", "--sample", "53") as load:
        before, began = server.program.cpu(), time.monotonic()
        for turn in range(turns):
            server.order(int(_RATE * _PACE_SECONDS), 1)
            time.sleep(max(0.0, began + (turn + 1) * _PACE_SECONDS - time.monotonic()))
        result = load.result(60.0)
        used = server.program.cpu().since(before)
    return result, used.total / result.wall_seconds


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


def _rates(paced: list[tuple[Load, float]]) -> Table:
    title = f"{_RATE_READERS} readers of `book` at {_RATE:,} updates/s"
    table = Table(title, ["deliveries/s", "p50, ms", "p99, ms", "CPU of the app, %"])
    for load, core in paced:
        latency = load.latency_us["recv_ts"]
        rate = load.messages / load.wall_seconds
        table.add(
            f"{rate:,.0f}", f"{latency.p50 / 1000:.1f}", f"{latency.p99 / 1000:.1f}", f"{100 * core:.0f}"
        )
    return table
