"""The client library for JavaScript, `/client.js`."""

from __future__ import annotations

from pathlib import Path

from fastapi import Response

__all__ = ["CLIENT_SCRIPT", "client_script"]

CLIENT_SCRIPT = Path(__file__).with_name("client.js")
_TEXT = CLIENT_SCRIPT.read_text(encoding="utf-8")


async def client_script() -> Response:
    """Return the library. A browser asks each time, so that it fits the server."""
    return Response(_TEXT, media_type="text/javascript", headers={"Cache-Control": "no-cache"})
