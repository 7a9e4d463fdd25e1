"""What the tests of the HTTP API share."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from livemarkets.simulator import Simulator
from tests.support.app import RunningApp


async def filled(app: RunningApp, exchange: Simulator, symbol: str, trades: int) -> None:
    """Have so many trades of a symbol in memory."""
    client = await app.connect()
    await client.subscribe(symbol)
    await client.next("status", state="live")
    exchange.faults.burst(symbol=symbol, trades=trades)
    await client.trades(trades)


def tick_of(exchange: Simulator, symbol: str, at: int) -> dict[str, Any]:
    """A trade as the API has to tell it, numbers as text."""
    trade = exchange.source.history(symbol, exchange.now_ms()).trades[at]
    return {
        "exchange": "binance",
        "symbol": symbol,
        "price": f"{Decimal(trade.price).scaleb(-8):.8f}",
        "size": f"{Decimal(trade.size).scaleb(-8):.8f}",
        "side": "sell" if trade.buyer_is_maker else "buy",
        "ts": str(trade.time_ms),
        "id": str(trade.id),
    }


def with_digits(text: str) -> Any:
    return json.loads(text, parse_float=str, parse_int=str)
