"""Lets what a page leaves be freed at once: breaks the reference cycles of the page framework.

The server freezes what lives long, and no collection of garbage looks at it again
(:mod:`livemarkets.server.garbage`). So a cycle of a page that was open for long would stay for ever.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from typing import Any

from engineio.async_drivers.asgi import WebSocket, translate_request
from nicegui import Client, core
from nicegui.element import Element
from starlette.types import Receive, Scope, Send

__all__ = ["break_cycles"]


def break_cycles() -> None:
    """Break the cycles of removed elements, and those of sockets that ended. Idempotent."""
    remove = inspect.unwrap(Client.remove_elements)

    @functools.wraps(remove)
    def remove_and_break(client: Client, elements: Iterable[Element]) -> None:
        removed = list(elements)
        remove(client, removed)
        for element in removed:
            for part in (element.classes, element.style, element.props):
                part._change_handlers.clear()  # methods of the part itself

    Client.remove_elements = remove_and_break  # type: ignore[method-assign, assignment]
    own = {"websocket": _Socket, "translate_request": _translate_request}
    core.sio.eio._async = {**core.sio.eio._async, **own}


async def _translate_request(scope: Scope, receive: Receive, send: Send) -> dict[str, Any]:
    """Describe a request without its body if it has none: a class, made for each, would read it."""
    environ: dict[str, Any] = await translate_request(scope, receive, send)
    if scope["type"] == "websocket":
        environ.pop("wsgi.input", None)
    return environ


class _Socket(WebSocket):  # type: ignore[misc]
    """The end of a socket is an error that refers to the frame that keeps it."""

    _end: OSError | None = None

    async def __call__(self, environ: dict[str, Any]) -> Any:
        try:
            return await super().__call__(environ)
        finally:
            if self._end is not None:
                self._end.__traceback__ = None

    async def wait(self) -> Any:
        try:
            return await super().wait()
        except OSError as error:
            self._end = error
            raise
