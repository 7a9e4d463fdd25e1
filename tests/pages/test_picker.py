"""The picker in a real Chromium: what Enter takes depends on what was typed, never on how fast."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from playwright.async_api import Browser

from tests.pages.browser import Tab, has_price, soon, tab
from tests.pages.weak_link import weak_link

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY_DELAYS_MS = (0, 30, 150)
WORDS = {"eth": "ETH", "sol": "SOL", "doge": "DOGE", "btc/usdt": "BTC"}
"""What is typed, and what the names of all its hits contain."""


async def opened(shown: Tab) -> None:
    await shown.goto("/labs?symbols=BNBUSDT")
    await has_price(shown, "BNBUSDT")
    await shown.page.keyboard.press("/")


async def start_over(shown: Tab) -> None:
    """Leave only the first row, and an empty box that has the focus."""
    for symbol in (await shown.symbols())[1:]:
        await shown.page.get_by_role("button", name=f"Remove {symbol}").click()
    await has_rows(shown, ["BNBUSDT"])
    await shown.page.locator("[role=combobox]").fill("")
    await shown.page.locator("[role=combobox]").focus()


async def hits_for(shown: Tab, word: str) -> list[str]:
    """The hits for `word`, best first, as a person reads them who waits. The box is left empty."""
    await shown.page.keyboard.type(word)

    async def hits() -> list[str]:
        found = await shown.texts("[role=option] .picker-symbol")
        # Popular symbols stand there before the answer.
        return found if found and all(WORDS[word] in symbol for symbol in found) else []

    found = list(await soon(hits))
    await start_over(shown)
    return found


async def has_rows(shown: Tab, symbols: list[str]) -> None:
    async def are_shown() -> bool:
        found = await shown.symbols()
        assert found == symbols
        return True

    await soon(are_shown)


@pytest.mark.parametrize(
    ("word", "delays_ms"),
    [
        ("btc/usdt", KEY_DELAYS_MS[:1]),
        pytest.param("eth", KEY_DELAYS_MS, marks=pytest.mark.verify),
        pytest.param("btc/usdt", KEY_DELAYS_MS, marks=pytest.mark.verify),
    ],
)
async def test_enter_takes_the_best_hit_at_every_speed(
    shared_chrome: Browser, local_address: str, word: str, delays_ms: Sequence[int]
) -> None:
    async with tab(shared_chrome, local_address) as shown:
        await opened(shown)
        best = (await hits_for(shown, word))[0]
        for delay_ms in delays_ms:
            await shown.page.keyboard.type(word, delay=delay_ms)
            await shown.page.keyboard.press("Enter")
            await has_rows(shown, ["BNBUSDT", best])
            await start_over(shown)


@pytest.mark.verify
async def test_arrows_choose_the_same_hit_at_every_speed(shared_chrome: Browser, local_address: str) -> None:
    async with tab(shared_chrome, local_address) as shown:
        await opened(shown)
        hits = await hits_for(shown, "eth")
        for delay_ms in KEY_DELAYS_MS:
            for key, chosen in (("ArrowDown", hits[1]), ("ArrowUp", hits[-1])):
                await shown.page.keyboard.type("eth", delay=delay_ms)
                await shown.page.keyboard.press(key, delay=delay_ms)
                await shown.page.keyboard.press("Enter", delay=delay_ms)
                await has_rows(shown, ["BNBUSDT", chosen])
                await start_over(shown)


async def test_one_symbol_after_the_other_is_added_without_a_pause(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address) as shown:
        await opened(shown)
        best = [(await hits_for(shown, word))[0] for word in ("sol", "doge")]
        for word in ("sol", "doge"):
            await shown.page.keyboard.type(word)
            await shown.page.keyboard.press("Enter")
        await has_rows(shown, ["BNBUSDT", *best])


async def test_an_enter_that_nothing_matches_says_so(shared_chrome: Browser, local_address: str) -> None:
    async with tab(shared_chrome, local_address) as shown:
        await opened(shown)
        for word, delay_ms in zip(("xxx", "yyy", "zzz"), KEY_DELAYS_MS, strict=True):
            await start_over(shown)
            await shown.page.keyboard.type(word, delay=delay_ms)
            await shown.page.keyboard.press("Enter")
            await shown.page.get_by_role("alert").get_by_text(f"does not list “{word.upper()}”").wait_for()
            assert await shown.symbols() == ["BNBUSDT"]


async def test_enter_in_an_empty_box_adds_nothing(shared_chrome: Browser, local_address: str) -> None:
    """The popular symbols of the open list are an offer. Nobody chose the first of them."""
    async with tab(shared_chrome, local_address) as shown:
        await opened(shown)
        await soon(lambda: shown.texts("[role=option]"), because="popular symbols are offered")
        await shown.page.keyboard.press("Enter")
        await shown.page.keyboard.type("sol")
        await shown.page.keyboard.press("Enter")
        await has_rows(shown, ["BNBUSDT", "SOLUSDT"])


async def test_enter_waits_for_a_server_that_takes_its_time(
    shared_chrome: Browser, local_address: str
) -> None:
    async with weak_link(local_address) as link, tab(shared_chrome, link.address) as shown:
        await opened(shown)
        hits = await hits_for(shown, "eth")
        link.hold()
        await shown.page.locator("[role=combobox]").blur()
        await shown.page.locator("[role=combobox]").focus()
        await shown.page.keyboard.type("eth", delay=150)  # searched before Enter comes
        await shown.page.keyboard.press("ArrowDown")
        await shown.page.keyboard.press("Enter")
        await shown.page.get_by_text("Looking for “").wait_for()
        assert await shown.symbols() == ["BNBUSDT"]
        link.mend()
        await has_rows(shown, ["BNBUSDT", hits[1]])
        await shown.page.get_by_text("Looking for “").wait_for(state="hidden")
        assert await shown.page.locator(".picker-list").is_hidden(), "no late answer opens the list"
