"""A real exchange on the loopback interface, and the client that is tested against it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from livemarkets.exchanges.base import ClientStatus, Evidence, Silence, StreamState
from livemarkets.exchanges.binance.attempts import AttemptTimings
from livemarkets.exchanges.binance.client import BinanceClient, ClientTimings
from livemarkets.exchanges.binance.connection import Connection, ConnectionTimings
from livemarkets.exchanges.binance.routes import Routes
from livemarkets.exchanges.binance.session import SessionTimings
from livemarkets.exchanges.binance.shard import ShardTimings
from livemarkets.exchanges.budgets import ConnectBudget
from livemarkets.exchanges.outbound import Outbound
from livemarkets.market.clock import Clock, system_clock
from livemarkets.market.models import StreamKey, TradeTick
from livemarkets.market.updates import StreamUpdate
from livemarkets.simulator import ExchangeLimits, SimulatedMarket, Simulator
from livemarkets.simulator.market.source import Source
from tests.support.helpers import eventually

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
ROOMY = ExchangeLimits(messages_per_second=1000)
"""Limits for tests that are about something else."""
QUICK = ConnectionTimings(
    open_seconds=2.0,
    ping_seconds=0.5,
    pong_seconds=0.45,
    close_seconds=0.2,
    session=SessionTimings(spacing_seconds=0.02, ack_timeout_seconds=0.6, rejection_seconds=0.5),
)
"""So short that no test waits, so long that a busy machine does not look like a dead exchange."""


def quick(**changes: object) -> ClientTimings:
    """Timings of a client; `changes` go to its shards and their attempts."""
    attempts: dict[str, Any] = {
        "backoff_initial_seconds": 0.05,
        "backoff_cap_seconds": 0.2,
        "ban_seconds": 0.05,
        "good_life_seconds": 0.01,
    }
    own = AttemptTimings.__struct_fields__
    attempts |= {name: changes.pop(name) for name in list(changes) if name in own}
    defaults = {
        "connection": QUICK,
        "takeover_seconds": 0.5,
        "attempts": AttemptTimings(**attempts),
    }
    return ClientTimings(shard=ShardTimings(**{**defaults, **changes}))  # type: ignore[arg-type]


def quick_market(trades_per_second: float = 100.0, history_seconds: float = 2.0) -> SimulatedMarket:
    """A market without lulls, so that no test waits for a trade."""
    return SimulatedMarket(
        seed=7, symbols=SYMBOLS, trades_per_second=trades_per_second, history_seconds=history_seconds
    )


@contextlib.asynccontextmanager
async def exchange(
    source: Source | None = None, *, port: int = 0, limits: ExchangeLimits = ROOMY
) -> AsyncIterator[Simulator]:
    """Run an exchange."""
    simulator = Simulator(source or quick_market(), limits=limits)
    await simulator.start(port=port)
    try:
        yield simulator
    finally:
        await simulator.aclose()


def key(symbol: str) -> StreamKey:
    """The name of a symbol's trades, as the client under test knows it."""
    return StreamKey.trades("simulator", symbol)


class Recorder:
    """What a client told, and the client itself (an :class:`ExchangeEvents`)."""

    def __init__(
        self,
        urls: Sequence[str],
        timings: ClientTimings,
        clock: Clock,
        budget: ConnectBudget | None = None,
        outbound: Outbound | None = None,
    ) -> None:
        self.ticks: list[TradeTick] = []
        self.invalid: list[tuple[str, int, int]] = []
        """Symbol, id, and how many trades came before."""
        self.updates: dict[StreamKey, list[StreamUpdate]] = {}
        self.statuses: list[ClientStatus] = []
        self.silence = Silence.NONE
        """What the silence of every stream is said to mean."""
        self.not_traded: set[StreamKey] = set()
        """The streams of symbols that the exchange is said not to trade."""
        self.client = BinanceClient(
            "simulator",
            urls,
            self,
            budget=budget or ConnectBudget(),
            timings=timings,
            clock=clock,
            outbound=outbound,
        )

    def on_trades(self, key: StreamKey, ticks: Sequence[TradeTick]) -> None:
        assert ticks
        assert {tick.symbol for tick in ticks} == {key.symbol}
        self.ticks += ticks

    def on_invalid(self, key: StreamKey, trade_id: int) -> None:
        self.invalid.append((key.symbol, trade_id, len(self.ticks)))

    def on_update(self, key: StreamKey, update: StreamUpdate) -> None:
        self.updates.setdefault(key, []).append(update)

    def on_newest(self, key: StreamKey, trade_id: int) -> None:
        raise AssertionError("no stream of this client bears the newest id of another")

    def on_status(self, status: ClientStatus) -> None:
        self.statuses.append(status)

    def silence_of(self, key: StreamKey) -> Silence:
        return Silence.NOT_TRADED if key in self.not_traded else self.silence

    def rotate(self, symbol: str = "BTCUSDT") -> None:
        """Make the client replace a connection: all of its streams seem to be mute."""
        self.silence = Silence.UNUSUAL
        self.client.suspect(key(symbol), Evidence.SILENT)
        self.silence = Silence.NONE

    def is_acknowledged(self, symbol: str) -> bool:
        return self.client.state_of(key(symbol)) is StreamState.ACKNOWLEDGED

    @property
    def rotations(self) -> int:
        return self.client.statistics().rotations

    def ids(self, symbol: str) -> list[int]:
        """The ids that arrived, in the order of their arrival."""
        return [tick.id for tick in self.ticks if tick.symbol == symbol]

    @property
    def states(self) -> list[str]:
        """The states in their order, without repetitions."""
        states = [status.state.value for status in self.statuses]
        return [state for before, state in zip([None, *states], states, strict=False) if state != before]

    @property
    def reasons(self) -> list[str]:
        return [status.reason for status in self.statuses if status.reason is not None]

    async def more_trades(self, symbols: Iterable[str] = ("BTCUSDT",), count: int = 5) -> None:
        """Wait for trades that arrive from now on."""
        targets = {symbol: len(self.ids(symbol)) + count for symbol in symbols}
        await eventually(
            lambda: all(len(self.ids(symbol)) >= target for symbol, target in targets.items()),
            because=f"trades of {', '.join(targets)}",
        )

    async def live(self) -> None:
        await eventually(
            lambda: self.client.status.state == "live", because=f"live, not {self.client.status}"
        )


@contextlib.asynccontextmanager
async def client(
    *urls: str | Simulator,
    want: Iterable[str] = (),
    timings: ClientTimings | None = None,
    clock: Clock | None = None,
    budget: ConnectBudget | None = None,
    outbound: Outbound | None = None,
) -> AsyncIterator[Recorder]:
    """Run a client; every task of it is gone at the end, and it never ended by itself."""
    addresses = [url if isinstance(url, str) else url.ws_url for url in urls]
    recorder = Recorder(addresses, timings or quick(), clock or system_clock(), budget, outbound)
    for symbol in want:
        recorder.client.want(key(symbol))
    task = asyncio.create_task(recorder.client.run(), name="client under test")
    try:
        yield recorder
        assert not task.done(), "the client ended by itself"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    left = [other.get_name() for other in asyncio.all_tasks() if other.get_name().startswith("simulator-")]
    assert left == []
    assert recorder.client.connections == []


class Listener:
    """Owner of a single connection: writes down what it is told."""

    def __init__(self) -> None:
        self.ticks: list[TradeTick] = []
        self.complaints: list[tuple[str, str]] = []
        self.invalid: list[tuple[str, int, int]] = []
        """Symbol, id, and how many trades came before."""
        self.updates: list[tuple[StreamKey, StreamUpdate]] = []
        self.changes = 0

    def handle_trades(self, connection: Connection, key: StreamKey, ticks: Sequence[TradeTick]) -> None:
        self.ticks += ticks

    def handle_invalid(self, connection: Connection, key: StreamKey, trade_id: int) -> None:
        self.invalid.append((key.symbol, trade_id, len(self.ticks)))

    def handle_update(self, connection: Connection, key: StreamKey, update: StreamUpdate) -> None:
        self.updates.append((key, update))

    def handle_change(self, connection: Connection) -> None:
        self.changes += 1

    def handle_complaint(self, connection: Connection, kind: str, detail: str) -> None:
        self.complaints.append((kind, detail))

    async def more_trades(self, count: int = 5) -> None:
        target = len(self.ticks) + count
        await eventually(lambda: len(self.ticks) >= target, because="trades")


def connect_to(
    url: str,
    *streams: str,
    listener: Listener | None = None,
    timings: ConnectionTimings = QUICK,
    outbound: Outbound | None = None,
    routes: Routes | None = None,
) -> Connection:
    """A connection that is not running yet; unless told otherwise, the trades of some symbols are wanted."""
    if routes is None:
        routes = Routes()
        for symbol in SYMBOLS:
            routes.add(key(symbol))
    connection = Connection(
        "test",
        f"{url}/stream",
        "simulator",
        routes,
        listener or Listener(),
        timings=timings,
        clock=system_clock(),
        outbound=outbound or Outbound(),
    )
    connection.set_wanted(streams)
    return connection


def assert_consecutive(ids: Iterable[int]) -> None:
    """Repeats and disorder are allowed while connections overlap, holes are not."""
    seen = sorted(set(ids))
    assert seen == list(range(seen[0], seen[-1] + 1))
