"""Around a fan-out without an event loop or a network: turns and connections that a test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat

from websockets.frames import Opcode
from websockets.protocol import CLIENT, State
from websockets.protocol import Protocol as WebSocketProtocol

from livemarkets.delivery.cohorts import WRITES_AT_ONCE
from livemarkets.delivery.fanout import Fanout
from livemarkets.delivery.mailbox import SinkListener
from livemarkets.market.models import Gap, Skipped, StreamKey
from tests.support.ticks import ManualClock

ALL = -1
"""A peer's mood to take everything; another number is how much it takes, modulo what it is given."""


class Peer:
    """A reader's connection, and the kernel behind it, which takes what it likes."""

    def __init__(self, fd: int, moods: Iterable[int] = ()) -> None:
        self.fd = self._fd = fd
        self.listener: SinkListener | None = None
        self.is_paused = False
        self.taken = b""
        self.writes = 0
        self.is_closed = False
        self.is_asleep = False
        """Whether it takes nothing at all."""
        self._buffer = b""
        self._moods = chain(moods, repeat(ALL))

    def count_writes(self) -> int:
        return self.writes

    def take_some(self, frames: bytes) -> int:
        """Be `os.write`: take everything, a part or nothing."""
        assert self.fd >= 0, "written to behind the transport's back"
        size = self._take(frames)
        if not size:
            raise BlockingIOError
        return size

    def write(self, frames: bytes) -> None:
        """Send what can be sent, and hold the rest, as a transport does."""
        assert not self.is_paused
        self._buffer = frames[self._take(frames) :]
        if self._buffer:
            self._set(is_paused=True)

    def wake(self) -> None:
        """Take what the transport holds, and what comes from now on."""
        self.is_asleep = False
        self.taken, self._buffer = self.taken + self._buffer, b""
        self._set(is_paused=False)

    def close(self, code: int, reason: str) -> None:
        assert self.is_asleep, "closed, though it takes what it is sent"
        self.is_closed = True

    def _take(self, frames: bytes) -> int:
        mood = 0 if self.is_asleep else next(self._moods)
        size = len(frames) if mood == ALL else mood % (len(frames) + 1)
        self.writes += 1
        self.taken += frames[:size]
        return size

    def _set(self, is_paused: bool) -> None:
        self.is_paused, self.fd = is_paused, -1 if is_paused else self._fd
        if self.listener is not None:
            self.listener.handle_change()


class Turns:
    """An event loop's `call_soon`, whose turns a test takes."""

    def __init__(self) -> None:
        self.scheduled: list[Callable[[], None]] = []
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.clock = ManualClock()

    def fanout(self, peers: Sequence[Peer] = (), *, writes_at_once: int = WRITES_AT_ONCE) -> Fanout:
        """A fan-out for these peers, whose file descriptors are their places."""

        def write(fd: int, frames: bytes) -> int:
            return peers[fd].take_some(frames)

        return Fanout(
            self,
            self.call_later,
            self.clock,
            write,
            describe,
            describe_gap,
            describe_rows,
            writes_at_once=writes_at_once,
        )

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        self.later.append((self.clock.now + seconds, callback))

    def pass_time(self, seconds: float) -> None:
        """Let time pass; whatever becomes due is done in its order."""
        end = self.clock.now + seconds
        while due := [entry for entry in self.later if entry[0] <= end]:
            first = min(due, key=lambda entry: entry[0])
            self.later.remove(first)
            self.clock.now = first[0]
            first[1]()
            self.take()
        self.clock.now = end

    def __call__(self, callback: Callable[[], None]) -> None:
        self.scheduled.append(callback)

    def take(self) -> None:
        scheduled, self.scheduled = self.scheduled, []
        for callback in scheduled:
            callback()

    def take_all(self) -> None:
        """Take turns until nothing is scheduled."""
        while self.scheduled:
            self.take()


def describe(key: StreamKey, skipped: Skipped) -> bytes:
    return f"lagged {skipped.first_id} {skipped.last_id} {skipped.count} {key.symbol}".encode()


def describe_gap(gap: Gap, complete_to: int) -> bytes:
    return f"{gap.cause} {gap.from_id} {gap.to_id} {complete_to} {gap.key.symbol}".encode()


def describe_rows(key: StreamKey, rows: Sequence[bytes]) -> bytes:
    """As JSON, since a message may be told later how many were left out before it."""
    return b'{"rows":[%b]}' % b",".join(rows)


def read_frames(data: bytes) -> list[str]:
    """Parse with the websockets library, as a client that refuses whatever RFC 6455 forbids."""
    parser = WebSocketProtocol(CLIENT, state=State.OPEN, max_size=None)
    parser.receive_data(data)
    assert parser.parser_exc is None
    frames = [event for event in parser.events_received() if getattr(event, "opcode", None) is Opcode.TEXT]
    return [bytes(frame.data).decode() for frame in frames]  # type: ignore[union-attr]


def follow(payloads: list[str], expected: int) -> tuple[int, int]:
    """Read as a client does that trusts nobody; return the next id, and the trades received or declared."""
    trades = 0
    for payload in payloads:
        kind, first, *rest = payload.split()
        assert int(first) == expected, payloads
        if kind == "trade":
            expected, trades = expected + 1, trades + 1
        else:
            expected = int(rest[0]) + 1
            trades += int(rest[1]) if kind == "lagged" else 0
    return expected, trades
