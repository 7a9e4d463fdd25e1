"""The files of the page framework, served from memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from nicegui import __version__ as version
from nicegui import app as framework
from starlette.types import Receive, Scope, Send

from pages import cached_files
from pages.cached_files import CachedFiles
from pages.framework_costs import compressed
from tests.support.helpers import eventually

AT = f"/_nicegui/{version}"
SCRIPT = b"export const answer = 42;\n" * 10_000
UNCOMPRESSED = {"Accept_Encoding": "identity"}


class Framework:
    """Serves any path in two pieces."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        self.headers: list[tuple[bytes, bytes]] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["path"])
        headers = [(b"content-type", b"text/javascript"), (b"etag", b'"1"'), *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        half = len(SCRIPT) // 2
        await send({"type": "http.response.body", "body": SCRIPT[:half], "more_body": True})
        await self.may_go_on.wait()
        await send({"type": "http.response.body", "body": SCRIPT[half:]})


class World:
    def __init__(self) -> None:
        self.framework = Framework()
        self.files = CachedFiles(compressed(self.framework))
        transport = httpx.ASGITransport(self.files, raise_app_exceptions=True)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://here")

    async def get(self, path: str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.get(AT + path, headers=named)


@pytest_asyncio.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    directives = "public, max-age=31536000, immutable"
    monkeypatch.setattr(framework.config, "cache_control_directives", directives, raising=False)
    world = World()
    async with world.client:
        yield world


async def test_a_file_is_read_and_compressed_once(world: World) -> None:
    first, second = [await world.get("/static/vue.js") for _ in range(2)]
    assert len(world.framework.asked) == 1
    assert first.content == second.content == SCRIPT
    for answer in (first, second):
        assert (answer.status_code, answer.headers["Content-Encoding"]) == (200, "gzip")
        assert "immutable" in answer.headers["Cache-Control"]
        assert (answer.headers["ETag"], answer.headers["Vary"]) == ('"1"', "Accept-Encoding")
    assert int(second.headers["Content-Length"]) < len(SCRIPT) / 10


async def test_a_browser_that_cannot_read_compressed_files_gets_others(world: World) -> None:
    await world.get("/static/vue.js")
    for _ in range(2):
        answer = await world.get("/static/vue.js", **UNCOMPRESSED)
        assert "Content-Encoding" not in answer.headers
        assert answer.content == SCRIPT
    assert len(world.framework.asked) == 2


@pytest.mark.parametrize("path", [f"{AT}/dynamic_resources/style", "/labs", "/_nicegui/0.1/static/vue.js"])
async def test_what_may_change_is_not_kept(world: World, path: str) -> None:
    for _ in range(2):
        answer = await world.client.get(path)
        assert "Cache-Control" not in answer.headers
    assert world.framework.asked == [path, path]


async def test_a_part_of_a_file_and_the_question_whether_it_changed_are_the_frameworks(world: World) -> None:
    await world.get("/static/vue.js")
    await world.get("/static/vue.js", Range="bytes=0-9")
    await world.get("/static/vue.js", If_None_Match='"1"')
    await world.client.head(f"{AT}/static/vue.js")
    assert len(world.framework.asked) == 4


@pytest.mark.parametrize(("status", "header"), [(404, "x-any"), (200, "set-cookie")])
async def test_what_is_not_a_file_for_everybody_is_not_kept(world: World, status: int, header: str) -> None:
    world.framework.status, world.framework.headers = status, [(header.encode(), b"a=b")]
    for _ in range(2):
        assert (await world.get("/static/none.js")).status_code == status
    assert len(world.framework.asked) == 2


async def test_all_files_together_take_a_bounded_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may ask for each of the framework's thousands of files."""
    monkeypatch.setattr(cached_files, "_MOST_BYTES", 2.5 * len(SCRIPT))
    for _ in range(2):
        for number in range(4):
            answer = await world.get(f"/static/{number}.js", **UNCOMPRESSED)
            assert answer.content == SCRIPT
    asked = [path.rpartition("/")[2] for path in world.framework.asked]
    assert asked == ["0.js", "1.js", "2.js", "3.js", "2.js", "3.js"], "the first two are kept, for good"


async def test_slow_browsers_do_not_each_have_a_file_in_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first answer is noted on its way."""
    monkeypatch.setattr(cached_files, "_MOST_BYTES", 1.2 * len(SCRIPT))
    world.framework.may_go_on.clear()
    slow = [asyncio.create_task(world.get("/static/vue.js", **UNCOMPRESSED)) for _ in range(3)]
    await eventually(lambda: len(world.framework.asked) == 3)
    world.framework.may_go_on.set()
    for answer in [*await asyncio.gather(*slow), await world.get("/static/vue.js", **UNCOMPRESSED)]:
        assert answer.content == SCRIPT
    assert len(world.framework.asked) == 3


async def test_an_answer_that_was_cut_off_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached_files, "_MOST_BYTES", 1.2 * len(SCRIPT))
    world.framework.may_go_on.clear()
    cut_off = asyncio.create_task(world.get("/static/vue.js", **UNCOMPRESSED))
    await eventually(lambda: world.framework.asked)
    cut_off.cancel()
    await asyncio.wait([cut_off])
    world.framework.may_go_on.set()
    for _ in range(2):
        assert (await world.get("/static/vue.js", **UNCOMPRESSED)).content == SCRIPT
    assert len(world.framework.asked) == 2
