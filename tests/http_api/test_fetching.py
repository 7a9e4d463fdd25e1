"""What HTTP requests may make this server ask an exchange, in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from livemarkets.errors import ExchangeUnreachable
from livemarkets.http_api.answers import Refused
from livemarkets.http_api.fetching import FetchGuard, unavailable
from livemarkets.rate_limit import Refusals
from tests.support.simulated_time import run_in_simulated_time


def request_of(address: str = "192.0.2.1", **headers: str) -> HTTPConnection:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": raw, "client": (address, 5000)})


class Guarded:
    """A guard, and an exchange that counts how often it is asked."""

    def __init__(self, answer_seconds: float = 0.5, error: Exception | None = None) -> None:
        self.refusals = Refusals()
        self.guard = FetchGuard(asyncio.get_running_loop().time, self.refusals)
        self.askers: list[str] = []
        self._answer_seconds, self._error = answer_seconds, error

    async def answer(self, asker: str) -> int:
        self.askers.append(asker)
        await asyncio.sleep(self._answer_seconds)
        if self._error is not None:
            raise self._error
        return len(self.askers)

    async def ask(
        self, question: object, address: str = "192.0.2.1", *, weight: int = 25, exchange: str = "binance"
    ) -> int:
        return await self.guard.ask(request_of(address), exchange, question, weight, self.answer)

    async def status(self, question: object, address: str = "192.0.2.1", **options: Any) -> int:
        try:
            await self.ask(question, address, **options)
        except Refused as refusal:
            return refusal.status
        return 200

    def refused(self) -> dict[str, int]:
        counts = self.refusals.counts.items()
        return {reason: count for (kind, reason), count in counts if kind == "fetch" and count}


def simulated(main: Coroutine[Any, Any, None]) -> None:
    run_in_simulated_time(main)


def test_an_address_has_a_hundred_weight_in_any_minute() -> None:
    async def main() -> None:
        guarded = Guarded()
        assert [await guarded.status(number) for number in range(4)] == [200] * 4
        with pytest.raises(Refused, match="your address") as caught:
            await guarded.ask("one more")
        assert caught.value.status == 429
        assert caught.value.answer().headers["retry-after"] == "58", "two of the first minute's 60 s are over"
        assert await guarded.status("small", weight=1) == 429
        await asyncio.sleep(57.9)
        assert await guarded.status("too early") == 429
        await asyncio.sleep(0.2)
        assert await guarded.status("in time") == 200
        assert await guarded.status("too much", weight=26) == 429
        assert guarded.refused() == {"address": 4}
        assert guarded.askers == ["192.0.2.1"] * 5
        await guarded.guard.aclose()

    simulated(main())


def test_all_addresses_together_have_six_hundred() -> None:
    async def main() -> None:
        guarded = Guarded(answer_seconds=0.0)
        statuses = [await guarded.status(number, f"192.0.2.{number}") for number in range(25)]
        assert statuses == [200] * 24 + [429]
        with pytest.raises(Refused, match="all addresses") as caught:
            await guarded.ask("one more", "198.51.100.1")
        assert caught.value.retry_after_seconds == 60
        assert guarded.refused() == {"all": 2}
        assert await guarded.status("elsewhere", "198.51.100.1", exchange="simulator") == 200
        await guarded.guard.aclose()

    simulated(main())


def test_a_network_of_ipv6_addresses_counts_as_one() -> None:
    async def main() -> None:
        guarded = Guarded(answer_seconds=0.0)
        statuses = [await guarded.status(number, f"2001:db8::{number}") for number in range(5)]
        assert statuses == [200] * 4 + [429]
        assert await guarded.status("neighbour", "2001:db8:0:1::1") == 200
        assert set(guarded.askers) == {"2001:db8::/64", "2001:db8:0:1::/64"}
        await guarded.guard.aclose()

    simulated(main())


def test_an_equal_question_is_asked_once_for_all_who_wait_and_for_a_second_after() -> None:
    async def main() -> None:
        guarded = Guarded(answer_seconds=2.0)
        asking = [asyncio.create_task(guarded.ask("q", f"192.0.2.{number}")) for number in range(200)]
        other = asyncio.create_task(guarded.ask("q", exchange="simulator"))
        assert await asyncio.gather(*asking) == [2] * 200, "both were asked before an answer came"
        assert await other == 2
        await asyncio.sleep(0.9)
        assert await guarded.ask("q") == 2
        assert len(guarded.askers) == 2
        await asyncio.sleep(0.2)
        assert await guarded.ask("q") == 3
        await guarded.guard.aclose()

    simulated(main())


def test_who_waits_for_an_answer_pays_nothing_for_it() -> None:
    async def main() -> None:
        guarded = Guarded(answer_seconds=2.0)
        for question in range(4):
            first = asyncio.create_task(guarded.ask(question, f"192.0.2.{question}"))
            await asyncio.sleep(0)
            assert await guarded.ask(question, "198.51.100.1") == question + 1
            await first
        assert [await guarded.status(f"own {number}", "198.51.100.1") for number in range(4)] == [200] * 4
        await guarded.guard.aclose()

    simulated(main())


def test_the_first_who_leaves_takes_the_answer_from_nobody() -> None:
    async def main() -> None:
        guarded = Guarded(answer_seconds=2.0)
        first = asyncio.create_task(guarded.ask("q"))
        await asyncio.sleep(0.5)
        second = asyncio.create_task(guarded.ask("q", "192.0.2.2"))
        await asyncio.sleep(0.5)
        first.cancel()
        assert await second == 1
        await guarded.guard.aclose()

    simulated(main())


def test_a_failure_is_told_to_all_who_wait_and_shared_for_a_second() -> None:
    async def main() -> None:
        guarded = Guarded(error=ExchangeUnreachable("name lookup failed", 7.0))
        asking = [asyncio.create_task(guarded.ask("q")) for _ in range(3)]
        failures = await asyncio.gather(*asking, return_exceptions=True)
        assert [str(failure) for failure in failures] == ["name lookup failed"] * 3
        with pytest.raises(ExchangeUnreachable):
            await guarded.ask("q")
        assert len(guarded.askers) == 1
        answer = unavailable("binance", ExchangeUnreachable("name lookup failed", 7.0)).answer()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
        await guarded.guard.aclose()

    simulated(main())


def test_an_exchange_that_does_not_answer_keeps_nobody_for_long() -> None:
    async def main() -> None:
        guarded = Guarded(answer_seconds=1e6)
        began = asyncio.get_running_loop().time()
        with pytest.raises(ExchangeUnreachable, match="no answer in time"):
            await guarded.ask("q")
        assert asyncio.get_running_loop().time() - began == pytest.approx(15.0)
        await guarded.guard.aclose()

    simulated(main())


def test_the_end_of_the_server_ends_every_call_and_tells_those_who_wait() -> None:
    async def main() -> None:
        guarded = Guarded(answer_seconds=1e6)
        asking = [asyncio.create_task(guarded.ask(number)) for number in range(3)]
        await asyncio.sleep(1)
        asking.append(asyncio.create_task(guarded.ask("not begun")))
        await asyncio.sleep(0)
        await guarded.guard.aclose()
        await guarded.guard.aclose()
        failures = await asyncio.gather(*asking, return_exceptions=True)
        assert {str(failure) for failure in failures} == {"this server is stopping"}
        assert asyncio.all_tasks() == {asyncio.current_task()}

    simulated(main())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "none"}, 200),
        ({"host": "h:8080", "origin": "http://h:8080"}, 200),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "Cross-Site"}, 403),
        ({"sec_fetch_site": "whatever comes later"}, 403),
        ({"host": "h:8080", "origin": "http://evil.example"}, 403),
        ({"host": "h:8080", "origin": "null"}, 403),
    ],
)
def test_only_our_own_pages_and_programs_make_the_server_ask(headers: dict[str, str], status: int) -> None:
    async def main() -> None:
        guarded = Guarded()
        question = guarded.guard.ask(request_of(**headers), "binance", "q", 25, guarded.answer)
        if status == 200:
            assert await question == 1
        else:
            with pytest.raises(Refused) as caught:
                await question
            assert (caught.value.status, guarded.askers) == (status, [])
            assert guarded.refused() == {"foreign": 1}
        await guarded.guard.aclose()

    simulated(main())
