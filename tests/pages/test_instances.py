"""Two instances behind one balancer: what a page does whose socket reaches the one that does not know it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.pages.browser import Tab, has_price, local_pages, tab
from tests.support.nginx import Front, running_nginx

pytestmark = pytest.mark.asyncio(loop_scope="session")

Instances = tuple[int, int]

# Whether the page is still there when its next attempt was refused. Whoever loads it again does so at once.
CONNECT_AGAIN = """new Promise((done) => {
    window.addEventListener("beforeunload", () => done(false));
    window.socket.once("connect_error", () => setTimeout(() => done(true), 300));
    window.socket.connect();
})"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def instances() -> AsyncIterator[Instances]:
    """The ports of two instances."""
    async with local_pages() as (_, one), local_pages() as (_, other):
        yield int(one.rpartition(":")[2]), int(other.rpartition(":")[2])


@contextlib.asynccontextmanager
async def balanced(folder: Path, page: int, sockets: Sequence[int]) -> AsyncIterator[str]:
    """A balancer: pages come from one instance, and sockets reach these in turn, from the first on."""
    servers = "".join(f"server 127.0.0.1:{socket} max_fails=0;" for socket in sockets)
    server = f"""
        upstream sockets {{ {servers} }}
        server {{
            listen 443 ssl;
            location / {{ proxy_pass http://127.0.0.1:{page}; include snippets/livemarkets.conf; }}
            location /_nicegui_ws/ {{ proxy_pass http://sockets; include snippets/livemarkets.conf; }}
        }}"""
    async with running_nginx(folder, Front(server, ())) as [port]:
        yield f"http://127.0.0.1:{port}"


def count_pages(shown: Tab) -> list[str]:
    """The documents that the tab loads from now on."""
    loaded: list[str] = []
    shown.page.on("domcontentloaded", lambda page: loaded.append(page.url))
    return loaded


@pytest.mark.verify
async def test_a_page_on_another_instance_opens_itself_anew_once(
    shared_chrome: Browser, instances: Instances, tmp_path: Path
) -> None:
    one, other = instances
    async with (
        balanced(tmp_path, page=one, sockets=(other, one)) as address,
        tab(shared_chrome, address) as shown,
    ):
        loaded = count_pages(shown)
        await shown.goto("/labs?symbols=BTCUSDT")
        await has_price(shown, "BTCUSDT")
        assert len(loaded) == 2
        assert await shown.page.get_by_text("another instance").count() == 0
        # The connection ends, and the next one reaches the other instance: that is a new case.
        async with shown.page.expect_event("domcontentloaded"):
            await shown.run("socket.io.engine.close()")
        await has_price(shown, "BTCUSDT")
        assert len(loaded) == 3


@pytest.mark.parametrize("path", [pytest.param("/", marks=pytest.mark.verify), "/labs?symbols=BTCUSDT"])
async def test_if_it_happens_again_the_page_says_what_is_wrong_and_stays(
    shared_chrome: Browser, instances: Instances, tmp_path: Path, path: str
) -> None:
    one, other = instances
    async with (
        balanced(tmp_path, page=one, sockets=(other,)) as address,
        tab(shared_chrome, address) as shown,
    ):
        loaded = count_pages(shown)
        await shown.goto(path)
        notice = shown.page.get_by_role("alert").filter(has_text="another instance")
        await notice.wait_for()
        said = await notice.inner_text()
        assert "sticky" in said
        for _ in range(2):  # refused once more, it stays all the same
            assert await shown.run(CONNECT_AGAIN)
        assert len(loaded) == 2
        async with shown.page.expect_event("domcontentloaded"):
            await notice.get_by_role("button", name="Open again").click()
        await notice.wait_for()
        assert len(loaded) == 3
