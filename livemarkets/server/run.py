"""The web server of the process: its port, its files, its protocols, its end."""

from __future__ import annotations

import contextlib
import gc
import signal
import socket
from typing import Any

import uvicorn
from loguru import logger
from starlette.types import ASGIApp

from livemarkets.server.http_protocol import BoundedHttpProtocol
from livemarkets.server.websocket_protocol import RawFrameProtocol

__all__ = ["allow_many_connections", "configuration", "listen", "serve"]

_MESSAGE_BYTES = 1_048_576
_OPEN_FILES = 65_536
_GARBAGE_THRESHOLDS = (700, 5, 10)
"""The interpreter's own, but for the second: a collection of ten times 700 objects takes more than 2 ms."""


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anything else starts, so that a taken one is one clear line.

    Raises:
        OSError: it cannot be had.

    """
    address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(address[0], socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address[4])
    except OSError:
        listener.close()
        raise
    return listener


def allow_many_connections() -> None:
    """Take as many open files as the system grants: many grant 1,024 at first, and 5,000 clients may come."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # there is no such module on Windows
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def configuration(web: ASGIApp, **changes: Any) -> uvicorn.Config:
    """Return how the app is served; the one place that says so. `changes` are uvicorn's options."""
    options: dict[str, Any] = {
        "http": BoundedHttpProtocol,
        "ws": RawFrameProtocol,
        "ws_per_message_deflate": False,  # 20 to 50 µs a message for frames of 200 bytes
        "ws_max_size": _MESSAGE_BYTES,
        "log_config": None,
        "access_log": False,
        "timeout_graceful_shutdown": 2,  # and then 2.5 s for the connections to exchanges: 5 s in all
        "server_header": False,
    }
    return uvicorn.Config(web, **(options | changes))


def serve(web: ASGIApp, listener: socket.socket) -> None:
    """Serve the app on a port that was taken, until SIGINT or SIGTERM."""
    server = _Server(configuration(web))
    # uvicorn raises a signal once more after it has ended in order; SIGTERM shall do no more than SIGINT.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with listener, contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say where the app is, and keep what start-up made out of every later garbage collection."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GARBAGE_THRESHOLDS)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            logger.info(
                "Live Markets is listening on http://{}:{}", f"[{host}]" if ":" in host else host, port
            )
