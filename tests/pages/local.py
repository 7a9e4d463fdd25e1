"""A small application for the pages: real manager, stores and directories; states and trades as told.

`LocalServices` satisfies `pages.PageServices` without any exchange behind it. Run as a program, it serves
the pages on a port, and its states are changed over HTTP: that is how a real browser is shown each of them.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from decimal import Decimal

import uvicorn
from fastapi import FastAPI, Request, Response
from loguru import logger
from msgspec.structs import replace
from nicegui import ui
from starlette.middleware.base import RequestResponseEndpoint

import pages
from livemarkets.config.settings import Settings
from livemarkets.embedded.faults import OFFERS, FaultRefused
from livemarkets.market.channels import ALL_SYMBOLS, BOOK, CANDLES, CHANNELS, DEPTH, TICKERS
from livemarkets.market.latest_updates import LatestUpdates
from livemarkets.market.models import (
    TRADES,
    ExchangeState,
    ExchangeStatus,
    Gap,
    QualityState,
    StreamKey,
    StreamQuality,
    SymbolInfo,
    TradeTick,
)
from livemarkets.market.stores import LatestPriceStore, RecentTrades
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.market.symbols import SymbolDirectory
from livemarkets.market.updates import BookUpdate, DepthUpdate, TickerRow, TickersDelta, ticker_of
from livemarkets.security.token_auth import TokenAuth
from livemarkets.server.turns import Turns
from livemarkets.status.exchange_report import StreamReport
from livemarkets.status.report import Need, StatusReport
from pages.labs.watchlist import PageSubscriber
from tests.pages.local_candles import LocalCandles
from tests.support import reports
from tests.support.helpers import eventually

PRICES = {
    "BTCUSDT": ("BTC", "USDT", "61837.63", "0.01", "0.00001"),
    "ETHUSDT": ("ETH", "USDT", "2683.80", "0.01", "0.0001"),
    "BNBUSDT": ("BNB", "USDT", "512.40", "0.10", "0.001"),
    "SOLUSDT": ("SOL", "USDT", "159.73", "0.01", "0.001"),
    "XRPUSDT": ("XRP", "USDT", "0.6191", "0.0001", "1"),
    "DOGEUSDT": ("DOGE", "USDT", "0.10341", "0.00001", "1"),
    "SHIBUSDT": ("SHIB", "USDT", "0.00001402", "0.00000001", "10000"),
    "ETHBTC": ("ETH", "BTC", "0.04340", "0.00001", "0.0001"),
}
"""Base, quote, a price, tick size and step size of the symbols listed here."""

NOT_TRADING = "LUNAUSDT"

QUIET = "QUIETEUR"
"""A symbol that has 24 h figures, and never trades."""
PRICES[QUIET] = ("QUIET", "EUR", "7.25", "0.01", "0.1")

MANY = tuple(f"X{number:02}EUR" for number in range(1, 41))
"""Further symbols, for pages with many rows."""
PRICES |= {symbol: (symbol[:3], "EUR", f"{symbol[1:3]}.50", "0.01", "0.1") for symbol in MANY}

CROWD = tuple(f"Y{number:03}EUR" for number in range(1, 201))
"""Symbols that are listed only with `--crowd`."""


def list_crowd() -> None:
    """List more symbols, in a process of its own."""
    PRICES.update({symbol: (symbol[:4], "EUR", f"{symbol[1:4]}.50", "0.01", "0.1") for symbol in CROWD})


def listed() -> list[SymbolInfo]:
    """What both exchanges of the small application list."""
    infos = [
        SymbolInfo(
            symbol=symbol,
            base_asset=base,
            quote_asset=quote,
            tick_size=Decimal(tick).normalize(),
            step_size=Decimal(step).normalize(),
        )
        for symbol, (base, quote, _, tick, step) in PRICES.items()
    ]
    halted = SymbolInfo(
        symbol=NOT_TRADING,
        base_asset="LUNA",
        quote_asset="USDT",
        tick_size=Decimal("0.0001"),
        step_size=Decimal("0.01"),
        is_trading=False,
    )
    return [*infos, halted]


def ticker_row(
    symbol: str, last: str, *, opened: str = "100", quote_volume: str = "1000", trades: int = 7, ts: int = 1
) -> TickerRow:
    """The figures of a symbol."""
    price, before = Decimal(last), Decimal(opened)
    return TickerRow(
        symbol=symbol,
        last=price,
        open=before,
        high=max(price, before),
        low=min(price, before),
        change=price - before,
        change_percent=(price - before) / before * 100,
        volume=Decimal(10),
        quote_volume=Decimal(quote_volume),
        trades=trades,
        last_id=trades,
        open_ts=0,
        ts=ts,
    )


class LocalFaults:
    """Buttons that note who pressed them."""

    def __init__(self) -> None:
        self.offers = {offer.name: offer for offer in OFFERS}
        self.caused: list[str] = []
        self.refusal = ""

    async def inject(self, name: str) -> None:
        if self.refusal:
            raise FaultRefused(self.refusal)
        self.caused.append(name)


class LocalInspection:
    """A sound server, with the exchanges of the small application, and with what a test adds."""

    def __init__(self, services: "LocalServices") -> None:
        self._services = services
        self.needs: list[Need] = []
        self.streams: dict[str, list[StreamReport]] = {}
        self.asked = 0

    async def report(self) -> StatusReport:
        self.asked += 1
        services = self._services
        statuses = [services.status(name) for name in services.exchanges()]
        described = [
            reports.exchange(
                each.exchange,
                state=each.state.value,
                reason=each.reason,
                worst=self.streams.get(each.exchange, []),
            )
            for each in statuses
        ]
        return replace(reports.report(*described), ts=services.now_ms(), needs=self.needs)


class LocalServices:
    """The application as the pages see it. States, trades and the clock do what they are told."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        linger_seconds: float = 0,
        more_exchanges: tuple[str, ...] = (),
    ) -> None:
        self.settings = settings or Settings(stream_enabled=True)
        self._more_exchanges = more_exchanges
        self.clock_ms = 1_723_161_255_000
        self.clock_set_by_ms = 0
        self.manager = SubscriptionManager(linger_seconds=linger_seconds, clock=lambda: self.now_ms() / 1000)
        self.latest = LatestPriceStore()
        self.page_turns = Turns()
        self.trades = RecentTrades(self.settings.feed_length)
        self.updates = LatestUpdates()
        self.inspection = LocalInspection(self)
        self.buttons = LocalFaults()
        self.faults = self.buttons if self.settings.simulator_enabled else None
        self.directories = {name: SymbolDirectory() for name in self.exchanges()}
        self.past = {name: LocalCandles(self.now_ms) for name in self.exchanges()}
        self.offered: Set[str] = frozenset(CHANNELS)
        self.can_load = True
        self.loads: list[str] = []
        self.sought: list[str] = []
        self.qualities: dict[StreamKey, tuple[QualityState, str | None]] = {}
        self._statuses = {
            name: _status(name, ExchangeState.LIVE, None, self.now_ms()) for name in self.exchanges()
        }
        self._ids: dict[StreamKey, int] = {}

    def exchanges(self) -> tuple[str, ...]:
        simulator = ("simulator",) if self.settings.simulator_enabled else ()
        return ("binance", *self._more_exchanges, *simulator)

    def status(self, exchange: str) -> ExchangeStatus:
        return self._statuses[exchange]

    def set_status(
        self, exchange: str, state: ExchangeState, reason: str | None = None, retry_ms: int | None = None
    ) -> None:
        self._statuses[exchange] = _status(exchange, state, reason, self.now_ms(), retry_ms)

    def symbols(self, exchange: str) -> SymbolDirectory:
        return self.directories[exchange]

    def quality(self, key: StreamKey) -> StreamQuality | None:
        state, reason = self.qualities.get(key, (QualityState.LIVE, None))
        return StreamQuality(
            key=key,
            state=state,
            reason=reason,
            since=self.clock_ms,
            complete_to=None,
            last_id=None,
            lost=0,
            lost_ts=None,
        )

    def set_quality(self, symbol: str, state: QualityState, reason: str | None = None) -> None:
        self.qualities[StreamKey.trades("binance", symbol)] = (state, reason)

    def quality_version(self, exchange: str) -> int:
        return hash(tuple(self.qualities.items()))

    def channels(self, exchange: str) -> Set[str]:
        return self.offered

    def candles(self, exchange: str) -> LocalCandles:
        return self.past[exchange]

    def seek_symbols(self, exchange: str, symbols: Sequence[str], *, ask: bool) -> None:
        self.sought += symbols if ask else ()

    async def ensure_symbols(self, exchange: str) -> None:
        self.loads.append(exchange)
        if self.can_load or exchange == "simulator":
            self.load(exchange)

    def load(self, exchange: str) -> None:
        self.directories[exchange].replace(listed())

    def now_ms(self) -> int:
        return self.clock_ms + self.clock_set_by_ms

    def elapsed_ms(self) -> int:
        return self.clock_ms

    def put(
        self,
        symbol: str,
        price: str,
        size: str = "1.00000000",
        *,
        side: str = "buy",
        exchange: str = "binance",
    ) -> TradeTick:
        """Have one trade happen now."""
        key = StreamKey.trades(exchange, symbol)
        self._ids[key] = self._ids.get(key, 0) + 1
        tick = TradeTick(
            exchange=key.exchange,
            symbol=symbol,
            price=Decimal(price),
            size=Decimal(size),
            side="sell" if side == "sell" else "buy",
            ts=self.now_ms() - 40,
            id=self._ids[key],
            recv_ts=self.now_ms(),
        )
        self.latest.put(key, tick)
        self.trades.append(key, tick)
        return tick

    def put_tickers(self, prices: Mapping[str, str], *, exchange: str = "binance") -> None:
        """Have the exchange tell the figures of symbols. The open was 100 for all of them."""
        self.put_rows([ticker_row(*item, ts=self.now_ms()) for item in prices.items()], exchange)

    def put_rows(self, rows: Iterable[TickerRow], exchange: str) -> None:
        """Have the exchange tell these figures."""
        delta = TickersDelta(exchange, tuple(rows), self.now_ms())
        self.updates.put(StreamKey(exchange, TICKERS, ALL_SYMBOLS), delta)

    def put_ticker(self, row: TickerRow, *, exchange: str = "binance") -> None:
        """Have the exchange tell the figures of one symbol, with its best bid and ask."""
        price = row.last or Decimal(1)
        best = (price, Decimal(1), price + Decimal("0.01"), Decimal(2))
        update = ticker_of(exchange, row, best, self.now_ms())
        self.updates.put(StreamKey(exchange, TICKERS, row.symbol), update)

    def put_book(self, symbol: str, bid: str, ask: str, *, exchange: str = "binance") -> None:
        """Have the exchange tell the best bid and ask."""
        best = (Decimal(bid), Decimal(1), Decimal(ask), Decimal(2))
        update = BookUpdate(exchange, symbol, *best, self.now_ms(), self.now_ms())
        self.updates.put(StreamKey(exchange, BOOK, symbol), update)

    def put_depth(self, symbol: str, price: Decimal, tick: Decimal, *, exchange: str = "binance") -> None:
        """Have the exchange tell twenty price levels below and above a price."""
        sizes = [Decimal((self.now_ms() // 100 + level * 7) % 23 + 1) / 10 for level in range(20)]
        update = DepthUpdate(
            exchange,
            symbol,
            tuple((price - tick * level, size) for level, size in enumerate(sizes)),
            tuple((price + tick * (level + 1), size) for level, size in enumerate(sizes)),
            self.now_ms(),
            self.now_ms(),
        )
        self.updates.put(StreamKey(exchange, DEPTH, symbol), update)

    def put_many(self, symbol: str, sizes: Iterable[str]) -> None:
        """Have one trade happen for each size."""
        for size in sizes:
            self.put(symbol, "100.00", size)

    def lose(self, symbol: str, count: int) -> None:
        """Have trades lost on the way, and declared so."""
        key = StreamKey("binance", TRADES, symbol)
        first = self._ids.get(key, 0) + 1
        self._ids[key] = first + count - 1
        self.trades.note_gap(Gap(key, first, self._ids[key], "upstream"))

    def restart_ids(self, symbol: str) -> None:
        """Have the exchange begin again with id 1."""
        key = StreamKey("binance", TRADES, symbol)
        self.trades.note_gap(Gap(key, self._ids.pop(key) + 1, 0, "venue"))


class RunningServices(LocalServices):
    """The same on the wall clock, with a market that moves by itself."""

    def __init__(self, settings: Settings, *, trades_per_second: float) -> None:
        super().__init__(settings)
        self._trades_per_second = trades_per_second
        self.passed_ms = 0
        """Time that is said to have passed, beside that which has."""
        self._random = random.Random(7)
        self._prices = {symbol: Decimal(row[2]) for symbol, row in PRICES.items()}
        self.past = {
            name: LocalCandles(self.now_ms, lambda symbol: self._prices[symbol]) for name in self.exchanges()
        }

    def now_ms(self) -> int:
        return int(time.time() * 1000)

    def elapsed_ms(self) -> int:
        return int(time.monotonic() * 1000) + self.passed_ms

    async def run(self, server: uvicorn.Server) -> None:
        """Say when the pages are served, then trade what is wanted, until cancelled."""
        await eventually(lambda: server.started)
        logger.info("serving")
        turn_seconds = 0.02
        due = 0.0
        while True:
            await asyncio.sleep(turn_seconds)
            due += self._trades_per_second * turn_seconds
            while due >= 1:
                due -= 1
                self._trade()

    def _trade(self) -> None:
        for exchange in self.exchanges():
            if self.status(exchange).state is not ExchangeState.LIVE:
                continue
            keys = self.manager.wanted(exchange)
            wanted = sorted({key.symbol for key in keys if key.symbol in PRICES and key.symbol != QUIET})
            if wanted:
                self._trade_one(exchange, self._random.choice(wanted))
            quiet = StreamKey(exchange, TICKERS, QUIET)
            if quiet in keys and not self.updates.has(quiet):
                self.put_ticker(ticker_row(QUIET, "7.25", opened="7.10", ts=self.now_ms()), exchange=exchange)
            if StreamKey(exchange, TICKERS, ALL_SYMBOLS) in self.manager.wanted(exchange):
                self._tell_tickers(exchange)

    def _trade_one(self, exchange: str, symbol: str) -> None:
        _, _, _, tick, step = PRICES[symbol]
        self._prices[symbol] += Decimal(tick) * self._random.choice((-3, -1, 0, 0, 0, 1, 3))
        size = Decimal(step) * self._random.randint(1, 4000)
        side = self._random.choice(("buy", "sell"))
        made = self.put(symbol, f"{self._prices[symbol]:.8f}", f"{size:.8f}", side=side, exchange=exchange)
        for key in self.manager.wanted(exchange):
            if key.symbol == symbol:
                self._tell(key, made)

    def _tell(self, key: StreamKey, made: TradeTick) -> None:
        """Have a trade show in the other streams of its symbol."""
        _, _, opened, tick, _ = PRICES[key.symbol]
        if key.channel == CANDLES:
            self.past[key.exchange].trade(key, made)
        elif key.channel == TICKERS:
            row = ticker_row(key.symbol, f"{made.price:.8f}", opened=opened, trades=made.id, ts=self.now_ms())
            self.put_ticker(row, exchange=key.exchange)
        elif key.channel == DEPTH:
            self.put_depth(key.symbol, made.price, Decimal(tick), exchange=key.exchange)

    def _tell_tickers(self, exchange: str) -> None:
        """Tell all figures first, then those of a few symbols."""
        key = StreamKey(exchange, TICKERS, ALL_SYMBOLS)
        told = self._random.sample(sorted(PRICES), 5) if self.updates.has(key) else PRICES
        self.put_rows([self._told(symbol) for symbol in told], exchange)

    def _told(self, symbol: str) -> TickerRow:
        _, _, opened, tick, _ = PRICES[symbol]
        price = (Decimal(opened) * self._random.randint(990, 1010) / 1000).quantize(Decimal(tick))
        volume = f"{int(1000 / Decimal(tick))}.00000000"
        return ticker_row(symbol, f"{price:.8f}", opened=opened, quote_volume=volume, ts=self.now_ms())


def _status(
    exchange: str, state: ExchangeState, reason: str | None, now_ms: int, retry_ms: int | None = None
) -> ExchangeStatus:
    retry_ts = None if retry_ms is None else now_ms + retry_ms
    return ExchangeStatus(exchange=exchange, state=state, reason=reason, ts=now_ms, retry_ts=retry_ts)


CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'"
)


def build(services: RunningServices) -> FastAPI:
    """The pages, and the means to change the states behind them."""
    app = FastAPI()

    @app.post("/control/status")
    async def set_status(exchange: str, state: str, reason: str = "", retry_ms: int = 0) -> None:
        services.set_status(exchange, ExchangeState(state), reason or None, retry_ms or None)

    @app.post("/control/wait")
    async def wait(ms: int) -> None:
        services.passed_ms += ms

    @app.post("/control/quality")
    async def set_quality(symbol: str, state: str, reason: str = "") -> None:
        services.set_quality(symbol, QualityState(state), reason or None)

    @app.post("/control/candles")
    async def change_candles(symbol: str, interval: str, what: str) -> None:
        past, key = services.past["binance"], StreamKey("binance", CANDLES, symbol, interval)
        if what == "cut":
            past.cut(key, 2)
        elif what == "backfill":
            past.backfill(key)
        elif what == "lost":
            past.lose(key, 2)
        else:
            past.revise(key, 3, Decimal(what))

    @app.post("/control/lose")
    async def lose(symbol: str, count: int) -> None:
        services.lose(symbol, count)

    @app.post("/control/trade")
    async def trade(symbol: str, price: str, size: str) -> None:
        services.put(symbol, price, size)

    @app.get("/control/wanted")
    async def wanted(client_id: str) -> list[str]:
        keys = [key for exchange in services.exchanges() for key in services.manager.wanted(exchange)]
        page = PageSubscriber(client_id)
        mine = [key for key in keys if key in services.manager.subscriptions(page)]
        return sorted(f"{key.exchange}:{key.symbol}" for key in mine if key.channel == TRADES)

    @app.middleware("http")
    async def guard(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    app.include_router(pages.login_router(TokenAuth("a-token-of-sixteen-and-more")))
    pages.register(services)
    ui.run_with(app, **pages.run_with_options())
    return app


async def serve(port: int, services: RunningServices) -> None:
    """Serve until the process is told to end."""
    config = uvicorn.Config(
        build(services), port=port, ws="websockets-sansio", log_level="warning", ws_per_message_deflate=False
    )
    server = uvicorn.Server(config)
    trading = asyncio.create_task(services.run(server), name="trading")
    try:
        await server.serve()
    finally:
        trading.cancel()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--trades-per-second", type=float, default=20)
    parser.add_argument("--disabled", action="store_true")
    parser.add_argument("--crowd", action="store_true")
    options = parser.parse_args()
    if options.crowd:
        list_crowd()
    settings = Settings(stream_enabled="false" if options.disabled else "true")
    asyncio.run(serve(options.port, RunningServices(settings, trades_per_second=options.trades_per_second)))


if __name__ == "__main__":
    main()
