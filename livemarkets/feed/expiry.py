"""Drops the streams that nobody has wanted for the linger, some in each turn of the event loop."""

from __future__ import annotations

import asyncio

from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.server.turns import Turns

__all__ = ["expire_streams"]

_SECONDS = 0.1
_AT_ONCE = 20
"""Streams of which a turn of the event loop drops the trades: 0.1 ms for each."""


async def expire_streams(manager: SubscriptionManager, turns: Turns) -> None:
    """Run until cancelled."""
    own = Turns(turns)
    while True:
        await asyncio.sleep(_SECONDS)
        while manager.expire(_AT_ONCE):
            await own.wait()
