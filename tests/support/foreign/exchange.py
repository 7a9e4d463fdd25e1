"""The server: two addresses for streams, two for REST."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import h11

from tests.support.foreign.faults import Faults
from tests.support.foreign.market import Listing, Market, Trade, Truth
from tests.support.foreign.rest import Answer, RestCalls
from tests.support.foreign.rules import Rules
from tests.support.foreign.streams import StreamConnection

_PAGE = b"<!DOCTYPE html><html><head><title>Attention</title></head><body>" + b"<p>blocked</p>" * 200
ADDRESSES = 2
"""Of either kind, as in the settings of the product; both lead to the same exchange."""
_HANG_SECONDS = 60.0
_TRICKLE_SECONDS = 0.2
_SHORT_ROWS = 37


class ForeignExchange:
    """A running exchange; `foreign_exchange()` makes one."""

    def __init__(self, market: Market, *, ping_seconds: float = 3.0) -> None:
        self.market = market
        self.truth = Truth(market)
        self.rules = Rules()
        self.faults = Faults(self)
        self.connections: list[StreamConnection] = []
        self.ping_seconds = ping_seconds
        self._calls = RestCalls(self)
        self._servers: list[asyncio.Server] = []
        self._ports: list[int] = []
        self._tasks: set[asyncio.Task[None]] = set()
        market.on_trades = self._push

    @property
    def ws_urls(self) -> list[str]:
        """Its two addresses for streams."""
        return [f"ws://127.0.0.1:{port}" for port in self._ports[:ADDRESSES]]

    @property
    def rest_urls(self) -> list[str]:
        """Its two addresses for REST."""
        return [f"http://127.0.0.1:{port}" for port in self._ports[ADDRESSES:]]

    @property
    def ws_url(self) -> str:
        """For `LIVE_BINANCE_WS_URL`: both addresses."""
        return ",".join(self.ws_urls)

    @property
    def rest_url(self) -> str:
        """For `LIVE_BINANCE_REST_URL`: both addresses."""
        return ",".join(self.rest_urls)

    @property
    def carried(self) -> set[str]:
        """The streams that its open connections carry; half-open ones count for nothing."""
        alive = (each for each in self.connections if each.is_open and not each.is_half_open)
        return {stream for connection in alive for stream in connection.streams}

    @property
    def open_connections(self) -> int:
        """How many stream connections are open, and not half open."""
        return sum(each.is_open and not each.is_half_open for each in self.connections)

    def push(self, trades: Sequence[tuple[str, Trade]]) -> None:
        """Send trades to whoever carries their streams, in this order."""
        self._push([(self.market.listings[symbol], trade) for symbol, trade in trades])

    def admit(self) -> tuple[int, list[tuple[str, str]], bytes] | None:
        """Count a dial, and return the refusal if there is one."""
        if not self.rules.dial():
            headers, body = self.rules.dial_ban.answer()
            return 418, headers, body
        if self.faults.refusals:
            status = self.faults.refusals.pop(0)
            return status, [("Retry-After", "1")] if status in (418, 429) else [], b'{"code":0,"msg":"no"}'
        return None

    async def start(self) -> None:
        """Listen on free ports of the loopback."""
        for serve in (self._serve_streams, self._serve_rest):
            for address in range(ADDRESSES):
                server = await asyncio.start_server(partial(serve, address), "127.0.0.1", 0)
                self._servers.append(server)
                self._ports.append(server.sockets[0].getsockname()[1])
        self._own(asyncio.create_task(self._keep_pinging(), name="pings of the foreign exchange"))

    async def aclose(self) -> None:
        """End every connection and task."""
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def trade_by_itself(self, per_second: float) -> None:
        """From now on symbols trade by themselves, at times in bursts; for a campaign."""
        self._own(asyncio.create_task(self._keep_trading(per_second), name="trades of the foreign exchange"))

    async def _keep_trading(self, per_second: float) -> None:
        random = self.market.random
        while True:
            await asyncio.sleep(random.expovariate(per_second))
            names = [each.symbol for each in self.market.listed() if each.status == "TRADING"]
            if names and random.random() < 0.9:
                self.market.trade(random.choice(names))
            elif names:
                self.market.trade(*random.sample(names, k=min(3, len(names))), count=random.randint(1, 10))

    def _own(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _push(self, trades: Sequence[tuple[Listing, Trade]]) -> None:
        for connection in self.connections:
            if connection.is_open:
                connection.push(trades)
        for listing, trade in trades:
            if trade.id == listing.next_id - 1:
                listing.is_newest_withheld = False

    async def _keep_pinging(self) -> None:
        while True:
            await asyncio.sleep(self.ping_seconds)
            for connection in self.connections:
                connection.ping()

    async def _serve_streams(
        self, address: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._own(task)
        connection = StreamConnection(self, reader, writer, address)
        self.connections.append(connection)
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await connection.run()
            finally:
                self.connections.remove(connection)

    async def _serve_rest(
        self, address: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._own(task)
        try:
            await _RestConnection(self, self._calls, reader, writer, address).run()
        except (ConnectionError, h11.ProtocolError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()


class _RestConnection:
    """One HTTP connection, kept alive for several calls."""

    def __init__(
        self,
        exchange: ForeignExchange,
        calls: RestCalls,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        address: int,
    ) -> None:
        self._exchange = exchange
        self._calls = calls
        self._address = address
        self._reader = reader
        self._writer = writer
        self._protocol = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        """Answer one request after the other."""
        request: h11.Request | None = None
        while True:
            event = self._protocol.next_event()
            if event is h11.NEED_DATA:
                self._protocol.receive_data(await self._reader.read(65536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                await self._respond(request)
                if self._protocol.our_state is not h11.DONE or self._protocol.their_state is not h11.DONE:
                    return
                self._protocol.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                return

    async def _respond(self, request: h11.Request) -> None:
        target = urlsplit(request.target.decode())
        parameters = dict(parse_qsl(target.query, keep_blank_values=True, errors="strict"))
        if request.method != b"GET":
            self._exchange.rules.violate(f"the method {request.method.decode()}")
        answer = self._calls.answer(target.path.removeprefix("/api/v3/"), parameters)
        manner = self._manner(parameters) if answer.status == 200 else "honest"
        if manner == "hang":
            await asyncio.sleep(_HANG_SECONDS)
            return
        if manner == "reset":
            return
        answer = _spoiled(answer, manner, request.target.decode())
        headers = [*answer.headers, ("Content-Type", answer.content_type), ("Server", "foreign")]
        await self._send(answer, headers, _TRICKLE_SECONDS if manner == "trickle" else 0.0)

    def _manner(self, parameters: dict[str, str]) -> str:
        faults = self._exchange.faults
        if faults.rest_address not in (None, self._address):
            return "honest"
        asked = parameters.get("symbol") or parameters.get("symbols") or ""
        about = faults.rest_symbols is None or any(symbol in asked for symbol in faults.rest_symbols)
        return faults.rest if about else "honest"

    async def _send(self, answer: Answer, headers: list[tuple[str, str]], pause_seconds: float) -> None:
        if len(answer.body) % 2:  # one of two habits: a length, or chunks
            headers = [*headers, ("Content-Length", str(len(answer.body)))]
        raw_headers = [(name.encode(), value.encode()) for name, value in headers]
        self._write(h11.Response(status_code=answer.status, headers=raw_headers, reason=b"whatever"))
        step = 1 if pause_seconds else max(1, len(answer.body) // 3)
        until = time.monotonic() + _HANG_SECONDS
        for at in range(0, len(answer.body), step):
            self._write(h11.Data(data=answer.body[at : at + step]))
            await self._writer.drain()
            if pause_seconds and time.monotonic() < until:
                await asyncio.sleep(pause_seconds)
        self._write(h11.EndOfMessage())
        await self._writer.drain()

    def _write(self, event: h11.Response | h11.Data | h11.EndOfMessage) -> None:
        raw = self._protocol.send(event)
        if raw:
            self._writer.write(raw)


def _spoiled(answer: Answer, manner: str, target: str) -> Answer:
    """What becomes of an honest answer."""
    if manner == "html":
        return Answer(200, _PAGE, answer.headers, "text/html")
    if manner == "html with 403":
        return Answer(403, _PAGE, answer.headers, "text/html")
    if manner == "503":
        return Answer(503, b"<html>Service Unavailable</html>", [], "text/html")
    if manner == "timeout -1007":
        text = b'{"code":-1007,"msg":"Timeout waiting for response from backend server."}'
        return Answer(408, text, answer.headers)
    if manner == "moved":
        return Answer(301, b"", [*answer.headers, ("Location", f"{target}&moved=1")], "text/html")
    if manner == "truncated gzip":
        whole = gzip.compress(answer.body)
        half = whole[: len(whole) // 2]
        return Answer(200, half, [*answer.headers, ("Content-Encoding", "gzip")])
    if manner == "wrong type":
        return Answer(200, answer.body, answer.headers, "text/plain; charset=utf-7")
    if manner == "other shape":
        return Answer(200, b'{"data":' + answer.body + b',"ok":"yes"}', answer.headers)
    if manner == "empty list":
        return Answer(200, b"[]", answer.headers)
    if manner == "short pages" and answer.body.startswith(b"[{"):
        is_newest = target.startswith("/api/v3/trades")
        return Answer(200, _shortened(answer.body, is_newest=is_newest), answer.headers)
    return answer


def _shortened(body: bytes, *, is_newest: bool) -> bytes:
    """Fewer rows than were asked for: the newest ones, or the first ones from an id on."""
    rows = json.loads(body)
    return json.dumps(rows[-_SHORT_ROWS:] if is_newest else rows[:_SHORT_ROWS]).encode()


@contextlib.asynccontextmanager
async def foreign_exchange(
    symbols: dict[str, tuple[str, str]] | None = None, *, seed: int = 1, ping_seconds: float = 3.0
) -> AsyncIterator[ForeignExchange]:
    """Run the foreign exchange in this event loop.

    Args:
        symbols: base and quote asset by symbol; by default those of `market.SYMBOLS`.
        seed: decides sizes, sides, and where frames are split.
        ping_seconds: how often it sends a ping (Binance: 20 s).

    """
    exchange = ForeignExchange(Market(symbols, seed=seed), ping_seconds=ping_seconds)
    await exchange.start()
    try:
        yield exchange
    finally:
        await exchange.aclose()
