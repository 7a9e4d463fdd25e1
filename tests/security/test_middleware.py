"""Who is let into the shipped application: token, sessions, origins, security headers, no secret anywhere."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from livemarkets.http_api.client_script import CLIENT_SCRIPT
from livemarkets.security.middleware import CONTENT_SECURITY_POLICY
from livemarkets.security.token_auth import TokenAuth
from pages.examples import examples
from tests.pages.browser import soon, tab
from tests.support.app import (
    Process,
    main_environment,
    running_app,
    running_main,
    running_process,
    running_warm,
    settings_for,
)
from tests.support.copied_clients import LIBRARY
from tests.support.helpers import WITHOUT_TLS, eventually

TOKEN = "open-Sesame_42?>+/~"
PAGES = ("/", "/labs", "/labs?symbols=BTCUSDT", "/nowhere")
MACHINES = (
    "/api/symbols",
    "/api/latest",
    "/api/trades?symbol=X",
    "/api/tickers",
    "/metrics",
    "/_nicegui/x.js",
)
SOCKETS = ("/ws/markets", "/_nicegui_ws/socket.io/?EIO=4&transport=websocket", "/ws/other")
POLLING = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
BEARER = {"Authorization": f"Bearer {TOKEN}"}

one_loop = pytest.mark.asyncio(loop_scope="session")


class Door(NamedTuple):
    """The application with a token, and the same without."""

    process: Process
    port: int
    open_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ask(self, method: str, path: str, *, port: int | None = None, **options: Any) -> httpx.Response:
        async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False, timeout=10) as client:
            return await client.request(method, f"http://127.0.0.1:{port or self.port}{path}", **options)

    async def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return await self.ask("GET", path, headers=headers)

    async def log_in(self, token: str = TOKEN, **options: Any) -> httpx.Response:
        return await self.ask("POST", "/login", data={"token": token} | options.pop("data", {}), **options)

    async def handshake(
        self, path: str, *, port: int | None = None, **options: Any
    ) -> tuple[int, str | None]:
        """The status that a handshake gets, and the subprotocol when it is 101."""
        url = f"ws://127.0.0.1:{port or self.port}{path}"
        try:
            async with connect(url, proxy=None, **options) as websocket:
                return 101, websocket.subprotocol
        except InvalidStatus as error:
            refusal = error.response
        assert ("WWW-Authenticate" in refusal.headers) == (refusal.status_code == 401)
        return refusal.status_code, None


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def door() -> AsyncIterator[Door]:
    async with (
        running_main(LIVE_ACCESS_TOKEN=TOKEN, LIVE_LOG_LEVEL="TRACE") as (process, port),
        running_main(LIVE_ALLOWED_ORIGINS="https://friend.example") as (_, open_port),
    ):
        yield Door(process, port, open_port)


def offers(token: str, *others: str) -> list[str]:
    return [*others, "bearer." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")]


# the token


@one_loop
async def test_health_is_open_to_everybody(door: Door) -> None:
    assert (await door.get("/healthz")).text == "ok\n"
    assert (await door.get("/healthz/")).text == "ok\n"
    assert (await door.get("/readyz")).text == '{"ready":true}'
    assert (await door.get("/readyz", BEARER)).text == '{"ready":true,"reasons":[]}'


@pytest.mark.parametrize("path", PAGES)
@one_loop
async def test_a_page_without_the_token_leads_to_the_login_and_back(door: Door, path: str) -> None:
    response = await door.get(path)
    assert response.status_code == 303
    location = httpx.URL(response.headers["Location"])
    assert location.path == "/login"
    assert location.params.get("next", "/") == path


@pytest.mark.parametrize("path", [*MACHINES, POLLING])
@one_loop
async def test_everything_else_without_the_token_is_401(door: Door, path: str) -> None:
    response = await door.get(path)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="livemarkets"'


@pytest.mark.parametrize("path", [*PAGES[:3], *MACHINES[:4]])
@one_loop
async def test_the_token_in_the_header_opens(door: Door, path: str) -> None:
    response = await door.get(path, BEARER)
    assert response.status_code not in (303, 401, 403, 429, 500)


@pytest.mark.parametrize(
    "request_with_token",
    [
        {"params": {"token": TOKEN, "access_token": TOKEN}},
        {"headers": {"Cookie": f"livemarkets_session={TOKEN}"}},
        {"headers": {"Cookie": "livemarkets_session=99999999999.00"}},
        {"headers": {"X-Access-Token": TOKEN}},
        {"headers": {"Authorization": f"Basic {base64.b64encode(TOKEN.encode()).decode()}"}},
        {"headers": {"Sec-WebSocket-Protocol": offers(TOKEN)[0]}},
        {"headers": [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer other")]},
        {"headers": {"Authorization": f"Bearer {TOKEN}x"}},
        {"headers": {"Authorization": f"Bearer {TOKEN[:-1]}"}},
        {"headers": {"Authorization": f"Bearer {TOKEN.lower()}"}},
        {"headers": {"Authorization": "Bearer"}},
    ],
    ids=lambda request: next(iter(request.values())) and str(request)[:60],
)
@one_loop
async def test_a_wrong_token_or_the_token_in_a_wrong_place_does_not_open(
    door: Door, request_with_token: dict[str, Any]
) -> None:
    assert (await door.ask("GET", "/api/symbols", **request_with_token)).status_code == 401


@one_loop
async def test_the_token_in_a_body_does_not_open(door: Door) -> None:
    assert (await door.ask("POST", "/api/symbols", data={"token": TOKEN})).status_code == 401


@pytest.mark.parametrize("path", ["//healthz", "/healthz/../metrics", "/%2e/metrics", "/Login"])
@one_loop
async def test_no_spelling_of_an_open_path_opens_another(door: Door, path: str) -> None:
    response = await door.get(path)
    assert response.status_code in (303, 401)


@pytest.mark.parametrize("path", SOCKETS)
@one_loop
async def test_a_socket_without_the_token_is_401_before_the_upgrade(door: Door, path: str) -> None:
    assert await door.handshake(path) == (401, None)
    assert await door.handshake(path, additional_headers={"Authorization": "Bearer nonsense"}) == (401, None)
    assert (await door.handshake(f"{path}{'&' if '?' in path else '?'}token=x", subprotocols=["x"]))[0] == 401


@one_loop
async def test_a_socket_opens_with_the_header_the_subprotocol_or_a_session(door: Door) -> None:
    path = "/ws/markets"
    session = TokenAuth(TOKEN).new_session()
    assert await door.handshake(path, additional_headers=BEARER) == (101, None)
    assert await door.handshake(path, subprotocols=offers(TOKEN, "livemarkets.v1")) == (101, "livemarkets.v1")
    assert await door.handshake(path, subprotocols=offers(TOKEN)) == (101, None)
    assert await door.handshake(
        path, additional_headers={"Cookie": f"a=b; livemarkets_session={session}"}
    ) == (101, None)
    assert (await door.handshake(SOCKETS[1], additional_headers=BEARER))[0] == 101


@one_loop
async def test_of_two_tokens_none_counts(door: Door) -> None:
    both = [*offers(TOKEN), *offers("other")]
    assert (await door.handshake("/ws/markets", subprotocols=both))[0] == 401


@one_loop
async def test_guessing_is_slowed_down_and_sessions_go_on(door: Door) -> None:
    headers = {"X-Forwarded-For": "203.0.113.7"}
    statuses = [
        (await door.get("/metrics", headers | {"Authorization": f"Bearer guess{number}"})).status_code
        for number in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2
    late = await door.get("/metrics", headers | BEARER)
    assert (late.status_code, late.headers["Retry-After"]) == (429, "60")
    assert (await door.log_in(headers=headers)).status_code == 429
    cookie = {"Cookie": f"livemarkets_session={TokenAuth(TOKEN).new_session()}"}
    assert (await door.get("/metrics", headers | cookie)).status_code == 200
    assert (await door.get("/metrics", BEARER)).status_code == 200, "another address"


# the login


@one_loop
async def test_the_login_sets_a_cookie_that_scripts_and_other_sites_cannot_use(door: Door) -> None:
    response = await door.log_in(data={"next": "/labs?symbols=BTCUSDT"})
    assert (response.status_code, response.headers["Location"]) == (303, "/labs?symbols=BTCUSDT")
    cookie = response.headers["Set-Cookie"]
    assert re.fullmatch(
        r"livemarkets_session=[\w.-]+; HttpOnly; Max-Age=604800; Path=/; SameSite=strict", cookie
    )
    session = {"Cookie": cookie.split(";")[0]}
    assert (await door.get("/labs", session)).status_code == 200
    assert (await door.get("/login", session)).headers["Location"] == "/"
    ended = await door.ask("POST", "/logout", headers=session)
    assert (ended.status_code, ended.headers["Location"]) == (303, "/login")
    assert "Max-Age=0" in ended.headers["Set-Cookie"]


@one_loop
async def test_over_tls_the_cookie_stays_there(door: Door) -> None:
    response = await door.log_in(headers={"X-Forwarded-Proto": "https"})
    assert "; Secure" in response.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "/x\r\nX-Evil: 1", "javascript:0"]
)
@one_loop
async def test_the_login_leads_to_no_other_site(door: Door, target: str) -> None:
    response = await door.log_in(data={"next": target})
    assert response.headers["Location"] == "/"
    assert "X-Evil" not in response.headers
    form = await door.ask("GET", "/login", params={"next": target})
    assert 'name="next" value="/"' in form.text


@one_loop
async def test_a_wrong_token_gets_the_form_again_and_no_cookie(door: Door) -> None:
    for response in (await door.log_in("wrong"), await door.log_in(""), await door.log_in("x" * 100_000)):
        assert response.status_code == 401
        assert "This is not the token." in response.text
        assert "Set-Cookie" not in response.headers


@one_loop
async def test_what_stands_in_the_address_is_text_in_the_form(door: Door) -> None:
    form = await door.ask("GET", "/login", params={"next": '/"><script>alert(1)</script>'})
    assert "<script>alert" not in form.text


@one_loop
async def test_another_site_can_neither_log_in_nor_out(door: Door) -> None:
    headers = {"Origin": "https://evil.example"}
    assert (await door.log_in(headers=headers)).status_code == 403
    assert (await door.ask("POST", "/logout", headers=headers)).status_code == 403


@one_loop
async def test_a_link_from_another_site_finds_the_session(door: Door) -> None:
    response = await door.get("/labs", {"Sec-Fetch-Site": "cross-site"})
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")
    assert '<meta http-equiv="refresh" content="0">' in response.text


@one_loop
async def test_without_a_token_there_is_no_login(door: Door) -> None:
    assert (await door.ask("GET", "/login", port=door.open_port)).status_code == 404
    assert (await door.ask("GET", "/metrics", port=door.open_port)).status_code == 200
    assert (await door.handshake("/ws/markets", port=door.open_port))[0] == 101


# origins


@pytest.mark.parametrize("path", SOCKETS[:2])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1", "file://"])
@one_loop
async def test_a_socket_from_a_foreign_page_is_403_before_the_upgrade(
    door: Door, path: str, origin: str
) -> None:
    assert await door.handshake(path, port=door.open_port, origin=origin) == (403, None)
    assert await door.handshake(path, origin=origin, additional_headers=BEARER) == (403, None)


@one_loop
async def test_own_and_listed_origins_pass_on_both_sockets(door: Door) -> None:
    port = door.open_port
    own, friend = f"http://127.0.0.1:{port}", "https://friend.example"
    for path in SOCKETS[:2]:
        assert (await door.handshake(path, port=port, origin=own))[0] == 101
        assert (await door.handshake(path, port=port, origin=friend))[0] == 101


@one_loop
async def test_a_refused_origin_names_both_sides(door: Door) -> None:
    response = await door.ask("POST", POLLING, headers={"Origin": "https://bad.example", "Host": "h.example"})
    assert (response.status_code, response.headers["content-type"]) == (403, "text/plain; charset=utf-8")
    assert "https://bad.example" in response.text
    assert "Host h.example" in response.text
    said = [line for line in door.process.output.splitlines() if "bad.example" in line]
    assert len(said) == 1
    assert "header Host: h.example" in said[0]
    assert "LIVE_ALLOWED_ORIGINS" in said[0]


@one_loop
async def test_the_pages_socket_by_polling_is_guarded_too(door: Door) -> None:
    foreign = {"Origin": "https://evil.example"}
    for method in ("GET", "POST"):
        response = await door.ask(method, POLLING, port=door.open_port, headers=foreign)
        assert response.status_code == 403
        assert "Access-Control-Allow-Origin" not in response.headers
    assert (await door.ask("GET", POLLING, port=door.open_port)).status_code == 200


# methods and unknown paths

ROUTES = ("/", "/labs", "/labs/", "/healthz", "/readyz", "/metrics", "/api/symbols", "/api/latest")


@pytest.mark.parametrize("path", ROUTES)
@one_loop
async def test_every_route_knows_head_and_options_and_refuses_the_rest(door: Door, path: str) -> None:
    get, head = [await door.ask(method, path, port=door.open_port) for method in ("GET", "HEAD")]
    assert (head.status_code, head.text) == (get.status_code, "") == (200, "")
    for name in ("content-type", "x-content-type-options", "cache-control"):
        assert head.headers.get(name) == get.headers.get(name)
    foreign = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    options = await door.ask("OPTIONS", path, port=door.open_port, headers=foreign)
    wrong = await door.ask("DELETE", path, port=door.open_port)
    assert (options.status_code, options.text, wrong.status_code) == (204, "", 405)
    for response in (options, wrong):
        assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    for response in (get, head, options, wrong):
        assert not [name for name in response.headers if name.startswith("access-control")]


@one_loop
async def test_the_login_and_the_logout_tell_their_methods(door: Door) -> None:
    allowed = [(await door.ask("OPTIONS", path)).headers["Allow"] for path in ("/login", "/logout")]
    assert [set(methods.split(", ")) for methods in allowed] == [
        {"GET", "HEAD", "POST", "OPTIONS"},
        {"POST", "OPTIONS"},
    ]
    assert (await door.ask("HEAD", "/login")).status_code == 200


@one_loop
async def test_the_parts_of_a_page_behave_too(door: Door) -> None:
    page = (await door.ask("GET", "/labs", port=door.open_port)).text
    script = re.findall(r'"(/_nicegui/[^"]+\.js)"', page)[0]
    head = await door.ask("HEAD", script, port=door.open_port)
    assert (head.status_code, head.text) == (200, "")
    assert (await door.ask("OPTIONS", script, port=door.open_port)).headers["Allow"] == "GET, HEAD, OPTIONS"
    preflight = await door.ask(
        "OPTIONS", POLLING, port=door.open_port, headers={"Origin": "https://evil.example"}
    )
    assert preflight.status_code == 403


async def test_a_head_for_a_page_is_counted_like_the_page() -> None:
    async with (
        running_app(settings_for(None)) as app,
        httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False, base_url=app.http_url) as client,
    ):
        statuses = [(await client.head("/labs")).status_code for _ in range(150)]
    assert set(statuses) == {404, 429}  # there are no pages in this app
    assert statuses.index(429) >= 100


@pytest.mark.parametrize("path", ["/nowhere", "/nowhere/", "/api/nowhere", "/labs/nowhere", "/ws/nowhere"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "DELETE"])
@one_loop
async def test_an_unknown_path_is_404_in_the_form_that_its_asker_reads(
    door: Door, path: str, method: str
) -> None:
    for accept, kind, words in (
        ("*/*", "text/plain", "not found\n"),
        ("application/json", "application/json", '{"error":"not found"}'),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html", "There is no such page"),
    ):
        answer = await door.ask(method, path, port=door.open_port, headers={"Accept": accept})
        assert answer.status_code == 404
        assert answer.headers["Content-Type"].startswith(kind)
        assert (words in answer.text) == (method != "HEAD")
        assert "Traceback" not in answer.text


# headers


@pytest.mark.parametrize("path", ["/", "/labs", "/login", "/healthz", "/metrics", "/api/symbols"])
@one_loop
async def test_every_answer_has_the_security_headers(door: Door, path: str) -> None:
    headers = (await door.get(path, BEARER)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Server" not in headers
    if headers["Content-Type"].startswith("text/html"):
        assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
        assert headers.get_list("Cache-Control") == ["no-store"]


def test_the_policy_names_no_other_place() -> None:
    assert not re.search(r"\*|https?:|wss?:", CONTENT_SECURITY_POLICY)


@one_loop
async def test_a_person_logs_in_watches_and_logs_out_in_a_real_browser(
    door: Door, shared_chrome: Browser
) -> None:
    async with tab(shared_chrome, door.url) as shown:
        await shown.goto("/labs?exchange=simulator&symbols=BTCUSDT")
        assert shown.page.url == f"{door.url}/login?next=/labs%3Fexchange%3Dsimulator%26symbols%3DBTCUSDT"
        await shown.page.fill("#token", TOKEN)
        await shown.page.keyboard.press("Enter")
        await shown.page.wait_for_url("**/labs?**")
        first = await soon(lambda: shown.price("BTCUSDT"), 10)

        async def has_moved() -> bool:
            return await shown.price("BTCUSDT") not in ("", first)

        await soon(has_moved, 10)
        await shown.page.locator(".logout button").click()
        await shown.page.wait_for_url("**/login")
        await shown.goto("/labs")
        assert "/login" in shown.page.url


@pytest.mark.verify
@one_loop
async def test_a_page_whose_session_ended_meanwhile_leads_to_the_login_and_back(
    shared_chrome: Browser,
) -> None:
    port, environment = main_environment(LIVE_ACCESS_TOKEN="old")
    async with await shared_chrome.new_context() as context:
        page, login = await context.new_page(), f"http://127.0.0.1:{port}/login"

        async def log_in(token: str) -> None:
            await page.fill("#token", token)
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/labs?**")
            await page.wait_for_function("window.socket?.connected")

        async with running_warm("main.py", environment=environment) as process:
            await process.says("Live Markets is listening on")
            await page.goto(f"{login}?next=/labs%3Fsymbols%3DETHBTC")
            await log_in("old")
        async with running_warm("main.py", environment=environment | {"LIVE_ACCESS_TOKEN": "new"}) as process:
            await process.says("Live Markets is listening on")
            await page.wait_for_url(f"{login}?next=/labs*", timeout=20_000)
            await log_in("new")
            assert page.url.endswith("symbols=ETHBTC")


async def has_clients(door: Door, count: int) -> bool:
    """Whether so many programs are connected to `/ws/markets` now."""
    metrics = (await door.get("/metrics", BEARER)).text.splitlines()
    return f"livemarkets_clients {float(count)}" in metrics


@one_loop
async def test_the_examples_bring_the_token_and_run_as_they_are(door: Door) -> None:
    url = f"ws://127.0.0.1:{door.port}/ws/markets"
    page = (await door.get("/", BEARER)).text
    assert "LIVE_ACCESS_TOKEN" in page
    assert "client.js" in page
    assert TOKEN not in html.unescape(page)
    plain = examples(url, has_token=False)["Python"]
    async with running_process("-c", plain, environment=LIBRARY | {"LIVE_ACCESS_TOKEN": TOKEN}) as process:
        await process.says("HTTP 401")
    assert await has_clients(door, 0)
    program = examples(url, has_token=True)["Python"]
    async with running_process("-c", program, environment=LIBRARY | {"LIVE_ACCESS_TOKEN": TOKEN}):
        await eventually(lambda: has_clients(door, 1))


@one_loop
async def test_the_example_for_browsers_brings_the_token_that_it_asked_for(
    door: Door, shared_chrome: Browser
) -> None:
    program = examples(f"ws://127.0.0.1:{door.port}/ws/markets", has_token=True)["JavaScript"]
    copied = 'import { connect } from "./client.mjs";'
    assert copied in program
    program = program.replace(copied, 'const { connect } = await import("/client.mjs");')
    async with tab(shared_chrome, door.url, leaves_traces=True) as shown:
        await shown.goto("/login")  # without a session
        await shown.page.route("**/client.mjs", lambda route: route.fulfill(path=CLIENT_SCRIPT))
        shown.page.on("dialog", lambda dialog: dialog.accept(TOKEN))
        await eventually(lambda: has_clients(door, 0))
        await shown.page.evaluate(f"() => void (async () => {{ {program} }})()")
        await eventually(lambda: has_clients(door, 1))


@one_loop
async def test_a_foreign_browser_page_can_open_no_socket(door: Door, shared_chrome: Browser) -> None:
    async with await shared_chrome.new_context() as context:
        page = await context.new_page()  # about:blank: its origin is `null`
        for path in SOCKETS[:2]:
            outcome = await page.evaluate(
                """url => new Promise(resolve => {
                    const socket = new WebSocket(url);
                    socket.onopen = () => resolve("open");
                    socket.onerror = () => resolve("refused");
                })""",
                f"ws://127.0.0.1:{door.open_port}{path}",
            )
            assert outcome == "refused"


# at the end of all that


@one_loop
async def test_the_token_stands_nowhere(door: Door) -> None:
    assert (await door.get("/metrics", {"Authorization": "Bearer guess11"})).status_code == 401
    secrets = (TOKEN, offers(TOKEN)[0].removeprefix("bearer."), "livemarkets_session")
    bodies = [(await door.get(path, BEARER)).text for path in (*PAGES, *MACHINES)]
    said = "\n".join([door.process.output, *bodies])
    assert "LIVE_ACCESS_TOKEN=(set)" in said
    assert "wrong access token from" in said
    assert [secret for secret in secrets if secret in said] == []
    assert "guess1" not in said, "not even a wrong one"
    assert "Traceback" not in door.process.output
