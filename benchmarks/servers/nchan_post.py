"""Publishes to nginx with nchan: a POST per trade on one connection, the next when the last was answered."""

from __future__ import annotations

import os
import re
import socket

from benchmarks.servers.contract import parse_port, say, trade_message

_HEAD = b"POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"


class _Publisher:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._number = 1_000_000

    def publish(self, burst: int) -> None:
        messages = [trade_message(self._number + at) for at in range(burst)]
        self._number += burst
        self._socket.sendall(b"".join([_HEAD % len(message) + message for message in messages]))
        for _ in range(burst):
            self._take_answer()

    def _take_answer(self) -> None:
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            size = int(length[1]) if length else 0
            if end and len(rest) >= size:
                self._received = rest[size:]
                return
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("nginx has closed the publisher's connection")
            self._received += data


def serve(port: int) -> None:
    """Run until standard input ends."""
    publisher = _Publisher(port)
    while text := os.read(0, 4096).decode():
        for line in text.splitlines():
            ticks, burst = map(int, line.split())
            for _ in range(0, ticks, burst):
                publisher.publish(burst)
            say("DONE")


if __name__ == "__main__":
    serve(parse_port())
