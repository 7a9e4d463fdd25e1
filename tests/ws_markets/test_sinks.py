"""The two ways out behave alike: order, backpressure, goodbye, nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, WebSocket
from hypothesis import given
from hypothesis import strategies as st
from starlette.websockets import WebSocketDisconnect

from livemarkets.delivery.framing import split_frames, text_frame
from livemarkets.delivery.mailbox import Mailbox
from livemarkets.server.frame_writer import FrameWriter
from livemarkets.server.websocket_protocol import RawFrameProtocol
from livemarkets.ws_markets.sinks import SendTextSink, open_sink
from tests.support.app import serving
from tests.support.delivery import Turns
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient, open_client

PAYLOADS = st.binary(max_size=300) | st.sampled_from([125, 126, 127, 65_535, 65_536, 70_000]).map(bytes)


@given(st.lists(PAYLOADS, max_size=20))
def test_joined_frames_come_apart_again(payloads: list[bytes]) -> None:
    assert list(split_frames(b"".join(map(text_frame, payloads)))) == payloads


class Endpoint:
    """A route whose way out the test holds."""

    def __init__(self) -> None:
        self.sink: FrameWriter | SendTextSink
        self.mailbox: Mailbox
        self.opened = asyncio.Event()
        self.ended = asyncio.Event()
        self.must_leave = asyncio.Event()

    async def serve(self, websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            async with open_sink(websocket) as self.sink:
                self.mailbox = Turns().fanout().open(self.sink, limit_bytes=1_000_000)
                self.opened.set()
                with contextlib.suppress(WebSocketDisconnect):
                    while not self.must_leave.is_set():
                        await websocket.receive_text()
        finally:
            self.ended.set()


@contextlib.asynccontextmanager
async def connected(protocol: object) -> AsyncIterator[tuple[Endpoint, MarketsClient]]:
    web, endpoint = FastAPI(), Endpoint()
    web.add_api_websocket_route("/", endpoint.serve)
    async with serving(web, ws=protocol) as (_, port), open_client(f"ws://127.0.0.1:{port}/") as client:
        await endpoint.opened.wait()
        yield endpoint, client


both_ways_out = pytest.mark.parametrize(
    "protocol", [RawFrameProtocol, "websockets-sansio"], ids=["frames", "send_text"]
)


@pytest.mark.parametrize(
    ("protocol", "kind"), [(RawFrameProtocol, FrameWriter), ("websockets-sansio", SendTextSink)]
)
async def test_the_raw_writer_is_taken_where_the_server_offers_it(protocol: object, kind: type) -> None:
    async with connected(protocol) as (endpoint, _):
        assert type(endpoint.sink) is kind


@both_ways_out
async def test_messages_arrive_in_order_however_they_are_joined(protocol: object) -> None:
    async with connected(protocol) as (endpoint, client):
        sent = []
        for turn in range(50):
            for number in range(turn % 7 + 1):
                sent.append(f"{turn}/{number} €")
                endpoint.mailbox.pending.append(text_frame(sent[-1].encode()))
            endpoint.mailbox.flush()
            if turn % 3 == 0:
                await asyncio.sleep(0)
        assert [await client.socket.recv() for _ in sent] == sent


@both_ways_out
async def test_a_goodbye_comes_behind_what_was_written(protocol: object) -> None:
    async with connected(protocol) as (endpoint, client):
        endpoint.sink.write(text_frame(b"last") + text_frame(b"words"))
        endpoint.sink.close(1008, "enough")
        assert [await client.socket.recv() for _ in range(2)] == ["last", "words"]
        assert await client.closed() == (1008, "enough")
        await asyncio.wait_for(endpoint.ended.wait(), 3)


@both_ways_out
async def test_a_goodbye_is_said_although_the_endpoint_leaves_at_once(protocol: object) -> None:
    async with connected(protocol) as (endpoint, client):
        endpoint.must_leave.set()
        await client.socket.send("anything")
        endpoint.sink.close(1008, "enough")
        assert await client.closed() == (1008, "enough")


@both_ways_out
async def test_a_client_that_leaves_leaves_nothing_behind(protocol: object) -> None:
    async with connected(protocol) as (endpoint, client):
        await client.socket.close()
        await asyncio.wait_for(endpoint.ended.wait(), 3)
        endpoint.sink.write(text_frame(b"too late"))
        await eventually(lambda: "send_text writer" not in {task.get_name() for task in asyncio.all_tasks()})


@both_ways_out
async def test_writing_to_a_client_that_was_cut_off_raises_nothing(protocol: object) -> None:
    async with connected(protocol) as (endpoint, client):
        client.socket.transport.abort()
        for _ in range(20):
            endpoint.mailbox.pending.append(text_frame(b"x" * 10_000))
            endpoint.mailbox.flush()
            await asyncio.sleep(0)
        await asyncio.wait_for(endpoint.ended.wait(), 3)
