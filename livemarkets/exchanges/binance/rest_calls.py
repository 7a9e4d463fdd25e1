"""GET requests to the base addresses of Binance's REST API: their order, time limits, sizes and refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import httpx
import msgspec
from loguru import logger

from livemarkets.errors import ExchangeError, ExchangeUnreachable, MalformedMessage, RestError
from livemarkets.exchanges.addresses import Addresses
from livemarkets.exchanges.base import Purpose
from livemarkets.exchanges.binance.exchange_info import ExchangeInfo, decode_exchange_info
from livemarkets.exchanges.binance.rest_answers import refusal
from livemarkets.exchanges.failures import describe, explain, root_cause
from livemarkets.exchanges.governor import Governor, Turn
from livemarkets.exchanges.not_served import NotServed
from livemarkets.exchanges.told_pauses import told_pause_seconds
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeName

__all__ = ["RestCalls"]

_CALL_SECONDS = 10.0
"""Time limit of a whole call at all addresses. Binance gives up after 10 s too (`errors.md`, -1007)."""
_FIRST_PART = 0.6
"""The part of the remaining time that an address gets while others are left."""
_CONNECT_SECONDS = 3.0
_LONG_CALLS = {"exchangeInfo": 32 * 2**20}
_BODY_BYTES = 4 * 2**20
"""Limit of an answer. 1,000 trades have 0.2 MB, the day tickers of all symbols 1 MB."""
_COUNT_HEADER = "X-MBX-USED-WEIGHT-1M"
_NOT_REACHED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)

T = TypeVar("T")


def _accept(_: object) -> None:
    """Accept any answer that has the shape."""


class _NotReached(ExchangeUnreachable):
    """The exchange did not see the call."""


class RestCalls:
    """Makes calls at the base addresses in order, within the exchange's limits.

    Args:
        exchange: its name, for the log.
        client: returns the HTTP client.
        governor: decides which call goes next.
        clock: source of the time.

    """

    def __init__(
        self,
        exchange: ExchangeName,
        client: Callable[[], httpx.AsyncClient],
        governor: Governor,
        clock: Clock,
    ) -> None:
        self.addresses = Addresses()
        self.calls = 0
        self.failures = 0
        self._exchange = exchange
        self._client = client
        self._governor = governor
        self._clock = clock
        self._not_served = NotServed()
        self._failing: set[str] = set()  # the addresses whose last call failed, for the log

    @property
    def _is_set(self) -> bool:
        return any(True for _ in self.addresses)

    def is_served(self, call: str, symbol: str | None = None) -> bool:
        """Return whether an address is known that may serve a call."""
        return bool(self._urls(call, symbol))

    async def get(
        self,
        call: str,
        parameters: dict[str, Any],
        weight: int,
        shape: type[T],
        *,
        purpose: Purpose,
        asker: str | None = None,
        check: Callable[[T], None] = _accept,
    ) -> T:
        """Return the answer of the first address that has a usable one.

        Args:
            call: the path behind `/api/v3/`.
            parameters: the query.
            weight: the request weight.
            shape: the type of the answer.
            purpose: why the call is made.
            asker: for whom it is made.
            check: raises :exc:`~livemarkets.errors.MalformedMessage` if the answer makes no sense.

        Raises:
            RestError: the exchange refused the call.
            ExchangeUnreachable: no address could be reached, or the exchange forbids calls at present.
            MalformedMessage: the answer makes no sense.

        """
        symbol = parameters.get("symbol")
        try:
            if self._is_set and not self.is_served(call, symbol):
                raise self._not_served.error(call)
            async with self._governor.turn(weight, purpose, asker) as turn:
                urls = self._urls(call, symbol)
                return await self._get_from_any(urls, call, parameters, weight, shape, check, turn)
        except ExchangeError:
            self.failures += 1
            raise

    def _urls(self, call: str, symbol: str | None) -> Sequence[str]:
        now = self._clock.monotonic()
        return self._not_served.without(self.addresses.in_order(now), call, symbol, now)

    async def _get_from_any(
        self,
        urls: Sequence[str],
        call: str,
        parameters: dict[str, Any],
        weight: int,
        shape: type[T],
        check: Callable[[T], None],
        turn: Turn,
    ) -> T:
        ends_at = self._clock.monotonic() + _CALL_SECONDS
        if not urls:
            turn.note_not_reached()
            raise (
                self._not_served.error(call)
                if self._is_set
                else ExchangeUnreachable("no REST address is set")
            )
        error: ExchangeError = ExchangeUnreachable("timeout")
        for place, url in enumerate(urls):
            seconds = ends_at - self._clock.monotonic()
            if seconds <= 0 or self._governor.pause_seconds:
                break
            if place < len(urls) - 1:
                seconds *= _FIRST_PART
            if place:
                turn.again(weight)
            self.calls += 1
            try:
                answer = await self._get_from(url, call, parameters, shape, turn, seconds)
                check(answer)
            except RestError as failure:
                error = failure
                if not self._may_help_elsewhere(url, call, parameters.get("symbol"), failure):
                    raise
            except _NotReached as failure:
                turn.note_not_reached()
                self._note_failure(url, failure)
                error = ExchangeUnreachable(failure.reason)
            except ExchangeError as failure:
                error = failure
                if isinstance(failure, ExchangeUnreachable) and failure.retry_after_seconds is not None:
                    raise
                self._note_failure(url, failure)
            else:
                self._note_success(url, call, parameters.get("symbol"))
                return answer
        try:
            raise error
        finally:
            del error  # it refers to this frame, so only a garbage collection would free both

    def _may_help_elsewhere(self, url: str, call: str, symbol: str | None, error: RestError) -> bool:
        """Note a refusal. Return whether another address may answer."""
        now = self._clock.monotonic()
        if error.status in (401, 403, 404):
            if self._not_served.note(url, call, symbol, error, now):
                logger.info("{}: {} does not serve {} at present: {}", self._exchange, url, call, error)
            return True
        if 400 <= error.status < 500 and error.status not in (408, 451):
            self._note_success(url, call, symbol)  # it is this request that is wrong
            return False
        self._note_failure(url, error)
        return True

    def _note_failure(self, url: str, error: ExchangeError) -> None:
        self.addresses.note_failure(url, self._clock.monotonic())
        if url not in self._failing:
            self._failing.add(url)
            logger.info("{}: passing over {} for a while: {}", self._exchange, url, error)

    def _note_success(self, url: str, call: str, symbol: str | None) -> None:
        self.addresses.note_success(url)
        self._not_served.note_served(url, call, symbol)
        self._governor.note_answer()
        if url in self._failing:
            self._failing.discard(url)
            logger.info("{}: {} answers again", self._exchange, url)

    async def _get_from(
        self, url: str, call: str, parameters: dict[str, Any], shape: type[T], turn: Turn, seconds: float
    ) -> T:
        try:
            client = self._client()
        except ExchangeUnreachable as error:
            raise _NotReached(error.reason) from error
        except Exception as error:  # a library reads the environment, and raises errors of many types
            raise _NotReached(describe(error)) from error
        status, headers, body = await self._read(client, f"{url}/api/v3/{call}", parameters, call, seconds)
        counted = headers.get(_COUNT_HEADER, "")
        if status == 200 and counted.isdecimal() and len(counted) < 10:
            self._governor.note_count(int(counted), turn)
        if status in (418, 429):
            raise self._pause(status, headers, body)
        if status != 200:
            raise refusal(status, body)
        if shape is ExchangeInfo:
            return cast(T, await decode_exchange_info(body))
        try:
            return msgspec.json.decode(body, type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise MalformedMessage("malformed REST response", f"{url}: {error}") from None

    async def _read(
        self, client: httpx.AsyncClient, url: str, parameters: dict[str, Any], call: str, seconds: float
    ) -> tuple[int, httpx.Headers, bytes]:
        """Return status, headers and body of an answer that is complete in time and not too long."""
        limit = _LONG_CALLS.get(call, _BODY_BYTES)
        timeout = httpx.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds))
        body = bytearray()
        try:
            async with (
                asyncio.timeout(seconds),
                client.stream("GET", url, params=parameters, timeout=timeout) as response,
            ):
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > limit:
                        raise MalformedMessage("REST response too long", f"{call}: over {limit} bytes")
                return response.status_code, response.headers, bytes(body)
        except _NOT_REACHED as error:
            raise _NotReached(_explain(error)) from None
        except (TimeoutError, httpx.TimeoutException):
            raise ExchangeUnreachable("timeout") from None
        except httpx.HTTPError as error:
            raise ExchangeUnreachable(_explain(error)) from None
        except ExchangeError:
            raise
        except Exception as error:  # any error of a library fails this call only
            logger.opt(exception=True).debug("{}: {} failed", self._exchange, call)
            raise ExchangeUnreachable(describe(error)) from error

    def _pause(self, status: int, headers: httpx.Headers, body: bytes) -> ExchangeUnreachable:
        """Pause all calls after 429 and 418 (`rest-api.md`, "IP Limits")."""
        was_paused = self._governor.pause_seconds > 0
        told = told_pause_seconds(headers, body, now_ms=self._clock.now_ms())
        seconds = self._governor.pause(told)
        reason = str(refusal(status, b""))
        if not was_paused:
            logger.warning("{}: no REST call for {:.0f} s: {}", self._exchange, seconds, reason)
        return ExchangeUnreachable(reason, retry_after_seconds=seconds)


def _explain(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "timeout"
    return explain(root_cause(error))
