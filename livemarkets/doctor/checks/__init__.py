"""The checks: one module for each family, and all of them in the order of the report."""

from livemarkets.doctor.checks import candles, control, history, lag, network, rest, symbols, tickers, trades

__all__ = ["CHECKS"]

CHECKS = (
    *network.CHECKS,
    *rest.CHECKS,
    *history.CHECKS,
    *symbols.CHECKS,
    *control.CHECKS,
    *trades.CHECKS,
    *lag.CHECKS,
    *tickers.CHECKS,
    *candles.CHECKS,
)
