"""What proxies in front of the app report, and the path prefix under which they serve it."""

from __future__ import annotations

import re
import socket
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nicegui import __version__ as framework_version
from starlette.types import Receive, Scope, Send

from livemarkets.security.forwarded import FROM_PROXY, ForwardedHeaders, TrustedProxies
from tests.support.app import running_main
from tests.support.helpers import WITHOUT_TLS
from tests.support.markets_client import open_client

TOKEN = "open-Sesame_42?>+/~"
PROXY = ("127.0.0.1", 4711)


async def seen(
    headers: dict[str, str], *, peer: tuple[str, int] = PROXY, root_path: str = "", path: str = "/labs"
) -> Scope:
    """The scope that reaches the app behind the middleware."""
    found: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(scope)

    async def nothing(*_: Any) -> Any: ...

    scope = {
        "type": "http",
        "scheme": "http",
        "client": peer,
        "path": path,
        "raw_path": path.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    await ForwardedHeaders(app, ["127.0.0.1", "10.0.0.0/8"], root_path)(scope, nothing, nothing)
    return found[0]


FORWARDED = {
    "Host": "inner:8080",
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "markets.example:8443",
    "X-Forwarded-Prefix": "/markets/",
}


async def test_a_trusted_proxy_is_believed() -> None:
    scope = await seen(FORWARDED)
    headers = dict(scope["headers"])
    assert scope["client"][0] == "203.0.113.9"
    assert scope["scheme"] == "https"
    assert headers[b"host"] == b"markets.example:8443"
    assert (scope["root_path"], scope["path"]) == ("/markets", "/labs")
    assert FROM_PROXY in scope


async def test_a_proxy_is_known_by_its_ipv4_address_on_a_socket_for_both_kinds() -> None:
    scope = await seen(FORWARDED, peer=("::ffff:127.0.0.1", 4711))
    assert (scope["client"][0], scope["scheme"], scope["root_path"]) == ("203.0.113.9", "https", "/markets")
    assert (await seen({}, peer=("::ffff:127.0.0.1", 4711)))["client"] == ("127.0.0.1", 4711)
    assert (await seen(FORWARDED, peer=("::ffff:192.0.2.1", 4711)))["client"] == ("192.0.2.1", 4711)


async def test_anybody_else_is_not() -> None:
    scope = await seen(FORWARDED, peer=("192.0.2.1", 4711))
    assert scope["client"][0] == "192.0.2.1"
    assert scope["scheme"] == "http"
    assert dict(scope["headers"])[b"host"] == b"inner:8080"
    assert "root_path" not in scope
    assert FROM_PROXY not in scope


async def test_a_prefix_is_used_once_whether_the_proxy_removes_it_or_not() -> None:
    for path in ("/labs", "/markets/labs"):
        scope = await seen({"X-Forwarded-Prefix": "/markets"}, root_path="/markets", path=path)
        assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/markets", "/labs", b"/labs")
        assert b"x-forwarded-prefix" not in dict(scope["headers"])
    assert (await seen({}, root_path="/markets", path="/markets"))["path"] == "/"
    assert (await seen({}, root_path="/markets", path="/markets/"))["path"] == "/"
    assert (await seen({}, root_path="/markets", path="/marketsquare"))["path"] == "/marketsquare"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/labs/", "/labs"),
        ("/ws/markets/", "/ws/markets"),
        ("/labs//", "/labs"),
        ("/", "/"),
        ("//", "/"),
        ("/_nicegui_ws/socket.io/", "/_nicegui_ws/socket.io/"),
    ],
)
async def test_a_slash_at_the_end_is_removed_but_for_the_frameworks_paths(path: str, expected: str) -> None:
    for root_path in ("", "/markets"):
        scope = await seen({}, root_path=root_path, path=root_path + path)
        assert (scope["path"], scope["raw_path"]) == (expected, expected.encode())


@pytest.mark.parametrize("value", ['/a"><script>', "//evil.example", "/a b", "evil", "/ü"])
async def test_an_odd_prefix_or_host_is_ignored(value: str) -> None:
    scope = await seen({"Host": "h", "X-Forwarded-Prefix": value, "X-Forwarded-Host": value + "/"})
    assert "root_path" not in scope
    assert dict(scope["headers"])[b"host"] == b"h"


@given(st.text(max_size=40))
def test_any_text_is_no_trusted_address_or_an_address(text: str) -> None:
    assert text not in TrustedProxies(["127.0.0.1"]) or "127.0.0.1" in text or "7f00" in text.lower()


def test_networks_hold_their_addresses_also_as_mapped_ones() -> None:
    trusted = TrustedProxies(["10.0.0.0/8", "2001:db8::/32", "::1"])
    assert all(host in trusted for host in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7", "::1"))
    assert not any(host in trusted for host in ("11.0.0.1", "::2", "localhost", ""))


@pytest.mark.parametrize("is_removed", [True, False], ids=["removed", "passed on"])
async def test_every_address_of_the_app_bears_the_prefix_once(is_removed: bool) -> None:
    async with running_main(LIVE_ROOT_PATH="/markets", LIVE_ACCESS_TOKEN=TOKEN) as (_, port):
        at = f"http://127.0.0.1:{port}" + ("" if is_removed else "/markets")
        async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False, timeout=10) as client:
            refused = await client.get(f"{at}/labs?symbols=BTCUSDT", headers={"Accept": "text/html"})
            assert refused.headers["location"] == "/markets/login?next=/labs%3Fsymbols%3DBTCUSDT"
            form = await client.get(f"{at}/login?next=/labs")
            assert 'action="/markets/login"' in form.text
            answer = await client.post(f"{at}/login", data={"token": TOKEN, "next": "/labs"})
            assert (answer.status_code, answer.headers["location"]) == (303, "/markets/labs")
            assert "Path=/markets;" in answer.headers["set-cookie"]
            session = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
            page = await client.get(f"{at}/labs", headers=session)
            assert page.status_code == 200
            assert "/markets/_nicegui/" in page.text
            assert "/markets/markets" not in page.text
            slash = await client.get(f"{at}/labs/", headers=session)
            assert slash.status_code == 200
            assert "/markets/_nicegui/" in slash.text
            await parts_are_served(client, at, page.text, session)
            assert (await client.get(f"{at}/healthz")).text == "ok\n"
            lost = await client.get(f"{at}/nowhere", headers={**session, "Accept": "text/html"})
            assert 'href="/markets/"' in lost.text
            out = await client.post(f"{at}/logout", headers=session)
            assert out.headers["location"] == "/markets/login"
            assert "Path=/markets;" in out.headers["set-cookie"]
        headers = {"Authorization": f"Bearer {TOKEN}"}
        url = f"{at}/ws/markets".replace("http", "ws")
        async with open_client(url, additional_headers=headers) as markets:
            assert await markets.works()


async def parts_are_served(client: httpx.AsyncClient, at: str, page: str, session: dict[str, str]) -> None:
    """The files and the socket of a page under the prefix, which a browser may keep as at the root."""
    files = set(re.findall(r'"/markets(/_nicegui/[^"]+[.](?:js|css))"', page))
    assert {file.split("/")[3] for file in files} >= {"components", "esm", "libraries", "static"}
    for file in files:
        answer = await client.get(at + file, headers=session)
        assert answer.status_code == 200, file
        assert "immutable" in answer.headers["cache-control"], file
    missing = await client.get(f"{at}/_nicegui/{framework_version}/static/none.js", headers=session)
    assert (missing.status_code, "immutable" in missing.headers.get("cache-control", "")) == (404, False)
    polling = await client.get(f"{at}/_nicegui_ws/socket.io/?EIO=4&transport=polling", headers=session)
    assert polling.text.startswith("0{")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
async def test_a_proxy_is_believed_on_a_socket_for_both_kinds_of_addresses() -> None:
    variables = {"LIVE_HOST": "::", "LIVE_ACCESS_TOKEN": TOKEN}
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    async with (
        running_main(**variables) as (process, port),
        httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False) as client,
    ):
        for host in ("127.0.0.1", "[::1]"):
            url = f"http://{host}:{port}/login"
            answer = await client.post(url, data={"token": TOKEN}, headers=headers)
            assert "Secure" in answer.headers["set-cookie"], host
        await client.post(url.replace("[::1]", "127.0.0.1"), data={"token": "wrong"}, headers=headers)
        await process.says("wrong access token from 203.0.113.9")
