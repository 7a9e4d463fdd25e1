"""What an edge makes of an answer that is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from livemarkets.bus.messages import VERSION, encode
from livemarkets.bus.questions import Answer, SymbolsOf
from livemarkets.bus.requests import Requests
from livemarkets.errors import MalformedMessage

Handler = Callable[[bytes, bytes, bytes], None]


class AnsweringLink:
    """A connection to a bus whose only ingest answers each question with one part."""

    def __init__(self, part: bytes) -> None:
        self._part = part
        self._handle: Handler = lambda data, subject, reply: None

    def subscribe(self, subject: str, handle: Handler) -> None:
        self._handle = handle

    def publish(self, subject: str, data: bytes, reply: str = "") -> bool:
        answer = encode(Answer(VERSION, "ingest", 0, is_last=True, payload=msgspec.Raw(self._part)))
        asyncio.get_running_loop().call_soon(self._handle, answer, reply.encode(), b"")
        return True


@pytest.mark.parametrize(
    "part",
    [b"\xa2\x00\x80", b"\x91" * 2000 + b"\xc0", b"\xc1", b"\xc0"],
    ids=["no UTF-8", "deep", "no MessagePack", "another type"],
)
async def test_an_answer_that_is_none_is_one_error(part: bytes) -> None:
    requests = Requests("edge", AnsweringLink(part))  # type: ignore[arg-type]  # a stand-in
    with pytest.raises(MalformedMessage):
        await requests.ask("binance", "ingest", SymbolsOf(), msgspec.msgpack.Decoder(list[str]))
    assert (requests.asked, requests.failed) == (1, 1)
