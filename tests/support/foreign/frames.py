"""How the foreign exchange writes to a socket: whole, in pieces, several frames at once, or with a fault.

`wsproto` does the framing; there is no other use of a WebSocket library on this side.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from random import Random
from typing import Any

from wsproto import WSConnection
from wsproto.events import CloseConnection, Event, Ping, TextMessage

FRAMINGS = ("plain", "split", "merged", "fragmented", "pinged")
CUTS = ("1000", "1001", "1008", "1011", "1012", "no code", "fin", "reset", "half open")
TEXTS = ("plain", "spaced", "escaped", "shuffled", "extended")


class FrameWriter:
    """Writes the frames of one connection in order, in the manner that the faults ask for."""

    def __init__(self, protocol: WSConnection, writer: asyncio.StreamWriter, random: Random) -> None:
        self._protocol = protocol
        self._writer = writer
        self._random = random
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.is_mute = False
        """Nothing is written any more: half open."""
        self._task = asyncio.create_task(self._write(), name="writer of the foreign exchange")

    def send(self, event: Event) -> None:
        """Write one frame as it is."""
        if not self.is_mute:
            self._queue.put_nowait(self._protocol.send(event))

    def send_texts(self, texts: list[str], framing: str) -> None:
        """Write messages; `framing` is one of `FRAMINGS`. A ping is written by `pinged` once."""
        if self.is_mute or not texts:
            return
        if framing == "merged":
            self._queue.put_nowait(b"".join(self._protocol.send(TextMessage(data=text)) for text in texts))
            return
        for text in texts:
            if framing in ("fragmented", "pinged"):
                for piece in self._fragments(text, has_ping=framing == "pinged"):
                    self._queue.put_nowait(piece)
                framing = "fragmented"  # a pong costs one of the five messages a second
            elif framing == "split":
                raw = self._protocol.send(TextMessage(data=text))
                at = self._random.randrange(1, len(raw))
                self._queue.put_nowait(raw[:at])
                self._queue.put_nowait(raw[at:])
            else:
                self._queue.put_nowait(self._protocol.send(TextMessage(data=text)))

    def _fragments(self, text: str, *, has_ping: bool) -> list[bytes]:
        """Three frames, possibly an empty one, with a ping after the first."""
        a, b = sorted(self._random.randrange(len(text)) for _ in range(2))
        send = self._protocol.send
        pieces = [send(TextMessage(data=text[:a], message_finished=False))]
        if has_ping:
            pieces.append(send(Ping(payload=b"between fragments")))
        pieces.append(send(TextMessage(data=text[a:b], message_finished=False)))
        pieces.append(send(TextMessage(data=text[b:], message_finished=True)))
        return pieces

    async def flush(self) -> None:
        """Wait until everything that was sent is with the kernel."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._queue.join()

    def cut(self, manner: str) -> None:
        """End the connection, in one of `CUTS`; all but `reset` after what was sent before."""
        if manner == "half open":
            self.is_mute = True
        elif manner == "reset":
            raw: socket.socket | None = self._writer.get_extra_info("socket")
            if raw is not None:
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        elif manner == "fin":
            self._queue.put_nowait(b"")
        else:
            with contextlib.suppress(Exception):  # the other side may have closed already
                if manner == "no code":
                    self._queue.put_nowait(b"\x88\x00")
                else:
                    self.send(CloseConnection(code=int(manner), reason="foreign exchange"))
            self._queue.put_nowait(b"")

    async def _write(self) -> None:
        """Write piece by piece, so that pieces become segments of their own. An empty piece is the end."""
        while True:
            piece = await self._queue.get()
            try:
                if not piece:
                    self._writer.close()
                elif not self.is_mute:
                    self._writer.write(piece)
                    await self._writer.drain()
                    if not self._queue.empty():
                        await asyncio.sleep(0)  # the reader may run between two pieces
            except (ConnectionError, RuntimeError):
                pass
            finally:
                self._queue.task_done()

    async def aclose(self) -> None:
        """End the task and the socket."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._writer.transport.abort()


def text_of(message: dict[str, Any], manner: str, random: Random) -> str:
    """A JSON text of a message; `manner` is one of `TEXTS`, all of them the same to a reader of JSON."""
    if manner == "shuffled":
        message = _shuffled(message, random)
    elif manner == "extended":
        message = {**message, "tenor": None, "novelty": {"a": [1, 2.5e3, "\\u0000"], "e": "trade", "t": 1}}
        if isinstance(message.get("data"), dict):
            message["data"] = {**message["data"], "a": 88, "b": 50, "Z": "x" * 300, "n": -0.0}
    separators = (" ,\n", " :\t") if manner == "spaced" else (",", ":")
    return json.dumps(message, ensure_ascii=manner == "escaped", separators=separators)


def _shuffled(message: dict[str, Any], random: Random) -> dict[str, Any]:
    items = [
        (key, _shuffled(value, random) if isinstance(value, dict) else value)
        for key, value in message.items()
    ]
    random.shuffle(items)
    return dict(items)
