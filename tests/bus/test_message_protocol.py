"""How messages are read from the bytes of a connection to NATS, wherever reads begin and end."""

from __future__ import annotations

import asyncio

import pytest

from livemarkets.bus.message_protocol import MessageProtocol

MESSAGES = (
    b"MSG lm.1.beat 1 4\r\nbeat\r\n"
    b"PING\r\n"
    b"MSG lm.1.answer.a.7 12 lm.1.answer.b.8 6\r\n\r\nMSG \r\n"
    b"HMSG lm.1.answer.a.9 12 16 18\r\nNATS/1.0 503\r\n\r\nno\r\n"
    b"MSG lm.1.empty 3 0\r\n\r\n"
    b"PONG\r\n"
)
READ = [
    (1, b"beat", b"lm.1.beat", b""),
    (12, b"\r\nMSG ", b"lm.1.answer.a.7", b"lm.1.answer.b.8"),
    (3, b"", b"lm.1.empty", b""),
]
LEFT = [b"PING\r\n", b"HMSG lm.1.answer.a.9 12 16 18\r\nNATS/1.0 503\r\n\r\nno\r\n", b"PONG\r\n"]


class Library(asyncio.Protocol):
    """The protocol that is replaced: it notes what it gets."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self.got.append(data)


class Connection(asyncio.Transport):
    """A connection whose bytes the tests name."""

    def __init__(self) -> None:
        super().__init__()
        self.library = Library()
        self.protocol: asyncio.BaseProtocol = self.library
        self.pauses: list[bool] = []
        self.is_aborted = False

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        self.pauses.append(True)

    def resume_reading(self) -> None:
        self.pauses.append(False)

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True


def reading() -> tuple[Connection, MessageProtocol, list[tuple[int, bytes, bytes, bytes]]]:
    connection = Connection()
    read: list[tuple[int, bytes, bytes, bytes]] = []
    protocol = MessageProtocol(connection, lambda *message: read.append(message))
    assert connection.protocol is protocol
    return connection, protocol, read


def test_messages_are_read_and_all_else_goes_whole_to_the_library_wherever_a_read_ends() -> None:
    for step in (1, 2, 3, 7, 20, len(MESSAGES)):
        connection, protocol, read = reading()
        for at in range(0, len(MESSAGES), step):
            protocol.data_received(MESSAGES[at : at + step])
        assert read == READ
        assert connection.library.got == LEFT
        assert not connection.is_aborted


async def test_after_some_messages_other_tasks_have_their_turn_and_the_rest_comes_in_order() -> None:
    connection, protocol, read = reading()
    protocol.data_received(b"".join(b"MSG s 1 3\r\n%03d\r\n" % number for number in range(250)) + b"MSG s 1")
    assert (len(read), connection.pauses) == (100, [True])
    await asyncio.sleep(0)
    assert (len(read), connection.pauses) == (200, [True, False, True])
    await asyncio.sleep(0)
    assert connection.pauses == [True, False, True, False]
    protocol.data_received(b" 3\r\n250\r\n")
    assert [payload for _, payload, _, _ in read] == [b"%03d" % number for number in range(251)]


async def test_a_connection_that_is_lost_passes_on_nothing_more() -> None:
    _, protocol, read = reading()
    protocol.data_received(b"MSG s 1 1\r\nx\r\n" * 150)
    protocol.connection_lost(None)
    await asyncio.sleep(0)
    assert len(read) == 100


@pytest.mark.parametrize(
    "line",
    [
        b"MSG s 1 x\r\n",
        b"MSG s one 1\r\n",
        b"MSG 1 1\r\n",
        b"MSG s 1 -1\r\n",
        b"MSG s 1 a b c d 1\r\n",
        b"MSG s 1 99999999\r\n",
        b"HMSG s 1 4 99999999\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_not_nats_ends_the_connection(line: bytes) -> None:
    connection, protocol, read = reading()
    protocol.data_received(b"MSG s 1 1\r\nx\r\n" + line)
    assert connection.is_aborted
    assert len(read) == 1
