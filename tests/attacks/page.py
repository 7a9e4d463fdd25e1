"""A page's socket without a browser, which sends whatever it likes and reads only if it wants to."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.support.helpers import WITHOUT_TLS

_ELEMENTS = re.compile(r"parseElements\(String\.raw`(.*?)`\)", re.DOTALL)
_CLIENT = re.compile(r"""client_id["']\s*:\s*["']([0-9a-f-]{36})""")
_ESCAPES = {"&#36;": "$", "&#96;": "`", "&lt;": "<", "&gt;": ">", "&amp;": "&"}


class AttackingPage:
    """The socket of one page that was fetched."""

    def __init__(self, socket: ClientConnection, client_id: str, elements: dict[str, Any]) -> None:
        self.socket = socket
        self._client_id = client_id
        self._elements = elements

    async def emit(self, name: str, data: Any) -> None:
        """Send a message of the page framework."""
        await self.socket.send("42" + json.dumps([name, data]))

    async def trigger(self, event: str, argument: Any) -> None:
        """Send an event of the first element that listens to it."""
        place, listener = next(
            (int(place), listening["listener_id"])
            for place, element in self._elements.items()
            for listening in element.get("events", ())
            if listening["type"] == event
        )
        arguments = {"id": place, "client_id": self._client_id, "listener_id": listener}
        await self.emit("event", {**arguments, "args": [json.dumps(argument)]})

    async def log(self, text: str) -> None:
        """Send what a browser sends of an error in a script."""
        await self.emit("log", {"client_id": self._client_id, "level": "error", "message": text})


@contextlib.asynccontextmanager
async def attacking_page(port: int, path: str) -> AsyncIterator[AttackingPage]:
    """Fetch a page, and open its socket."""
    async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False, timeout=10) as client:
        text = (await client.get(f"http://127.0.0.1:{port}{path}")).text
    elements, client_id = _ELEMENTS.search(text), _CLIENT.search(text)
    assert elements is not None
    assert client_id is not None
    raw = elements[1]
    for escaped, letter in _ESCAPES.items():
        raw = raw.replace(escaped, letter)
    query = {
        "EIO": "4",
        "transport": "websocket",
        "client_id": client_id[1],
        "next_message_id": "0",
        "tab_id": str(uuid4()),
        "document_id": str(uuid4()),
        "implicit_handshake": "true",
        "old_tab_id": "",
    }
    address = f"ws://127.0.0.1:{port}/_nicegui_ws/socket.io/?{urlencode(query)}"
    async with connect(address, proxy=None, max_size=None, ping_timeout=None, close_timeout=1) as socket:
        await socket.recv()
        await socket.send("40")
        await socket.recv()
        yield AttackingPage(socket, client_id[1], json.loads(raw))
