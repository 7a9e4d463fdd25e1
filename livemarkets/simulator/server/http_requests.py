"""Handles HTTP requests: REST calls, handshakes, and refusals."""

from __future__ import annotations

import email.utils
import http
from collections import Counter
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from livemarkets.simulator.faults.catalogue import Faults
from livemarkets.simulator.market.streams import is_well_formed
from livemarkets.simulator.protocol.connection import ExchangeConnection
from livemarkets.simulator.protocol.limits import ExchangeLimits, SlidingWindow, WeightMeter
from livemarkets.simulator.protocol.rest import Answer, RestApi, error_answer
from livemarkets.simulator.server.trust import comes_from_a_browser, is_from_a_page, knows_the_secret

__all__ = ["CONTROL_PATH", "HttpRequests", "address_of", "streams_of_path"]

CONTROL_PATH = "/simulator/control"
_ADDRESSES_MAX = 10_000
T = TypeVar("T")


def streams_of_path(target: str) -> tuple[bool, list[str]] | None:
    """Return (combined, streams) of a handshake's path; `None` for an unknown path.

    Raw streams are at `/ws` and `/ws/<stream>/<stream>`, combined streams at
    `/stream?streams=<stream>/<stream>` (web-socket-streams.md, General WSS information).
    """
    parts = urlsplit(target)
    if parts.path.rstrip("/") == "/stream":
        listed = parse_qs(parts.query).get("streams", [""])[0]
        return True, [name for name in listed.split("/") if name]
    head, _, rest = parts.path.lstrip("/").partition("/")
    if head == "ws":
        return False, [unquote(name) for name in rest.split("/") if name]
    return None


class HttpRequests:
    """Answers REST calls, and accepts or refuses handshakes.

    Args:
        api: answers REST calls.
        limits: limits per address.
        faults: the faults of handshakes and REST.
        control_secret: the secret of the control API; empty disables the control API.
        serves_browsers: whether browsers may read the market.

    """

    def __init__(
        self,
        api: RestApi,
        limits: ExchangeLimits,
        faults: Faults,
        *,
        control_secret: str = "",
        serves_browsers: bool = True,
    ) -> None:
        self._api = api
        self._limits = limits
        self._faults = faults
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

    def rest(self, request: Request, address: str, now_ms: float) -> Response | None:
        """Return the answer to a REST call; `None` to drop the connection."""
        method, target = request.method, request.path
        if (refusal := self._refusal_of_browser(request)) is not None:
            return refusal
        if method != "GET":
            return _plain(405, "Only GET is supported.")
        path = urlsplit(target).path
        self.rest_calls[path if path in self._api.paths else "other"] += 1
        meter = _of_address(self._weights, address, lambda: WeightMeter(self._limits))
        fault = self._faults.rest.take()
        if fault is not None:
            if fault.status == 0:
                return None
            return _weighed(_faulty(fault.status, fault.retry_after_seconds), meter)
        answer = self._api.answer(target, now_ms)
        within = meter.use(answer.weight, now_ms)
        self.rest_weight += answer.weight
        self.rest_weight_peak = max(self.rest_weight_peak, meter.used)
        if not within:
            self.violations["rest_weight"] += 1
            answer = self._too_much_weight(now_ms, meter)
        return _weighed(answer, meter)

    def handshake(
        self, connection: ExchangeConnection, request: Request, now_seconds: float
    ) -> Response | None:
        """Return the refusal of a handshake; `None` to accept it."""
        target = request.path
        if target.partition("?")[0] == CONTROL_PATH:
            return self._refusal_of_control(connection, request)
        if (refusal := self._refusal_of_browser(request)) is not None:
            return refusal  # not counted, so that a web page cannot use up the limit of its address
        self.attempts += 1
        window = _of_address(
            self._connects,
            address_of(connection),
            lambda: SlidingWindow(self._limits.connects_per_window, self._limits.connect_window_seconds),
        )
        refusal = self._refusal(connection, target, window, now_seconds)
        if refusal is not None:
            self.refused += 1
        return refusal

    def _refusal_of_control(self, connection: ExchangeConnection, request: Request) -> Response | None:
        if not ip_address(address_of(connection)).is_loopback:
            return _plain(403, "The control API accepts connections from this machine only.")
        if is_from_a_page(request.headers):
            return _plain(403, "The control API refuses web pages: this request has an Origin header.")
        if not knows_the_secret(request.headers, self._control_secret):
            text = "The control API requires this exchange's secret: Authorization: Bearer …"
            return _plain(401, text, {"WWW-Authenticate": "Bearer"})
        return None

    def _refusal_of_browser(self, request: Request) -> Response | None:
        if self._serves_browsers or not comes_from_a_browser(request.headers):
            return None
        return _plain(403, "This exchange refuses browsers and accepts loopback host names only.")

    def _refusal(
        self, connection: ExchangeConnection, target: str, window: SlidingWindow, now_seconds: float
    ) -> Response | None:
        if not window.admit(now_seconds):
            self.violations["connects"] += 1
            wait = int(window.retry_after_seconds(now_seconds)) + 1
            return _plain(429, "Too many connection attempts.", {"Retry-After": wait})
        fault = self._faults.handshakes.take()
        if fault is not None and fault.close_code is None:
            headers = {} if fault.retry_after_seconds is None else {"Retry-After": fault.retry_after_seconds}
            return _plain(fault.status, "Refused.", headers)
        wanted = streams_of_path(target)
        if wanted is None:
            return _plain(404, "Not found.")
        if "timeunit=micro" in target.lower():
            return _plain(400, "This exchange supports milliseconds only.")
        if not all(is_well_formed(name) for name in wanted[1]):
            return _plain(400, "Invalid stream.")
        if len(wanted[1]) > self._limits.streams_per_connection:
            self.violations["streams"] += 1
            return _plain(400, "Too many streams.")
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


def address_of(connection: ExchangeConnection) -> str:
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


def _weighed(answer: Answer, meter: WeightMeter) -> Response:
    return _response(answer, {"X-MBX-USED-WEIGHT": meter.used, "X-MBX-USED-WEIGHT-1M": meter.used})


def _plain(status: int, text: str, headers: Mapping[str, object] | None = None) -> Response:
    return _response(Answer(status, text.encode()), headers or {}, "text/plain; charset=utf-8")


def _response(
    answer: Answer, headers: Mapping[str, object] | None = None, content_type: str = "application/json"
) -> Response:
    fields = Headers(
        {
            "Date": email.utils.formatdate(usegmt=True),
            "Connection": "close",
            "Content-Length": str(len(answer.body)),
            "Content-Type": content_type,
        }
    )
    for name, value in (*answer.headers, *(headers or {}).items()):
        fields[name] = str(value)
    try:
        phrase = http.HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    return Response(answer.status, phrase, fields, answer.body)
