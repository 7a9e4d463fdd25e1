"""Health and readiness: whether the process runs, can take readers, and has live streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec
from fastapi import APIRouter, Request, Response

from livemarkets.exchanges.base import StreamState
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.market.channels import TRADES
from livemarkets.market.models import ExchangeState, QualityState, StreamKey
from livemarkets.security.middleware import SHOWS_REASONS
from livemarkets.server.open_files import KEPT_BACK, free_files
from livemarkets.ws_markets.hub import MarketsHub

if TYPE_CHECKING:
    from livemarkets.bus.node import BusNode

__all__ = ["HealthServices", "StreamReport", "health_router", "report_streams"]

_MOST_STREAMS = 20
"""Streams of an exchange that are named; the others are counted."""


class HealthServices(Protocol):
    """The parts of the program that the routes need."""

    feeds: dict[str, ExchangeFeed]
    hub: MarketsHub
    is_draining: bool
    """Whether the process is about to end."""

    @property
    def bus(self) -> BusNode | None:
        """This process on the bus; `None` without a role on it."""


class StreamReport(msgspec.Struct, frozen=True):
    """Whether the wanted streams are live."""

    reasons: list[str]
    """Why they are not; empty while they are."""
    not_traded: list[str]
    """Wanted streams of symbols that the exchange has halted or delisted, or does not have."""


def health_router(services: HealthServices) -> APIRouter:
    """Return the routes `/healthz` and `/readyz`."""
    router = APIRouter()

    async def healthz() -> Response:
        """Answer 200 while the process runs, whatever the state of the exchanges."""
        return Response("ok\n", media_type="text/plain")

    async def readyz(request: Request) -> Response:
        """Answer 200 while this process can take readers; with `?upstream=1`, while every stream is live."""
        upstream = request.query_params.get("upstream", "0")
        if upstream not in ("0", "1"):
            return _json({"error": "upstream must be 0 or 1"}, 400)
        if upstream == "0":
            body = {"reasons": _obstacles(services)}
        else:
            body = msgspec.to_builtins(report_streams(services.feeds))
        is_ready = not body["reasons"]
        shown = body if SHOWS_REASONS in request.scope else {}
        return _json({"ready": is_ready, **shown}, 200 if is_ready else 503)

    router.add_api_route("/healthz", healthz)
    router.add_api_route("/readyz", readyz)
    return router


def report_streams(feeds: Mapping[str, ExchangeFeed]) -> StreamReport:
    """Return why wanted streams are not live. What the exchange itself does not trade is no reason."""
    report = StreamReport([], [])
    for exchange, feed in feeds.items():
        status = feed.status
        if status.state not in (ExchangeState.IDLE, ExchangeState.LIVE):
            report.reasons.append(
                f"{exchange} is {status.state}" + (f": {status.reason}" if status.reason else "")
            )
        troubles: list[str] = []
        not_traded: list[str] = []
        for is_ours, text in _streams(exchange, feed):
            (troubles if is_ours else not_traded).append(text)
        report.reasons.extend(_bounded(troubles, f"{exchange}: {{}} more streams are not live"))
        report.not_traded.extend(_bounded(not_traded, f"{exchange}: {{}} more streams are not traded"))
    return report


def _streams(exchange: str, feed: ExchangeFeed) -> Iterator[tuple[bool, str]]:
    """Yield what is wrong with single streams, and whether that is ours to mend.

    Mute streams of trades stand in the reason of the exchange's state.
    """
    is_connected = feed.status.state in (ExchangeState.LIVE, ExchangeState.STALE)
    not_traded = set()
    troubled = feed.quality.troubled()
    for quality in troubled:
        if quality.state in (QualityState.HALTED, QualityState.DELISTED) or not quality.is_listed:
            not_traded.add(quality.key)
            yield False, f"{exchange}: {_name_of(quality.key)} is {quality.state} ({quality.reason})"
    told = set(not_traded)
    wanted = feed.keys()
    for key in wanted:
        if key in not_traded or feed.client.state_of(key) is StreamState.ACKNOWLEDGED:
            continue
        if rejection := feed.client.rejection(key):
            told.add(key)
            yield True, f"{exchange} refused {_name_of(key)}: {rejection}"
        elif feed.status.state is ExchangeState.LIVE:
            yield True, f"{exchange} has not yet confirmed {_name_of(key)}"
    if is_connected:
        for quality in troubled:
            is_in_reason = quality.state is QualityState.STALE and quality.key.channel == TRADES
            if quality.key not in told and not is_in_reason:
                yield True, f"{exchange}: {_name_of(quality.key)} is {quality.state} ({quality.reason})"


def _name_of(key: StreamKey) -> str:
    return key.symbol if key.channel == TRADES else f"{key.channel} of {key.symbol}"


def _bounded(texts: list[str], rest: str) -> list[str]:
    more = len(texts) - _MOST_STREAMS
    return texts if more <= 0 else [*texts[:_MOST_STREAMS], rest.format(more)]


def _obstacles(services: HealthServices) -> list[str]:
    """Return why this process can take no readers. The state of the exchanges is no reason."""
    obstacles = []
    if services.is_draining:
        obstacles.append("the server is stopping")
    if services.hub.is_full():
        obstacles.append(f"{services.hub.limits.clients} clients are connected, the most allowed")
    if services.bus is not None and not services.bus.link.is_connected:
        obstacles.append(f"the bus cannot be reached: {services.bus.link.reason or 'not yet connected'}")
    if free_files() < KEPT_BACK:
        obstacles.append("open files are nearly used up")
    return obstacles


def _json(value: object, status: int) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
