"""A campaign on the foreign exchange, which shares nothing with the product (`tests/support/foreign`)."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from decimal import Decimal
from random import Random
from typing import Any

from tests.soak.exchanges import ExchangeFigures
from tests.support.foreign import (
    ACKS,
    BAN_FORMS,
    CUTS,
    FRAMINGS,
    REFUSALS,
    REST_MANNERS,
    SYMBOLS,
    TEXTS,
    ForeignExchange,
    foreign_exchange,
)

__all__ = ["ForeignCampaign", "foreign_campaign"]

_TRADES_PER_SECOND = 30.0
GARBAGE = ("", "null", "[]", "17", "{", '{"stream":"nope@trade","data":{}}', '{"e":"trade"}', "[[[[")


class ForeignCampaign:
    """The foreign exchange as a campaign needs it (a :class:`CampaignExchange`)."""

    symbols = tuple(SYMBOLS)
    rare = frozenset({"half open", "shutdown", "ban", "rest", "lag", "lack", "halt"})

    def __init__(self, exchange: ForeignExchange) -> None:
        self.exchange = exchange
        self.refused = 0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        admit = exchange.admit

        def counted() -> Any:
            refusal = admit()
            self.refused += refusal is not None
            return refusal

        exchange.admit = counted  # type: ignore[method-assign]

    @property
    def ws_url(self) -> str:
        return self.exchange.ws_url

    @property
    def rest_url(self) -> str:
        return self.exchange.rest_url

    @property
    def injected(self) -> Mapping[str, int]:
        return self.exchange.faults.injected

    def clear(self) -> None:
        self.exchange.faults.clear()
        for timer in self._timers.values():
            timer.cancel()
        for symbol in SYMBOLS:
            self.exchange.market.listings[symbol].status = "TRADING"

    def skip(self, symbol: str, count: int) -> None:
        self.exchange.faults.skip(symbol, count)

    def newest(self, symbol: str) -> int:
        return self.exchange.truth.newest(symbol)

    def numberings(self, symbol: str) -> list[dict[int, str]]:
        """Return the one numbering, without the trades whose values make no sense."""
        truth = self.exchange.truth
        return [
            {
                trade.id: f"{Decimal(trade.price):f} {Decimal(trade.size):f}"
                for trade in truth.trades(symbol).values()
                if not truth.is_invalid(symbol, trade.id)
            }
        ]

    @property
    def channels(self) -> None:
        """It has only trades."""

    def subscribed(self) -> set[str]:
        return set(self.exchange.carried)

    def figures(self) -> ExchangeFigures:
        rules = self.exchange.rules
        return ExchangeFigures(
            trades={symbol: len(self.exchange.truth.trades(symbol)) for symbol in SYMBOLS},
            accepted=rules.dials - self.refused,
            refused=self.refused,
            violations=Counter(rules.violations),
        )

    def kinds(self, random: Random) -> dict[str, Callable[[], object]]:
        market, f = self.exchange.market, self.exchange.faults

        def symbol() -> str:
            """Return one that is not halted."""
            return random.choice([name for name in SYMBOLS if market.listings[name].status == "TRADING"])

        def soon(lowest: float, highest: float) -> float:
            return random.uniform(lowest, highest)

        def rest() -> None:
            f.break_rest(random.choice(REST_MANNERS[1:]), *random.sample(self.symbols, random.randint(0, 2)))
            self._later("rest", soon(0.5, 4.0), self._mend_rest)

        def lag() -> None:
            f.lag(random.choice((0.5, 2.0, 10.0)))
            self._later("lag", soon(1.0, 10.0), lambda: setattr(f, "lag_seconds", 0.0))

        def lack() -> None:
            name = symbol()
            first = self.newest(name) + 1
            f.lack(name, first + 1, first + 5)
            f.withhold(name, count=8)
            market.trade(name)
            self._later(f"lack {name}", 1.0, lambda: f.lacking.pop(name, None))

        def halt() -> None:
            name = symbol()
            if len([each for each in market.listings.values() if each.status == "TRADING"]) < 3:
                return
            f.set_status(name, random.choice(("BREAK", "HALT", "CANCEL_ONLY", "UNHEARD_OF")))
            self._later(f"halt {name}", soon(0.5, 5.0), lambda: f.set_status(name, "TRADING"))

        def shutdown() -> None:
            f.shutdown()
            self._later("shutdown", soon(0.2, 3.0), lambda: f.cut(random.choice(("1001", "fin"))))

        def order() -> None:
            f.injected["order"] += 1
            market.order(symbol(), random.randint(1, 300))

        def burst() -> None:
            f.injected["burst"] += 1
            market.trade(symbol(), count=random.randint(50, 900))

        return {
            "withhold": lambda: f.withhold(symbol(), count=random.randint(1, 40)),
            "repeat": lambda: f.repeat(symbol(), random.randint(1, 40)),
            "reorder": lambda: f.reorder(symbol(), random.randint(2, 10)),
            "skip": lambda: f.skip(symbol(), random.randint(1, 50)),
            "invalid": lambda: f.invalid(symbol()),
            "order": order,
            "burst": burst,
            "cut": lambda: f.cut(random.choice([each for each in CUTS if each != "half open"])),
            "half open": lambda: f.cut("half open"),
            "shutdown": shutdown,
            "garbage": lambda: f.garbage(random.choice(GARBAGE)),
            "refuse": lambda: f.refuse(*random.choices(REFUSALS, k=random.randint(1, 2))),
            "accept and close": lambda: f.accept_and_close(random.randint(1, 2)),
            "acks": lambda: f.acks(*random.choices(ACKS, k=2), late_seconds=soon(0.1, 1.5)),
            "frames": lambda: f.frames(random.choice(FRAMINGS)),
            "texts": lambda: f.texts(random.choice(TEXTS)),
            "rest": rest,
            "lag": lag,
            "lack": lack,
            "ban": lambda: f.ban(random.choice((1.0, 3.0)), random.choice(BAN_FORMS)),
            "odd entries": f.odd_entries,
            "halt": halt,
        }

    def _mend_rest(self) -> None:
        self.exchange.faults.rest, self.exchange.faults.rest_symbols = "honest", None

    def _later(self, name: str, seconds: float, act: Callable[[], object]) -> None:
        """End a fault after some seconds; the same fault before that lasts anew."""
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, act)


@contextlib.asynccontextmanager
async def foreign_campaign(seed: int) -> AsyncIterator[ForeignCampaign]:
    """Run the foreign exchange in this process."""
    async with foreign_exchange(seed=seed) as exchange:
        exchange.trade_by_itself(_TRADES_PER_SECOND)
        campaign = ForeignCampaign(exchange)
        try:
            yield campaign
        finally:
            campaign.clear()
