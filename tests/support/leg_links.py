"""Addresses of one exchange that a test can kill, slow, mute and let lie, each for itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable

from livemarkets.simulator import Simulator

_PIECE_BYTES = 2048
"""Passed on at once by a slow link."""
_ID = re.compile(rb'"t":(\d+)')
_PRICE = re.compile(rb'("t":(\d+),"p":")(\d+)\.(\d)')


class LegLink:
    """A TCP link to the exchange. What it does to one leg, it does to no other."""

    def __init__(self, exchange: Simulator) -> None:
        self.false_ids: set[int] = set()
        """The ids under which it brought something else."""
        self.is_full = False
        """Whether new connections are closed at once, and those that are open stay."""
        self._exchange = exchange
        self._is_cut = False
        self._pause_seconds = 0.0
        self._lie: Callable[[bytes], bytes] | None = None
        self._passes = asyncio.Event()
        self._passes.set()
        self._pairs: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def numbers(self) -> list[int]:
        """The exchange's numbers of the connections through this link."""
        ports = {onward.get_extra_info("sockname")[1] for onward in self._pairs.values()}
        return [one.number for one in self._exchange.connections if one.remote_address[1] in ports]

    def kill(self) -> None:
        """End the connections; new ones are closed at once."""
        self._is_cut = True
        self._end_if_cut()

    def mute(self) -> None:
        """Connections stay open, and nothing passes."""
        self._passes.clear()

    def slow(self, pause_seconds: float = 0.05) -> None:
        """Everything waits for a moment."""
        self._pause_seconds = pause_seconds

    def lie(self, what: str) -> None:
        """The next trade has a wrong `id` or a wrong `price`, of the same length."""
        self._lie = {"id": self._with_odd_id, "price": self._with_odd_price}[what]

    def mend(self) -> None:
        """Everything passes again, what was held back first."""
        self._is_cut, self._pause_seconds, self._lie = False, 0.0, None
        self._passes.set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def aclose(self) -> None:
        assert self._server is not None
        self._server.close()
        self._passes.set()
        self.kill()
        await self._server.wait_closed()

    def _end_if_cut(self) -> None:
        for writer in [*self._pairs, *self._pairs.values()] if self._is_cut else ():
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut or self.is_full:
            writer.transport.abort()
            return
        onward_reader, onward = await asyncio.open_connection("127.0.0.1", self._exchange.port)
        self._pairs[writer] = onward
        self._end_if_cut()  # it may have been cut meanwhile
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forward(reader, onward), name="to the exchange")
                both.create_task(self._forward(onward_reader, writer, lies=True), name="to the leg")
        finally:
            del self._pairs[writer]

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, lies: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_PIECE_BYTES if self._pause_seconds else 65536):
                await self._passes.wait()
                if self._pause_seconds:
                    await asyncio.sleep(self._pause_seconds)
                writer.write(self._lie(data) if lies and self._lie is not None else data)
                await writer.drain()
        writer.close()

    def _with_odd_id(self, data: bytes) -> bytes:
        found = _ID.search(data)
        if found is None or len(str(odd := int(found[1]) + 3)) != len(found[1]):
            return data
        self._lie = None
        self.false_ids.add(odd)
        return data[: found.start(1)] + str(odd).encode() + data[found.end(1) :]

    def _with_odd_price(self, data: bytes) -> bytes:
        found = _PRICE.search(data)
        if found is None:
            return data
        self._lie = None
        self.false_ids.add(int(found[2]))
        digit = str((int(found[4]) + 1) % 10).encode()
        return data[: found.start(4)] + digit + data[found.end(4) :]


@contextlib.asynccontextmanager
async def leg_links(exchange: Simulator, count: int = 2) -> AsyncIterator[list[LegLink]]:
    """Run links to an exchange, one for each leg."""
    links = [LegLink(exchange) for _ in range(count)]
    for link in links:
        await link.start()
    try:
        yield links
    finally:
        for link in links:
            await link.aclose()
