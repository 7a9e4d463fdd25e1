"""The server of Harbour, an exchange that does not exist: its market, its socket, its history, its faults."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

PAIRS = {"BTC-USDT": ("0.01", "0.00001"), "ETH-USDT": ("0.01", "0.0001"), "PEPE-BTC": ("0.000000000001", "1")}
"""What it lists, with the steps of price and size."""
PAGE_ROWS = 100
FIRST_ID = 1001

Row = tuple[str, str, str, str, int]


class HarbourServer:
    """Trades happen when a test says so. History holds all of them, whatever the stream brought."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {pair: [] for pair in PAIRS}
        self.joined: dict[ServerConnection, set[str]] = {}
        self.attempts = 0
        self.is_history_down = False
        self._next_ids = dict.fromkeys(PAIRS, FIRST_ID)
        self._mute: set[tuple[ServerConnection, str]] = set()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def carried(self) -> set[str]:
        """The pairs that any connection carries."""
        return set().union(*self.joined.values())

    @property
    def is_mute(self) -> bool:
        """Whether any connection is not sent what it carries."""
        return bool(self._mute)

    # the market and its faults

    def trade(self, pair: str = "BTC-USDT", count: int = 1, *, price: str = "61837.63") -> None:
        """Trades happen, and are sent in one frame."""
        self.send(pair, self.lose(pair, count, price=price))

    def lose(self, pair: str = "BTC-USDT", count: int = 1, *, price: str = "61837.63") -> list[Row]:
        """Trades happen, and are not sent. Returns them, oldest first."""
        first = self._next_ids[pair]
        self._next_ids[pair] += count
        happened: list[Row] = [
            (str(number), price, "0.00000012", "BS"[number % 2], 1_723_161_255_123_456 + 1000 * number)
            for number in range(first, first + count)
        ]
        self.rows[pair] += happened
        return happened

    def skip(self, pair: str = "BTC-USDT", count: int = 1) -> None:
        """Use up ids that no trade will ever have."""
        self._next_ids[pair] += count

    def send(self, pair: str, rows: list[Row]) -> None:
        """Send trades, whether or not they were sent before."""
        readers = [
            each for each, pairs in self.joined.items() if pair in pairs and (each, pair) not in self._mute
        ]
        broadcast(readers, json.dumps({"pair": pair, "trades": rows[::-1]}))

    def mute(self, pair: str = "BTC-USDT") -> None:
        """Send nothing more of a pair to the present connections, until they join it anew."""
        self._mute |= {(connection, pair) for connection in self.joined}

    def cut(self) -> None:
        """Lose every connection, without a close frame."""
        for connection in self.joined:
            connection.transport.abort()
        self.joined.clear()

    def say(self, text: str) -> None:
        """Send anything to every connection."""
        broadcast(list(self.joined), text)

    # the server

    async def _converse(self, connection: ServerConnection) -> None:
        pairs = self.joined[connection] = set()
        with contextlib.suppress(ConnectionClosed):
            async for raw in connection:
                request = json.loads(raw)
                pairs |= set(request.get("join", ())) & PAIRS.keys()
                pairs -= set(request.get("leave", ()))
                self._mute -= {(connection, pair) for pair in request.get("join", ())}
                await connection.send(json.dumps({"joined": sorted(pairs)}))
        self.joined.pop(connection, None)

    async def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        url = urlsplit(request.path)
        if url.path == "/live":
            self.attempts += 1
            return None
        if self.is_history_down:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "")
        if url.path == "/pairs":
            steps = [
                {"name": name, "price_step": price, "size_step": size}
                for name, (price, size) in PAIRS.items()
            ]
            return connection.respond(HTTPStatus.OK, json.dumps(steps))
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        rows = self.rows[query["pair"]]
        if "last" in query:
            rows = rows[-int(query["last"]) :]
        else:
            rows = [row for row in rows if int(row[0]) >= int(query["first"])][:PAGE_ROWS]
        return connection.respond(HTTPStatus.OK, json.dumps(rows[::-1]))

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls) -> AsyncIterator[HarbourServer]:
        """A server on a free port."""
        venue = cls()
        async with serve(
            venue._converse, "127.0.0.1", 0, process_request=venue._answer, close_timeout=0.2
        ) as server:
            venue._server = server
            yield venue
