"""Start Live Markets: settings → log → services → routes → pages → server."""

from __future__ import annotations

import contextlib
import gc
import signal
import socket
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from loguru import logger
from nicegui import ui

import pages
from livemarkets import __version__, app, log
from livemarkets.errors import SettingsError
from livemarkets.preframed import PreframedProtocol
from livemarkets.settings import Settings, load
from livemarkets.strict_http import StrictHttpProtocol

ROOT = Path(__file__).resolve().parent
_MESSAGE_BYTES = 1_048_576
_OPEN_FILES = 65_536
_GARBAGE_THRESHOLDS = (700, 5, 10)
"""The interpreter's own, but for the second: a collection of ten times 700 objects takes more than 2 ms."""


def main(tuning: app.Tuning | None = None) -> int:
    """Run until SIGINT or SIGTERM, and return the exit code. Only campaigns of faults bring a tuning."""
    try:
        settings = load(ROOT)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    log.setup(settings.log_level, settings.log_json)
    for warning in settings.warnings:
        logger.warning(warning)
    logger.info("Live Markets {} starts with {}", __version__, settings.describe())
    try:
        listener = _listen(settings)
    except OSError as error:
        logger.error("cannot listen on {}:{}: {}", settings.host, settings.port, error.strerror or error)
        return 1
    _allow_many_connections()
    services = app.build(settings, tuning=tuning)
    web = app.create_app(services)
    if services.access.is_on:
        web.include_router(pages.login_router(services.access))
    pages.register(services)
    ui.run_with(web, **pages.run_with_options())
    _serve(web, listener)
    return 0


def _allow_many_connections() -> None:
    """Take as many open files as the system grants: many grant 1,024 at first, and 5,000 clients may come."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # there is no such module on Windows
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(settings: Settings) -> socket.socket:
    """Take the port before anything else starts, so that a taken one is one clear line."""
    address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(address[0], socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address[4])
    except OSError:
        listener.close()
        raise
    return listener


def _serve(web: FastAPI, listener: socket.socket) -> None:
    config = uvicorn.Config(
        web,
        http=StrictHttpProtocol,
        ws=PreframedProtocol,
        ws_per_message_deflate=False,  # 20 to 50 µs a message for frames of 200 bytes
        ws_max_size=_MESSAGE_BYTES,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,  # and then 2.5 s for the connections to exchanges: 5 s in all
        server_header=False,
    )
    server = _Server(config)
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
            logger.info("Live Markets is at http://{}:{}", f"[{host}]" if ":" in host else host, port)


if __name__ in {"__main__", "__mp_main__"}:
    sys.exit(main())
