"""Start Live Markets: options → settings → log → services → routes → pages → server."""

from __future__ import annotations

import gc
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from livemarkets import __version__

if TYPE_CHECKING:
    from livemarkets.app import Tuning

ROOT = Path(__file__).resolve().parent


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with a message of one line."""
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def main(arguments: Sequence[str] | None = None, tuning: Tuning | None = None) -> int:
    """Run until SIGINT or SIGTERM, and return the exit code.

    Args:
        arguments: the command line; `None` takes that of the process.
        tuning: passed only by the fault campaign (`make soak`).

    """
    parser = _Parser(
        prog="main.py",
        description="Live Markets: live spot trades on a web page, and for programs on /ws/markets.",
        epilog="All other settings are LIVE_* variables in the environment, in .env.local or in .env. "
        "See docs/settings.md.",
        allow_abbrev=False,
    )
    parser.add_argument("--host", help="address to listen on; overrides LIVE_HOST")
    parser.add_argument("--port", help="TCP port to listen on; overrides LIVE_PORT")
    parser.add_argument("--version", action="version", version=f"Live Markets {__version__}")
    options = vars(parser.parse_args(arguments))
    return _run({name: value for name, value in options.items() if value is not None}, tuning)


def _run(options: dict[str, str], tuning: Tuning | None) -> int:
    # What the imports make stays: to look for garbage in it takes an eighth of their time.
    gc.disable()
    # Imported here, because the imports take a second: neither --help nor a wrong setting waits for them.
    from livemarkets.config.settings import load
    from livemarkets.errors import SettingsError

    try:
        settings = load(ROOT, options=options)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2

    from loguru import logger

    import pages
    from livemarkets import app
    from livemarkets.config import log
    from livemarkets.http_api.web_app import create_app
    from livemarkets.server import run

    volume = log.setup(settings.log_level, settings.log_json)
    for warning in settings.warnings:
        logger.warning(warning)
    logger.info("starting Live Markets {} with {}", __version__, settings.describe())
    try:
        listener = run.listen(settings.host, settings.port)
    except OSError as error:
        logger.error("cannot listen on {}:{}: {}", settings.host, settings.port, error.strerror or error)
        return 1
    try:
        run.check_semaphores()
    except OSError as error:
        logger.error(
            "cannot create a semaphore: {}; is /dev/shm there and writable?", error.strerror or error
        )
        return 1
    run.allow_many_connections()
    services = app.build(settings, tuning=tuning)
    services.inspection.log_lines = volume.last_minute
    web = create_app(services)
    pages.install(web, services)
    gc.enable()
    run.serve(web, listener, services.drain, drain_seconds=settings.drain_seconds)
    return 0


if __name__ in {"__main__", "__mp_main__"}:
    sys.exit(main())
