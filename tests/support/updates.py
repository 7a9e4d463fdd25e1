"""Updates for tests that are about something else than their figures."""

from decimal import Decimal

from livemarkets.market.channels import ALL_SYMBOLS, BOOK, DEPTH, TICKERS
from livemarkets.market.models import StreamKey
from livemarkets.market.updates import BookUpdate, DepthUpdate, TickerRow, TickersDelta, TickerUpdate

BTC_BOOK = StreamKey("binance", BOOK, "BTCUSDT")
BTC_DEPTH = StreamKey("binance", DEPTH, "BTCUSDT")
BTC_TICKER = StreamKey("binance", TICKERS, "BTCUSDT")
ALL_TICKERS = StreamKey("binance", TICKERS, ALL_SYMBOLS)
START_MS = 1_723_161_255_000


def make_book(update_id: int, *, symbol: str = "BTCUSDT", recv_ts: int = START_MS) -> BookUpdate:
    """A best bid and ask whose bid tells its number."""
    bid = Decimal(60_000) + Decimal(update_id) / 100
    figures = bid, Decimal("1.20000"), bid + Decimal("0.01"), Decimal("0.80000")
    return BookUpdate("binance", symbol, *figures, update_id, recv_ts)


def make_depth(
    update_id: int, *, symbol: str = "BTCUSDT", levels: int = 20, recv_ts: int = START_MS
) -> DepthUpdate:
    """An order book of so many levels; the size of the best bid tells its number."""
    bids = tuple((Decimal(60_000 - n), Decimal(update_id + n)) for n in range(levels))
    asks = tuple((Decimal(60_001 + n), Decimal("1.50")) for n in range(levels))
    return DepthUpdate("binance", symbol, bids, asks, update_id, recv_ts)


def make_row(number: int, symbol: str = "BTCUSDT", *, last_id: int | None = None) -> TickerRow:
    """A row whose `trades` and time tell its number."""
    prices = Decimal("61837.63"), Decimal("60100.00"), Decimal("62000.00"), Decimal("59800.10")
    figures = Decimal("1737.63"), Decimal("2.891"), Decimal("18432.10000"), Decimal("1130000000.00")
    return TickerRow(symbol, *prices, *figures, number, last_id, START_MS - 86_400_000, START_MS + number)


def make_ticker(number: int, *, symbol: str = "BTCUSDT", last_id: int | None = None) -> TickerUpdate:
    """A ticker whose `trades` and time tell its number."""
    row = make_row(number, symbol, last_id=last_id)
    figures = row.last, row.open, row.high, row.low, row.change, row.change_percent, row.volume
    best = Decimal("61837.62"), Decimal("1.20000"), Decimal("61837.63"), Decimal("0.80000")
    return TickerUpdate(
        "binance",
        symbol,
        *figures,
        row.quote_volume,
        number,
        *best,
        row.open_ts,
        last_id,
        row.ts,
        row.ts + 8,
    )


def make_delta(*rows: TickerRow) -> TickersDelta:
    return TickersDelta("binance", rows, START_MS)
