"""What RFC 6455 asks of a server about arriving frames and `websockets` does differently or leaves to others.

It takes a goodbye between the fragments of a message for an error, and leaves it to its callers whether text
is UTF-8. They see a frame only when everything that came with it is parsed: too late to answer an error
when a goodbye came with it, since that is answered already.
"""

from __future__ import annotations

import codecs

from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

__all__ = ["StrictFrameProtocol"]

_new_decoder = codecs.getincrementaldecoder("utf-8")


class StrictFrameProtocol(ServerProtocol):
    """`websockets`' server protocol, stricter about text and kinder to goodbyes."""

    _decoder: codecs.IncrementalDecoder | None = None
    """Of the message that is arriving, if that is text."""

    def recv_frame(self, frame: Frame) -> None:
        """Process a frame; text that is no UTF-8 ends the connection at its first wrong byte (8.1)."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None  # as any control frame it may come between fragments (5.4)
        super().recv_frame(frame)
        if frame.opcode is Opcode.TEXT:
            self._decoder = _new_decoder()
        elif frame.opcode is Opcode.BINARY:
            self._decoder = None
        elif frame.opcode is not Opcode.CONT:
            return
        if self._decoder is not None:
            self._decoder.decode(bytes(frame.data), final=frame.fin)
