"""Labs › Console in a real Chromium, on the shipped application with an access token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Dialog

from tests.pages.browser import PHONE, Tab, soon, tab
from tests.support.app import running_main, running_process

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOKEN = "a-token-of-sixteen-and-more"
LAPTOP = {"width": 1366, "height": 768}
LONG_SECONDS = 20.0
FLOOD = """async () => {
    const { FrameLog } = await import("frame_log");
    const list = document.createElement("ol");
    const log = new FrameLog(list, { messages: {}, errors: {} }, () => {});
    for (let number = 0; number < 2000; number++) log.add(String(number), false);
    log.flush();
    const [kept, oldest] = [list.children.length, list.firstChild.frame.text];
    for (let number = 0; number < 100; number++) log.add("x".repeat(100_000), false);
    log.flush();
    const characters = log.characters <= 2_000_000;
    const long = list.children.length === log.frames.length && log.frames.length === 20;
    log.end();
    return { kept, oldest, characters, long };
}"""
"""Two thousand frames, and then a hundred long ones, come to the list of frames."""


async def types(shown: Tab) -> list[str]:
    return await shown.texts(".console-frame .console-type")


async def has_type(shown: Tab, kind: str) -> None:
    async def is_there() -> bool:
        return kind in await types(shown)

    await soon(is_there, LONG_SECONDS, because=f"a frame {kind}")


async def copied(shown: Tab, name: str) -> str:
    """What the person gets by a button of `Copy as`."""
    await shown.page.get_by_role("button", name=name, exact=True).click()
    return str(await shown.run("navigator.clipboard.readText()"))


async def log_in(shown: Tab, path: str) -> None:
    await shown.goto(path)
    await shown.page.get_by_label("Access token").fill(TOKEN)
    await shown.page.keyboard.press("Enter")
    await shown.page.locator(".console-panel").wait_for()


async def is_in_sight(shown: Tab, selector: str) -> bool:
    """Whether an element is on the page, and nothing is wider than the window."""
    width = await shown.run("document.documentElement.scrollWidth - innerWidth")
    return await shown.page.locator(selector).first.is_visible() and int(width) <= 0


async def test_a_person_writes_sends_reads_and_filters(shared_chrome: Browser) -> None:
    """Everything that a person can do there: the next test, in `make verify`."""
    async with (
        running_main() as (_, port),
        tab(shared_chrome, f"http://127.0.0.1:{port}", viewport=LAPTOP) as shown,
    ):
        page = shown.page
        await shown.goto("/labs/console")
        box = page.locator(".console-message")
        await box.fill('{"type":"subscribe","exchange":"simulator"}')
        await page.get_by_text("invalid_message: channel is missing").wait_for()
        await page.get_by_role("button", name="Send", exact=True).click()
        await has_type(shown, "error")
        await page.get_by_label("Show only frames with these words").fill("by hand")
        await box.fill('{"type":"ping","id":"by hand"}')
        await page.get_by_text("The server takes this message.").wait_for()
        await box.press("Control+Enter")
        await has_type(shown, "pong")
        assert set(await types(shown)) == {"ping", "pong"}
        assert await page.evaluate(FLOOD) == {"kept": 300, "oldest": "1700", "characters": True, "long": True}


@pytest.mark.verify
async def test_a_person_builds_sends_watches_and_copies(shared_chrome: Browser, tmp_path: Path) -> None:
    async with (
        running_main(LIVE_ACCESS_TOKEN=TOKEN) as (_, port),
        tab(shared_chrome, f"http://127.0.0.1:{port}", viewport=LAPTOP) as shown,
    ):
        page = shown.page
        await shown.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await log_in(shown, "/labs/console")

        # build by form
        await page.get_by_label("Exchange", exact=True).select_option("simulator")
        await page.get_by_label("symbols", exact=True).fill("btcusdt,NOPE")
        await page.get_by_text("Options", exact=True).click()
        await page.get_by_label("id", exact=True).fill("7")
        box = page.locator(".console-message")

        async def is_built() -> bool:
            message: Any = json.loads(await box.input_value())
            return bool(message.get("id") == 7 and message["symbols"] == ["btcusdt", "NOPE"])

        await soon(is_built, LONG_SECONDS, because="the form makes the message")
        assert await types(shown) == []

        # send, and read; trades do not push out what the filter lets through
        words = page.get_by_label("Show only frames with these words")
        await words.fill("subscribed")
        await page.get_by_role("button", name="Send", exact=True).click()
        await has_type(shown, "subscribed")
        await page.locator(".console-frame button").click()
        meaning = await shown.text(".console-meaning")
        assert "The answer to subscribe." in meaning
        assert "One for each symbol of the request, in its order." in meaning

        # filter and pause
        await words.fill("received price")
        await has_type(shown, "trade")
        assert set(await types(shown)) == {"trade"}
        await page.wait_for_url(lambda url: "show=received+price" in url)
        await page.get_by_role("button", name="Pause", exact=True).click()
        await page.locator(".console-count", has_text="passed by").wait_for()
        await page.get_by_role("button", name="Go on", exact=True).click()

        # by hand
        await words.fill("error")
        await box.fill('{"type":"subscribe","exchange":"simulator"}')
        await page.get_by_text("invalid_message: channel is missing").wait_for()
        await page.get_by_role("button", name="Send", exact=True).click()
        await has_type(shown, "error")
        await words.fill("by hand")
        await box.fill('{"type":"ping","id":"by hand"}')
        await page.get_by_text("The server takes this message.").wait_for()
        await box.press("Control+Enter")
        await has_type(shown, "pong")
        assert set(await types(shown)) == {"ping", "pong"}
        await page.wait_for_url(lambda url: url.endswith("id%22%3A%22by+hand%22%7D&show=by+hand"))

        # only the newest frames are kept, however many come
        assert await page.evaluate(FLOOD) == {"kept": 300, "oldest": "1700", "characters": True, "long": True}

        # copy
        python, javascript = await copied(shown, "Python"), await copied(shown, "JavaScript")
        assert "by hand" in await copied(shown, "wscat")
        assert TOKEN not in python + javascript
        program = tmp_path / "program.py"
        program.write_text(python)
        async with running_process(program, environment={"LIVE_ACCESS_TOKEN": TOKEN}) as process:
            assert json.loads(await process.says('"pong"'))["id"] == "by hand"

        async def tell(dialog: Dialog) -> None:
            await dialog.accept(TOKEN)

        page.on("dialog", tell)
        async with page.expect_console_message(lambda message: '"pong"' in message.text):
            await shown.run(f"(() => {{ {javascript} }})()")

        # the address brings all of it back, and sends nothing by itself
        await page.reload()
        await page.locator(".console-panel").wait_for()
        assert json.loads(await box.input_value()) == {"type": "ping", "id": "by hand"}
        assert await page.get_by_text("Not connected").is_visible()

        # a phone, in the light
        await page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
        await page.emulate_media(color_scheme="light")
        assert await is_in_sight(shown, ".console-message")
        await shown.goto("/labs/reference")
        await page.locator("#message-trade").wait_for()
        assert await is_in_sight(shown, "#message-trade")
