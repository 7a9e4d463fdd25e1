"""The messages of the streams, as in `web-socket-streams.md`."""

from __future__ import annotations

import re
from typing import Any

from tests.support.foreign.market import Listing, Trade

_TEXT_ID = re.compile(r"[0-9A-Za-z-]{1,36}")


def trade_event(listing: Listing, trade: Trade) -> dict[str, Any]:
    """The event of `<symbol>@trade` (`web-socket-streams.md`, "Trade Streams")."""
    return {
        "e": "trade",
        "E": trade.time_ms + 1,
        "s": listing.symbol,
        "t": trade.id,
        "p": trade.price,
        "q": trade.size,
        "T": trade.time_ms,
        "m": trade.is_buyer_maker,
        "M": True,
    }


def is_request_id(value: Any) -> bool:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value is None or -(2**63) <= value < 2**63
    return isinstance(value, str) and _TEXT_ID.fullmatch(value) is not None


def lower(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)
