"""An exchange that breaks some of Binance's rules: it stands before a simulator, and changes what passes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec
from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Event

from livemarkets.simulator import SimulatedMarket, Simulator
from livemarkets.simulator.market.source import SimulatorError
from livemarkets.simulator.market.symbols import SymbolRules, to_units
from tests.support.helpers import WITHOUT_TLS

Message = dict[str, Any]


@dataclass
class Answer:
    """An answer of REST on its way: the call and its parameters, and what will be told."""

    call: str
    query: dict[str, str]
    status: int
    headers: dict[str, str]
    body: Any

    def refuse(self, status: int, code: int, **headers: str) -> None:
        self.status, self.body = status, {"code": code, "msg": "Refused."}
        self.headers |= headers


@dataclass
class Wire:
    """One connection through the bent exchange; the first one is number 1."""

    number: int
    socket: ServerConnection
    memory: dict[str, Any] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)

    def later(self, seconds: float, message: Message) -> None:
        asyncio.get_running_loop().call_later(seconds, functools.partial(self.send_soon, message))

    def send_soon(self, message: Message) -> None:
        task = asyncio.ensure_future(self.send(message))
        self.memory.setdefault("tasks", set()).add(task)
        task.add_done_callback(self.memory["tasks"].discard)

    async def send(self, message: Message) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self.socket.send(msgspec.json.encode(message), text=True)


@dataclass(frozen=True)
class Bend:
    """One broken rule.

    Args:
        check: the check that it must fail.
        follows: checks that fail for that reason too, or may.
        frame: changes what goes to the client; returns what is sent in its place.
        request: changes what the client asks; returns what is passed on.
        answer: changes an answer of REST.
        pings: whether the exchange still sends pings.
        on_pong: called when the client sends a pong that nobody asked for.

    """

    check: str
    follows: frozenset[str] = frozenset()
    frame: Callable[[Wire, Message], Iterable[Message]] | None = None
    request: Callable[[Wire, Message], Iterable[Message]] | None = None
    answer: Callable[[Answer], None] | None = None
    pings: bool = True
    on_pong: Callable[[Wire], None] | None = None


class _Socket(ServerConnection):
    on_pong: Callable[[], None] = staticmethod(lambda: None)

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.opcode is Opcode.PONG and not event.data:
            self.on_pong()
        super().process_event(event)


class BentExchange:
    """Passes everything between clients and a simulator, through the bends in turn."""

    def __init__(self, simulator: Simulator, bends: Sequence[Bend]) -> None:
        self._simulator = simulator
        self._bends = bends
        self._connections = 0
        self._server: Server | None = None
        self._rest: httpx.AsyncClient | None = None
        self.port = 0

    async def start(self) -> None:
        self._rest = httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False)
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            process_request=self._process_request,
            create_connection=_Socket,
            compression=None,
            ping_interval=1.0 if all(bend.pings for bend in self._bends) else None,
            ping_timeout=None,
            close_timeout=0.2,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        assert self._server is not None
        assert self._rest is not None
        self._server.close()
        await self._server.wait_closed()
        await self._rest.aclose()

    async def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        if "Upgrade" in request.headers:
            return None
        assert self._rest is not None
        told = await self._rest.get(self._simulator.rest_url + request.path)
        parts = urlsplit(request.path)
        query = dict(parse_qsl(parts.query))
        headers = {name: told.headers[name] for name in ("X-MBX-USED-WEIGHT-1M",) if name in told.headers}
        call = parts.path.removeprefix("/api/v3/")
        answer = Answer(call, query, told.status_code, headers, msgspec.json.decode(told.content))
        for bend in self._bends:
            if bend.answer is not None:
                bend.answer(answer)
        body = msgspec.json.encode(answer.body)
        fields = Headers({"Content-Length": str(len(body)), "Connection": "close", **answer.headers})
        return Response(answer.status, "Told", fields, body)

    async def _serve(self, socket: ServerConnection) -> None:
        assert isinstance(socket, _Socket)
        assert socket.request is not None
        self._connections += 1
        wire = Wire(self._connections, socket)
        for bend in self._bends:
            if bend.on_pong is not None:
                socket.on_pong = functools.partial(bend.on_pong, wire)
        url = self._simulator.ws_url + socket.request.path
        with contextlib.suppress(ConnectionClosed):
            async with connect(url, proxy=None, compression=None, ping_interval=None) as upstream:
                asking = asyncio.create_task(self._pass_requests(wire, upstream))
                try:
                    async for raw in upstream:
                        await self._pass_frame(wire, msgspec.json.decode(raw))
                    await socket.close(upstream.close_code or 1011, upstream.close_reason or "")
                finally:
                    asking.cancel()
                    await asyncio.wait([asking])

    async def _pass_frame(self, wire: Wire, message: Message) -> None:
        messages = [message]
        for bend in self._bends:
            if bend.frame is not None:
                messages = [after for before in messages for after in bend.frame(wire, before)]
        for each in messages:
            await wire.send(each)

    async def _pass_requests(self, wire: Wire, upstream: Any) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for raw in wire.socket:
                messages = [msgspec.json.decode(raw)]
                for bend in self._bends:
                    if bend.request is not None:
                        messages = [after for before in messages for after in bend.request(wire, before)]
                for each in messages:
                    await upstream.send(msgspec.json.encode(each), text=True)
        with contextlib.suppress(ConnectionClosed):
            await upstream.close()


def _rules(symbol: str, base: str, rate: float) -> SymbolRules:
    return SymbolRules(
        symbol=symbol,
        base=base,
        quote="USDT",
        tick=to_units("0.01"),
        lot=to_units("0.001"),
        price=to_units("612.40"),
        trades_per_second=rate,
    )


RULES = (
    _rules("BTCUSDT", "BTC", 28.0),
    _rules("ETHUSDT", "ETH", 16.0),
    _rules("币安人生USDT", "币安人生", 3.0),
    _rules("MUTEUSDT", "MUTE", 0.03),  # with this seed: three trades, 52 s before its first use
    _rules("NEVERUSDT", "NEVER", 1e-6),
    _rules("SPAREUSDT", "SPARE", 5.0),
)


async def _make_large_orders(simulator: Simulator) -> None:
    """Have orders of several prices come all the time: by themselves they may not come for seconds."""
    while True:
        await asyncio.sleep(0.25)
        with contextlib.suppress(SimulatorError):  # nobody has asked for the symbol yet
            simulator.faults.burst(symbol="BTCUSDT", trades=20)


@contextlib.asynccontextmanager
async def bent_exchange(bends: Sequence[Bend]) -> AsyncIterator[BentExchange]:
    """A bent exchange before a simulator of its own."""
    simulator = Simulator(SimulatedMarket(5, rules=RULES))
    await simulator.start()
    exchange = BentExchange(simulator, bends)
    await exchange.start()
    orders = asyncio.create_task(_make_large_orders(simulator), name="large orders")
    try:
        yield exchange
    finally:
        orders.cancel()
        await asyncio.wait([orders])
        await exchange.aclose()
        await simulator.aclose()
