"""Who takes part in the fan-out, and how each is started, asked and read."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from benchmarks import peers
from benchmarks.apps import HELLO, PATH, app_environment
from benchmarks.load import start_venue
from benchmarks.natives import native
from benchmarks.programs import ROOT, Program, free_port

__all__ = ["APP", "CONTESTANTS", "FLOOR", "Contestant", "Server", "start_driven_app"]

APP = "the app, as shipped"
FLOOR = "C, one send(2) per delivery"
_SERVERS = ROOT / "benchmarks" / "servers"


class Server:
    """A running contestant: trades are ordered from it, and its CPU is read.

    Args:
        program: whose CPU counts.
        port: where the readers connect.
        source: who takes the orders, where that is another program.

    """

    def __init__(self, program: Program, port: int, source: Program | None = None) -> None:
        self.program = program
        self.port = port
        self._source = source or program

    def order(self, ticks: int, burst: int) -> None:
        """Have it send that many trades to everybody who is connected."""
        self._source.say(f"{ticks} {burst}")


class Contestant(msgspec.Struct, frozen=True):
    """One way to fan out."""

    name: str
    start: Callable[[ExitStack], Server]
    """Starts it; it ends with the stack. Raises `BenchmarkError` where it cannot be had."""
    path: str = PATH
    options: tuple[str, ...] = ()
    """What the load generator has to do beyond connecting."""
    cost_us: float = 8.0
    """Roughly what a delivery costs, so that every turn takes about as long."""
    joins: bool = False
    """Whether a burst can leave in one write."""


def _program(stack: ExitStack, name: str, command: list[str | Path], **environment: str) -> Program:
    return stack.enter_context(Program(name, command, environment))


def _python(module: str, python: str | Path = sys.executable) -> Callable[[ExitStack], Server]:
    def start(stack: ExitStack) -> Server:
        port = free_port()
        # NiceGUI opens its port a moment after it has said so
        program = _program(stack, module, [python, _SERVERS / f"{module}.py", "--port", str(port)])
        program.expect("LISTEN", 30.0)
        program.wait_for_port(port)
        return Server(program, port)

    return start


def start_driven_app(stack: ExitStack) -> Server:
    """Start the app with a driver that gives trades or updates to its feed."""
    venue, venue_port = start_venue("--trades", "-1")
    stack.enter_context(venue)
    port = free_port()
    environment = app_environment(port, venue_port, LIVE_LINGER_SECONDS="0")
    program = _program(stack, APP, [sys.executable, _SERVERS / "app.py"], **environment)
    program.expect("LISTEN", 30.0)
    program.wait_for_port(port)
    return Server(program, port)


def _start_floor(stack: ExitStack) -> Server:
    program = _program(stack, FLOOR, [native("fanout_floor"), "0"])
    return Server(program, int(program.expect("LISTEN").split()[1]))


def _start_node(stack: ExitStack) -> Server:
    node, modules = peers.node_with("ws")
    port = free_port()
    command: list[str | Path] = [node, _SERVERS / "node_ws.js", "--port", str(port)]
    program = _program(stack, "node", command, NODE_PATH=str(modules))
    program.expect("LISTEN")
    return Server(program, port)


def _start_socketify(stack: ExitStack) -> Server:
    return _python("socketify_publish", peers.peer_python("socketify"))(stack)


def _start_nchan(stack: ExitStack) -> Server:
    nginx, module = peers.nginx_with_nchan()
    port = free_port()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    configuration = (_SERVERS / "nchan.conf").read_text()
    for name, value in (("MODULE", module), ("FOLDER", folder), ("PORT", port)):
        configuration = configuration.replace(f"@{name}@", str(value))
    (folder / "nginx.conf").write_text(configuration)
    command: list[str | Path] = [nginx, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"]
    program = _program(stack, "nginx", command)
    program.wait_for_port(port)
    post: list[str | Path] = [sys.executable, _SERVERS / "nchan_post.py", "--port", str(port)]
    return Server(program, port, _program(stack, "publisher", post))


CONTESTANTS = (
    Contestant(FLOOR, _start_floor, joins=True),
    Contestant(
        APP, start_driven_app, options=("--hello", HELLO, "--await", '{"type":"snapshot"'), joins=True
    ),
    Contestant("uvloop, transport.write", _python("uvloop_write"), joins=True),
    Contestant("socketify (uWebSockets), publish", _start_socketify, joins=True),
    Contestant("nginx with nchan, POST", _start_nchan),
    Contestant("node ws, send", _start_node),
    Contestant("websockets.broadcast", _python("websockets_broadcast")),
    Contestant("FastAPI, await send_text", _python("send_text"), cost_us=14.0),
    Contestant("NiceGUI's default server, send_text", _python("nicegui_default"), cost_us=18.0),
    Contestant(
        "python-socketio, emit to a room",
        _python("socketio_room"),
        path="/socket.io/?EIO=4&transport=websocket",
        options=("--then", "40", "--await", "40", "--match", '42["trade"'),
        cost_us=30.0,
    ),
)
