"""The programs on the home page: they run as they are copied. The access token is named, never shown."""

from __future__ import annotations

__all__ = ["examples"]

_PYTHON = """\
import asyncio, json,{imports} websockets

URL = "{url}"
WISH = {{"type": "subscribe", "exchange": "binance",
        "channel": "trades", "symbols": ["BTCUSDT"]}}
{token}
async def main():
    async with websockets.connect({arguments}) as ws:
        await ws.send(json.dumps(WISH))
        async for message in ws:
            print(json.loads(message))

asyncio.run(main())"""

_PYTHON_TOKEN = """\
HEADERS = {"Authorization":
           "Bearer " + os.environ["LIVE_ACCESS_TOKEN"]}
"""

_PYTHON_ARGUMENTS = """
            URL, additional_headers=HEADERS"""

_JAVASCRIPT = """\
const url = "{url}";
const wish = {{ type: "subscribe", exchange: "binance",
               channel: "trades", symbols: ["BTCUSDT"] }};
{token}
const ws = new WebSocket({arguments});
ws.onopen = () => ws.send(JSON.stringify(wish));
ws.onmessage = ({{ data }}) => {{
  const message = JSON.parse(data);
  if (message.type === "trade")
    console.log(message.symbol, message.price);
}};"""

_JAVASCRIPT_TOKEN = """\
// with Node.js: process.env.LIVE_ACCESS_TOKEN
const token = prompt("Access token");
const bearer = "bearer." + btoa(token).replaceAll("=", "")
  .replaceAll("+", "-").replaceAll("/", "_");
"""


def examples(url: str, *, has_token: bool) -> dict[str, str]:
    """Return a program for each language.

    Args:
        url: of `/ws/markets`.
        has_token: whether an access token is asked for there.

    """
    if not has_token:
        return {
            "Python": _PYTHON.format(url=url, imports="", token="", arguments="URL"),
            "JavaScript": _JAVASCRIPT.format(url=url, token="", arguments="url"),
        }
    return {
        "Python": _PYTHON.format(url=url, imports=" os,", token=_PYTHON_TOKEN, arguments=_PYTHON_ARGUMENTS),
        "JavaScript": _JAVASCRIPT.format(
            url=url, token=_JAVASCRIPT_TOKEN, arguments='url, ["livemarkets.v1", bearer]'
        ),
    }
