"""The example programs of the manual and of the home page. They run as copied.

They read the access token from the environment or a prompt; the page never shows it.
"""

from __future__ import annotations

__all__ = ["JAVASCRIPT", "PYTHON", "examples"]

PYTHON = """\
import asyncio, json, random, sys, websockets
from decimal import Decimal

URL = "ws://127.0.0.1:8080/ws/markets"
HEADERS = {}  # where an access token is asked for: {"Authorization": "Bearer TOKEN"}
WANTED = {"type": "subscribe", "exchange": "simulator", "channel": "trades",
          "symbols": ["BTCUSDT", "ETHUSDT"]}
last = {}  # by symbol: the last id, to go on from; 0 asks for everything that can be had

async def messages(pause=1):
    while True:
        try:
            async with websockets.connect(URL, additional_headers=HEADERS) as socket:
                await socket.send(json.dumps(WANTED | {"after": last}))
                while True:
                    async with asyncio.timeout(15):  # three heartbeats
                        message = json.loads(await socket.recv(), parse_float=Decimal)
                    yield message
                    pause = 1 if message["type"] == "trade" else pause
                    if message.get("code") == "internal":
                        raise OSError(message["message"])
        except (websockets.ConnectionClosed, websockets.InvalidHandshake, OSError) as error:
            status = error.response.status_code if isinstance(error, websockets.InvalidStatus) else 0
            code = getattr(getattr(error, "rcvd", None), "code", 1006)  # nobody closed it: 1006
            if status in (401, 403, 404) or code in (1002, 1007, 1008, 1009):
                sys.exit(f"{URL}: {error}")  # the next attempt would end likewise
            wait = (30 if code == 1013 else pause) * random.uniform(0.5, 1)
            print(f"{str(error) or 'no answer'}; again in {wait:.1f} s", file=sys.stderr)
            await asyncio.sleep(wait)
            pause = min(2 * pause, 30)

async def main():
    async for message in messages():
        match message:
            case {"type": "trade" | "snapshot", "symbol": symbol}:
                for trade in message.get("data", [message]):  # a snapshot has several
                    print(symbol, trade["id"], trade["side"], trade["price"], trade["size"], flush=True)
                    last[symbol] = trade["id"]
            case {"type": "gap" | "lagged" as kind, "symbol": symbol, "from_id": first, "to_id": to}:
                print(f"{kind}: {symbol} {first} to {to} will not come", file=sys.stderr)
                last[symbol] = to
            case {"type": "subscribed", "results": results}:
                for refusal in (result["message"] for result in results if not result["ok"]):
                    print(refusal, file=sys.stderr)
            case {"type": "error", "code": "unknown_symbol", "message": text}:
                print(text, file=sys.stderr)  # one symbol has left the list; the others go on
            case {"type": "error", "code": code, "message": text} if code != "internal":
                sys.exit(f"{code}: {text}")

asyncio.run(main())
"""

JAVASCRIPT = """\
const url = "ws://127.0.0.1:8080/ws/markets";
const headers = {}, protocols = []; // for an access token, see "Handshake" in docs/ws-markets.md
const wanted = { type: "subscribe", exchange: "simulator", channel: "trades",
                 symbols: ["BTCUSDT", "ETHUSDT"] };
const last = {}; // by symbol: the last id, to go on from; 0 asks for everything that can be had
let pause = 1;

function connect() {
  const socket = new WebSocket(url, protocols);
  let wasOpen = false, timer;
  const listen = () => {
    clearTimeout(timer);
    timer = setTimeout(end, 15000, { message: "no answer" }); // three heartbeats
  };
  listen();
  socket.onopen = () => { wasOpen = true; socket.send(JSON.stringify({ ...wanted, after: last })); };
  socket.onmessage = ({ data }) => { listen(); take(JSON.parse(data), end); };
  socket.onclose = socket.onerror = end; // one comes or both, it depends on the WebSocket

  async function end({ code, reason, message }) {
    clearTimeout(timer);
    socket.onmessage = socket.onclose = null;
    socket.onerror = () => {};
    socket.close();
    // A WebSocket does not tell why it was refused. HTTP does.
    const request = { headers, signal: AbortSignal.timeout(5000) };
    const { status } = wasOpen ? {} : await fetch(url.replace("ws", "http"), request).catch(() => ({}));
    const why = message || (code ? `closed with ${code} ${reason}` : "no connection");
    if ([401, 403, 404].includes(status) || [1002, 1007, 1008, 1009].includes(code))
      throw new Error(`${url}: ${wasOpen ? why : `HTTP ${status}`}`); // the next attempt would end likewise
    const wait = (code === 1013 ? 30 : pause) * (0.5 + Math.random() / 2);
    console.warn(`${why}; again in ${wait.toFixed(1)} s`);
    setTimeout(connect, 1000 * wait);
    pause = Math.min(2 * pause, 30);
  }
}

function take({ type, symbol, ...message }, end) {
  if (type === "trade" || type === "snapshot")
    for (const { id, side, price, size } of message.data ?? [message]) { // a snapshot has several
      console.log(symbol, id, side, price, size);
      last[symbol] = id;
    }
  if (type === "trade") pause = 1;
  if (type === "gap" || type === "lagged") {
    console.warn(`${type}: ${symbol} ${message.from_id} to ${message.to_id} will not come`);
    last[symbol] = message.to_id;
  }
  if (type === "subscribed")
    for (const result of message.results) if (!result.ok) console.warn(result.message);
  if (type === "error" && message.code === "unknown_symbol")
    console.warn(message.message); // one symbol has left the list; the others go on
  else if (type === "error")
    end({ code: message.code === "internal" ? 1011 : 1008, message: `${message.code}: ${message.message}` });
}
connect();
"""

_PYTHON_TOKEN = """\
HEADERS = {"Authorization": "Bearer " + os.environ["LIVE_ACCESS_TOKEN"]}
"""

_JAVASCRIPT_TOKEN = """\
const token = globalThis.process?.env.LIVE_ACCESS_TOKEN ?? prompt("Access token");
const base64url = btoa(token).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const headers = { Authorization: `Bearer ${token}` }, protocols = ["livemarkets.v1", "bearer." + base64url];
"""


def examples(url: str, *, has_token: bool) -> dict[str, str]:
    """Return one program per language that reads trades of Binance.

    Args:
        url: of `/ws/markets`.
        has_token: whether the server requires an access token.

    """
    python, javascript = PYTHON, JAVASCRIPT
    if has_token:
        python = python.replace("import asyncio, json, random", "import asyncio, json, os, random")
        python = _with_line(python, "HEADERS = ", _PYTHON_TOKEN)
        javascript = _with_line(javascript, "const headers = ", _JAVASCRIPT_TOKEN)
    return {
        language: program.replace("ws://127.0.0.1:8080/ws/markets", url).replace('"simulator"', '"binance"')
        for language, program in {"Python": python, "JavaScript": javascript}.items()
    }


def _with_line(program: str, beginning: str, new: str) -> str:
    """Replace the line that starts with `beginning`."""
    return "".join(new if line.startswith(beginning) else line for line in program.splitlines(keepends=True))
