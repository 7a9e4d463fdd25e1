"""Builds and splits the WebSocket text frames of a server. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["split_frames", "text_frame"]

_TEXT = 0x81  # FIN and opcode 1 (RFC 6455, 5.2); RSV1 = 0 means "not compressed", whatever was negotiated


def text_frame(payload: bytes) -> bytes:
    """Return a complete, unmasked WebSocket text frame (RFC 6455, 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((_TEXT, length)) + payload
    if length < 65536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


def split_frames(frames: bytes) -> Iterator[bytes]:
    """Yield the payloads of joined frames that :func:`text_frame` returned."""
    at = 0
    while at < len(frames):
        length, at = frames[at + 1], at + 2
        extended = {126: 2, 127: 8}.get(length, 0)
        if extended:
            length, at = int.from_bytes(frames[at : at + extended], "big"), at + extended
        yield frames[at : at + length]
        at += length
