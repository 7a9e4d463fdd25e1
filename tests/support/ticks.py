"""Trades for tests that are about something else than their prices."""

from decimal import Decimal

from livemarkets.market.models import TRADES, ExchangeName, StreamKey, TradeTick

BTC = StreamKey("binance", TRADES, "BTCUSDT")
ETH = StreamKey("binance", TRADES, "ETHUSDT")


def make_tick(
    trade_id: int,
    *,
    symbol: str = "BTCUSDT",
    exchange: ExchangeName = "binance",
    price: str = "61837.63000000",
    size: str = "0.02000000",
    ts: int | None = None,
    backfilled: bool = False,
) -> TradeTick:
    """A trade whose time rises with its id unless told otherwise."""
    at = 1_723_161_255_000 + trade_id if ts is None else ts
    return TradeTick(
        exchange, symbol, Decimal(price), Decimal(size), "sell", at, trade_id, at + 8, backfilled=backfilled
    )


class ManualClock:
    """Seconds that pass only when a test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
