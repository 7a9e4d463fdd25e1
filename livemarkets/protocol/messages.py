"""Protocol 1 of `/ws/markets`: its name, its messages, its codes. `docs/ws-markets.md` is its manual."""

from __future__ import annotations

__all__ = [
    "CLIENT_MESSAGE_TYPES",
    "CLOSE_CODES",
    "ERROR_CODES",
    "PROTOCOL",
    "SERVER_MESSAGE_TYPES",
    "SUBPROTOCOL",
]

PROTOCOL = 1
SUBPROTOCOL = "livemarkets.v1"
"""What `/ws/markets` answers to a client that offers subprotocols."""
CLIENT_MESSAGE_TYPES = ("subscribe", "unsubscribe", "list", "ping")
SERVER_MESSAGE_TYPES = (
    "welcome",
    "subscribed",
    "snapshot",
    "trade",
    "status",
    "gap",
    "lagged",
    "unsubscribed",
    "subscriptions",
    "pong",
    "heartbeat",
    "error",
)
ERROR_CODES = {
    "invalid_json": "the frame is not JSON",
    "invalid_message": "it is JSON, but not a message of this protocol",
    "unknown_type": "the type is not one that a client may send",
    "unknown_exchange": "there is no such exchange here",
    "unknown_channel": "there is no such channel",
    "unknown_symbol": "the exchange does not list this symbol",
    "symbol_limit": "more symbols than one client may subscribe; nothing was changed",
    "rate_limited": "more messages than a client may send; this one was ignored",
    "message_too_big": "longer than a client's message may be; it was ignored",
    "internal": "our own defect; the connection goes on",
}
CLOSE_CODES = {
    1000: "normal",
    1008: "policy: the client floods",
    1009: "message too big",
    1012: "restarting: reconnect",
    1013: "too slow: reconnect later",
}
