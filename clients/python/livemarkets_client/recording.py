"""Recordings: files of frames with the times at which they came.

A file is gzip, and has one JSON object a line: `{"recv_ms": …, "frame": …}` with the frame as it came, or
`{"recv_ms": …, "note": {"event": …}}` with what the recorder says itself. The first line of a file notes the
positions at its beginning, so what one file lacks of the whole is known. Each write is a whole gzip member: a
recorder that is killed leaves at most one torn member, at the end of a file that nobody continues.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct

from livemarkets_client.continuity import Account, CandleAccount, Item, NewestAccount, TradeAccount
from livemarkets_client.messages import decode, encode
from livemarkets_client.requests import StreamName
from livemarkets_client.routing import DATA, stream_of, take

__all__ = [
    "Accounts",
    "Note",
    "Position",
    "RecordedLine",
    "Writer",
    "files_of",
    "positions_of",
    "read",
    "read_lines",
]

_AT_ONCE = 2**20


class Position(Struct, frozen=True):
    """How far a stream is recorded."""

    exchange: str
    channel: str
    symbol: str
    interval: str | None
    after: int


class Note(Struct, frozen=True, omit_defaults=True):
    """What the recorder says itself."""

    event: str
    """`begin` of a file, `state` of the connection, `gap` that nobody has declared, `end`."""
    text: str = ""
    positions: list[Position] = []


class RecordedLine(Struct, frozen=True):
    """One line: a frame or a note."""

    recv_ms: float
    frame: Raw = Raw()
    """The text as it came; empty in a note."""
    note: Note | None = None


class _NoteLine(Struct, frozen=True):
    recv_ms: float
    note: Note


_line = msgspec.json.Decoder(RecordedLine)


class Accounts:
    """The accounts of all streams in a recording; they begin where it begins."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """How many items of each type there were."""
        self._accounts: dict[StreamName, Account] = {}

    def begin(self, positions: Iterable[Position]) -> None:
        """Note where streams begin of which nothing is known yet."""
        for each in positions:
            name = StreamName(each.exchange, each.channel, each.symbol, each.interval)
            self._accounts.setdefault(name, _account(each.channel, each.after))

    def positions(self) -> list[Position]:
        """Return how far each stream is known."""
        return [
            Position(name.exchange, name.channel, name.symbol, name.interval, after)
            for name, account in self._accounts.items()
            if (after := account.after) is not None
        ]

    def take(self, frame: bytes | Raw) -> list[Item]:
        """Return what is new in a frame.

        Raises:
            msgspec.DecodeError: it is no message of the protocol.

        """
        message = decode(bytes(frame))
        if not isinstance(message, DATA):
            return []
        name = stream_of(message)
        account = self._accounts.setdefault(name, _account(name.channel, None))
        items = take(account, message)
        self.counts.update(type(item).__name__ for item in items)
        return [*items]


def _account(channel: str, after: int | None) -> Account:
    if channel == "trades":
        return TradeAccount(after)
    return CandleAccount(after) if channel == "candles" else NewestAccount()


class Writer:
    """Writes numbered files: `trades.jsonl.gz` becomes `trades-000001.jsonl.gz`, and so on.

    Args:
        out: the path without the number.
        accounts: what is recorded so far; the first line of each file has their positions.
        rotate_bytes: a file that is longer is followed by another one.

    """

    def __init__(self, out: Path, accounts: Accounts, rotate_bytes: int) -> None:
        self.bytes = 0
        """Written so far, to all files."""
        self._out = out
        self._accounts = accounts
        self._rotate_bytes = rotate_bytes
        self._lines: list[bytes] = []
        self._file: BinaryIO | None = None
        self._size = 0

    @property
    def path(self) -> Path | None:
        """The present file."""
        return None if self._file is None else Path(self._file.name)

    def frame(self, recv_ms: float, raw: bytes) -> None:
        """Add a frame."""
        self._lines.append(b'{"recv_ms":%.3f,"frame":%b}\n' % (recv_ms, raw))

    def note(self, recv_ms: float, note: Note) -> None:
        """Add a note."""
        self._lines.append(encode(_NoteLine(round(recv_ms, 3), note)) + b"\n")

    def flush(self, recv_ms: float) -> None:
        """Write what was added. Between two calls nothing is on the disk."""
        lines, self._lines = self._lines, []
        if lines:
            if self._file is None:
                self._file = _next_file(self._out)
            self._write(lines)
        if self._size >= self._rotate_bytes:
            self._close_file()
            self._file = _next_file(self._out)
            self.begin(recv_ms)
            self._write(self._lines)
            self._lines = []

    def begin(self, recv_ms: float) -> None:
        """Add the first line of a file."""
        self.note(recv_ms, Note("begin", positions=self._accounts.positions()))

    def close(self, recv_ms: float) -> None:
        """Write what was added, and close the file."""
        self.note(recv_ms, Note("end"))
        self._rotate_bytes = 2**63
        self.flush(recv_ms)
        self._close_file()

    def _write(self, lines: list[bytes]) -> None:
        assert self._file is not None
        member = gzip.compress(b"".join(lines), 6, mtime=0)
        self._file.write(member)
        self._size += len(member)
        self.bytes += len(member)

    def _close_file(self) -> None:
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
        self._file, self._size = None, 0


def files_of(out: Path) -> list[Path]:
    """Return the files of a recording, in order."""
    stem, suffix = _split(out)
    numbered = re.compile(re.escape(stem) + r"-(\d{6,})" + re.escape(suffix))
    found = [(int(name[1]), path) for path in out.parent.glob("*") if (name := numbered.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def read_lines(path: Path) -> Iterator[RecordedLine]:
    """Return the lines of a file; what is torn at its end is left out."""
    rest = b""
    for piece in _unzipped(path):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield _line.decode(line)


def read(*paths: Path) -> Iterator[Item]:
    """Return what subscriptions would have yielded that read these files in this order.

    Nothing comes twice, and what is missing is a `Gap` or a `Lagged`.
    """
    accounts = Accounts()
    for path in paths:
        for line in read_lines(path):
            yield from _take_line(accounts, line)


def _take_line(accounts: Accounts, line: RecordedLine) -> list[Item]:
    """Take a line into the accounts; return what is new."""
    if line.note is None:
        return accounts.take(line.frame)
    accounts.begin(line.note.positions)
    return []


def positions_of(out: Path) -> list[Position]:
    """Return how far a recording goes, from its newest file that has a first line."""
    for path in reversed(files_of(out)):
        accounts, has_line = Accounts(), False
        for line in read_lines(path):
            _take_line(accounts, line)
            has_line = True
        if has_line:
            return accounts.positions()
    return []


def _unzipped(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        member, data = zlib.decompressobj(wbits=31), b""
        while data := data or file.read(_AT_ONCE):
            try:
                yield member.decompress(data)
            except zlib.error:
                return
            data = member.unused_data
            if member.eof:
                member = zlib.decompressobj(wbits=31)


def _split(out: Path) -> tuple[str, str]:
    """Return the name and its extensions, `trades` and `.jsonl.gz`."""
    stem, dot, suffix = out.name.partition(".")
    return stem, f"{dot}{suffix}" or ".jsonl.gz"


def _next_file(out: Path) -> Any:
    """Make the file with the next number; a file that is there is never written to."""
    stem, suffix = _split(out)
    files = files_of(out)
    number = 1 + (int(files[-1].name[len(stem) + 1 :][: -len(suffix)]) if files else 0)
    out.parent.mkdir(parents=True, exist_ok=True)
    return (out.parent / f"{stem}-{number:06}{suffix}").open("xb", buffering=0)
