"""The codes with which a WebSocket is closed, and the reason that the peer reads with each."""

from __future__ import annotations

import random

__all__ = ["CLOSE_CODES", "restarting"]

CLOSE_CODES = {
    1000: "normal",
    1002: "protocol error: not a frame of RFC 6455",
    1007: "protocol error: text must be UTF-8",
    1008: "policy: too many messages",
    1009: "message too big",
    1011: "no answer to a ping: reconnect",
    1012: "restarting: reconnect",
    1013: "too slow: reconnect later",
}

_SOONEST_MS = 500
_SPREAD_MS = 1_500


def restarting(clients: int) -> str:
    """Return the reason of a close with 1012, with a time after which this peer should connect again.

    The times are spread at random, over a millisecond more for each client, so that the clients of a server
    do not all come to the next one in the same moment.

    Args:
        clients: how many are told to connect again.

    """
    wait_ms = random.randint(_SOONEST_MS, _SOONEST_MS + _SPREAD_MS + clients)
    return f"{CLOSE_CODES[1012]}; retry_after_ms={wait_ms}"
