"""Runs the web server of the process: the socket, uvicorn's configuration, signals."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
import socket
import sys
import time
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
    # With the protocol, since asyncio sets TCP_NODELAY only on connections that are known to be of TCP.
    listener = socket.socket(*address[:3])
    # On Windows, SO_REUSEADDR would let a second server take the same port unnoticed.
    listener.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR), 1)
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
        "timeout_graceful_shutdown": 1.5,  # with 1 s to drain and 2 s for the exchanges, below 5 s in total
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


def serve(
    web: ASGIApp, listener: socket.socket, on_stop: Callable[[], None], *, drain_seconds: float = 0.0
) -> None:
    """Serve the app on a bound socket until SIGINT or SIGTERM. A second signal ends the process at once.

    Args:
        web: the ASGI app.
        listener: the socket.
        on_stop: called when the signal comes. Connections are closed after it.
        drain_seconds: how long after SIGTERM connections are still served, so that a load balancer sees in
            time that this process stops. After SIGINT there is no such time: a person waits.

    """
    freezing = FreezingApp(web)
    server = _Server(
        configuration(freezing, interface="asgi3"), freezing.begin, on_stop, drain_seconds=drain_seconds
    )
    # After its shutdown, uvicorn raises the signal again. SIGTERM must not kill the process then.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with listener, contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        on_start: Callable[[], None],
        on_stop: Callable[[], None],
        *,
        drain_seconds: float,
    ) -> None:
        super().__init__(config)
        self._on_start = on_start
        self._on_stop = on_stop
        self._drain_seconds = drain_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._signal = ""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal. It may interrupt anything, so the event loop does what is to be done."""
        if self._signal:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        self._signal = signal.Signals(sig).name
        if self._loop is None:
            self.should_exit = True
        else:
            self._loop.call_soon_threadsafe(self._drain)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Log the address, and exempt the objects made at start-up from garbage collection."""
        self._loop = asyncio.get_running_loop()
        await anyio.lowlevel.checkpoint()  # imports its backend, which takes 16 ms: not in the first request
        await super().startup(sockets)
        self._on_start()
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            logger.info(
                "Live Markets is listening on http://{}:{}", f"[{host}]" if ":" in host else host, port
            )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close all connections, and log how many were told why."""
        told = len(self._open_websockets())
        began = time.monotonic()
        await super().shutdown(sockets)
        logger.info(
            "stopped because of {}: {} WebSockets were told to connect again, all is closed after {:.1f} s",
            self._signal or "a request of the program",
            told,
            time.monotonic() - began,
        )

    def _drain(self) -> None:
        """Take no new clients, and close connections after a while."""
        seconds = self._drain_seconds if self._signal == "SIGTERM" else 0.0
        asyncio.get_running_loop().call_later(seconds, self._end)  # first, since nothing may prevent it
        self._on_stop()
        logger.info(
            "{}: no new clients; {} WebSockets close in {:g} s; a second signal ends it at once",
            self._signal,
            len(self._open_websockets()),
            seconds,
        )

    def _end(self) -> None:
        self.should_exit = True

    def _open_websockets(self) -> list[RawFrameProtocol]:
        connections = self.server_state.connections
        return [each for each in connections if isinstance(each, RawFrameProtocol) and each.is_open]
