"""Makes the symbols of a simulated market when they are first used."""

from __future__ import annotations

from random import Random

from livemarkets.simulator.market.book import draw_fills
from livemarkets.simulator.market.symbols import SymbolRules
from livemarkets.simulator.market.traded_symbol import CATCH_UP_TRADES, TradedSymbol

__all__ = ["SymbolMaker"]

_FIRST_TRADES = 100_000
"""Approximate limit of the trades before the first use, of all symbols together, at a constant rate."""


class SymbolMaker:
    """Makes symbols, all at the same rate or at factors of their usual ones.

    The arguments are those of :class:`~livemarkets.simulator.market.simulated_market.SimulatedMarket`.
    """

    def __init__(
        self,
        seed: int,
        rate: float,
        trades_per_second: float | None,
        history_length: int,
        history_seconds: float,
    ) -> None:
        self._seed = seed
        self._rate = rate
        self._constant = trades_per_second
        self._history_length = history_length
        self._history_seconds = history_seconds
        self._fills_usd = draw_fills(Random(f"{seed}:fills"))

    def make(self, rules: SymbolRules, listed: int, now_ms: float) -> TradedSymbol:
        """Return a symbol at its first use, one of so many that are listed. Its trades begin before that."""
        per_second = self._constant or rules.trades_per_second * self._rate
        most = CATCH_UP_TRADES
        if self._constant is not None:
            # In a load test all symbols are used at once, and the exchange would not answer meanwhile.
            most = min(most, max(_FIRST_TRADES // listed, 200))
        past_seconds = min(self._history_seconds, most / per_second)
        return TradedSymbol(
            rules,
            self._seed,
            now_ms - 1000 * past_seconds,
            per_second=per_second,
            constant=self._constant is not None,
            history_length=self._history_length,
            fills_usd=self._fills_usd,
        )
