"""What the exchange allows, and the record of everything by which its user broke a rule.

Source: Binance spot API documents, `web-socket-streams.md` ("WebSocket Limits", "General WSS information",
"Live Subscribing/Unsubscribing to streams") and `rest-api.md` ("IP Limits").
"""

from __future__ import annotations

import time
from collections import deque
from email.utils import formatdate

MESSAGES_PER_SECOND = 5
WINDOW_SECONDS = 0.8
"""Less than a second: on a busy machine, messages that were sent a second apart are read closer together."""
STREAMS_PER_CONNECTION = 1024
DIALS_PER_5_MINUTES = 300
WEIGHT_PER_MINUTE = 6000
PONG_SECONDS = 10.0
"""The documents allow a minute; whoever needs longer than this on a loopback will not answer at all."""

IN_FLIGHT_SECONDS = 0.5
"""A request may have been on its way when the answer with the ban was written."""


class Ban:
    """A ban of this address. REST and the handshakes of streams know nothing of each other's."""

    def __init__(self) -> None:
        self.until = 0.0
        """On the monotonic clock."""
        self.form = "seconds"
        self._told_at = float("inf")

    @property
    def is_in_force(self) -> bool:
        """Whether it lasts."""
        return time.monotonic() < self.until

    @property
    def was_told(self) -> bool:
        """Whether its reader knows of it."""
        return time.monotonic() > self._told_at + IN_FLIGHT_SECONDS

    def begin(self, seconds: float, form: str) -> None:
        """Ban; `form` says how the answer tells it."""
        self.until, self.form, self._told_at = time.monotonic() + seconds, form, float("inf")

    def end(self) -> None:
        """Lift the ban."""
        self.until = 0.0

    def answer(self) -> tuple[list[tuple[str, str]], bytes]:
        """Headers and body of a refusal. From here on its reader knows of the ban."""
        self._told_at = min(self._told_at, time.monotonic())
        left = max(0.0, self.until - time.monotonic())
        until_ms = int((time.time() + left) * 1000)
        text = '{"code":-1003,"msg":"Too much request weight used; please use WebSocket Streams."}'
        headers = {
            "seconds": [("Retry-After", str(int(left) + 1))],
            "date": [("Retry-After", formatdate(time.time() + left + 1, usegmt=True))],
            "body": [],
        }[self.form]
        if self.form == "body":
            text = (
                '{"code":-1003,"msg":"Way too much request weight used; IP banned until '
                f'{until_ms}. Please use WebSocket Streams for live updates to avoid bans."}}'
            )
        return [("Date", formatdate(usegmt=True)), *headers], text.encode()


class Rules:
    """Counts per address as the exchange does: everything on the loopback is one address."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.dials = 0
        self.weight_spent = 0
        """Since the start."""
        self.requests: list[str] = []
        """Every REST call, with its query."""
        self.rest_ban = Ban()
        self.dial_ban = Ban()
        self._dialled: deque[float] = deque()
        self._minute = 0
        self._weight = 0

    def violate(self, text: str) -> None:
        """Note that a rule was broken."""
        self.violations.append(text)

    def dial(self) -> bool:
        """Count an attempt to connect; returns whether the exchange allows it."""
        now = time.monotonic()
        self.dials += 1
        self._dialled.append(now)
        while self._dialled[0] < now - 300:
            self._dialled.popleft()
        if len(self._dialled) > DIALS_PER_5_MINUTES:
            self.violate(f"{len(self._dialled)} dials within 5 minutes")
            return False
        return self._is_allowed(self.dial_ban, "a dial")

    def spend(self, weight: int, call: str) -> bool:
        """Count a REST call; returns whether the exchange allows it."""
        self.requests.append(call)
        minute = int(time.time() // 60)
        if minute != self._minute:
            self._minute, self._weight = minute, 0
        self._weight += weight
        self.weight_spent += weight
        if self._weight > WEIGHT_PER_MINUTE:
            self.violate(f"weight {self._weight} within a minute, by {call}")
            self.rest_ban.begin(60.0 - time.time() % 60.0, "seconds")
            return False
        return self._is_allowed(self.rest_ban, call)

    @property
    def used_weight(self) -> int:
        """What `X-MBX-USED-WEIGHT-1M` says."""
        return self._weight

    def pretend_used(self, weight: int) -> None:
        """Count weight that another program of the same address spent."""
        self._minute, self._weight = int(time.time() // 60), max(self._weight, weight)

    def _is_allowed(self, ban: Ban, what: str) -> bool:
        if not ban.is_in_force:
            return True
        if ban.was_told:
            left = ban.until - time.monotonic()
            self.violate(f"{what} while banned for another {left:.1f} s ({ban.form})")
        return False


class MessageRate:
    """The incoming messages of one connection: control messages, pings and pongs together."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def note(self) -> int:
        """Count one, and return how many came within the window."""
        now = time.monotonic()
        self._times.append(now)
        while self._times[0] <= now - WINDOW_SECONDS:
            self._times.popleft()
        return len(self._times)
