"""Runs the web server of the process: the socket, uvicorn's configuration, signals."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import anyio.lowlevel
import uvicorn
from loguru import logger
from starlette.types import ASGIApp

from livemarkets.server.garbage import FreezingApp
from livemarkets.server.http_protocol import BoundedHttpProtocol
from livemarkets.server.websocket_protocol import RawFrameProtocol

__all__ = [
    "allow_many_connections",
    "check_semaphores",
    "configuration",
    "listen",
    "serve",
]

_MESSAGE_BYTES = 1_048_576
_OPEN_FILES = 65_536


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to the address. Called first, so that a port in use is reported at once.

    Raises:
        OSError: the address cannot be bound.

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
    """Raise the limit of open files, up to 65,536. The default is often 1,024, and each client needs one."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no module `resource`
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def configuration(web: ASGIApp, **changes: Any) -> uvicorn.Config:
    """Return uvicorn's configuration, the same for the program, the tests and the benchmarks.

    Args:
        web: the ASGI app.
        changes: options of uvicorn that replace these.

    """
    options: dict[str, Any] = {
        "http": BoundedHttpProtocol,
        "ws": RawFrameProtocol,
        "ws_per_message_deflate": False,  # compression costs 20 to 50 µs per message of 200 bytes
        "ws_max_size": _MESSAGE_BYTES,
        "log_config": None,
        "access_log": False,
        "timeout_graceful_shutdown": 2,  # with 2.5 s for the connections to exchanges, below 5 s in total
        "server_header": False,
        "proxy_headers": False,  # the app knows which proxies to believe
    }
    return uvicorn.Config(web, **(options | changes))


def check_semaphores() -> None:
    """Check that semaphores can be created. The page framework needs some at its start.

    Raises:
        OSError: they cannot. On Linux they are files in `/dev/shm`.

    """
    if sys.platform.startswith("linux"):
        multiprocessing.get_context("fork").Lock()


def serve(web: ASGIApp, listener: socket.socket, on_stop: Callable[[], None]) -> None:
    """Serve the app on a bound socket until SIGINT or SIGTERM.

    Args:
        web: the ASGI app.
        listener: the socket.
        on_stop: called at once when the signal comes. Connections are closed after it.

    """
    freezing = FreezingApp(web)
    server = _Server(configuration(freezing, interface="asgi3"), on_stop, freezing.begin)
    # After its shutdown, uvicorn raises the signal again. SIGTERM must not kill the process then.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with listener, contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, on_stop: Callable[[], None], on_start: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_stop = on_stop
        self._on_start = on_start

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop, because a signal came."""
        self._on_stop()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Log the address, and exempt the objects made at start-up from garbage collection."""
        await anyio.lowlevel.checkpoint()  # imports its backend, which takes 16 ms: not in the first request
        await super().startup(sockets)
        self._on_start()
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            logger.info(
                "Live Markets is listening on http://{}:{}", f"[{host}]" if ":" in host else host, port
            )
