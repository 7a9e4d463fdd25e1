"""HTTP/1.1 on the wire: parses requests, encodes responses (RFC 9112). No I/O.

The WebSocket library reads a handshake only. Clients of REST also send bodies, long addresses and letters of
any script, and keep a connection for several requests.
"""

from __future__ import annotations

import email.utils
import http
import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import quote

import msgspec
from websockets.datastructures import Headers

__all__ = ["Answer", "HttpRequest", "RequestReader", "WireError", "encode_answer", "handshake_head"]

_HEAD_BYTES = 96 * 1024
"""Limit of a request's first line and headers: an address may name 1,024 streams."""
_BODY_BYTES = 64 * 1024
_END = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"([A-Z]{1,20}) (\S+) HTTP/1\.([01])")
_HEADER = re.compile(rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_ORIGIN = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_HANDSHAKE_HEADERS = ("Host", "Connection", "Upgrade", "Origin", "Sec-WebSocket-Key", "Sec-WebSocket-Version")


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer. `weight` is the request weight of the call."""

    status: int
    body: bytes
    weight: int = 1
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"


class HttpRequest(msgspec.Struct, frozen=True):
    """A complete request.

    Args:
        method: in capitals.
        target: path and query; letters of other scripts are percent-encoded.
        headers: its headers.
        body: its body, which may be empty.
        keeps_alive: whether the client can send another request on the same connection.

    """

    method: str
    target: str
    headers: Headers
    body: bytes = b""
    keeps_alive: bool = True

    @property
    def is_handshake(self) -> bool:
        """Whether it asks for a WebSocket. A request for any other protocol is an ordinary one."""
        return any("websocket" in value.lower() for value in self.headers.get_all("Upgrade"))


class WireError(Exception):
    """What was received is no request. The connection cannot be used after it.

    Args:
        status: the HTTP status of the answer.
        text: the reason, one line.

    """

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text
        super().__init__(text)


class RequestReader:
    """Reads the requests of one connection."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._head: tuple[HttpRequest, int | Literal["chunked"]] | None = None
        self.wants_continue = False
        """Whether the client waits for `100 Continue` before it sends the body."""

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._received += data

    def rest(self) -> bytes:
        """Return the bytes after the last request, and forget them."""
        rest, self._received = bytes(self._received), bytearray()
        return rest

    def next(self) -> HttpRequest | None:
        """Return the next request; `None` until it is complete.

        Raises:
            WireError: the bytes are no request, or it is too large.

        """
        if self._head is None:
            self._head = self._read_head()
        if self._head is None:
            return None
        request, size = self._head
        body = self._read_chunks() if size == "chunked" else self._read_body(size)
        if body is None:
            return None
        self._head = None
        self.wants_continue = False
        return msgspec.structs.replace(request, body=body)

    def _read_head(self) -> tuple[HttpRequest, int | Literal["chunked"]] | None:
        while (
            self._received[:2] == b"\r\n"
        ):  # an empty line before a request is ignored (RFC 9112, section 2.2)
            del self._received[:2]
        end = self._received.find(_END, 0, _HEAD_BYTES)
        if end < 0:
            if len(self._received) >= _HEAD_BYTES:
                status = 431 if b"\r\n" in self._received else 414
                raise WireError(status, "The address and the headers are too long.")
            return None
        first, *lines = bytes(self._received[:end]).split(b"\r\n")
        del self._received[: end + len(_END)]
        found = _REQUEST_LINE.fullmatch(first)
        if found is None:
            status = 505 if re.search(rb" HTTP/(?!1\.)\d", first) else 400
            raise WireError(status, "This is not an HTTP/1.1 request.")
        headers = Headers(_headers(lines))
        size = _size_of_body(headers)
        self.wants_continue = size != 0 and headers.get("Expect", "").lower() == "100-continue"
        connection = ", ".join(headers.get_all("Connection")).lower()
        keeps = "close" not in connection and (found[3] == b"1" or "keep-alive" in connection)
        target = _ORIGIN.sub("", _text(found[2]), count=1) or "/"
        return HttpRequest(found[1].decode(), target, headers, keeps_alive=keeps), size

    def _read_body(self, size: int) -> bytes | None:
        if len(self._received) < size:
            return None
        body = bytes(self._received[:size])
        del self._received[:size]
        return body

    def _read_chunks(self) -> bytes | None:
        """Return a chunked body (RFC 9112, section 7.1); its trailers are ignored."""
        body = bytearray()
        at = 0
        while (line_end := self._received.find(b"\r\n", at)) >= 0:
            found = re.fullmatch(rb"([0-9A-Fa-f]{1,8})[ \t]*(;.*)?", self._received[at:line_end])
            if found is None:
                raise WireError(400, "The size of a chunk is malformed.")
            size = int(found[1], 16)
            if len(body) + size > _BODY_BYTES:
                raise WireError(413, "The body is too large.")
            if size == 0:
                end = self._received.find(_END, line_end)
                if end < 0:
                    break
                del self._received[: end + len(_END)]
                return bytes(body)
            start, at = line_end + 2, line_end + 2 + size + 2
            body += self._received[start : start + size]
        if len(self._received) > 2 * _BODY_BYTES:
            raise WireError(413, "The body is too large.")
        return None


def encode_answer(answer: Answer, *, keeps_alive: bool, without_body: bool = False) -> bytes:
    """Encode an answer. The answer to HEAD is without its body, but has the body's length."""
    try:
        phrase = http.HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    fields = [
        f"HTTP/1.1 {answer.status} {phrase}",
        f"Date: {email.utils.formatdate(usegmt=True)}",
        f"Connection: {'keep-alive' if keeps_alive else 'close'}",
        f"Content-Length: {len(answer.body)}",
        f"Content-Type: {answer.content_type}",
        *(f"{name}: {value}" for name, value in answer.headers),
    ]
    head = "\r\n".join(fields).encode("latin-1", errors="replace") + _END
    return head if without_body else head + answer.body


def handshake_head(request: HttpRequest) -> bytes:
    """Return a handshake as the WebSocket library reads it: without address, body and other headers."""
    lines = [f"{name}: {value}" for name in _HANDSHAKE_HEADERS for value in request.headers.get_all(name)[:2]]
    return "\r\n".join([f"{request.method} / HTTP/1.1", *lines]).encode("latin-1") + _END


def _text(target: bytes) -> str:
    try:
        text = target.decode()
    except UnicodeDecodeError:
        raise WireError(400, "The address is not UTF-8.") from None
    return text if text.isascii() else quote(text, safe="".join(map(chr, range(33, 127))))


def _headers(lines: list[bytes]) -> Iterator[tuple[str, str]]:
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None:
            raise WireError(400, "A header is malformed.")
        yield found[1].decode(), found[2].decode("latin-1")


def _size_of_body(headers: Headers) -> int | Literal["chunked"]:
    lengths = set(headers.get_all("Content-Length"))
    codings = [coding.lower() for coding in headers.get_all("Transfer-Encoding")]
    if codings:
        if codings != ["chunked"] or lengths:
            raise WireError(400, "The length of the body is unclear.")
        return "chunked"
    if not lengths:
        return 0
    length = lengths.pop()
    if lengths or not re.fullmatch(r"[0-9]{1,18}", length):
        raise WireError(400, "The length of the body is unclear.")
    if int(length) > _BODY_BYTES:
        raise WireError(413, "The body is too large.")
    return int(length)
