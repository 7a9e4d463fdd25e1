"""The example programs of the README and of the home page. They use the client libraries, and run as copied.

They read the access token from the environment or a prompt; the page never shows it.
"""

from __future__ import annotations

__all__ = ["JAVASCRIPT", "PYTHON", "examples"]

_SERVER = "://127.0.0.1:8080"
_ROUTE = "/ws/markets"

PYTHON = """\
import asyncio
from livemarkets_client import Gap, Lagged, Trade, connect

async def main():
    async with connect("ws://127.0.0.1:8080/ws/markets", exchange="simulator") as markets:
        async for item in markets.trades("BTCUSDT", "ETHUSDT"):
            match item:
                case Trade():
                    print(item.symbol, item.id, item.side, item.price, item.size, flush=True)
                case Gap() | Lagged():
                    ids = f"{item.from_id} to {item.to_id}"
                    print(f"{type(item).__name__}: {item.symbol} {ids} will not come", flush=True)

asyncio.run(main())
"""

JAVASCRIPT = """\
// curl -o client.mjs http://127.0.0.1:8080/client.js
import { connect } from "./client.mjs";

const markets = connect("ws://127.0.0.1:8080/ws/markets", { exchange: "simulator" });
for await (const item of markets.trades(["BTCUSDT", "ETHUSDT"]))
  if (item.type === "trade") console.log(item.symbol, item.id, item.side, item.price, item.size);
  else console.warn(`${item.type}: ${item.symbol} ${item.from_id} to ${item.to_id} will not come`);
"""

_PYTHON_INSTALL = "# pip install ./clients/python, in a checkout of Live Markets\n"
_CURL_TOKEN = '-H "Authorization: Bearer $LIVE_ACCESS_TOKEN"'
_JAVASCRIPT_TOKEN = """\
const token = globalThis.process?.env.LIVE_ACCESS_TOKEN ?? prompt("Access token");
"""


def examples(url: str, *, has_token: bool) -> dict[str, str]:
    """Return one program per language that reads trades of Binance.

    Args:
        url: of `/ws/markets`.
        has_token: whether the server requires an access token.

    """
    python, javascript = _PYTHON_INSTALL + PYTHON, JAVASCRIPT
    if has_token:
        python = python.replace("import asyncio\n", "import asyncio, os\n")
        python = python.replace(
            '    async with connect("ws://127.0.0.1:8080/ws/markets", exchange="simulator")',
            '    token = os.environ["LIVE_ACCESS_TOKEN"]\n'
            '    async with connect("ws://127.0.0.1:8080/ws/markets", exchange="simulator", token=token)',
        )
        javascript = javascript.replace("\nconst markets", f"\n{_JAVASCRIPT_TOKEN}const markets")
        javascript = javascript.replace('{ exchange: "simulator" }', '{ exchange: "simulator", token }')
        javascript = javascript.replace("// curl ", f"// curl {_CURL_TOKEN} ")
    http = url.removesuffix(_ROUTE).replace("ws", "http", 1)
    return {
        language: program.replace(f"ws{_SERVER}{_ROUTE}", url)
        .replace(f"http{_SERVER}", http)
        .replace('"simulator"', '"binance"')
        for language, program in {"Python": python, "JavaScript": javascript}.items()
    }
