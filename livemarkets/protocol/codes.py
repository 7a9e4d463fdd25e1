"""The error codes and close codes of `/ws/markets`: what each means, and what a client should do."""

from __future__ import annotations

__all__ = ["CLOSE_ADVICE", "ERROR_ADVICE", "ERROR_CODES"]

ERROR_CODES = {
    "invalid_json": "the frame is not JSON",
    "invalid_message": "it is JSON, but not a message of this protocol",
    "unknown_type": "the type is not one of the client's messages",
    "unknown_exchange": "this exchange is not offered",
    "unknown_channel": "this channel is not offered, or this exchange does not have it",
    "unknown_symbol": "the exchange does not list this symbol",
    "symbol_limit": "the request exceeds the symbols allowed; what exceeds them was not changed",
    "rate_limited": "the client sends too many messages; this one was ignored",
    "message_too_big": "the message is too long; it was ignored",
    "internal": "internal server error; the connection stays open",
}
ERROR_ADVICE = {
    "invalid_json": "correct the program",
    "invalid_message": "correct the program; the text says what would be right",
    "unknown_type": "correct the program",
    "unknown_exchange": "use one that `welcome` lists",
    "unknown_channel": "use one that the text lists",
    "unknown_symbol": "see `did_you_mean`, or `/api/symbols`; unsubscribe",
    "symbol_limit": "unsubscribe something, or use a second connection",
    "rate_limited": "send less often; nothing else is lost",
    "message_too_big": "split it",
    "internal": "report it",
}
CLOSE_ADVICE = {
    1000: ("the client closed the connection", "nothing"),
    1002: ("the client broke the WebSocket protocol", "correct the program"),
    1007: ("the client sent text that is not UTF-8", "correct the program"),
    1008: ("the client sent too many messages or frames", "correct the program"),
    1009: ("a message was above 65536 bytes, or in more than 1024 fragments", "correct the program"),
    1011: ("a ping was not answered for 20 seconds", "connect again, with `after`"),
    1012: ("the server stops", "connect again after a moment, with `after`"),
    1013: (
        "the client read nothing for 30 seconds, or the answers to its own messages filled the buffer a"
        " second time",
        "connect again after half a minute, with `after`",
    ),
}
"""Close code → when it is sent, and what the client should do. The reasons are in `server/close_codes.py`."""
