"""What the contestants in Python share: the trade, the orders from standard input, the pace."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable

import msgspec

__all__ = ["TRADES_PATH", "Publish", "follow_orders", "parse_port", "say", "trade_message"]

TRADES_PATH = "/ws/markets"
Publish = Callable[[list[bytes]], Awaitable[None] | None]
"""Sends the messages of one turn to everybody."""


class Trade(msgspec.Struct, gc=False):
    """A message of the same shape and length as the app's."""

    type: str
    exchange: str
    symbol: str
    price: float
    size: float
    side: str
    ts: int
    id: int
    recv_ts: int


_encode = msgspec.json.Encoder().encode


def trade_message(number: int) -> bytes:
    """Encode a trade, as every contestant has to do once per trade."""
    now_ms = time.time_ns() // 1_000_000
    return _encode(
        Trade("trade", "binance", "BTCUSDT", 61837.63127891, 0.02134567, "sell", now_ms, number, now_ms)
    )


def parse_port() -> int:
    """Return the port to serve on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    return int(parser.parse_args().port)


def say(line: str) -> None:
    """Tell the benchmark something."""
    print(line, flush=True)


async def follow_orders(publish: Publish, encode: Callable[[int], bytes] = trade_message) -> None:
    """Send what standard input asks for, until it ends; then end the process.

    Args:
        publish: see there.
        encode: makes the message of that number. Only who encodes later, and once as well, needs another.

    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        text = os.read(0, 4096).decode()
        if not text:
            os._exit(0)  # frameworks differ in how they end; here nothing is left to save
        for line in text.splitlines():
            lines.put_nowait(line)

    loop.add_reader(0, read)
    number = 1_000_000
    while True:
        ticks, burst = map(int, (await lines.get()).split())
        for _ in range(0, ticks, burst):
            messages = [encode(number + at) for at in range(burst)]
            number += burst
            sent = publish(messages)
            if sent is not None:
                await sent
            await asyncio.sleep(0)
        say("DONE")
