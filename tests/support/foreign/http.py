"""One HTTP connection of the foreign exchange (`h11`), and what becomes of an honest answer on its way."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import h11

from tests.support.foreign.rest import Answer, RestCalls

if TYPE_CHECKING:
    from tests.support.foreign.exchange import ForeignExchange

_PAGE = b"<!DOCTYPE html><html><head><title>Attention</title></head><body>" + b"<p>blocked</p>" * 200
_HANG_SECONDS = 60.0
_TRICKLE_SECONDS = 0.2
_SHORT_ROWS = 37


class RestConnection:
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
