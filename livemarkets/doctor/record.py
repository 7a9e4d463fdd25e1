"""What was observed. In memory only: nothing of it is written but counts and durations.

All times are seconds of one monotonic clock, unless a name ends with `_ms`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from livemarkets.doctor.limits import Limits
from livemarkets.doctor.listing import Listing
from livemarkets.doctor.shapes import Bar, Day, Trade

__all__ = ["Address", "Answer", "Channel", "Record", "Reply", "Request", "StreamLimit"]


class Answer(msgspec.Struct, frozen=True):
    """One REST call and its answer.

    Args:
        address: the base address.
        call: such as `trades`.
        label: which of the calls of that name, such as `newest`.
        charged: the request weight that the product charges for it.
        sent_at: when it was sent.
        received_at: when its answer was complete.
        status: the HTTP status; `None` when no answer came.
        failure: why no usable answer came; `None` for a usable one.
        body: the decoded answer; a :class:`Listing` for `exchangeInfo`.
        used_weight: `X-MBX-USED-WEIGHT-1M`; `None` without it.
        retry_after: the header `Retry-After`; `None` without it.
        size_bytes: size of the body.
        symbol: the symbol that was asked for; empty for several.
        from_id: the parameter `fromId`; `None` without it.

    """

    address: str
    call: str
    label: str
    charged: int
    sent_at: float
    received_at: float
    status: int | None
    failure: str | None
    body: Any
    used_weight: int | None = None
    retry_after: str | None = None
    size_bytes: int = 0
    symbol: str = ""
    from_id: int | None = None


class Request(msgspec.Struct, frozen=True):
    """A control message that was sent."""

    id: int
    method: str
    streams: tuple[str, ...]
    sent_at: float


class Reply(msgspec.Struct, frozen=True):
    """A reply to a control message: its `id` as it came, whether it is an error, its result or error text."""

    id: Any
    is_error: bool
    result: Any
    text: str
    at: float


@dataclass(slots=True)
class Address:
    """What is known of one base address before anything is asked of it.

    Args:
        url: the base address, without user and password.
        kind: `stream` or `rest`.

    """

    url: str
    kind: str
    route: str = ""
    """`direct`, or the proxy without user and password."""
    families: dict[str, float | str] = field(default_factory=dict)
    """`IPv4` and `IPv6`: seconds to connect, or why that failed."""
    slowest_seconds: float = 0.0
    """The longest time that one family took, with or without success."""
    certificates: dict[str, str] = field(default_factory=dict)
    """`product` (the store that the product uses) and `certifi`: `accepted`, or why not."""


@dataclass(slots=True)
class Channel:
    """One WebSocket connection to the exchange, and what it brought.

    Args:
        name: its purpose, such as `main`.
        address: the base address.

    """

    name: str
    address: str
    opened_at: float | None = None
    open_seconds: float = 0.0
    failure: str | None = None
    """Why it could not be opened, or how it ended before it was closed by this program."""
    ended_at: float | None = None
    close_code: int | None = None
    requests: list[Request] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)
    """When each control message, ping and pong was sent."""
    pings_at: list[float] = field(default_factory=list)
    ping_payloads: set[int] = field(default_factory=set)
    """Lengths of the payloads of the pings."""
    pong_sent_at: float | None = None
    trades: dict[str, list[Trade]] = field(default_factory=dict)
    """By symbol, in the order of arrival."""
    bars: dict[tuple[str, str], list[Bar]] = field(default_factory=dict)
    """By symbol and interval, in the order of arrival."""
    days: dict[str, list[Day]] = field(default_factory=dict)
    """Ticker events by symbol."""
    last_event_at: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    """Events by kind, such as `bookTicker`."""
    problems: dict[str, dict[str, int]] = field(default_factory=dict)
    """By kind: what is wrong with the shape of events, and how often."""
    refused_by_parser: dict[str, int] = field(default_factory=dict)
    """Texts of the product's own parser for frames that it must understand, and how often."""

    def has_ended(self) -> bool:
        """Return whether the connection has ended."""
        return self.ended_at is not None

    def events(self) -> int:
        """Return how many events came."""
        return sum(self.counts.values())

    def reply_to(self, request_id: int) -> Reply | None:
        """Return the first reply to a request, also when its id came back as text."""
        return next((reply for reply in self.replies if str(reply.id) == str(request_id)), None)


@dataclass(slots=True)
class StreamLimit:
    """How many streams a connection of its own took, and what came for one more than allowed."""

    accepted: int = 0
    asked: int = 0
    beyond: str = ""
    """`error`, `closed`, `accepted`, `silent`; empty when it was not tried."""
    detail: str = ""


@dataclass(slots=True)
class Record:
    """Everything that was observed. The observer fills it; checks read it.

    Args:
        limits: the limits that decide.
        symbols: the symbols that were asked for.
        seconds: how long the observation was to last.

    """

    limits: Limits
    symbols: tuple[str, ...]
    seconds: float
    began_ms: int = 0
    began_at: float = 0.0
    ended_at: float = 0.0
    end: str = ""
    """Why the observation ended early; empty when it did not."""
    addresses: list[Address] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)
    stream_limit: StreamLimit = field(default_factory=StreamLimit)
    clock_offsets: list[tuple[float, float]] = field(default_factory=list)
    """Round trip in seconds, and the exchange's time minus ours in seconds."""
    notes: list[str] = field(default_factory=list)
    """What the reader of the report should know beside the checks."""
    pause: str = ""
    """Why nothing more was asked of REST; empty while it was asked."""
    quiet_symbol: str = ""
    utf8_symbol: str = ""
    unknown_stream: str = ""
    passing_stream: str = ""
    """A stream that is subscribed and unsubscribed again."""
    repeated_stream: str = ""
    """A stream that is subscribed twice on one connection."""

    @property
    def listing(self) -> Listing | None:
        """The first list of symbols that came."""
        for answer in self.of("exchangeInfo"):
            if isinstance(answer.body, Listing):
                return answer.body
        return None

    def of(self, call: str, label: str | None = None) -> Iterator[Answer]:
        """Yield the answers of one call that were usable."""
        for answer in self.answers:
            if answer.call == call and answer.failure is None and label in (None, answer.label):
                yield answer

    def channel(self, name: str) -> Channel | None:
        """Return the connection of that purpose, if it was opened."""
        for channel in self.channels:
            if channel.name == name and channel.opened_at is not None:
                return channel
        return None

    def reached(self, kind: str) -> list[str]:
        """Return the addresses of a kind that served anything."""
        if kind == "rest":
            found = [answer.address for answer in self.answers if answer.status is not None]
        else:
            found = [channel.address for channel in self.channels if channel.opened_at is not None]
        return list(dict.fromkeys(found))

    def urls(self, kind: str) -> list[str]:
        """Return the addresses of a kind."""
        return [address.url for address in self.addresses if address.kind == kind]
