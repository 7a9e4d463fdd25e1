"""NiceGUI as `ui.run` starts it (wsproto), with a WebSocket route beside its page."""

from __future__ import annotations

import asyncio

from nicegui import app, ui

from benchmarks.servers.contract import TRADES_PATH, follow_orders, parse_port, say
from benchmarks.servers.send_text import Room


def serve(port: int) -> None:
    """Run until standard input ends."""
    room = Room()
    tasks: list[asyncio.Task[None]] = []

    def start() -> None:
        tasks.append(asyncio.create_task(follow_orders(room.publish), name="orders"))
        say(f"LISTEN {port}")

    app.on_startup(start)
    app.add_api_websocket_route(TRADES_PATH, room.serve)
    ui.label("prices")
    ui.run(port=port, host="127.0.0.1", reload=False, show=False, show_welcome_message=False)


if __name__ in {"__main__", "__mp_main__"}:
    serve(parse_port())
