"""A page's connection without a browser: the page is fetched, and its socket is spoken to by hand."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.support.helpers import WITHOUT_TLS

__all__ = ["PageClient", "open_page"]

_UNESCAPED = (("&#36;", "$"), ("&#96;", "`"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


class PageClient:
    """An open page."""

    def __init__(self, text: str, socket: ClientConnection, client_id: str) -> None:
        self.socket = socket
        self.client_id = client_id
        self._elements = _elements(text)

    async def emit(self, name: str, data: dict[str, Any]) -> None:
        """Send a message to the page framework."""
        await self.socket.send("42" + json.dumps([name, data]))

    async def event(self, kind: str, argument: Any) -> None:
        """Send an event of the first element that listens to it."""
        element_id, listener_id = next(
            (int(number), listener["listener_id"])
            for number, element in self._elements.items()
            for listener in element.get("events", ())
            if listener["type"] == kind
        )
        arguments = [json.dumps(argument)]
        data = {"id": element_id, "client_id": self.client_id, "listener_id": listener_id, "args": arguments}
        await self.emit("event", data)

    async def read(self) -> None:
        """Read whatever comes, and answer the pings of the framework, until the connection ends."""
        async for message in self.socket:
            if message == "2":
                await self.socket.send("3")


@contextlib.asynccontextmanager
async def open_page(port: int, path: str = "/labs", address: str = "127.0.0.1") -> AsyncIterator[PageClient]:
    """Fetch a page and open its socket. Nothing is read until :meth:`PageClient.read`."""
    transport = httpx.AsyncHTTPTransport(verify=WITHOUT_TLS, local_address=address)
    async with httpx.AsyncClient(transport=transport, timeout=20) as client:
        text = (await client.get(f"http://127.0.0.1:{port}{path}")).raise_for_status().text
    found = re.search(r"client_id[^0-9a-f]{1,20}([0-9a-f-]{36})", text)
    assert found is not None
    query = (
        f"EIO=4&transport=websocket&client_id={found[1]}&next_message_id=0&tab_id={uuid4()}"
        f"&document_id={uuid4()}&implicit_handshake=true&old_tab_id="
    )
    url = f"ws://127.0.0.1:{port}/_nicegui_ws/socket.io/?{query}"
    options: dict[str, Any] = {"proxy": None, "max_size": None, "ping_interval": None, "close_timeout": 1}
    async with connect(url, local_addr=(address, 0), **options) as socket:
        await socket.recv()
        await socket.send("40")
        await socket.recv()
        yield PageClient(text, socket, found[1])


def _elements(text: str) -> dict[str, dict[str, Any]]:
    found = re.search(r"parseElements\(String\.raw`(.*?)`\)", text, re.DOTALL)
    assert found is not None
    raw = found[1]
    for escaped, letter in _UNESCAPED:
        raw = raw.replace(escaped, letter)
    elements: dict[str, dict[str, Any]] = json.loads(raw)
    return elements
