"""How many pages one address may request, and that refusals are counted."""

from __future__ import annotations

import httpx
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from livemarkets.rate_limit import Refusals, UsageCounter
from livemarkets.security.middleware import SecurityMiddleware
from livemarkets.security.page_limits import PageLimits
from livemarkets.security.token_auth import TokenAuth
from livemarkets.server.turns import Turns
from tests.support.ticks import ManualClock


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("a page")(scope, receive, send)


async def test_pages_above_the_rate_of_an_address_are_refused_and_counted() -> None:
    clock, refusals = ManualClock(), Refusals()
    app = SecurityMiddleware(
        page,
        TokenAuth(""),
        (),
        lambda reason: None,
        refusals=refusals,
        page_turns=Turns(),
        page_sockets=UsageCounter(),
        limits=PageLimits(burst=3, per_second=1.0),
        clock=clock,
    )

    async def statuses(address: str, count: int, path: str = "/labs") -> list[int]:
        transport = httpx.ASGITransport(app, client=(address, 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [(await client.get(path)).status_code for _ in range(count)]

    assert await statuses("192.0.2.1", 5) == [200, 200, 200, 429, 429]
    assert await statuses("192.0.2.2", 1) == [200]
    assert await statuses("192.0.2.1", 2, "/api/latest") == [200, 200]
    clock.advance(1.0)
    assert await statuses("192.0.2.1", 2) == [200, 429]
    assert {name: count for name, count in refusals.counts.items() if count} == {("page", "address"): 3}
