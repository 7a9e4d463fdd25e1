"""A server for the tests of programs that use this library. It speaks protocol 1, and says what a test says.

    async with MockServer() as server:
        async with connect(server.url) as markets:
            trades = markets.trades("BTCUSDT")
            await server.subscribed("trades", "BTCUSDT")
            server.trade("BTCUSDT", price="61837.63", size="0.02")
            trade = await anext(trades)

It keeps the trades of each symbol, so a client that comes back gets those after its `after`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from decimal import Decimal
from http import HTTPStatus
from types import TracebackType
from typing import Any

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

__all__ = ["MockServer"]

Name = tuple[str, str, str, str | None]
"""Exchange, channel, symbol and, for candles, interval."""
_encode = msgspec.json.Encoder(decimal_format="number").encode
_MOST_IN_SNAPSHOT = 500


class MockServer:
    """A server on a free port of the loopback interface.

    Args:
        token: the access token that it demands.
        heartbeat_seconds: how often it sends a heartbeat, and what it says of that.
        listed: the symbols that can be subscribed; `None`: all.
        port: 0 is a free one.

    """

    def __init__(
        self,
        *,
        token: str | None = None,
        heartbeat_seconds: float = 5.0,
        listed: set[str] | None = None,
        port: int = 0,
    ) -> None:
        self.refuses_with: HTTPStatus | None = None
        """While this is set, each handshake is answered with it."""
        self.requests: list[dict[str, Any]] = []
        """What clients have asked for, in order."""
        self.history: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        """Exchange and symbol → its trades. A test may take some out, which are then in no `after`."""
        self.patience_seconds = 20.0
        """How long `subscribed` and `unsubscribed` wait before they raise `TimeoutError`."""
        self._token = token
        self._heartbeat_seconds = heartbeat_seconds
        self._listed = listed
        self._port = port
        self._clients: dict[ServerConnection, set[Name]] = {}
        self._changed = asyncio.Condition()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """The address for `connect`."""
        return f"ws://127.0.0.1:{self._port}/ws/markets"

    async def __aenter__(self) -> MockServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen. After `stop` this is the same server again, on the same port."""
        self._server = await serve(
            self._converse,
            "127.0.0.1",
            self._port,
            process_request=self._admit,
            compression=None,
            close_timeout=1,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self, code: int = 1012, reason: str = "restarting: reconnect") -> None:
        """Close all connections, and listen no more."""
        if self._server is not None:
            self._server.close(code=code, reason=reason)
            await self._server.wait_closed()
            self._server = None

    # --- what a test says -------------------------------------------------------------------------

    def trade(
        self, symbol: str, *, price: str = "100.00", size: str = "1.000", side: str = "buy", **fields: Any
    ) -> int:
        """Have a symbol trade, with the next id unless `id` is given; return the id."""
        exchange = fields.pop("exchange", "binance")
        history = self.history[exchange, symbol]
        now = int(time.time() * 1000)
        tick = {
            "exchange": exchange,
            "symbol": symbol,
            "price": Decimal(price),
            "size": Decimal(size),
            "side": side,
            "ts": now,
            "id": history[-1]["id"] + 1 if history else 1,
            "recv_ts": now,
        } | fields
        history.append(tick)
        self.send({"type": "trade"} | tick, (exchange, "trades", symbol, None))
        trade_id: int = tick["id"]
        return trade_id

    def gap(self, symbol: str, from_id: int, to_id: int, cause: str = "upstream", **fields: Any) -> None:
        """Declare trades missing."""
        self._tell("gap", symbol, {"from_id": from_id, "to_id": to_id, "cause": cause} | fields)

    def lagged(self, symbol: str, from_id: int, to_id: int, **fields: Any) -> None:
        """Tell the readers of a symbol that they were too slow."""
        skipped = {"skipped": to_id - from_id + 1, "mode": "latest"}
        self._tell("lagged", symbol, {"from_id": from_id, "to_id": to_id} | skipped | fields)

    def send(self, message: dict[str, Any], to: Name | None = None) -> None:
        """Send any message to those who have subscribed a name, or to everybody."""
        for client, names in list(self._clients.items()):
            if to is None or to in names:
                _post(client, message)

    def cut(self) -> None:
        """Cut all connections, without a close frame."""
        for client in list(self._clients):
            client.transport.abort()

    async def close_clients(self, code: int, reason: str = "") -> None:
        """Close all connections with a close code."""
        await asyncio.gather(*(client.close(code, reason) for client in list(self._clients)))

    async def subscribed(
        self, channel: str, symbol: str, *, exchange: str = "binance", interval: str | None = None
    ) -> None:
        """Wait until a client has subscribed this, at most for `patience_seconds`."""
        name = (exchange, channel, symbol, interval)
        async with asyncio.timeout(self.patience_seconds), self._changed:
            await self._changed.wait_for(lambda: any(name in names for names in self._clients.values()))

    async def unsubscribed(
        self, channel: str, symbol: str, *, exchange: str = "binance", interval: str | None = None
    ) -> None:
        """Wait until no client has this subscribed any more, at most for `patience_seconds`."""
        name = (exchange, channel, symbol, interval)
        async with asyncio.timeout(self.patience_seconds), self._changed:
            await self._changed.wait_for(lambda: not any(name in names for names in self._clients.values()))

    # --- what it does by itself -------------------------------------------------------------------

    def _tell(self, kind: str, symbol: str, fields: dict[str, Any]) -> None:
        message = {"type": kind, "exchange": "binance", "channel": "trades", "symbol": symbol} | fields
        name = (message["exchange"], message["channel"], symbol, message.get("interval"))
        self.send(message, name)

    def _admit(self, client: ServerConnection, request: Request) -> Response | None:
        if self.refuses_with is not None:
            return client.respond(self.refuses_with, f"{self.refuses_with}\n")
        if self._token is not None and request.headers.get("Authorization") != f"Bearer {self._token}":
            return client.respond(HTTPStatus.UNAUTHORIZED, "wrong token\n")
        return None

    async def _converse(self, client: ServerConnection) -> None:
        names: set[Name] = set()
        self._clients[client] = names
        beating = asyncio.create_task(self._beat(client), name="heartbeat")
        try:
            _post(client, self._welcome())
            async for raw in client:
                request = json.loads(raw)
                self.requests.append(request)
                self._answer(client, names, request)
                async with self._changed:
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        finally:
            beating.cancel()
            del self._clients[client]
            async with self._changed:
                self._changed.notify_all()

    def _welcome(self) -> dict[str, Any]:
        return {
            "type": "welcome",
            "protocol": 1,
            "client_id": "mock",
            "server": "mock",
            "heartbeat_seconds": self._heartbeat_seconds,
            "exchanges": {"binance": "live", "simulator": "idle"},
            "channels": ["trades", "tickers", "book", "depth", "candles"],
            "limits": {"messages_per_second": 1000, "message_bytes": 16384},
        }

    async def _beat(self, client: ServerConnection) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            _post(client, {"type": "heartbeat", "ts": int(time.time() * 1000)})

    def _answer(self, client: ServerConnection, names: set[Name], request: dict[str, Any]) -> None:
        exchange, channel = request.get("exchange", ""), request.get("channel", "")
        asked = [
            (exchange, channel, symbol, request.get("interval")) for symbol in request.get("symbols", ())
        ]
        if request["type"] == "unsubscribe":
            names -= set(asked)
            results = [{"symbol": name[2], "ok": True} for name in asked]
        elif request["type"] == "subscribe":
            names |= {name for name in asked if self._is_listed(name[2])}
            results = [self._result(name[2]) for name in asked]
        else:
            return
        answer = {"type": f"{request['type']}d", "id": request.get("id"), "results": results}
        _post(client, answer | {"exchange": exchange, "channel": channel})
        if request["type"] == "subscribe":
            for name in asked:
                if name in names:
                    self._send_snapshots(client, name, request)

    def _is_listed(self, symbol: str) -> bool:
        return self._listed is None or symbol in self._listed

    def _result(self, symbol: str) -> dict[str, Any]:
        if self._is_listed(symbol):
            return {"symbol": symbol, "ok": True}
        why = f"binance does not list {symbol}"
        return {"symbol": symbol, "ok": False, "code": "unknown_symbol", "message": why, "did_you_mean": []}

    def _send_snapshots(self, client: ServerConnection, name: Name, request: dict[str, Any]) -> None:
        exchange, channel, symbol, interval = name
        history = self.history[exchange, symbol] if channel == "trades" else []
        after = request.get("after", {}).get(symbol)
        count = request.get("snapshot", 1)
        data = (
            history[len(history) - min(count, len(history)) :]
            if after is None
            else [tick for tick in history if tick["id"] > after]
        )
        for begin in range(0, max(1, len(data)), _MOST_IN_SNAPSHOT):
            message: dict[str, Any] = {
                "type": "snapshot",
                "exchange": exchange,
                "channel": channel,
                "symbol": symbol,
                "data": data[begin : begin + _MOST_IN_SNAPSHOT],
            }
            if interval is not None:
                message["interval"] = interval
            _post(client, message)


def _post(client: ServerConnection, message: dict[str, Any]) -> None:
    """Send a message now, so that nothing can come between those that belong together."""
    if client.state is State.OPEN:
        client.protocol.send_text(_encode(message))
        client.send_data()
