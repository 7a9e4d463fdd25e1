"""Handles HTTP requests: REST calls, handshakes, and refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec

from livemarkets.simulator.faults.catalogue import Faults
from livemarkets.simulator.market.streams import is_well_formed
from livemarkets.simulator.protocol.connection import ExchangeConnection
from livemarkets.simulator.protocol.http_connection import HttpConnection
from livemarkets.simulator.protocol.http_wire import Answer, HttpRequest
from livemarkets.simulator.protocol.limits import ExchangeLimits, SlidingWindow, WeightMeter
from livemarkets.simulator.protocol.rest import RestApi
from livemarkets.simulator.protocol.rest_query import BAD_TIME_UNIT, NOT_SUPPORTED, error_answer
from livemarkets.simulator.protocol.time_unit import TIME_UNITS
from livemarkets.simulator.server.trust import comes_from_a_browser, is_from_a_page, knows_the_secret

__all__ = ["CONTROL_PATH", "HttpRequests", "Wanted", "address_of", "wanted_by"]

CONTROL_PATH = "/simulator/control"
_ADDRESSES_MAX = 10_000
T = TypeVar("T")


class Wanted(NamedTuple):
    """What a handshake's address asks for."""

    streams: list[str]
    combined: bool = False
    time_unit: str = "MILLISECOND"


def wanted_by(target: str) -> Wanted | None:
    """Return what a handshake's address asks for; `None` for an unknown path.

    Raw streams are at `/ws/<stream>/<stream>`, combined streams at `/stream?streams=<stream>/<stream>`
    (web-socket-streams.md, General WSS information). Clients number their connections with paths such as
    `/ws/0`, so what names no stream there is ignored. A plus sign stands for itself: `@kline_1d@+08:00`.
    """
    parts = urlsplit(target)
    pairs = (pair.partition("=") for pair in parts.query.split("&"))
    query = {unquote(name): unquote(value) for name, _, value in pairs}
    unit = query.get("timeUnit", "MILLISECOND")
    head, _, rest = parts.path.lstrip("/").partition("/")
    if head == "stream" and not rest:
        listed = query.get("streams", "").split("/")
        return Wanted([name for name in listed if name], combined=True, time_unit=unit)
    if head == "ws":
        names = [unquote(name) for name in rest.split("/")]
        return Wanted([name for name in names if is_well_formed(name)], time_unit=unit)
    return None


class HttpRequests:
    """Answers REST calls, and accepts or refuses handshakes.

    Args:
        api: answers REST calls.
        serves: returns whether the market has a stream of this name.
        limits: limits per address.
        faults: the faults of handshakes and REST.
        pulse: brings the market up to now.
        now_ms: the time, ms since the epoch.
        control_secret: the secret of the control API; empty disables the control API.
        serves_browsers: whether browsers may read the market.

    """

    def __init__(
        self,
        api: RestApi,
        serves: Callable[[str], bool],
        limits: ExchangeLimits,
        faults: Faults,
        *,
        pulse: Callable[[], None],
        now_ms: Callable[[], float],
        control_secret: str = "",
        serves_browsers: bool = True,
    ) -> None:
        self._api = api
        self._serves = serves
        self._limits = limits
        self._faults = faults
        self._pulse = pulse
        self._now_ms = now_ms
        self._open: set[HttpConnection] = set()
        self.rest_seconds = 0.0
        """How long a REST call takes."""
        self._control_secret = control_secret
        self._serves_browsers = serves_browsers
        self._connects: dict[str, SlidingWindow] = {}
        self._weights: dict[str, WeightMeter] = {}
        self.attempts = 0
        self.refused = 0
        self.rest_calls: Counter[str] = Counter()
        self.rest_weight = 0
        self.rest_weight_peak = 0
        self.violations: Counter[str] = Counter()

    def opened(self, connection: HttpConnection) -> None:
        """Keep a connection until it ends."""
        self._open.add(connection)

    def closed(self, connection: HttpConnection) -> None:
        """Forget a connection."""
        self._open.discard(connection)

    @property
    def sockets(self) -> int:
        """How many TCP connections are open, of REST and of streams."""
        return len(self._open)

    def drop_idle(self) -> None:
        """Drop the connections that have had no handshake."""
        for connection in [one for one in self._open if not one.target]:
            connection.drop()

    def answer(self, connection: HttpConnection, request: HttpRequest) -> Answer | None:
        """Return the answer to a REST call; `None` to drop the connection."""
        self._pulse()
        return self.rest(request, address_of(connection), self._now_ms())

    def rest(self, request: HttpRequest, address: str, now_ms: float) -> Answer | None:
        """Return the answer to a REST call; `None` to drop the connection."""
        if (refusal := self._refusal_of_browser(request)) is not None:
            return refusal
        path = urlsplit(request.target).path
        self.rest_calls[path if path in self._api.paths else "other"] += 1
        meter = _of_address(self._weights, address, lambda: WeightMeter(self._limits))
        fault = self._faults.rest.take()
        if fault is not None:
            if fault.status == 0:
                return None
            return _weighed(_faulty(fault.status, fault.retry_after_seconds), meter)
        behind_seconds = self._faults.lag.take() or 0.0
        answer = self._api.respond(request, now_ms, int(behind_seconds * 1000))
        within = meter.use(answer.weight, now_ms)
        self.rest_weight += answer.weight
        self.rest_weight_peak = max(self.rest_weight_peak, meter.used)
        if not within:
            self.violations["rest_weight"] += 1
            answer = self._too_much_weight(now_ms, meter)
        return _weighed(answer, meter)

    def refusal(self, connection: HttpConnection, request: HttpRequest) -> Answer | None:
        """Return the refusal of a handshake; `None` to accept it."""
        if request.target.partition("?")[0] == CONTROL_PATH:
            return self._refusal_of_control(connection, request)
        if (refusal := self._refusal_of_browser(request)) is not None:
            return refusal  # not counted, so that a web page cannot use up the limit of its address
        self.attempts += 1
        window = _of_address(
            self._connects,
            address_of(connection),
            lambda: SlidingWindow(self._limits.connects_per_window, self._limits.connect_window_seconds),
        )
        refusal = self._refusal(connection, request.target, window, connection.loop.time())
        if refusal is not None:
            self.refused += 1
        return refusal

    def _refusal_of_control(self, connection: HttpConnection, request: HttpRequest) -> Answer | None:
        if not ip_address(address_of(connection)).is_loopback:
            return _plain(403, "The control API accepts connections from this machine only.")
        if is_from_a_page(request.headers):
            return _plain(403, "The control API refuses web pages: this request has an Origin header.")
        if not knows_the_secret(request.headers, self._control_secret):
            text = "The control API requires this exchange's secret: Authorization: Bearer …"
            return _plain(401, text, {"WWW-Authenticate": "Bearer"})
        return None

    def _refusal_of_browser(self, request: HttpRequest) -> Answer | None:
        if self._serves_browsers or not comes_from_a_browser(request.headers):
            return None
        return _plain(403, "This exchange refuses browsers and accepts loopback host names only.")

    def _refusal(
        self, connection: HttpConnection, target: str, window: SlidingWindow, now_seconds: float
    ) -> Answer | None:
        if not window.admit(now_seconds):
            self.violations["connects"] += 1
            wait = int(window.retry_after_seconds(now_seconds)) + 1
            return _plain(429, "Too many connection attempts.", {"Retry-After": wait})
        fault = self._faults.handshakes.take()
        if fault is not None and fault.close_code is None:
            headers = {} if fault.retry_after_seconds is None else {"Retry-After": fault.retry_after_seconds}
            return _plain(fault.status, "Refused.", headers)
        wanted = wanted_by(target)
        if wanted is None:
            if target.startswith("/ws-api"):
                return error_answer(404, *NOT_SUPPORTED)
            return _plain(404, "Not found.")
        if wanted.time_unit not in TIME_UNITS:
            return error_answer(400, *BAD_TIME_UNIT)
        if not all(is_well_formed(name) for name in wanted.streams):
            return _plain(400, "Invalid stream.")
        if not_served := [name for name in wanted.streams if not self._serves(name)]:
            return _plain(400, f"This exchange does not serve {not_served[0]}.")
        if len(wanted.streams) > self._limits.streams_per_connection:
            self.violations["streams"] += 1
            return _plain(400, "Too many streams.")
        assert isinstance(connection, ExchangeConnection)
        connection.doomed_code = fault.close_code if fault is not None else None
        return None

    def _too_much_weight(self, now_ms: float, meter: WeightMeter) -> Answer:
        if now_ms < meter.banned_until_ms:
            until = int(meter.banned_until_ms)
            return error_answer(
                418,
                -1003,
                f"Way too much request weight used; IP banned until {until}. "
                "Please use WebSocket Streams for live updates to avoid bans.",
                (("Retry-After", str(int((meter.banned_until_ms - now_ms) / 1000) + 1)),),
            )
        wait = WeightMeter.retry_after_seconds(now_ms)
        limit = self._limits.rest_weight_per_minute
        return error_answer(
            429,
            -1003,
            f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
            (("Retry-After", str(wait)),),
        )


def address_of(connection: HttpConnection) -> str:
    """Return the client's address without its port."""
    peer = connection.remote_address
    return str(peer[0]) if peer else "0.0.0.0"


def _of_address(known: dict[str, T], address: str, make: Callable[[], T]) -> T:
    """Return the value of an address. Beyond the limit of addresses, the oldest is removed."""
    if address not in known:
        if len(known) >= _ADDRESSES_MAX:
            del known[next(iter(known))]
        known[address] = make()
    return known[address]


def _faulty(status: int, retry_after_seconds: int | None) -> Answer:
    headers = () if retry_after_seconds is None else (("Retry-After", str(retry_after_seconds)),)
    code, text = (-1003, "Too many requests.") if status in (418, 429) else (-1000, "Service unavailable.")
    return error_answer(status, code, text, headers)


def _weighed(answer: Answer, meter: WeightMeter) -> Answer:
    used = str(meter.used)
    headers = (*answer.headers, ("X-MBX-USED-WEIGHT", used), ("X-MBX-USED-WEIGHT-1M", used))
    return msgspec.structs.replace(answer, headers=headers)


def _plain(status: int, text: str, headers: Mapping[str, object] | None = None) -> Answer:
    fields = tuple((name, str(value)) for name, value in (headers or {}).items())
    return Answer(status, text.encode(), headers=fields, content_type="text/plain; charset=utf-8")
