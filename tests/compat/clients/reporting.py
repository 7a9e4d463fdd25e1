"""What a client tells about the market, one JSON object a line, and what the campaign tells the client."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

WS_URL = os.environ["COMPAT_WS_URL"]
REST_URL = os.environ["COMPAT_REST_URL"]
AUTHORITY = os.environ["COMPAT_AUTHORITY"]
SECONDS = float(os.environ["COMPAT_SECONDS"])
SYMBOL = "BTCUSDT"
LEVELS = 5
_writing = threading.Lock()


def say(kind: str, **values: Any) -> None:
    """Report one observation. Prices and sizes are whatever the client's user gets, text or number."""
    line = json.dumps({"kind": kind, **{name: _plain(value) for name, value in values.items()}})
    with _writing:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def say_trade(data: Mapping[str, Any]) -> None:
    """Report a trade as the exchange sends it."""
    say("trade", id=data["t"], price=data["p"], size=data["q"], time=data["T"], maker=data["m"])


def say_candle(data: Mapping[str, Any]) -> None:
    """Report a candle of a stream that has ended."""
    if data["x"]:
        names = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
        values = {name: data[key] for name, key in names.items()}
        say("candle", interval=data["i"], at=data["t"], **values)


def say_ticker(data: Mapping[str, Any]) -> None:
    """Report day statistics."""
    names = {"last": "c", "open": "o", "high": "h", "low": "l", "volume": "v"}
    say("ticker", at=data["E"], **{name: data[key] for name, key in names.items()})


def say_best(data: Mapping[str, Any]) -> None:
    """Report the best bid and ask."""
    say("best", at=data["u"], bid=data["b"], bid_size=data["B"], ask=data["a"], ask_size=data["A"])


def say_book(update_id: int, bids: Any, asks: Any) -> None:
    """Report the first levels of an order book."""
    cut = [[list(level[:2]) for level in side[:LEVELS]] for side in (bids, asks)]
    say("book", at=update_id, bids=cut[0], asks=cut[1])


def say_history(interval: str, rows: Any) -> None:
    """Report candles of the past. The last one still runs, so nobody else sees it like this."""
    for row in rows[:-1]:
        values = dict(zip(("open", "high", "low", "close", "volume"), row[1:6], strict=True))
        say("history", interval=interval, at=row[0], **values)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int) else str(value)


async def again_and_again(name: str, step: Callable[[], Awaitable[None]]) -> None:
    """Repeat a step until the time is over. An error is reported and ends it."""
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                await step()
    except TimeoutError:
        pass
    except Exception:
        say("error", where=name, text=traceback.format_exc(limit=-2))


async def once(name: str, step: Callable[[], Awaitable[None]]) -> None:
    """Do a step. An error is reported."""
    try:
        async with asyncio.timeout(20):
            await step()
    except Exception:
        say("error", where=name, text=traceback.format_exc(limit=-2))
