"""The states of a connection, and why one follows another."""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct

__all__ = ["Code", "State", "Transition"]


class State(IntEnum):
    """The state of a client's connection."""

    NEW = 0
    """`async with` has not begun."""
    CONNECTING = 1
    CONNECTED = 2
    """The server has sent its `welcome`."""
    WAITING = 3
    """The connection was lost; after a pause comes the next attempt."""
    CLOSED = 4
    """For good: `async with` has ended, or another attempt would end likewise."""


class Code(IntEnum):
    """The codes of this library. HTTP statuses and close codes, from 100 on, stand for themselves."""

    OPENED = 0
    """`async with` has begun."""
    CLOSED = 1
    """`async with` has ended."""
    WELCOMED = 2
    RETRY = 3
    """The pause is over."""
    UNREACHABLE = 4
    """The server could not be reached, or did not answer as a WebSocket server does."""
    LOST = 5
    """The connection was lost without a close frame."""
    SILENT = 6
    """No message for three times `heartbeat_seconds`."""
    SERVER_DEFECT = 7
    """The server sent an `error` with the code `internal`."""
    UNREADABLE = 8
    """The server sent what is not a message of the protocol."""
    OTHER_PROTOCOL = 9
    """The server speaks a version of the protocol that this library does not know."""
    DEFECT = 10
    """An exception in this library, or in a function that was given to it; the log has it."""


class Transition(Struct, frozen=True):
    """From one state to the next."""

    state: State
    code: int
    """A :class:`Code`, the HTTP status of the handshake, or the close code of the WebSocket."""
    reason: str
    """For people."""
    retry_in_seconds: float | None = None
    """In the state `WAITING`: how long the pause is."""
