"""A campaign on the embedded exchange of the product."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from itertools import count
from random import Random

from livemarkets.simulator import SimulatedMarket, Simulator
from livemarkets.simulator.market.history import History
from tests.soak.candle_truth import Tick
from tests.soak.exchanges import ExchangeFigures

__all__ = ["SimulatedExchange", "simulated_exchange"]

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")
_UNIT_DIGITS = 8
_UPDATES = ("kline_1s", "kline_1m", "bookTicker", "ticker", "depth20@100ms")
"""The streams of a symbol beside that of its trades."""
_SOON_MS = 10_000


class SimulatedExchange:
    """The embedded exchange, and what it really traded (a :class:`CampaignExchange`)."""

    rare = frozenset({"relist", "half_open", "max_age", "shutdown", "silence", "cut over a roll-over"})
    """These cost seconds each, or a numbering."""

    def __init__(self, simulator: Simulator, symbols: tuple[str, ...] = SYMBOLS) -> None:
        self.simulator = simulator
        self.symbols = symbols
        self.doubtful: list[tuple[int, int]] = []
        self._skew_ms = 0
        self._cuts: list[asyncio.TimerHandle] = []
        self._past: dict[str, list[list[Tick]]] = {symbol: [] for symbol in symbols}
        # Lower every time, and so far apart that no id means two trades: else nobody could judge.
        self._first_ids = count(900_000_000, -1_000_000)

    @property
    def ws_url(self) -> str:
        return self.simulator.ws_url

    @property
    def rest_url(self) -> str:
        return self.simulator.rest_url

    @property
    def injected(self) -> Mapping[str, int]:
        return {**self.simulator.faults.injected, "cut over a roll-over": len(self._cuts)}

    def clear(self) -> None:
        for timer in self._cuts:
            timer.cancel()
        self._set_clock(0)
        self.simulator.faults.clear()

    def skip(self, symbol: str, count: int) -> None:
        self.simulator.faults.hole(symbol=symbol, count=count)

    def newest(self, symbol: str) -> int:
        recent = self._history(symbol).recent(1)
        return recent[0].id if recent else -1

    def numberings(self, symbol: str) -> list[dict[int, str]]:
        return [
            {tick.id: f"{_digits(tick.price)} {_digits(tick.size)}" for tick in ticks}
            for ticks in self.ticks(symbol)
        ]

    # the other channels (a ChannelMarket)

    @property
    def channels(self) -> SimulatedExchange:
        return self

    def subscribed(self) -> set[str]:
        return self.simulator.subscriptions()

    def cut_and_halt(self) -> None:
        self.simulator.faults.drop()
        for symbol in self.symbols:
            self.simulator.faults.burst(symbol=symbol, trades=3)
            self.simulator.faults.set_status(symbol=symbol, state="BREAK")

    def ticks(self, symbol: str) -> list[list[Tick]]:
        return [*self._past[symbol], self._present(symbol)]

    def book(self, symbol: str) -> tuple[str, ...]:
        quote = self.simulator.source.quote(symbol)
        return tuple(map(_digits, (quote.bid, quote.bid_size, quote.ask, quote.ask_size)))

    def depth(self, symbol: str) -> tuple[list[list[str]], list[list[str]]]:
        depth = self.simulator.source.depth(symbol, 20, self.simulator.now_ms())
        bids, asks = (
            [[_digits(price), _digits(size)] for price, size in side] for side in (depth.bids, depth.asks)
        )
        return bids, asks

    def figures(self) -> ExchangeFigures:
        stats = self.simulator.stats()
        return ExchangeFigures(
            trades=stats["trades_sent"],
            accepted=stats["connects"],
            refused=stats["refused"],
            violations=stats["violations"],
        )

    def relist(self, symbol: str) -> None:
        """Begin a new numbering, and keep the old one for the judge."""
        self._past[symbol].append(self._present(symbol))
        self.simulator.faults.relist(symbol=symbol, first_id=next(self._first_ids))

    def kinds(self, random: Random) -> dict[str, Callable[[], object]]:
        f = self.simulator.faults

        def symbol() -> str:
            return random.choice(self.symbols)

        def stream() -> str:
            return f"{symbol().lower()}@trade"

        def updates() -> str:
            return f"{symbol().lower()}@{random.choice(_UPDATES)}"

        return {
            "drop": f.drop,
            "close": lambda: f.close(code=random.choice((1000, 1001, 1006 - 5, 1008, 1011))),
            "refuse": lambda: f.refuse(
                count=random.randint(1, 2), status=random.choice((403, 418, 429, 451, 500, 503))
            ),
            "refuse politely": lambda: f.refuse(count=1, status=429, retry_after_seconds=1),
            "accept_close": lambda: f.accept_close(
                count=random.randint(1, 2), code=random.choice((0, 1001, 1008))
            ),
            "silence": f.silence,
            "half_open": f.half_open,
            "shutdown": lambda: f.shutdown(notice_seconds=random.uniform(0.2, 3.0)),
            "max_age": lambda: f.max_age(seconds=random.uniform(0.1, 5.0)),
            "slow_acks": lambda: f.slow_acks(delay_seconds=random.uniform(0.1, 1.5), count=2),
            "no_acks": lambda: f.no_acks(count=2),
            "wrong_acks": lambda: f.wrong_acks(count=2),
            "error_acks": lambda: f.error_acks(count=1),
            "error_shape": lambda: f.error_shape(shape=random.choice(("flat", "nested"))),
            "lose": lambda: f.lose(stream=stream(), count=random.randint(1, 40)),
            "repeat": lambda: f.repeat(stream=stream(), count=random.randint(1, 40)),
            "swap": lambda: f.swap(stream=stream(), count=random.randint(1, 10)),
            "mute": lambda: f.mute(stream=stream()),
            "garbage": lambda: f.garbage(count=random.randint(1, 3)),
            "hole": lambda: f.hole(symbol=symbol(), count=random.randint(1, 50)),
            "relist": lambda: self.relist(symbol()),
            "burst": lambda: f.burst(symbol=symbol(), factor=100, trades=random.randint(50, 900)),
            "skew": lambda: self._set_clock(random.randint(-3000, 3000)),
            "rest_down": lambda: f.rest_down(
                seconds=random.uniform(0.2, 2.0), status=random.choice((0, 500, 503))
            ),
            "rest_limit": lambda: f.rest_limit(count=1, retry_after_seconds=1),
            "lose updates": lambda: f.lose(stream=updates(), count=random.randint(1, 10)),
            "repeat updates": lambda: f.repeat(stream=updates(), count=random.randint(1, 10)),
            "swap updates": lambda: f.swap(stream=updates(), count=random.randint(1, 3)),
            "rest_lag": lambda: f.rest_lag(
                behind_seconds=random.uniform(0.5, 8.0), seconds=random.uniform(1.0, 10.0)
            ),
            "mute candles": lambda: f.mute(stream=f"{symbol().lower()}@kline_{random.choice(('1s', '1m'))}"),
            "cut over a roll-over": self._cut_over_a_roll_over,
        }

    def _set_clock(self, skew_ms: int) -> None:
        """Where the clock is set back, the exchange adds trades to candles that it told as closed."""
        now_ms = int(self.simulator.now_ms())
        if skew_ms < self._skew_ms:
            self.doubtful.append((now_ms + skew_ms - 1000, now_ms + self._skew_ms + 1000))
        self._skew_ms = skew_ms
        if skew_ms:
            self.simulator.faults.skew(ms=skew_ms)

    def _cut_over_a_roll_over(self) -> None:
        """Be away when candles end: those of a minute where it ends soon, else those of a second."""
        now_ms = self.simulator.now_ms()
        left_ms = 60_000 - now_ms % 60_000
        wait_ms = left_ms if left_ms < _SOON_MS else 1000 - now_ms % 1000

        def cut() -> None:
            self.simulator.faults.refuse(count=1)
            self.simulator.faults.drop()

        timer = asyncio.get_running_loop().call_later(max(wait_ms - 100, 0) / 1000, cut)
        self._cuts.append(timer)

    def _history(self, symbol: str) -> History:
        return self.simulator.source.history(symbol, self.simulator.now_ms())

    def _present(self, symbol: str) -> list[Tick]:
        return [
            Tick(trade.id, trade.time_ms, trade.price, trade.size, not trade.buyer_is_maker)
            for trade in self._history(symbol).trades
        ]


@contextlib.asynccontextmanager
async def simulated_exchange(seed: int) -> AsyncIterator[SimulatedExchange]:
    """Run the embedded exchange in this process; its history is longer than any campaign."""
    market = SimulatedMarket(seed=seed, symbols=SYMBOLS, rate=2.0, history_length=1_000_000)
    simulator = Simulator(market)
    await simulator.start()
    try:
        yield SimulatedExchange(simulator)
    finally:
        await simulator.aclose()


def _digits(units: int) -> str:
    return f"{units // 10**_UNIT_DIGITS}.{units % 10**_UNIT_DIGITS:0{_UNIT_DIGITS}d}"
