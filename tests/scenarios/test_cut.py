"""A cut: what every stream missed meanwhile is known, and fetched, a moment after the reconnect."""

from __future__ import annotations

import time
from typing import Any

import pytest

from livemarkets import app
from livemarkets.app import Tuning
from livemarkets.exchanges.base import StreamState
from livemarkets.market.models import StreamKey
from livemarkets.simulator import SimulatedMarket, Simulator
from livemarkets.simulator.market.symbols import SymbolRules
from tests.support.app import running_exchange, settings_for
from tests.support.helpers import eventually
from tests.support.upstream import quick

WHOLE_SECONDS = 2.0
QUESTION_WEIGHT = 80
_UNIT = 10**8


def market(symbols: list[str]) -> SimulatedMarket:
    """A market that hardly trades but when the test lets it."""
    rules = [
        SymbolRules(
            symbol=name,
            base=name.removesuffix("USDT"),
            quote="USDT",
            tick=_UNIT // 100,
            lot=_UNIT // 1000,
            price=100 * _UNIT,
            trades_per_second=1.0,
        )
        for name in symbols
    ]
    return SimulatedMarket(rules=rules, trades_per_second=1e-4, history_seconds=0.0)


def newest_id(venue: Simulator, symbol: str) -> int:
    return venue.source.history(symbol, venue.now_ms()).recent(1)[0].id


def rest_calls(stats: dict[str, Any], call: str) -> int:
    return int(stats["rest_calls"].get(f"/api/v3/{call}", 0))


def trade(venue: Simulator, symbols: list[str], count: int = 1) -> None:
    for symbol in symbols:
        venue.faults.burst(symbol=symbol, trades=count)


@pytest.mark.serial(quiet=True)  # how long it takes is measured
@pytest.mark.long
@pytest.mark.parametrize(
    ("seconds", "count", "silent", "missed"),
    [(0.5, 110, 80, 40), pytest.param(5.0, 200, 150, 60, marks=pytest.mark.verify)],
)
async def test_after_a_cut_all_is_whole_within_two_seconds(
    seconds: float, count: int, silent: int, missed: int
) -> None:
    """Most streams say nothing afterwards, so no later trade shows what they missed (REVIEW B12)."""
    symbols = [f"S{number}USDT" for number in range(count)]
    quiet, lively = symbols[:silent], symbols[silent:]
    lost = [*quiet[: missed - 10], *lively[:10]]
    async with running_exchange(market(symbols)) as venue:
        services = app.build(
            settings_for(venue, simulator_enabled=False, max_symbols_per_client=count),
            tuning=Tuning(client=quick()),
        )
        feed = services.feeds["binance"]
        keys = [StreamKey.trades("binance", symbol) for symbol in symbols]

        def are_acknowledged() -> bool:
            return all(feed.client.state_of(key) is StreamState.ACKNOWLEDGED for key in keys)

        def newest_kept() -> dict[str, int]:
            return {key.symbol: tick.id for key in keys if (tick := services.latest.get(key)) is not None}

        def is_whole() -> bool:
            return all(newest_kept().get(symbol) == newest_id(venue, symbol) for symbol in symbols)

        await services.start()
        try:
            for key in keys:
                services.manager.subscribe("test", key)
            await eventually(are_acknowledged, 20)
            trade(venue, symbols)
            await eventually(is_whole)
            before = venue.stats()
            venue.faults.refuse(seconds=seconds)
            venue.faults.drop()
            await eventually(lambda: not are_acknowledged())
            trade(venue, lost, count=3)
            await eventually(are_acknowledged, seconds + 20)
            acknowledged_at = time.monotonic()
            trade(venue, lively)
            await eventually(is_whole, 10)
            took = time.monotonic() - acknowledged_at
            assert took < WHOLE_SECONDS
            after = venue.stats()
            fetched = sum(rest_calls(after, call) for call in ("trades", "historicalTrades"))
            assert fetched <= missed + 2
            lists = rest_calls(after, "exchangeInfo") - rest_calls(before, "exchangeInfo")
            spent = after["rest_weight"] - before["rest_weight"] - 25 * fetched - 20 * lists
            assert spent <= QUESTION_WEIGHT
            assert rest_calls(after, "ticker/24hr") == 1
            assert not any(services.trades.gaps(key) for key in keys)
            for key in keys:
                ids = [tick.id for tick in services.trades.recent(key, 1000)]
                assert ids == list(range(ids[0], ids[-1] + 1))
        finally:
            await services.stop()
