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
_DELIVERIES = 50_000
_TURNS = 3
"""How often each channel has its turn in a round: one turn that others disturb must not decide."""
_RATE = 1_000
_RATE_READERS = ((50, 0), (50, 50), (500, 0), (500, 500))
"""How many read, and how many never read. The first two are few enough for any machine."""
_WINDOWS = 4
"""How often these are measured in a round."""
_QUIETEST = 3
"""Of all windows, the third is looked at in which the app waited least for a core."""
_PACE_SECONDS = 0.01
_BREATH_DELIVERIES = 5_000
_BREATH_SECONDS = 0.05
"""After so many deliveries the readers have this time to catch up. Else what waits would be joined in one
write, or left out, and a delivery would cost something else."""
_FILL_UPDATES = 200
_MOST_FILLS = 30
_FULL = 0.2
"""The sockets are full when updates cost less than this share of what they cost at first."""
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
_CANDLES = _Channel("candles", "candle", '"symbol":"BTCUSDT","interval":"1d","snapshot":0')
_DEPTH = _Channel("depth", "depth", '"symbol":"BTCUSDT","levels":5')
_ALL = _Channel("tickers", "tickers", '"symbols":"*"')
_CHANNELS = (_TRADES, _BOOK, _DEPTH, _CANDLES)


def run(options: Options) -> Report:
    """Measure the channels in turn, in one run of one app."""
    report = Report("channels")
    costs: dict[tuple[str, int], list[float]] = {}
    deltas: list[float] = []
    paced: dict[tuple[int, int], list[_Paced]] = {scene: [] for scene in _RATE_READERS}
    with ExitStack() as stack:
        server = start_driven_app(stack)
        for number in range(options.rounds):
            for readers in _READERS:
                options.say(f"channels: {readers} readers, round {number + 1}")
                for channel in _CHANNELS * _TURNS:
                    cost = _cost(server, channel, readers, options)
                    costs.setdefault((channel.name, readers), []).append(cost)
            options.say(f"channels: all tickers, round {number + 1}")
            deltas.append(_delta_cost(server))
            for readers, stalled in _RATE_READERS * _WINDOWS:
                options.say(f"channels: {readers} read beside {stalled} that never do, {_RATE} updates/s")
                paced[readers, stalled].append(_paced(server, readers, stalled, options))
    paced = {scene: _quietest(windows) for scene, windows in paced.items()}
    report.tables += [_costs(costs), _deltas(deltas), _rates(paced)]
    for name, readers in ((name, readers) for name in (_BOOK.name, _CANDLES.name) for readers in _READERS):
        ratio = median(costs[name, readers]) / median(costs[_TRADES.name, readers])
        report.goals.append(Goal(f"{name} against trades, N = {readers}", ratio, 1.1))
    for readers in dict.fromkeys(readers for readers, _ in _RATE_READERS):
        alone, beside = (
            median([each.load.worst_p99_us for each in paced[readers, stalled]]) for stalled in (0, readers)
        )
        name = f"worst reader's p99, × that without slow ones, N = {readers}"
        report.goals.append(Goal(name, beside / alone, 2.0))
    report.goals.append(
        Goal(
            "memory grown by, beside readers that never read",
            max(each.grown_bytes for rounds in paced.values() for each in rounds) / _MEGABYTE,
            max(stalled for _, stalled in _RATE_READERS) * 2 + 64,
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
        portion = max(_BREATH_DELIVERIES // readers, 1)
        server.program.pass_over()
        for done in range(0, ticks, portion):
            server.order(min(portion, ticks - done), 1)
            server.program.expect("DONE")
            time.sleep(_BREATH_SECONDS)
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

    load: Load
    core: float
    """% of a core that the app took."""
    waited: float
    """% of the time in which it could have run, and other programs had the cores."""
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


def _quietest(windows: list[_Paced]) -> list[_Paced]:
    """Return the windows that other programs disturbed least: what they take of the cores only ever adds."""
    return sorted(windows, key=lambda each: each.waited)[: -(-len(windows) // _QUIETEST)]


def _paced(server: Server, readers: int, stalled: int, options: Options) -> _Paced:
    wanted = ["--seconds", f"{options.seconds(1.5)}", "--warmup", "0.5", "--each"]
    wanted += ["--hello", _BOOK.hello, "--match", _BOOK.match, "--await", '{"type":"snapshot"']
    wanted += ["--stamp", "recv_ts:ms", "--sample", "53"]
    peak = Peak(server.program)
    with ExitStack() as stack:
        if stalled:
            mute = ["--hello", _BOOK.hello, "--stalled", str(stalled)]
            stack.enter_context(Readers(server.port, PATH, stalled, mute))
            _fill(server)
        load = stack.enter_context(Readers(server.port, PATH, readers, wanted))
        pace = _Pace(server)
        try:
            load.expect("BEGIN", 30.0)
            before = server.program.cpu()
            result = load.result(60.0)
            used = server.program.cpu().since(before)
        finally:
            pace.stop()
            peak.stop()
    core, waited = (100 * seconds / result.wall_seconds for seconds in (used.total, used.waited))
    return _Paced(result, core, waited, peak.most - peak.least)


def _fill(server: Server) -> None:
    """Send updates until those that never read take no more: at first, their sockets take many.

    Otherwise a short measurement would be one of twice as many readers.
    """
    costs: list[float] = []
    server.program.pass_over()
    while not costs or (costs[-1] > costs[0] * _FULL and len(costs) < _MOST_FILLS):
        before = server.program.cpu()
        server.order(_FILL_UPDATES, 1)
        server.program.expect("DONE", 60.0)
        costs.append(server.program.cpu().since(before).total)


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
    for name in (channel.name for channel in _CHANNELS):
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


def _rates(paced: dict[tuple[int, int], list[_Paced]]) -> Table:
    columns = ["readers", "never reading", "deliveries/s", "p50, ms", "p99, ms", "worst reader's p99, ms"]
    table = Table(
        f"Readers of `book` at {_RATE:,} updates/s",
        [*columns, "memory grown by, MB", "CPU of the app, %", "waited for a core, %"],
    )
    for (readers, stalled), rounds in paced.items():
        latencies = [each.load.latency_us["recv_ts"] for each in rounds]
        deliveries = median([each.load.messages / each.load.wall_seconds for each in rounds])
        table.add(
            f"{readers}",
            f"{stalled}",
            f"{deliveries:,.0f}",
            spread([each.p50 / 1000 for each in latencies], 1),
            spread([each.p99 / 1000 for each in latencies], 1),
            spread([each.load.worst_p99_us / 1000 for each in rounds], 1),
            f"{max(each.grown_bytes for each in rounds) / _MEGABYTE:.0f}",
            spread([each.core for each in rounds], 0),
            spread([each.waited for each in rounds], 0),
        )
    table.notes.append("a reader that cannot keep up gets fewer updates, each with `skipped`")
    table.notes.append("waited for a core: how long the app could have run, and other programs had the cores")
    table.notes.append("of all windows of 1.5 s, the third in which it waited least")
    return table
