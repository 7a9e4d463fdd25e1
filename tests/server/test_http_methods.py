"""HEAD, OPTIONS and wrong methods under a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, Router

from livemarkets.server.http_methods import HttpMethods
from tests.support.app import serving
from tests.support.helpers import WITHOUT_TLS


async def greet(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"hello by {request.method}")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    routes = [
        Route("/read", greet, methods=["GET"]),
        Route("/both", greet, methods=["GET", "POST"]),
        Route("/write", greet, methods=["POST"]),
    ]
    web = HttpMethods(Router(routes))
    async with serving(web, lifespan="off") as (_, port):
        yield port


async def ask(port: int, method: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False, timeout=5) as client:
        return await client.request(method, f"http://127.0.0.1:{port}{path}")


async def test_head_is_get_without_the_body(port: int) -> None:
    response = await ask(port, "HEAD", "/read")
    assert (response.status_code, response.text) == (200, "")
    assert response.headers["content-length"] == str(len("hello by GET"))
    assert (await ask(port, "GET", "/read")).text == "hello by GET"


async def test_a_connection_goes_on_after_head(port: int) -> None:
    """Nothing of the body may lie in front of the next answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"HEAD /read HTTP/1.1\r\nHost: h\r\n\r\nGET /both HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    )
    async with asyncio.timeout(5):
        first, second = (await reader.read()).split(b"HTTP/1.1 200 OK")[1:]
    assert first.endswith(b"\r\n\r\n")
    assert second.endswith(b"hello by GET")
    writer.close()


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/read", {"GET", "HEAD"}), ("/both", {"GET", "HEAD", "POST"}), ("/write", {"POST"})],
)
async def test_options_and_a_wrong_method_tell_what_is_allowed(
    port: int, path: str, methods: set[str]
) -> None:
    options, wrong = await ask(port, "OPTIONS", path), await ask(port, "DELETE", path)
    assert (options.status_code, options.text, wrong.status_code) == (204, "", 405)
    for response in (options, wrong):
        assert set(response.headers["allow"].split(", ")) == methods | {"OPTIONS"}
        assert not [name for name in response.headers if name.startswith("access-control")]


async def test_an_unknown_path_is_unknown_by_any_method(port: int) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "POST"):
        response: Any = await ask(port, method, "/nowhere")
        assert response.status_code == 404
        assert "allow" not in response.headers
