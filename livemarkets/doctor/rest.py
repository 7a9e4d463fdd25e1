"""Asks the exchange's REST API, within a fifth of the announced weight. It judges nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from livemarkets.doctor.listing import listing_of
from livemarkets.doctor.record import Answer, Record
from livemarkets.exchanges.failures import describe, explain, root_cause
from livemarkets.exchanges.outbound import Outbound, OutboundFailure
from livemarkets.market.clock import Clock

__all__ = ["ALL_DAY_TICKERS", "CHARGES", "Rest"]

CHARGES = {
    "time": 1,
    "exchangeInfo": 20,
    "trades": 25,
    "historicalTrades": 25,
    "aggTrades": 4,
    "ticker/24hr": 2,
    "klines": 2,
}
"""The request weight that the product charges (`rest-api.md`, "Weight" of each call)."""
ALL_DAY_TICKERS = 80
"""The weight of `ticker/24hr` without a symbol."""
_SHARE = 0.2
"""The share of the announced weight that this program uses."""
_OTHERS_SHARE = 0.7
"""Nothing more is asked in a minute in which all programs of this IP address have used this share."""
_DEADLINE_SECONDS = 10.0
_MINUTE_MS = 60_000


class Rest:
    """Sends calls, one at a time, and records their answers. After 429 or 418 it sends nothing more.

    Args:
        record: receives the answers.
        clock: source of the time.
        urls: base addresses as they are recorded → with everything that the settings say.
        outbound: which proxy and which certificates.

    """

    def __init__(self, record: Record, clock: Clock, urls: Mapping[str, str], outbound: Outbound) -> None:
        self.stopped = ""
        """Why nothing more is sent; empty while calls are sent."""
        self.left_out = 0
        """Calls that were left out because the weight was used up."""
        self._record = record
        self._clock = clock
        self._urls = urls
        self._outbound = outbound
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._one_at_a_time = asyncio.Lock()
        self._minute = -1
        self._charged = 0
        self._used_by_all = 0

    async def aclose(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def get(
        self, address: str, call: str, label: str = "", *, charged: int | None = None, **parameters: Any
    ) -> Answer | None:
        """Send one call and record its answer.

        Args:
            address: the base address.
            call: such as `trades`.
            label: distinguishes calls of the same name in the record.
            charged: the request weight; `None` takes it from `CHARGES`.
            parameters: of the query.

        Returns: the answer; `None` when the call was left out.

        """
        async with self._one_at_a_time:  # else the weight of a call could not be told from that of others
            return await self._get(address, call, label, charged, parameters)

    async def _get(
        self, address: str, call: str, label: str, charged: int | None, parameters: dict[str, Any]
    ) -> Answer | None:
        weight = CHARGES[call] if charged is None else charged
        if self.stopped or not self._admit(weight):
            self.left_out += 1
            return None
        sent_at = self._clock.monotonic()
        status, failure, body, headers, size = await self._fetch(address, call, parameters)
        answer = Answer(
            address=address,
            call=call,
            label=label,
            charged=weight,
            sent_at=sent_at,
            received_at=self._clock.monotonic(),
            status=status,
            failure=failure,
            body=listing_of(body) if call == "exchangeInfo" and failure is None else body,
            used_weight=_whole(headers.get("X-MBX-USED-WEIGHT-1M")),
            retry_after=headers.get("Retry-After"),
            size_bytes=size,
            symbol=str(parameters.get("symbol", "")),
            from_id=parameters.get("fromId"),
        )
        self._record.answers.append(answer)
        if answer.used_weight is not None:
            self._used_by_all = answer.used_weight
        if status in (418, 429):
            self.stopped = f"HTTP {status}: the exchange asked for a pause"
        return answer

    def _admit(self, weight: int) -> bool:
        minute = self._clock.now_ms() // _MINUTE_MS
        if minute != self._minute:
            self._minute, self._charged, self._used_by_all = minute, 0, 0
        listing = self._record.listing
        limit = (listing.weight_per_minute if listing else None) or self._record.limits.weight_per_minute
        if self._charged + weight > _SHARE * limit or self._used_by_all > _OTHERS_SHARE * limit:
            return False
        self._charged += weight
        return True

    async def _fetch(
        self, address: str, call: str, parameters: dict[str, Any]
    ) -> tuple[int | None, str | None, Any, httpx.Headers, int]:
        url = self._urls[address]
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                response = await self._client(url).get(f"{url}/api/v3/{call}", params=parameters)
        except (TimeoutError, httpx.TimeoutException):
            return None, "timeout", None, httpx.Headers(), 0
        except OutboundFailure as error:
            return None, error.reason, None, httpx.Headers(), 0
        except httpx.HTTPError as error:
            return None, explain(root_cause(error)), None, httpx.Headers(), 0
        except Exception as error:  # odd proxy variables raise errors of many types
            return None, describe(error), None, httpx.Headers(), 0
        content = response.content
        try:
            body = msgspec.json.decode(content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            return response.status_code, "the answer is not JSON", None, response.headers, len(content)
        failure = None if response.status_code == 200 else _failure(response.status_code, body)
        return response.status_code, failure, body, response.headers, len(content)

    def _client(self, url: str) -> httpx.AsyncClient:
        if url not in self._clients:
            self._clients[url] = self._outbound.http_client(timeout_seconds=_DEADLINE_SECONDS)
        return self._clients[url]


def _failure(status: int, body: Any) -> str:
    code = body.get("code") if isinstance(body, dict) else None
    return f"HTTP {status}, code {code}" if isinstance(code, int) else f"HTTP {status}"


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 12 else None
