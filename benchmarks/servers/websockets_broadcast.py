"""The websockets library on uvloop with its own `broadcast`, compression off."""

from __future__ import annotations

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.asyncio.server import serve as serve_websockets

from benchmarks.servers.contract import follow_orders, parse_port, say


async def serve(port: int) -> None:
    """Run until standard input ends."""
    readers: set[ServerConnection] = set()

    async def keep(connection: ServerConnection) -> None:
        readers.add(connection)
        try:
            await connection.wait_closed()
        finally:
            readers.discard(connection)

    def publish(messages: list[bytes]) -> None:
        for message in messages:
            broadcast(readers, message.decode())

    async with serve_websockets(keep, "127.0.0.1", port, compression=None):
        say(f"LISTEN {port}")
        await follow_orders(publish)


if __name__ == "__main__":
    uvloop.run(serve(parse_port()))
