"""CPU per delivery: one trade to N readers, at saturation, each contestant in its turn."""

from __future__ import annotations

from contextlib import ExitStack

import msgspec

from benchmarks.contestants import APP, CONTESTANTS, FLOOR, Contestant, Server
from benchmarks.figures import Goal, Options, Report, Table, median, spread
from benchmarks.load import Readers
from benchmarks.programs import BenchmarkError, Cpu

__all__ = ["run"]

_READERS = (10, 100, 500, 1000)
_BURSTS = (1, 4, 16)
_BURST_READERS = 100
_TURN_SECONDS = 0.6
_ROUNDS_WITHOUT_JOINING = 1
"""How often those who cannot join are asked for bursts: their cost per trade stays the same."""
_TARGETS = {"node ws, send": 0.7, "websockets.broadcast": 0.65, "NiceGUI's default server, send_text": 0.4}
_JOINED_TARGETS = {"socketify (uWebSockets), publish": 1.0, "nginx with nchan, POST": 1.0}


class _Turn(msgspec.Struct, frozen=True):
    """What one contestant used in one turn."""

    total: float
    """µs per delivered trade."""
    used: Cpu
    messages: int


_Turns = dict[tuple[str, int, int], list[_Turn]]


def run(options: Options) -> Report:
    """Measure every contestant with every number of readers, then the bursts."""
    report = Report("fanout")
    turns: _Turns = {}
    with ExitStack() as stack:
        servers = _start(stack, report)
        for number in range(options.rounds):
            for readers in _READERS:
                options.say(f"fanout: {readers} readers, round {number + 1}")
                for contestant, server in servers:
                    _take_turn(contestant, server, readers, 1, options, turns, report)
            for burst in _BURSTS[1:]:
                options.say(f"fanout: bursts of {burst}, round {number + 1}")
                for contestant, server in servers:
                    if contestant.joins or number < _ROUNDS_WITHOUT_JOINING:
                        _take_turn(contestant, server, _BURST_READERS, burst, options, turns, report)
    names = [contestant.name for contestant, _ in servers]
    report.tables += [_costs(names, turns), _user_costs(names, turns), _bursts(names, turns)]
    report.goals += _goals(names, turns)
    return report


def _start(stack: ExitStack, report: Report) -> list[tuple[Contestant, Server]]:
    servers = []
    for contestant in CONTESTANTS:
        try:
            servers.append((contestant, contestant.start(stack)))
        except BenchmarkError as error:
            if contestant.name in (APP, FLOOR):
                raise
            report.skipped.append(f"{contestant.name}: {error}")
    return servers


def _take_turn(
    contestant: Contestant,
    server: Server,
    readers: int,
    burst: int,
    options: Options,
    turns: _Turns,
    report: Report,
) -> None:
    deliveries = options.seconds(_TURN_SECONDS) * 1e6 / contestant.cost_us
    ticks = max(int(deliveries / readers), 20) * burst
    wanted = ["--messages", str(ticks), *contestant.options]
    if "--match" not in contestant.options:
        wanted += ["--match", '{"type":"trade"']
    try:
        with Readers(server.port, contestant.path, readers, wanted) as load:
            before = server.program.cpu()
            server.order(ticks, burst)
            result = load.result(60.0)
            used = server.program.cpu().since(before)
    except BenchmarkError as error:
        report.skipped.append(f"{contestant.name} with {readers} readers, bursts of {burst}: {error}")
        return
    if result.messages < ticks * readers:
        share = f"{result.messages:,} of {ticks * readers:,}"
        report.skipped.append(f"{contestant.name} with {readers} readers: only {share} trades arrived")
        return
    turn = _Turn(1e6 * used.total / result.messages, used, result.messages)
    turns.setdefault((contestant.name, readers, burst), []).append(turn)


def _ratios(turns: _Turns, name: str, base: str, readers: int, burst: int) -> list[float]:
    """Return cost against another's, round by round."""
    pairs = zip(turns.get((name, readers, burst), []), turns.get((base, readers, burst), []), strict=False)
    return [mine.total / theirs.total for mine, theirs in pairs]


def _user(turns: _Turns, name: str, readers: int) -> float:
    """Return user-mode µs per delivery over all rounds: the kernel counts it in steps of 10 ms."""
    taken = turns.get((name, readers, 1), [])
    user = sum(turn.used.user for turn in taken)
    both = sum(turn.used.user + turn.used.system for turn in taken)
    total = sum(turn.used.total for turn in taken)
    return 1e6 * total * user / both / sum(turn.messages for turn in taken) if both else float("nan")


def _costs(names: list[str], turns: _Turns) -> Table:
    columns = [f"N = {readers}" for readers in _READERS]
    table = Table(
        "CPU µs per delivery, one trade a write; × the C floor of the same round", ["server", *columns]
    )
    for name in names:
        cells = []
        for readers in _READERS:
            costs = [turn.total for turn in turns.get((name, readers, 1), [])]
            ratio = median(_ratios(turns, name, FLOOR, readers, 1))
            cells.append(f"{spread(costs, 1)} × {ratio:.2f}" if costs else "–")
        table.add(name, *cells)
    return table


def _user_costs(names: list[str], turns: _Turns) -> Table:
    columns = [f"N = {readers}" for readers in _READERS]
    table = Table("User-mode CPU µs per delivery, one trade a write", ["server", *columns])
    for name in names:
        cells = [f"{_user(turns, name, readers):.2f}" for readers in _READERS]
        table.add(name, *cells)
    return table


def _bursts(names: list[str], turns: _Turns) -> Table:
    columns = [f"bursts of {burst}" for burst in _BURSTS]
    table = Table(f"CPU µs per trade delivered, {_BURST_READERS} readers", ["server", *columns])
    for name in names:
        cells = [
            spread([turn.total for turn in turns.get((name, _BURST_READERS, burst), [])]) for burst in _BURSTS
        ]
        table.add(name, *cells)
    return table


def _goals(names: list[str], turns: _Turns) -> list[Goal]:
    goals = [
        Goal(f"the app against C, N = {readers}", median(_ratios(turns, APP, FLOOR, readers, 1)), 1.3)
        for readers in (100, 500)
    ]
    for base, target in _TARGETS.items():
        if base in names:
            goals.append(
                Goal(f"the app against {base}, N = 100", median(_ratios(turns, APP, base, 100, 1)), target)
            )
    for base, target in _JOINED_TARGETS.items():
        if base in names:
            ratio = median(_ratios(turns, APP, base, _BURST_READERS, 16))
            goals.append(Goal(f"the app against {base}, bursts of 16", ratio, target))
    goals.append(Goal("user-mode CPU per delivery, N = 100, µs", _user(turns, APP, 100), 0.5))
    return goals
