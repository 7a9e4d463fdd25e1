"""The command line of the exchange: `python -m livemarkets.simulator`, and `… faults` to inject faults."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import ssl
import sys
import tempfile
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from loguru import logger
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

from livemarkets.simulator.faults.catalogue import Faults
from livemarkets.simulator.faults.commands import describe_commands
from livemarkets.simulator.market.replay import Replay
from livemarkets.simulator.market.simulated_market import SimulatedMarket
from livemarkets.simulator.market.source import SimulatorError, Source
from livemarkets.simulator.market.symbols import in_capitals
from livemarkets.simulator.protocol.limits import ExchangeLimits
from livemarkets.simulator.server.certificate import Certificate, trusting
from livemarkets.simulator.server.http_requests import CONTROL_PATH
from livemarkets.simulator.server.parent import LogPipe, end_with_parent, report
from livemarkets.simulator.server.simulator import Simulator

__all__ = ["main"]

_PORT = 9443
_ANSWER_SECONDS = 5.0
_SECRET_VARIABLE = "SIMULATOR_CONTROL_SECRET"
"""The secret is in the environment, because every user of a machine can read command lines."""
_SECRET_LENGTH = 16


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Return the exit code: 0 for success, 1 for a failure, 2 for a usage error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    logger.remove()
    sink = logger.add(sys.stderr, level="INFO", format="{time:HH:mm:ss.SSS} {level: <7} {message}")
    try:
        if words[:1] == ["faults"]:
            return _faults(_fault_parser().parse_args(words[1:]))
        options = _serve_parser().parse_args(words)
        if options.embedded:
            end_with_parent()
            logger.remove(sink)
            sink = logger.add(LogPipe(), level="INFO", format="{message}")
        _run(_serve(options))
    except SimulatorError as error:
        logger.error("{}", error)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        logger.remove(sink)
    return 0


def _serve_parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m livemarkets.simulator",
        description="An exchange that serves a part of Binance spot's market data, WebSocket and REST on one "
        "port. docs/simulator.md lists what is served and what is not.",
        epilog="`python -m livemarkets.simulator faults` injects faults into a running exchange. It requires "
        f"the exchange's secret: the value of {_SECRET_VARIABLE}, or else a new one printed at the start.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; default 127.0.0.1")
    parser.add_argument(
        "--port", type=int, default=_PORT, help=f"port to listen on; 0 for any free port; default {_PORT}"
    )
    parser.add_argument(
        "--tls",
        metavar="FOLDER",
        nargs="?",
        const="",
        help="serve wss:// and https:// with the certificate in FOLDER, which is made if there is none; "
        "without FOLDER: in a new temporary folder",
    )
    market = parser.add_argument_group("the simulated market")
    market.add_argument("--seed", type=int, default=1, help="the same seed and clock give the same trades")
    market.add_argument(
        "--symbols", help="symbols to list, such as BTCUSDT,ETHUSDT,MYUSDT; default: 473 symbols"
    )
    market.add_argument(
        "--rate",
        type=_positive,
        default=1.0,
        help="factor for the number of trades of every symbol; default 1",
    )
    market.add_argument(
        "--trades-per-second", type=_positive, help="constant rate for every symbol, for load tests"
    )
    replay = parser.add_argument_group("or a recording")
    replay.add_argument(
        "--replay",
        metavar="FILE",
        help="recorded frames, one a line, gzip or plain; or the --out of `livemarkets-client record`",
    )
    replay.add_argument("--speed", type=_positive, default=1.0, help="2 is twice as fast as recorded")
    replay.add_argument(
        "--lead-in",
        type=float,
        default=0.0,
        help="seconds between the first subscription and the first frame",
    )
    rules = parser.add_argument_group("the exchange's rules")
    defaults = ExchangeLimits()
    numbers = (
        ("--ping-interval", _positive, defaults.ping_interval_seconds, "seconds between two pings"),
        ("--ping-timeout", _positive, defaults.ping_timeout_seconds, "seconds to wait for the answer"),
        ("--max-age", _positive, defaults.max_age_seconds, "seconds after which a connection is closed"),
        ("--max-streams", int, defaults.streams_per_connection, "streams of a connection"),
        ("--max-messages", int, defaults.messages_per_second, "messages of a connection in a second"),
        ("--max-connects", int, defaults.connects_per_window, "connection attempts in 5 minutes"),
    )
    for name, kind, default, meaning in numbers:
        rules.add_argument(name, type=kind, default=default, help=f"{meaning}; default {default:g}")
    rules.add_argument(
        "--error-shape", choices=("flat", "nested"), default="flat", help="form of errors; default flat"
    )
    parser.add_argument(
        "--embedded",
        action="store_true",
        help="for the app, which starts its simulator so: it refuses browsers, writes its addresses to "
        "standard output, and ends when standard input ends",
    )
    return parser


def _fault_parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m livemarkets.simulator faults",
        description="Inject a fault into an exchange that runs on this machine.",
        epilog=f"{_SECRET_VARIABLE} must hold the secret that the exchange printed at its start.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address of the exchange; default 127.0.0.1")
    parser.add_argument("--port", type=int, default=_PORT, help=f"its port; default {_PORT}")
    parser.add_argument("--tls", metavar="FOLDER", help="the folder of an exchange that runs with --tls")
    parser.add_argument("--list", action="store_true", help="show every fault with its arguments")
    parser.add_argument("command", nargs="?", help="a fault, or stats, subscriptions, connections")
    parser.add_argument("arguments", nargs="*", metavar="key=value")
    return parser


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number greater than 0")
    return value


def _faults(options: Namespace) -> int:
    if options.list:
        for command, description in describe_commands(Faults).items():
            sys.stdout.write(f"{command:14} {description}\n")
        return 0
    if options.command is None or not all("=" in word for word in options.arguments):
        _fault_parser().print_usage(sys.stderr)
        return 2
    request: dict[str, Any] = {}
    if options.command in ("stats", "subscriptions", "connections"):
        request["query"] = options.command
    else:
        request["fault"] = options.command
        request |= dict(word.split("=", 1) for word in options.arguments)
    secret = _secret()
    if not secret:
        raise SimulatorError(
            f"{_SECRET_VARIABLE} is not set; set it to the secret that the exchange printed at its start"
        )
    url = f"ws{'s' if options.tls else ''}://{options.host}:{options.port}{CONTROL_PATH}"
    reply = asyncio.run(_ask(url, secret, request, trusting(Path(options.tls)) if options.tls else None))
    if not reply.get("ok"):
        raise SimulatorError(str(reply.get("error")))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(reply.get("result"))).decode() + "\n")
    return 0


def _secret() -> str:
    """Return the secret from the environment; empty when it is not set."""
    secret = os.environ.get(_SECRET_VARIABLE, "")
    if secret and (len(secret) < _SECRET_LENGTH or not all("!" <= letter <= "~" for letter in secret)):
        raise SimulatorError(
            f"{_SECRET_VARIABLE} must have at least {_SECRET_LENGTH} visible ASCII characters and no spaces"
        )
    return secret


async def _ask(url: str, secret: str, request: dict[str, Any], tls: ssl.SSLContext | None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {secret}"}
    try:
        async with (
            asyncio.timeout(_ANSWER_SECONDS),
            connect(url, proxy=None, additional_headers=headers, ssl=tls) as socket,
        ):
            await socket.send(msgspec.json.encode(request).decode())
            return msgspec.json.decode(await socket.recv(), type=dict[str, Any])
    except InvalidStatus as error:
        said = error.response.body.decode(errors="replace")
        raise SimulatorError(
            f"{url} refused the request with HTTP {error.response.status_code}: {said}"
        ) from None
    except (OSError, WebSocketException, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SimulatorError(f"cannot reach a simulator at {url}: {error}") from None


def _source(options: Namespace) -> Source:
    if options.replay is not None:
        return Replay(options.replay, options.speed, lead_in_seconds=options.lead_in)
    symbols = None if options.symbols is None else in_capitals(options.symbols).replace(" ", "").split(",")
    return SimulatedMarket(
        options.seed, symbols, rate=options.rate, trades_per_second=options.trades_per_second
    )


async def _serve(options: Namespace) -> None:
    limits = ExchangeLimits(
        messages_per_second=options.max_messages,
        streams_per_connection=options.max_streams,
        connects_per_window=options.max_connects,
        ping_interval_seconds=options.ping_interval,
        ping_timeout_seconds=options.ping_timeout,
        max_age_seconds=options.max_age,
    )
    certificate = None
    if options.tls is not None:
        folder = Path(options.tls or tempfile.mkdtemp(prefix="simulator-tls-"))
        certificate = Certificate(folder, options.host)
    given = _secret()
    secret = given or secrets.token_urlsafe(24)
    simulator = Simulator(
        _source(options),
        limits=limits,
        error_shape=options.error_shape,
        control_secret=secret,
        serves_browsers=not options.embedded,
        tls=None if certificate is None else certificate.context,
    )
    if options.embedded:
        await simulator.start(options.host, options.port)
        await report(simulator.ws_url, simulator.rest_url)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has no signal handlers in the event loop. There, Ctrl-C raises KeyboardInterrupt.
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await simulator.start(options.host, options.port)
    try:
        logger.info(
            "simulator: LIVE_BINANCE_WS_URL={} LIVE_BINANCE_REST_URL={}", simulator.ws_url, simulator.rest_url
        )
        if certificate is not None:
            logger.info(
                "simulator: clients have to trust this certificate: {}", certificate.authority.resolve()
            )
        if not given:
            logger.info("simulator: set this variable to inject faults: {}={}", _SECRET_VARIABLE, secret)
        await stopped.wait()
    finally:
        await simulator.aclose()
        logger.info("simulator: stopped")


def _run(main_coroutine: Any) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(main_coroutine)
    else:
        uvloop.run(main_coroutine)


if __name__ == "__main__":
    sys.exit(main())
