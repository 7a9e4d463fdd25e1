"""The shipped application in a real Chromium: `main.py`, with an exchange of ours in Binance's place."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from livemarkets.simulator import ExchangeLimits, SimulatedMarket, Simulator
from livemarkets.simulator.market.symbols import SymbolRules, to_units
from tests.pages.browser import Tab, soon, tab
from tests.support.app import running_exchange, running_main, running_warm
from tests.support.helpers import eventually, free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")


def last_prices(recording: Path) -> dict[str, str]:
    """The price of the last trade of each symbol in a recording, as the page writes it."""
    last: dict[str, Decimal] = {}
    with gzip.open(recording, "rb") as lines:
        for line in lines:
            trade = msgspec.json.decode(line)["frame"]["data"]
            last[trade["s"]] = Decimal(trade["p"])
    return {symbol: f"{price:,.2f}" for symbol, price in last.items()}


def trades_of(exchange: Simulator) -> set[str]:
    """The streams of trades that are subscribed at the exchange."""
    return {name for name in exchange.subscriptions() if name.endswith("@trade")}


async def moves(shown: Tab, symbol: str) -> None:
    """Wait until the price of a row changes."""
    first = str(await soon(lambda: shown.price(symbol), 10, because=f"{symbol} has a price"))

    async def has_moved() -> bool:
        return await shown.price(symbol) != first

    await soon(has_moved, 10, because=f"the price of {symbol} moves")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shipped() -> AsyncIterator[tuple[str, Simulator]]:
    """The address of the shipped app, and what is its Binance."""
    async with (
        running_exchange() as exchange,
        running_main(exchange.ws_url.removeprefix("ws://"), LIVE_LINGER_SECONDS="0.5") as (_, port),
    ):
        yield f"http://127.0.0.1:{port}", exchange


async def test_a_reload_keeps_the_upstream_subscription(
    shared_chrome: Browser, shipped: tuple[str, Simulator]
) -> None:
    address, exchange = shipped
    async with tab(shared_chrome, address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT")
        await moves(shown, "BTCUSDT")
        before = [connection.number for connection in exchange.connections]
        assert len(before) == 1

        await shown.page.reload()
        await moves(shown, "BTCUSDT")

        assert [connection.number for connection in exchange.connections] == before
        assert trades_of(exchange) == {"btcusdt@trade"}


async def test_a_person_watches_adds_removes_and_leaves(
    shared_chrome: Browser, shipped: tuple[str, Simulator]
) -> None:
    address, exchange = shipped
    async with tab(shared_chrome, address) as shown:
        await shown.goto("/labs")
        await moves(shown, "BTCUSDT")
        await moves(shown, "ETHUSDT")
        assert await shown.text(".badge-name") == "Binance"
        assert trades_of(exchange) == {"btcusdt@trade", "ethusdt@trade"}

        await shown.page.keyboard.press("/")
        await shown.page.keyboard.type("sol usdt")
        await shown.page.locator("[role=option][data-symbol=SOLUSDT]").click()
        await moves(shown, "SOLUSDT")
        assert "solusdt@trade" in exchange.subscriptions()

        await shown.page.get_by_role("button", name="Remove ETHUSDT").click()
        await eventually(lambda: "ethusdt@trade" not in exchange.subscriptions())
        assert await shown.symbols() == ["BTCUSDT", "SOLUSDT"]
    # The tab is closed: after its time to come back and the linger, nothing is left upstream.
    await eventually(lambda: exchange.subscriptions() == set(), 20)


@pytest.mark.verify
async def test_an_unreachable_binance_gives_way_to_the_simulator_and_takes_over_again(
    shared_chrome: Browser,
) -> None:
    """Its words and its order of events alone: test_every_state_says_what_is_why_and_what_comes."""
    exchange_port = free_port()
    async with (
        running_main(f"127.0.0.1:{exchange_port}") as (_, port),
        tab(shared_chrome, f"http://127.0.0.1:{port}") as shown,
    ):
        await shown.goto("/labs?symbols=BTCUSDT,SHIBUSDT")
        strip = shown.page.locator(".market-strip")
        await strip.get_by_text("Binance cannot be reached").wait_for()
        await strip.get_by_text("SIMULATED PRICES.").wait_for()
        assert "connection refused" in (await strip.inner_text()).lower()
        await moves(shown, "BTCUSDT")
        assert await shown.texts("tr[data-symbol=BTCUSDT] .tag") == ["simulated"]

        market = SimulatedMarket(seed=7, symbols=("BTCUSDT", "SHIBUSDT"), trades_per_second=50.0)
        exchange = Simulator(market, limits=ExchangeLimits(messages_per_second=1000))
        await exchange.start(port=exchange_port)
        try:
            await strip.get_by_text("Binance is live.").wait_for(timeout=60_000)
            await shown.page.locator("tr[data-symbol=BTCUSDT] .tag").wait_for(state="detached")
            await moves(shown, "BTCUSDT")
        finally:
            await exchange.aclose()


async def test_without_the_flag_there_is_home_alone(shared_chrome: Browser) -> None:
    async with (
        running_main(LIVE_STREAM_ENABLED="false") as (_, port),
        tab(shared_chrome, f"http://127.0.0.1:{port}") as shown,
    ):
        await shown.goto("/")
        await shown.page.get_by_text("LIVE_STREAM_ENABLED=true").wait_for()
        assert await shown.texts("nav a") == ["Home"]
        assert (await shown.page.request.get(f"{shown.base}/labs")).status == 404


@pytest.mark.verify
async def test_the_page_ends_on_the_last_prices_of_a_recording(
    shared_chrome: Browser, shared_data: Path
) -> None:
    recording = shared_data / "spot_btc_eth_20240808_trade.jsonl.gz"
    expected = last_prices(recording)
    assert expected.keys() == {"BTCUSDT", "ETHUSDT"}
    exchange_port = free_port()
    arguments = ("--port", str(exchange_port), "--replay", str(recording), "--speed", "60", "--lead-in", "2")
    async with (
        running_warm("-m", "livemarkets.simulator", *arguments),
        running_main(f"127.0.0.1:{exchange_port}") as (_, port),
        tab(shared_chrome, f"http://127.0.0.1:{port}") as shown,
    ):
        await shown.goto("/labs?symbols=BTCUSDT,ETHUSDT")

        async def is_at_the_end() -> bool:
            return {symbol: await shown.price(symbol) for symbol in expected} == expected

        await soon(is_at_the_end, 40, because="the recording ends")
        assert await shown.text(".head-price") == expected["BTCUSDT"]


@pytest.mark.verify
async def test_symbols_of_another_script_are_found_watched_and_kept_in_the_address(
    shared_chrome: Browser,
) -> None:
    names = ("币安人生USDT", "１２３４５６", "ΣUSDT")
    listed = [
        SymbolRules(
            symbol=name,
            base=name.removesuffix("USDT"),
            quote="USDT",
            tick=to_units("0.01"),
            lot=to_units("0.001"),
            price=to_units("100"),
        )
        for name in names
    ]
    async with (
        running_exchange(SimulatedMarket(seed=7, trades_per_second=20.0, rules=listed)) as exchange,
        running_main(exchange.ws_url.removeprefix("ws://")) as (_, port),
        tab(shared_chrome, f"http://127.0.0.1:{port}") as shown,
    ):
        await shown.goto("/labs?symbols=" + quote("币安人生usdt"))
        await moves(shown, names[0])
        assert trades_of(exchange) == {"币安人生usdt@trade"}

        await shown.page.keyboard.press("/")
        await shown.page.keyboard.type("Σ")
        await shown.page.locator("[role=option][data-symbol=ΣUSDT]").wait_for()
        await shown.page.keyboard.press("Enter")
        await shown.page.keyboard.type("１２３４５６")
        await shown.page.locator("[role=option][data-symbol=１２３４５６]").click()
        await moves(shown, names[2])
        await moves(shown, names[1])
        assert await shown.symbols() == [names[0], names[2], names[1]]

        await shown.page.reload()
        await moves(shown, names[1])
        assert await shown.symbols() == [names[0], names[2], names[1]]
