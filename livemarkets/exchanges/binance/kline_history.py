"""Past candles over Binance's REST API."""

from __future__ import annotations

from collections.abc import Callable

from livemarkets.exchanges.base import PAGE_CANDLES, Purpose
from livemarkets.exchanges.binance.klines import RestKline, fetched_candles
from livemarkets.exchanges.binance.rest_calls import RestCalls
from livemarkets.market.candles import Candle
from livemarkets.market.models import ExchangeName

__all__ = ["KlineHistory"]


class KlineHistory:
    """Requests past candles (a :class:`~livemarkets.exchanges.base.CandleHistory`).

    Args:
        exchange: the exchange name of the candles.
        calls: makes the calls.
        now_ms: returns the time, ms since the epoch.

    """

    def __init__(self, exchange: ExchangeName, calls: RestCalls, now_ms: Callable[[], int]) -> None:
        self._exchange: ExchangeName = exchange
        self._calls = calls
        self._now_ms = now_ms

    async def candles(
        self,
        symbol: str,
        interval: str,
        *,
        limit: int,
        start_ts: int | None = None,
        end_ts: int | None = None,
        purpose: Purpose = Purpose.HOLE,
        asker: str | None = None,
    ) -> list[Candle]:
        """Return candles (`GET /api/v3/klines`, weight 2), which come from a database.

        Raises:
            ExchangeError: no base address gave a usable answer.

        """
        parameters: dict[str, str | int] = {
            "symbol": symbol,
            "interval": interval,
            "limit": min(limit, PAGE_CANDLES),
        }
        if start_ts is not None:
            parameters["startTime"] = start_ts
        if end_ts is not None:
            parameters["endTime"] = end_ts
        found = await self._calls.get("klines", parameters, 2, list[RestKline], purpose=purpose, asker=asker)
        return fetched_candles(self._exchange, symbol, interval, found, self._now_ms())
