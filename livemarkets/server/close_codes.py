"""The codes with which a WebSocket is closed, and the reason that the peer reads with each."""

from __future__ import annotations

__all__ = ["CLOSE_CODES"]

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
