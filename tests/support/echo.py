"""An endpoint that sends every message back, through the writer of its connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from livemarkets.delivery.framing import text_frame
from livemarkets.server.frame_writer import EXTENSION


async def echo(scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
    writer = scope["extensions"][EXTENSION]
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if (text := message.get("text")) is not None:
            writer.write(text_frame(text.encode()))
        else:
            writer.write(b"\x82" + text_frame(message["bytes"])[1:])
