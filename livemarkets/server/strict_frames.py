"""Rules of RFC 6455 for received frames that `websockets` does not follow or leaves to its callers.

`websockets` treats a close frame between the fragments of a message as an error, and does not check whether
text is UTF-8. Its callers get a frame only after all data of the same read is parsed. If that data contains a
close frame, it has been answered by then, and an error can no longer be reported.
"""

from __future__ import annotations

import codecs

from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from livemarkets.server.close_codes import CLOSE_CODES

__all__ = ["StrictFrameProtocol"]

_new_decoder = codecs.getincrementaldecoder("utf-8")


class StrictFrameProtocol(ServerProtocol):
    """`websockets`' server protocol with a UTF-8 check, and with close frames allowed between fragments.

    Every close frame has a reason of :data:`~livemarkets.server.close_codes.CLOSE_CODES`, unless the program
    gives a closer one.
    """

    _decoder: codecs.IncrementalDecoder | None = None
    """The decoder of the present message; `None` for a binary message."""
    restarting = ""
    """The reason of a close with 1012, where it is closer than that of the table."""

    def recv_frame(self, frame: Frame) -> None:
        """Process a frame. Text that is not UTF-8 fails the connection at the first invalid byte (8.1)."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None  # a control frame may come between fragments (5.4)
        super().recv_frame(frame)
        if frame.opcode is Opcode.TEXT:
            self._decoder = _new_decoder()
        elif frame.opcode is Opcode.BINARY:
            self._decoder = None
        elif frame.opcode is not Opcode.CONT:
            return
        if self._decoder is not None:
            self._decoder.decode(bytes(frame.data), final=frame.fin)

    def send_close(self, code: int | None = None, reason: str = "") -> None:
        """Send a close frame."""
        if code == 1012:
            reason = reason or self.restarting
        super().send_close(code, reason or CLOSE_CODES.get(code or 0, ""))

    def fail(self, code: int, reason: str = "") -> None:
        """Fail the connection. The libraries give reasons in words of their own."""
        super().fail(code, CLOSE_CODES.get(code, reason))
