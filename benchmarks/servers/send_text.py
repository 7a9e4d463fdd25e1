"""What a FastAPI tutorial shows, on uvicorn's fastest protocol: `await send_text` for each of a list."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI, WebSocket
from starlette.websockets import WebSocketDisconnect

from benchmarks.servers.contract import TRADES_PATH, follow_orders, parse_port, say


class Room:
    """Everybody who is connected."""

    def __init__(self) -> None:
        self.sockets: dict[WebSocket, None] = {}

    async def serve(self, websocket: WebSocket) -> None:
        """Keep a reader until it leaves."""
        await websocket.accept()
        self.sockets[websocket] = None
        try:
            with contextlib.suppress(WebSocketDisconnect):
                while True:
                    await websocket.receive_text()
        finally:
            self.sockets.pop(websocket, None)

    async def publish(self, messages: list[bytes]) -> None:
        """Send every message to everybody, one after the other."""
        for message in messages:
            text = message.decode()
            for websocket in list(self.sockets):
                try:
                    await websocket.send_text(text)
                except (WebSocketDisconnect, RuntimeError):
                    self.sockets.pop(websocket, None)


def make_app(room: Room, port: int) -> FastAPI:
    """Return an app with the one route."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        orders = asyncio.create_task(follow_orders(room.publish), name="orders")
        say(f"LISTEN {port}")
        yield
        orders.cancel()

    app = FastAPI(lifespan=lifespan)
    app.add_api_websocket_route(TRADES_PATH, room.serve)
    return app


if __name__ == "__main__":
    port = parse_port()
    uvicorn.run(
        make_app(Room(), port),
        port=port,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_level="warning",
    )
