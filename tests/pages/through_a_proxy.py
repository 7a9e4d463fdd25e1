"""What a person does with the app in a browser, wherever a proxy serves it."""

from __future__ import annotations

from playwright.async_api import Browser

from tests.pages.browser import Tab, has_price, tab


async def visit(chrome: Browser, address: str, prefix: str, *, token: str) -> None:
    """Log in if there is a token, watch prices over a WebSocket, use `/ws/markets` from the page, log out."""
    async with tab(chrome, address) as shown:
        await shown.goto(f"{prefix}/labs?symbols=BTCUSDT")
        if token:
            await shown.page.get_by_label("Access token").fill(token)
            await shown.page.get_by_role("button", name="Log in").click()
        await has_price(shown, "BTCUSDT")
        place = f"{prefix}/labs?exchange=binance&symbols=BTCUSDT"
        await shown.page.wait_for_url(lambda url: url == address + place)
        assert await shown.run("socket.io.engine.transport.name") == "websocket"
        assert await welcome(shown, f"{prefix}/ws/markets", token) == "welcome"

        await shown.page.keyboard.press("/")
        await shown.page.keyboard.type("sol usdt")
        await shown.page.locator("[role=option][data-symbol=SOLUSDT]").click()
        await has_price(shown, "SOLUSDT")
        await shown.page.wait_for_url(lambda url: "SOLUSDT" in url)
        await shown.page.reload()
        await has_price(shown, "SOLUSDT")

        await shown.page.set_viewport_size({"width": 390, "height": 844})
        assert await shown.texts(".shell-nav a:visible") == ["Live", "Overview", "Status"]
        await shown.page.set_viewport_size({"width": 1400, "height": 800})
        await shown.page.get_by_role("link", name="Overview", exact=True).click()
        await has_price(shown, "BTCUSDT")
        await shown.page.wait_for_url(f"{address}{prefix}/labs/overview?exchange=binance&symbols=*")
        await shown.page.locator("tr[data-symbol=BTCUSDT] a").click()
        await has_price(shown, "BTCUSDT")
        assert await shown.run("location.pathname") == f"{prefix}/labs"
        assert "SOLUSDT" in await shown.symbols(), "the watch list came along"
        await shown.page.get_by_role("link", name="Live Markets, home").click()
        await shown.page.get_by_text("Open the Live page").wait_for()
        assert await shown.run("location.pathname") == f"{prefix}/"
        if token:
            await shown.page.get_by_role("button", name="Log out").click()
            await shown.page.get_by_label("Access token").wait_for()
            assert await shown.run("location.pathname") == f"{prefix}/login"


async def welcome(shown: Tab, path: str, token: str) -> str:
    """The type of the first message that a script of the page gets from `/ws/markets`."""
    script = """([path, token]) => new Promise((resolve, reject) => {
        const secret = btoa(token).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
        const offers = token ? ["livemarkets.v1", "bearer." + secret] : [];
        const markets = new WebSocket(location.origin.replace("http", "ws") + path, offers);
        markets.onmessage = (event) => { resolve(JSON.parse(event.data).type); markets.close(); };
        markets.onerror = () => reject(new Error("refused"));
    })"""
    return str(await shown.page.evaluate(script, [path, token]))
