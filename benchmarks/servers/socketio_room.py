"""python-socketio on uvicorn: `emit` to a room, over WebSocket alone."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import socketio  # type: ignore[import-untyped]
import uvicorn

from benchmarks.servers.contract import follow_orders, parse_port, say

_ROOM = "BTCUSDT"


def serve(port: int) -> None:
    """Run until standard input ends."""
    server = socketio.AsyncServer(async_mode="asgi", transports=["websocket"], http_compression=False)

    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await server.enter_room(sid, _ROOM)

    async def publish(messages: list[bytes]) -> None:
        for message in messages:
            await server.emit("trade", message.decode(), room=_ROOM)

    async def start() -> None:
        tasks.append(asyncio.create_task(follow_orders(publish), name="orders"))
        say(f"LISTEN {port}")

    tasks: list[asyncio.Task[None]] = []
    server.on("connect", connect)
    app = socketio.ASGIApp(server, on_startup=start)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.run(app, port=port, ws="websockets-sansio", ws_per_message_deflate=False, log_level="warning")


if __name__ == "__main__":
    serve(parse_port())
