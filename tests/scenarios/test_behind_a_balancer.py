"""Two instances behind the nginx of `deploy/nginx/`, and a proxy whose Host does not fit."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser

from tests.pages.browser import Tab, browser, soon, tab
from tests.pages.through_a_proxy import welcome
from tests.support.app import running_exchange, running_main
from tests.support.helpers import WITHOUT_TLS
from tests.support.markets_client import open_client
from tests.support.nginx import (
    HOST_SNIPPET,
    Front,
    instances_server,
    replaced,
    root_server,
    running_nginx,
)

TOKEN = "open-Sesame_42?>+/~"
WITHOUT_COOKIES = """    location /_nicegui_ws/ {
        proxy_pass http://127.0.0.1:8080;
        include snippets/livemarkets.conf;
        proxy_set_header Cookie "";
    }

"""


# an origin that does not fit


@pytest.mark.verify
@pytest.mark.asyncio(loop_scope="session")
async def test_a_refused_origin_names_both_sides_in_the_log_and_on_the_page(
    tmp_path: Path, shared_chrome: Browser
) -> None:
    """The proxy drops the port and is not trusted, so nothing says that the page is the app's own."""
    server = replaced(root_server(), "snippets/livemarkets.conf", HOST_SNIPPET)
    async with (
        running_main(LIVE_TRUSTED_PROXIES="") as (process, app),
        running_nginx(tmp_path, Front(server, [app])) as [port],
    ):
        origin = f"http://127.0.0.1:{port}"
        async with tab(shared_chrome, origin) as page:
            await page.goto("/labs")
            notice = page.page.get_by_role("alert").filter(has_text="origin not allowed")
            await notice.wait_for()
            said = await notice.inner_text()
            assert f"the page's origin is {origin}, but this app was addressed as Host 127.0.0.1." in said
            assert "LIVE_ALLOWED_ORIGINS" in said
            assert "LIVE_TRUSTED_PROXIES" in said
            await forgive(page, "403")
        line = await process.says("refused a browser page")
        assert f"of {origin} at /_nicegui_ws/socket.io/" in line
        assert "header Host: 127.0.0.1)" in line


@pytest.mark.verify
async def test_a_page_whose_socket_gets_no_cookie_says_so_and_is_not_loaded_without_end(
    tmp_path: Path, chromium: str
) -> None:
    server = replaced(root_server(), "    location / {", WITHOUT_COOKIES + "    location / {")
    async with (
        running_main(LIVE_ACCESS_TOKEN=TOKEN) as (_, app),
        running_nginx(tmp_path, Front(server, [app])) as [port],
        browser(chromium) as chrome,
        tab(chrome, f"http://127.0.0.1:{port}") as page,
    ):
        loaded: list[str] = []
        await page.goto("/labs")
        await page.page.get_by_label("Access token").fill(TOKEN)
        page.page.on("domcontentloaded", lambda opened: loaded.append(opened.url))
        await page.page.get_by_role("button", name="Log in").click()
        await page.page.get_by_role("alert").filter(has_text="access token required").wait_for()
        assert len(loaded) == 1
        await forgive(page, "401")


async def forgive(page: Tab, status: str) -> None:
    """End the attempts of the page to connect: the browser reports each one that is refused."""
    await page.run("socket.disconnect()")
    await page.page.goto("about:blank")  # an attempt that is under way is reported before
    assert page.problems
    told = (f"responded with a status of {status}", "WebSocket connection to")
    page.problems[:] = [each for each in page.problems if not any(part in each for part in told)]


# two instances


async def test_readers_and_logins_are_shared_by_two_instances(tmp_path: Path) -> None:
    told = "location / {\n        add_header X-Served-By $upstream_addr always;"
    servers = (instances_server(), instances_server(is_sticky=False))
    async with (
        running_main(LIVE_ACCESS_TOKEN=TOKEN) as (_, one),
        running_main(LIVE_ACCESS_TOKEN=TOKEN) as (_, other),
    ):
        fronts = [Front(replaced(server, "location / {", told), [one, other]) for server in servers]
        async with running_nginx(tmp_path, *fronts) as [sticky, loose]:
            assert await served_by(sticky, one, other) in ([6, 0], [0, 6])
            assert await served_by(loose, one, other) == [3, 3]
            url, bearer = f"ws://127.0.0.1:{sticky}/ws/markets", {"Authorization": f"Bearer {TOKEN}"}
            async with (
                open_client(url, additional_headers=bearer) as first,
                open_client(url, additional_headers=bearer) as second,
            ):
                assert await first.works()
                assert await second.works()
                assert [await readers(port) for port in (one, other)] == [1, 1]


async def test_a_new_reader_never_meets_an_instance_that_is_about_to_stop(tmp_path: Path) -> None:
    async with (
        running_main(LIVE_ACCESS_TOKEN=TOKEN, LIVE_DRAIN_SECONDS="300") as (stopping, one),
        running_main(LIVE_ACCESS_TOKEN=TOKEN) as (_, other),
        running_nginx(tmp_path, Front(instances_server(), [one, other])) as [port],
        contextlib.AsyncExitStack() as stack,
    ):
        stopping.signal(signal.SIGTERM)
        await stopping.says("no new clients")
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        for _ in range(4):
            url = f"ws://127.0.0.1:{port}/ws/markets"
            reader = await stack.enter_async_context(open_client(url, additional_headers=bearer))
            assert await reader.works()
        assert [await readers(port) for port in (one, other)] == [0, 4]


async def served_by(balancer: int, *instances: int) -> list[int]:
    """How many of six requests with one login reach each instance."""
    async with httpx.AsyncClient(
        verify=WITHOUT_TLS, trust_env=False, base_url=f"http://127.0.0.1:{balancer}"
    ) as client:
        await client.post("/login", data={"token": TOKEN})
        answers = [await client.get("/api/latest") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 6
    seen = [answer.headers["X-Served-By"] for answer in answers]
    return [seen.count(f"127.0.0.1:{port}") for port in instances]


async def readers(port: int) -> int:
    """The clients of `/ws/markets` of an instance."""
    async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False) as client:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        metrics = (await client.get(f"http://127.0.0.1:{port}/metrics", headers=bearer)).text
    return int(float(metrics.partition("\nlivemarkets_clients ")[2].partition("\n")[0]))


@pytest.mark.verify
@pytest.mark.parametrize("is_sticky", [True, False], ids=["sticky", "loose"])
async def test_pages_of_two_instances(tmp_path: Path, chromium: str, is_sticky: bool) -> None:
    """With stickiness every page works; without it, a page works or says why it does not."""
    server = instances_server(is_sticky=is_sticky)
    async with running_exchange() as exchange:
        address = exchange.ws_url.removeprefix("ws://")
        async with (
            running_main(address) as (_, one),
            running_main(address) as (_, other),
            running_nginx(tmp_path, Front(server, [one, other])) as [port],
            browser(chromium) as chrome,
        ):
            for _ in range(10):
                assert await opens(chrome, f"http://127.0.0.1:{port}") or not is_sticky


async def opens(chrome: Browser, address: str) -> bool:
    """Whether a page gets prices; otherwise it says why not. In either case it is loaded twice at most."""
    async with tab(chrome, address) as page:
        loaded: list[str] = []
        page.page.on("domcontentloaded", lambda opened: loaded.append(opened.url))
        await page.goto("/labs?symbols=BTCUSDT")

        async def has_an_end() -> str:
            is_told = await page.page.get_by_text("another instance answers it").count()
            return "told" if is_told else await page.price("BTCUSDT")

        end = await soon(has_an_end, 10)
        assert await welcome(page, "/ws/markets", "") == "welcome"
        assert len(loaded) <= 2
        return bool(end != "told")
