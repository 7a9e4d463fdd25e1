"""The app behind Debian's nginx, with the sites of `deploy/nginx/`."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from tests.pages.browser import browser
from tests.pages.through_a_proxy import visit
from tests.support.app import running_exchange, running_main
from tests.support.certificates import Certificate, make_certificate
from tests.support.markets_client import open_client
from tests.support.nginx import (
    HOST_SNIPPET,
    Front,
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
async def running_world(folder: Path, certificate: Certificate, **variables: str) -> AsyncIterator[World]:
    async with running_exchange() as exchange:
        address = exchange.ws_url.removeprefix("ws://")
        async with (
            running_main(address, **variables) as (_, root),
            running_main(address, LIVE_ROOT_PATH="/markets", **variables) as (_, prefixed),
        ):
            fronts = [
                Front(
                    site.server(),
                    [root if site.place in ("root", "tells") else prefixed],
                    certificate if site.is_encrypted else None,
                )
                for site in SITES
            ]
            async with running_nginx(folder, *fronts) as ports:
                yield World(certificate, dict(zip(SITES, ports, strict=True)))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"), "IP:127.0.0.1")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("nginx")
    async with running_world(folder, certificate, LIVE_ACCESS_TOKEN=TOKEN) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_world(
    tmp_path_factory: pytest.TempPathFactory, certificate: Certificate
) -> AsyncIterator[World]:
    """The same without an access token."""
    async with running_world(tmp_path_factory.mktemp("nginx"), certificate) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chrome(chromium: str, certificate: Certificate) -> AsyncIterator[Browser]:
    async with browser(chromium, trusting=certificate) as opened:
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
        for kind in ("static", "components", "libraries"):
            file = re.search(rf'"({prefix}/_nicegui/[^"/]+/{kind}/[^"]+\.js)"', page.text)
            assert file, kind
            assert (await client.get(world.url(site) + file[1])).status_code == 200, file[1]
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
    options: dict[str, Any] = {
        "additional_headers": {"Authorization": f"Bearer {TOKEN}"},
        "ssl": world.trust() if site.is_encrypted else None,
    }
    async with open_client(url, **options) as markets:
        assert await markets.works()
    async with open_client(url, origin=world.url(site), **options) as markets:
        assert await markets.works()
    foreign = f"https://foreign.example:{world.ports[site]}"
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, proxy=None, origin=Origin(foreign), **options)
    assert refused.value.response.status_code == 403
    assert foreign in (refused.value.response.body or b"").decode()


@pytest.mark.parametrize("site", SITES, ids=name_of)
@module_loop
async def test_a_slash_too_many_leads_to_the_page(world: World, site: Site) -> None:
    async with world.client(site) as client:
        answer = await client.get("/labs/", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        assert f"{site.prefix}/_nicegui/" in answer.text


# in a browser; what it is served is in `make test`, read by a client that follows every link


@pytest.mark.verify
@pytest.mark.parametrize("site", SITES, ids=name_of)
@module_loop
async def test_a_browser_is_served_whole_at_every_site(world: World, chrome: Browser, site: Site) -> None:
    await visit(chrome, world.url(site), site.prefix, token=TOKEN)


@pytest.mark.verify
@pytest.mark.parametrize("site", SITES, ids=name_of)
@module_loop
async def test_a_browser_needs_no_token_where_there_is_none(
    open_world: World, chrome: Browser, site: Site
) -> None:
    await visit(chrome, open_world.url(site), site.prefix, token="")
