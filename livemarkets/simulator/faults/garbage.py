"""Malformed and unexpected frames, by kind."""

from __future__ import annotations

from livemarkets.simulator.protocol.connection import text_frame

__all__ = ["GARBAGE"]

_TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":%b,"p":%b,"q":%b,'
    b'"T":1723161255342,"m":true,"M":true}}'
)

GARBAGE: dict[str, bytes] = {
    "cut": text_frame(b'{"stream":"btcusdt@trade","data":{"e":"trade","E":17231'),
    "text": text_frame(b"hello"),
    "empty": text_frame(b""),
    "null": text_frame(b"null"),
    "array": text_frame(b"[]"),
    "number": text_frame(b"42"),
    "nested": text_frame(b"[" * 2000 + b"]" * 2000),
    "unknown_event": text_frame(b'{"stream":"btcusdt@trade","data":{"e":"surprise","E":1,"s":"BTCUSDT"}}'),
    "unknown_stream": text_frame(b'{"stream":"nobody@asked","data":{"e":"trade"}}'),
    "unknown_reply": text_frame(b'{"result":null,"id":987654321}'),
    "missing_fields": text_frame(b'{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT"}}'),
    "missing_data": text_frame(b'{"stream":"btcusdt@trade"}'),
    "wrong_types": text_frame(_TRADE % (b'"12"', b"61837.63", b"true")),
    "null_price": text_frame(_TRADE % (b"1", b"null", b'"0.01"')),
    "bad_decimal": text_frame(_TRADE % (b"1", b'"1,5"', b'"0.01"')),
    "not_a_number": text_frame(_TRADE % (b"1", b'"NaN"', b'"Infinity"')),
    "negative": text_frame(_TRADE % (b"1", b'"-1.00000000"', b'"0.00000000"')),
    "huge_id": text_frame(_TRADE % (b"9" * 400, b'"61837.63000000"', b'"0.01000000"')),
    "huge_price": text_frame(_TRADE % (b"1", b'"1' + b"0" * 5000 + b'"', b'"0.01000000"')),
    "binary": b"\x82\x04\x00\xff\x00\xff",
}
"""Kind → frame. All are valid WebSocket frames, so the connection stays usable."""
