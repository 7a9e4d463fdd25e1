"""A cable to an exchange that can be cut: nothing is refused then, and nothing gets through."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Cable:
    """Passes bytes between its port and another one, while it is whole."""

    def __init__(self) -> None:
        self.port = 0
        self._whole = asyncio.Event()
        self._whole.set()

    def cut(self) -> None:
        """From now on, connections neither begin nor carry anything."""
        self._whole.clear()

    def mend(self) -> None:
        """What waits gets through."""
        self._whole.set()

    async def carry(self, target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry a connection to its target until either side ends it."""
        with contextlib.closing(writer), contextlib.suppress(OSError):
            await self._whole.wait()
            from_target, to_target = await asyncio.open_connection("127.0.0.1", target)
            with contextlib.closing(to_target):
                async with asyncio.TaskGroup() as ways:
                    ways.create_task(self._one_way(reader, to_target), name="to the exchange")
                    ways.create_task(self._one_way(from_target, writer), name="from the exchange")

    async def _one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def cable_to(port: int) -> AsyncIterator[Cable]:
    """A cable to a port of the loopback interface."""
    cable = Cable()
    tasks: set[asyncio.Task[None]] = set()

    def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(cable.carry(port, reader, writer), name="cable")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    cable.port = server.sockets[0].getsockname()[1]
    try:
        yield cable
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
