"""A whole cluster under trades, its readers, and what each of them got while something went wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial

from tests.support.cluster.balancer import is_ready
from tests.support.cluster.nodes import EDGES, Cluster, balancer_of, lay_out
from tests.support.cluster.places import Places
from tests.support.cluster.readers import ClusterReader, reading
from tests.support.foreign import ForeignExchange, foreign_exchange
from tests.support.helpers import eventually

SYMBOLS = {name: (name.removesuffix("USDT"), "USDT") for name in ("BTCUSDT", "ETHUSDT", "币安人生USDT")} | {
    "SOLUSDT": ("SOL", "USDT"),
    "1000SATSUSDT": ("1000SATS", "USDT"),
}
SETTLE_SECONDS = 90.0
PAUSES = 5
_TICK_SECONDS = 0.01


class Proof:
    """The exchange, the cluster and its readers. Each fault is one phase of which a line is reported."""

    def __init__(self, exchange: ForeignExchange, cluster: Cluster, readers: list[ClusterReader]) -> None:
        self.exchange = exchange
        self.cluster = cluster
        self.readers = readers
        self.longest_pause_seconds = 0.0
        """For which this process itself stood still: exchange and readers are in it."""
        self.lines: list[str] = []
        self.failures: list[str] = []

    @contextlib.asynccontextmanager
    async def phase(
        self, what: str, *, most_connects: int = 0, most_wait_seconds: float = 60.0
    ) -> AsyncIterator[None]:
        """What goes wrong is inside; after it every reader gets everything, or is told that it does not."""
        for reader in self.readers:
            reader.begin_phase()
        self.longest_pause_seconds = 0.0
        before, first = sum(reader.received for reader in self.readers), self.exchange.truth.newest("BTCUSDT")
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        yield
        rate = len(SYMBOLS) * (self.exchange.truth.newest("BTCUSDT") - first) / (loop.time() - began_at)
        await self.settle(what)
        declared = sum((reader.declared for reader in self.readers), Counter[str]())
        connects = [reader.connects for reader in self.readers]
        wait_seconds = max(reader.longest_wait_seconds for reader in self.readers)
        received = sum(reader.received for reader in self.readers) - before
        self.lines.append(
            f"{what}: {rate:.0f} trades/s, {received} came, "
            f"{sum(declared.values())} declared {dict(declared) or ''}, "
            f"{sum(map(bool, connects))} readers connected again, longest wait {wait_seconds:.1f} s, "
            f"of which the tests themselves up to {self.longest_pause_seconds:.1f} s at once"
        )
        if max(connects) > most_connects:
            self.failures.append(f"{what}: a reader connected {max(connects)} times")
        # Where this process stood still, so did the others that share its machine.
        if wait_seconds > most_wait_seconds + PAUSES * self.longest_pause_seconds:
            self.failures.append(f"{what}: a reader waited {wait_seconds:.1f} s")

    async def settle(self, what: str) -> None:
        """Wait until all readers have all that has been traded, or its declaration, and nodes are whole."""
        newest = {symbol: self.exchange.truth.newest(symbol) for symbol in SYMBOLS}

        def is_settled() -> bool:
            if not self.problems():
                late = [reader.lacks(newest) for reader in self.readers]
                assert not any(late), f"{what}: {sum(map(bool, late))} readers lack up to {max(late)} trades"
            return True

        await eventually(is_settled, SETTLE_SECONDS)
        assert self.problems() == [], what
        await eventually(partial(_is_ready, self.cluster), SETTLE_SECONDS, because=f"{what}: a whole cluster")

    async def trades(self, count: int) -> None:
        """Wait until so many more trades of a symbol have happened, whoever got them."""
        first = self.exchange.truth.newest("BTCUSDT")
        await eventually(lambda: self.exchange.truth.newest("BTCUSDT") >= first + count, SETTLE_SECONDS)

    def expect_nothing_declared(self) -> None:
        """Note it as a failure if in the last phase a reader was told that it gets something not."""
        if declared := sum((reader.declared for reader in self.readers), Counter[str]()):
            self.failures.append(f"{self.lines[-1]}: declared {dict(declared)}")

    def problems(self) -> list[str]:
        """What no reader may see."""
        return [problem for reader in self.readers for problem in reader.problems][:5]

    async def begin(self) -> None:
        """Wait until every reader has trades of every symbol, and both ingests serve the exchange."""
        await eventually(
            lambda: all(len(reader.reached) == len(SYMBOLS) for reader in self.readers),
            SETTLE_SECONDS,
            because="trades of every symbol at every reader",
        )
        await self.both_legs()

    async def both_legs(self) -> None:
        """Wait until both ingests are subscribed at the exchange."""
        streams = len(SYMBOLS)
        await eventually(
            lambda: (
                sum(len(each.streams) for each in self.exchange.connections if each.is_open) >= 2 * streams
            ),
            SETTLE_SECONDS,
            because="the streams of both ingests",
        )


async def _is_ready(cluster: Cluster) -> bool:
    """Whether the balancer would give readers to both edges."""
    if not all([await is_ready(cluster.nodes[edge].address) for edge in EDGES]):
        return False
    return await balancer_of(cluster).states() == dict.fromkeys(EDGES, "UP")


async def _trade(proof: Proof, per_second: float) -> None:
    """Let the symbols trade in turn, so many trades a second, without end.

    What this process had no time for is left out: it has the readers too, and on a busy machine they would
    fall behind for no fault of the cluster's.
    """
    loop = asyncio.get_running_loop()
    before, rest = loop.time(), 0.0
    while True:
        now = loop.time()
        proof.longest_pause_seconds = max(proof.longest_pause_seconds, now - before)
        rest += min(now - before, 2 * _TICK_SECONDS) * per_second / len(SYMBOLS)
        before = now
        if rest >= 1:
            proof.exchange.market.trade(*SYMBOLS, count=int(rest))
            rest -= int(rest)
        await asyncio.sleep(_TICK_SECONDS)


@contextlib.asynccontextmanager
async def proving(
    places: Places, *, readers: int, trades_per_second: float, **edge: str
) -> AsyncIterator[Proof]:
    """Run an exchange, a cluster at these places, and readers; `edge` are settings of both edges."""
    async with foreign_exchange(SYMBOLS, host=places.home, ping_seconds=5.0) as exchange:
        ingest = {
            "LIVE_BINANCE_WS_URL": exchange.ws_url,
            "LIVE_BINANCE_REST_URL": exchange.rest_url,
            "LIVE_LOG_JSON": "false",
        }
        cluster = await lay_out(
            places,
            ingest=ingest,
            edge={
                "LIVE_TRUSTED_PROXIES": "127.0.0.1,198.18.0.0/15",
                "LIVE_LOG_JSON": "false",
                **edge,
            },
        )
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(cluster.aclose)
            await cluster.start()
            await eventually(partial(_is_ready, cluster), SETTLE_SECONDS, because="edges that take readers")
            all_readers = await stack.enter_async_context(
                reading(readers, f"ws://{cluster.site}", list(SYMBOLS))
            )
            proof = Proof(exchange, cluster, all_readers)
            trading = asyncio.create_task(_trade(proof, trades_per_second), name="trades")
            stack.callback(trading.cancel)
            await proof.begin()
            yield proof
