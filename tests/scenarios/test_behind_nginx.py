"""The app behind Debian's nginx, with the sites that `docs/proxies.md` shows."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from livemarkets.simulator import Simulator
from tests.pages.browser import Tab, browser, has_price, soon, tab
from tests.support.app import running_exchange, running_main
from tests.support.certificates import Certificate, make_certificate
from tests.support.helpers import free_port
from tests.support.markets_client import open_client
from tests.support.nginx import (
    HOST_SNIPPET,
    instances_server,
    listening,
    path_server,
    replaced,
    root_server,
    running_nginx,
)

TOKEN = "open-Sesame_42?>+/~"
PREFIX = "/markets"

module_loop = pytest.mark.asyncio(loop_scope="module")


class Site(NamedTuple):
    """How nginx serves the app."""

    place: str
    """At the `root`, or under a path that nginx `removes`, `passes on` or `tells`."""
    host: str
    is_encrypted: bool

    @property
    def prefix(self) -> str:
        return "" if self.place == "root" else "/markets"

    def server(self) -> str:
        """The server of the document, with what is different at this site."""
        server = root_server() if self.place == "root" else path_server()
        include = "include snippets/livemarkets.conf;"
        if self.place == "passes on":
            server = re.sub(r"(proxy_pass \S+)/;", r"\1;", server)
        if self.place == "tells":
            server = replaced(
                server, include, f"proxy_set_header X-Forwarded-Prefix /markets;\n    {include}"
            )
        return server if self.host == "$http_host" else replaced(server, include, f"include {HOST_SNIPPET};")


SITES = [
    Site(place, host, is_encrypted)
    for place in ("root", "removes", "passes on", "tells")
    for host in ("$http_host", "$host")
    for is_encrypted in (False, True)
]


def name_of(site: Site) -> str:
    return f"{site.place}, {site.host}, {'TLS' if site.is_encrypted else 'clear'}"


class World(NamedTuple):
    """An app at the root, one with `LIVE_ROOT_PATH`, and nginx in front of both with every site."""

    exchange: Simulator
    certificate: Certificate
    ports: dict[Site, int]

    def url(self, site: Site) -> str:
        """The address of a site, without the prefix."""
        return f"{'https' if site.is_encrypted else 'http'}://127.0.0.1:{self.ports[site]}"

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.certificate.file)

    def client(self, site: Site) -> httpx.AsyncClient:
        base = self.url(site) + site.prefix
        return httpx.AsyncClient(trust_env=False, timeout=10, base_url=base, verify=self.trust())


@contextlib.asynccontextmanager
async def running_world(folder: Path, **variables: str) -> AsyncIterator[World]:
    certificate = make_certificate(folder, "IP:127.0.0.1")
    ports = {site: free_port() for site in SITES}
    async with running_exchange() as exchange:
        address = exchange.ws_url.removeprefix("ws://")
        async with (
            running_main(address, **variables) as (_, root),
            running_main(address, LIVE_ROOT_PATH="/markets", **variables) as (_, prefixed),
        ):
            servers = [
                listening(
                    site.server(),
                    port,
                    [root if site.place in ("root", "tells") else prefixed],
                    certificate if site.is_encrypted else None,
                )
                for site, port in ports.items()
            ]
            async with running_nginx(folder, "\n".join(servers), *ports.values()):
                yield World(exchange, certificate, ports)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with running_world(tmp_path_factory.mktemp("nginx"), LIVE_ACCESS_TOKEN=TOKEN) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chrome(chromium: str) -> AsyncIterator[Browser]:
    async with browser(chromium) as opened:
        yield opened


# without a browser


@pytest.mark.parametrize("site", SITES, ids=name_of)
@module_loop
async def test_a_person_logs_in_and_gets_every_part_of_the_app(world: World, site: Site) -> None:
    prefix, own = site.prefix, {"Origin": world.url(site)}
    async with world.client(site) as client:
        refused = await client.get("/labs", params={"symbols": "BTCUSDT"}, headers={"Accept": "text/html"})
        assert refused.headers["location"] == f"{prefix}/login?next=/labs%3Fsymbols%3DBTCUSDT"
        assert (await client.get("/api/symbols")).status_code == 401
        answer = await client.post("/login", data={"token": TOKEN, "next": "/labs"}, headers=own)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{prefix}/labs")
        cookie = answer.headers["set-cookie"]
        assert f"Path={prefix or '/'};" in cookie
        assert ("Secure" in cookie) == site.is_encrypted

        page = await client.get("/labs")
        assert page.status_code == 200
        files = set(re.findall(rf'"({prefix}/_nicegui/[^"]+\.(?:js|css))"', page.text))
        assert any("/static/" in file for file in files)
        assert any("/components/" in file for file in files)
        for file in files:
            assert (await client.get(world.url(site) + file)).status_code == 200, file
        home = await client.get("/")
        scheme = "wss" if site.is_encrypted else "ws"
        host = "127.0.0.1" if site.host == "$host" else f"127.0.0.1:{world.ports[site]}"
        assert f"{scheme}://{host}{prefix}/ws/markets" in home.text
        assert (await client.get("/healthz")).text == "ok\n"
        listed = await client.get("/api/symbols", params={"q": "btc"})
        assert listed.json()["symbols"][0]["symbol"] == "BTCUSDT"

        out = await client.post("/logout", headers=own)
        assert out.headers["location"] == f"{prefix}/login"
        assert (await client.get("/labs")).status_code == 303
        bare = await client.get(world.url(site) + prefix)
        assert httpx.URL(bare.headers["location"]).path == (f"{prefix}/" if prefix else "/login")


@pytest.mark.parametrize("site", SITES, ids=name_of)
@module_loop
async def test_programs_and_own_pages_open_the_socket_and_foreign_pages_do_not(
    world: World, site: Site
) -> None:
    url = world.url(site).replace("http", "ws", 1) + site.prefix + "/ws/markets"
    options = {
        "additional_headers": {"Authorization": f"Bearer {TOKEN}"},
        "ssl": world.trust() if site.is_encrypted else None,
    }
    async with open_client(url, **options) as markets:
        assert await markets.works()
    async with open_client(url, origin=world.url(site), **options) as markets:
        assert await markets.works()
    foreign = f"https://foreign.example:{world.ports[site]}"
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, proxy=None, origin=foreign, **options)
    assert refused.value.response.status_code == 403
    assert foreign in (refused.value.response.body or b"").decode()


@pytest.mark.parametrize("site", SITES, ids=name_of)
@module_loop
async def test_a_slash_too_many_leads_to_the_page(world: World, site: Site) -> None:
    async with world.client(site) as client:
        answer = await client.get("/labs/", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code in (200, 307)
        if answer.status_code == 307:
            assert httpx.URL(answer.headers["location"]).path == f"{site.prefix}/labs"


# in a browser


async def visit(chrome: Browser, world: World, site: Site, *, has_token: bool) -> None:
    """Log in if there is a token, watch prices over a WebSocket, use `/ws/markets` from the page, log out."""
    async with tab(chrome, world.url(site), ignore_https_errors=True) as shown:
        await shown.goto(f"{site.prefix}/labs?symbols=BTCUSDT")
        if has_token:
            await shown.page.get_by_label("Access token").fill(TOKEN)
            await shown.page.get_by_role("button", name="Log in").click()
        await has_price(shown, "BTCUSDT")
        address = f"{site.prefix}/labs?exchange=binance&symbols=BTCUSDT"
        assert await shown.run("location.pathname + location.search") == address
        assert await shown.run("socket.io.engine.transport.name") == "websocket"
        assert await welcome(shown, f"{site.prefix}/ws/markets", TOKEN if has_token else "") == "welcome"

        await shown.page.keyboard.press("/")
        await shown.page.keyboard.type("sol usdt")
        await shown.page.locator("[role=option][data-symbol=SOLUSDT]").click()
        await has_price(shown, "SOLUSDT")
        await shown.page.wait_for_url("**/labs?*SOLUSDT*")
        await shown.page.reload()
        await has_price(shown, "SOLUSDT")

        await shown.page.get_by_role("link", name="Home", exact=True).click()
        await shown.page.get_by_text("Open Labs").wait_for()
        assert await shown.run("location.pathname") == f"{site.prefix}/"
        if has_token:
            await shown.page.get_by_role("button", name="Log out").click()
            await shown.page.get_by_label("Access token").wait_for()
            assert await shown.run("location.pathname") == f"{site.prefix}/login"


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


@pytest.mark.parametrize(
    "site", [Site("root", "$host", False), Site("removes", "$http_host", True)], ids=name_of
)
@module_loop
async def test_a_browser_is_served_whole(world: World, chrome: Browser, site: Site) -> None:
    await visit(chrome, world, site, has_token=True)


@pytest.mark.verify
@pytest.mark.parametrize("token", [TOKEN, ""], ids=["token", "no token"])
async def test_a_browser_is_served_whole_at_every_site(tmp_path: Path, chromium: str, token: str) -> None:
    async with running_world(tmp_path, LIVE_ACCESS_TOKEN=token) as world, browser(chromium) as chrome:
        for site in SITES:
            await visit(chrome, world, site, has_token=bool(token))


# an origin that does not fit


async def test_a_refused_origin_names_both_sides_in_the_log_and_on_the_page(
    tmp_path: Path, chromium: str
) -> None:
    """The proxy drops the port and is not trusted, so nothing says that the page is the app's own."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    async with running_main(LIVE_TRUSTED_PROXIES="") as (process, app):
        server = listening(Site("root", "$host", False).server(), port, [app], None)
        async with (
            running_nginx(tmp_path, server, port),
            browser(chromium) as chrome,
            tab(chrome, origin) as page,
        ):
            await page.goto("/labs")
            notice = page.page.get_by_role("alert").filter(has_text="origin not allowed")
            await notice.wait_for()
            said = await notice.inner_text()
            assert f"the page's origin is {origin}, but this app was addressed as Host 127.0.0.1." in said
            assert "LIVE_ALLOWED_ORIGINS" in said
            assert "LIVE_TRUSTED_PROXIES" in said
            page.problems[:] = [each for each in page.problems if "403" not in each]
        line = await process.says("refused a browser page")
        assert f"of {origin} at /_nicegui_ws/socket.io/" in line
        assert "header Host: 127.0.0.1)" in line


# two instances


async def test_readers_and_logins_are_shared_by_two_instances(tmp_path: Path) -> None:
    sticky, loose = free_port(), free_port()
    async with (
        running_main(LIVE_ACCESS_TOKEN=TOKEN) as (_, one),
        running_main(LIVE_ACCESS_TOKEN=TOKEN) as (_, other),
    ):
        told = "location / {\n        add_header X-Served-By $upstream_addr always;"
        servers = [
            replaced(listening(server, port, [one, other], None), "location / {", told)
            for server, port in (
                (instances_server(), sticky),
                (instances_server(is_sticky=False), loose),
            )
        ]
        async with running_nginx(tmp_path, "\n".join(servers), sticky, loose):
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


async def served_by(balancer: int, *instances: int) -> list[int]:
    """How many of six requests with one login reach each instance."""
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{balancer}") as client:
        await client.post("/login", data={"token": TOKEN})
        answers = [await client.get("/api/latest") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 6
    seen = [answer.headers["X-Served-By"] for answer in answers]
    return [seen.count(f"127.0.0.1:{port}") for port in instances]


async def readers(port: int) -> int:
    """The clients of `/ws/markets` of an instance."""
    async with httpx.AsyncClient(trust_env=False) as client:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        metrics = (await client.get(f"http://127.0.0.1:{port}/metrics", headers=bearer)).text
    return int(float(metrics.partition("\nlivemarkets_clients ")[2].partition("\n")[0]))


@pytest.mark.verify
@pytest.mark.parametrize("is_sticky", [True, False], ids=["sticky", "loose"])
async def test_pages_of_two_instances(tmp_path: Path, chromium: str, is_sticky: bool) -> None:
    """With stickiness every page works; without it, a page works or says why it does not."""
    port = free_port()
    async with running_exchange() as exchange:
        address = exchange.ws_url.removeprefix("ws://")
        async with running_main(address) as (_, one), running_main(address) as (_, other):
            server = listening(instances_server(is_sticky=is_sticky), port, [one, other], None)
            async with running_nginx(tmp_path, server, port), browser(chromium) as chrome:
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
