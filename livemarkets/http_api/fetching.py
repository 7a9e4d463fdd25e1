"""Guards what makes this server ask an exchange for an HTTP request. The request's sender pays for it.

The weight of an exchange's REST API is limited for our IP address, and live streams need it when trades are
missing. So requests have a small part of it, each sender a part of that, and a web page of somebody else has
none: it could spend the part of each of its visitors.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, TypeVar, cast

from starlette.requests import HTTPConnection

from livemarkets.errors import ExchangeError, ExchangeUnreachable
from livemarkets.http_api.answers import Refused
from livemarkets.rate_limit import Refusals
from livemarkets.security.addresses import client_address
from livemarkets.security.forwarded import FROM_PROXY
from livemarkets.security.origins import is_own_page_or_program

__all__ = ["FetchGuard", "unavailable"]

_WEIGHT_OF_ADDRESS = 100
_WEIGHT_OF_ALL = 600
_WINDOW_SECONDS = 60.0
_KEPT_SECONDS = 1.0
_ANSWER_SECONDS = 15.0
"""How long a request waits. A call has 10 s at the exchange, and may have to wait for its turn before."""

T = TypeVar("T")
Ask = Callable[[str], Coroutine[Any, Any, T]]
"""Makes the call. Its argument is the asker: the address for which the call is made."""


class FetchGuard:
    """Asks exchanges on behalf of HTTP requests, within limits. An equal question is asked once.

    For each exchange, the calls of one address (:func:`~livemarkets.security.addresses.client_address`) have
    100 weight in a minute, and those of all together 600. The address that causes a call pays for it; others
    that wait for the same answer, or come within a second after it, pay nothing.

    Args:
        clock: monotonic seconds.
        refusals: counts what is refused.

    """

    def __init__(self, clock: Callable[[], float], refusals: Refusals) -> None:
        self._clock = clock
        self._refusals = refusals
        self._spent: dict[str, _SpentLately] = {}
        self._answers: dict[Hashable, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(
        self,
        request: HTTPConnection,
        exchange: str,
        question: Hashable,
        weight: int,
        ask: Ask[T],
        *,
        kept_seconds: float = _KEPT_SECONDS,
    ) -> T:
        """Return the answer to a question.

        Args:
            request: the request that needs it.
            exchange: the exchange to ask.
            question: names the question within the exchange. Equal questions share one answer.
            weight: the request weight that the call costs.
            ask: makes the call, with the least urgent purpose and the asker that it is given.
            kept_seconds: how long the answer is shared after it came. A failure is shared too.

        Raises:
            Refused: with 403 for a foreign web page, with 429 when there is no weight left.
            ExchangeError: the exchange gave no usable answer.

        """
        headers, is_from_proxy = request.headers, FROM_PROXY in request.scope
        if not is_own_page_or_program(headers, is_from_proxy=is_from_proxy):
            self._refusals.note("fetch", "foreign")
            raise Refused(403, "a web page of another origin cannot make this server ask an exchange")
        name = (exchange, question)
        answer = self._answers.get(name)
        if answer is None:
            address = client_address(request)
            self._spend(exchange, address, weight)
            answer = self._answers[name] = asyncio.get_running_loop().create_future()
            call = ask(address)
            task = asyncio.create_task(
                _answer(answer, call, kept_seconds), name=f"asking {exchange} for an HTTP request"
            )
            self._tasks.add(task)
            task.add_done_callback(partial(self._forget, name, call))
        return cast(T, await asyncio.shield(answer))

    @property
    def is_busy(self) -> bool:
        """Whether a call is under way, or an answer is shared."""
        return bool(self._answers)

    async def aclose(self) -> None:
        """End the calls that are under way. Those who wait get an error. Idempotent."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spend(self, exchange: str, address: str, weight: int) -> None:
        spent = self._spent.setdefault(exchange, _SpentLately())
        reason, wait_seconds = spent.refusal(address, weight, self._clock())
        if reason:
            self._refusals.note("fetch", reason)
            whose = "your address has" if reason == "address" else "all addresses together have"
            raise Refused(
                429,
                f"{whose} made this server ask {exchange} too often in the last minute",
                retry_after_seconds=wait_seconds,
            )
        spent.spend(address, weight, self._clock())

    def _forget(self, name: Hashable, call: Coroutine[Any, Any, Any], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        answer = self._answers.pop(name)
        call.close()  # the task may have been cancelled before it began
        if not answer.done():
            answer.set_exception(ExchangeUnreachable("this server is stopping"))
        answer.exception()  # there may be nobody left who looks at it


async def _answer(answer: asyncio.Future[Any], call: Coroutine[Any, Any, Any], kept_seconds: float) -> None:
    """Make a call, tell its answer to those who wait, and keep it for a while."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            found = await call
    except TimeoutError:
        answer.set_exception(ExchangeUnreachable("no answer in time"))
    except Exception as error:  # whatever it is, those who wait have to get it
        answer.set_exception(error)
    else:
        answer.set_result(found)
    await asyncio.sleep(kept_seconds)


def unavailable(exchange: str, error: ExchangeError) -> Refused:
    """Return the answer to a request for which the exchange gave no usable answer."""
    told = error.retry_after_seconds if isinstance(error, ExchangeUnreachable) else None
    return Refused(503, f"{exchange}: {error}", retry_after_seconds=5.0 if told is None else told)


class _SpentLately:
    """The weight spent in the minute that ends now. It has at most one entry for each weight of 600."""

    def __init__(self) -> None:
        self._entries: deque[tuple[float, str, int]] = deque()  # (when, address, weight), the oldest first
        self._by_address: Counter[str] = Counter()
        self._total = 0

    def spend(self, address: str, weight: int, now: float) -> None:
        """Count a call."""
        self._entries.append((now, address, weight))
        self._by_address[address] += weight
        self._total += weight

    def refusal(self, address: str, weight: int, now: float) -> tuple[str, float]:
        """Return why a call is refused, and after how many seconds it would not be; "" if it may be made."""
        while self._entries and self._entries[0][0] <= now - _WINDOW_SECONDS:
            _, whose, old = self._entries.popleft()
            self._total -= old
            self._by_address[whose] -= old
            if not self._by_address[whose]:
                del self._by_address[whose]
        over = self._by_address[address] + weight - _WEIGHT_OF_ADDRESS
        over_all = self._total + weight - _WEIGHT_OF_ALL
        reason = "address" if over > 0 else "all" if over_all > 0 else ""
        free_at = now
        for at, whose, old in self._entries:
            if over <= 0 and over_all <= 0:
                break
            free_at = at + _WINDOW_SECONDS
            over -= old if whose == address else 0
            over_all -= old
        return reason, math.ceil(free_at - now)
