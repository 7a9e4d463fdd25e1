"""A message as a program: what sends it to `/ws/markets` and prints what comes. It runs as copied."""

from __future__ import annotations

import shlex

import msgspec

__all__ = ["programs"]

_PYTHON = """\
import asyncio, os, websockets  # pip install websockets

URL = {url}
HEADERS = {headers}
MESSAGE = {message}

async def main():
    async with websockets.connect(URL, additional_headers=HEADERS) as socket:
        await socket.send(MESSAGE)
        async for frame in socket:
            print(frame, flush=True)

asyncio.run(main())
"""

_JAVASCRIPT = """\
// A browser, or Node.js 22; an older one needs `npm install ws` and `import WebSocket from "ws";` here.
{token}const socket = new WebSocket({url}, {protocols});
socket.onopen = () => socket.send({message});
socket.onmessage = ({{ data }}) => console.log(data);
socket.onclose = ({{ code, reason }}) => console.log("closed", code, reason);
"""

_TOKEN = """\
const token = globalThis.process?.env.LIVE_ACCESS_TOKEN ?? prompt("Access token");
const base64url = btoa(token).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
"""
_WAIT_SECONDS = 3600


def programs(message: str, url: str, *, has_token: bool) -> dict[str, str]:
    """Return the programs by the names of their languages. None of them holds the token.

    Args:
        message: what is sent, as JSON.
        url: of `/ws/markets`.
        has_token: whether the server requires an access token.

    """
    text = " ".join(message.split("\n"))
    bearer = '{"Authorization": "Bearer " + os.environ["LIVE_ACCESS_TOKEN"]}'
    protocols = '["livemarkets.v1", "bearer." + base64url]' if has_token else "[]"
    header = ' --header "Authorization: Bearer $LIVE_ACCESS_TOKEN"' if has_token else ""
    return {
        "Python": _PYTHON.format(url=repr(url), headers=bearer if has_token else "{}", message=repr(text)),
        "JavaScript": _JAVASCRIPT.format(
            token=_TOKEN if has_token else "", url=_literal(url), protocols=protocols, message=_literal(text)
        ),
        "wscat": f"wscat --connect {shlex.quote(url)}{header} --wait {_WAIT_SECONDS}"
        f" --execute {shlex.quote(text)}",
    }


def _literal(text: str) -> str:
    """Return a text as a literal of JavaScript."""
    return msgspec.json.encode(text).decode()
