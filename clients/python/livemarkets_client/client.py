"""The client: it keeps a connection for its subscriptions, and says in which state it is."""

from __future__ import annotations

import asyncio
import logging
import ssl as tls
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import InvalidHandshake, InvalidStatus

from livemarkets_client.backoff import End, Timings, pause_seconds
from livemarkets_client.channels import Channels
from livemarkets_client.connection import Connection
from livemarkets_client.errors import ConnectionEnded
from livemarkets_client.messages import Welcome
from livemarkets_client.models import ExchangeStatus, Quality
from livemarkets_client.states import Code, State, Transition
from livemarkets_client.streams import Streams
from livemarkets_client.version import __version__

__all__ = ["Markets", "connect"]

_PATH = "/ws/markets"
_MOST_BYTES = 16 * 2**20
"""Of one message; the server's longest is a snapshot, of far less."""
_MOST_FRAMES = 64
"""That wait to be read, before the server is made to wait."""
_log = logging.getLogger("livemarkets_client")


class Markets(Channels):
    """A connection to `/ws/markets` that is made anew whenever it is lost. See :func:`connect`."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        exchange: str,
        ssl: tls.SSLContext | None,
        proxy: str | Literal[True] | None,
        timings: Timings,
        on_state: Callable[[Transition], None] | None,
        on_status: Callable[[ExchangeStatus], None] | None,
        on_quality: Callable[[Quality], None] | None,
        on_frame: Callable[[bytes], None] | None,
    ) -> None:
        self._streams = Streams()
        super().__init__(self._streams, exchange)
        self.url = _address(url)
        self.exchanges: dict[str, ExchangeStatus] = {}
        """The last known state of each exchange that the server offers."""
        self.welcome: Welcome | None = None
        """What the server said of itself, `None` before the first connection."""
        self.transition = Transition(State.NEW, Code.OPENED, "not opened yet")
        """The present state, and why it is that."""
        self._options: dict[str, Any] = {"proxy": proxy}
        if ssl is not None:
            self._options["ssl"] = ssl
        if token is not None:
            self._options["additional_headers"] = {"Authorization": f"Bearer {token}"}
        self._timings = timings
        self._on_state = on_state
        self._on_status = on_status
        self._on_quality = on_quality
        self._on_frame = on_frame
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        """The present state."""
        return self.transition.state

    async def connected(self) -> Welcome:
        """Wait until the server has welcomed this client.

        Raises:
            ConnectionEnded: the server refuses this client for good, or `aclose()` was called.

        """
        while self.state is not State.CONNECTED or self.welcome is None:
            if self.state is State.CLOSED:
                raise ConnectionEnded(self.transition.code, self.transition.reason)
            self._moved.clear()
            await self._moved.wait()
        return self.welcome

    async def __aenter__(self) -> Markets:
        """Begin to connect; what is subscribed meanwhile is kept."""
        if self._task is not None:
            raise RuntimeError("this client was opened before: make another one with connect()")
        self._task = asyncio.create_task(self._run(), name="livemarkets_client connection")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection. The subscriptions end when what they have received is read."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.state is not State.CLOSED:
            self._end(End(Code.CLOSED, "closed by this program"), StopAsyncIteration)

    async def _run(self) -> None:
        code, reason, attempt = int(Code.OPENED), "opened", 0
        warned = ""
        while True:
            self._move(Transition(State.CONNECTING, code, reason))
            try:
                end, had_data = await self._attempt()
            except Exception as error:
                _log.exception("the connection ends because of a defect")
                end, had_data = End(Code.DEFECT, repr(error), is_final=True), False
            if end.is_final:
                self._end(end, partial(ConnectionEnded, end.code, end.reason))
                return
            if (
                self.welcome is None and end.reason != warned
            ):  # a wrong address would otherwise be silent for ever
                warned = end.reason
                _log.warning("%s; it is tried again", warned)
            attempt = 0 if had_data and end.code != Code.UNREADABLE else attempt
            pause = pause_seconds(end, attempt, self._timings)
            attempt += 1
            self._move(Transition(State.WAITING, end.code, end.reason, pause))
            await asyncio.sleep(pause)
            code, reason = int(Code.RETRY), f"again after {pause:.1f} s"

    async def _attempt(self) -> tuple[End, bool]:
        """Connect, converse, and return why it has ended, and whether any data came."""
        try:
            socket = await open_socket(
                self.url,
                user_agent_header=f"livemarkets-client/{__version__}",
                compression=None,
                open_timeout=self._timings.open_seconds,
                close_timeout=self._timings.close_seconds,
                ping_interval=None,  # the server's heartbeats tell more, also while nothing is read
                max_size=_MOST_BYTES,
                max_queue=_MOST_FRAMES,
                **self._options,
            )
        except InvalidStatus as refused:
            answer = refused.response
            return End.of_status(answer.status_code, answer.headers.get("Retry-After")), False
        except (OSError, InvalidHandshake) as error:  # a timeout is an OSError
            return End(Code.UNREACHABLE, f"no connection: {str(error) or type(error).__name__}"), False
        connection = Connection(
            socket,
            self._streams,
            self._timings,
            on_welcome=self._take_welcome,
            on_status=self._take_status,
            on_quality=self._on_quality,
            on_frame=self._on_frame,
        )
        try:
            end = await connection.run()
            return end, connection.had_data
        finally:
            await _close(socket)

    def _take_welcome(self, welcome: Welcome) -> None:
        self.welcome = welcome
        self._move(Transition(State.CONNECTED, Code.WELCOMED, f"welcomed by {welcome.server}"))

    def _take_status(self, status: ExchangeStatus) -> None:
        self.exchanges[status.exchange] = status
        if self._on_status is not None:
            self._on_status(status)

    def _end(self, end: End, reason: Callable[[], Exception]) -> None:
        self._move(Transition(State.CLOSED, end.code, end.reason))
        self._streams.end(reason)

    def _move(self, transition: Transition) -> None:
        self.transition = transition
        self._moved.set()
        _log.info("%s: %s (%d)", transition.state.name.lower(), transition.reason, transition.code)
        if self._on_state is not None:
            self._on_state(transition)


async def _close(socket: Any) -> None:
    """Close a connection; if nobody answers, cut it."""
    try:
        await socket.close()
    finally:
        socket.transport.abort()


def _address(url: str) -> str:
    """Return the address of the route, also for that of the server alone."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"{url!r} is no address such as ws://127.0.0.1:8080/ws/markets")
    path = parts.path if parts.path not in ("", "/") else _PATH
    return urlunsplit((scheme, parts.netloc, path, parts.query, ""))


def connect(
    url: str,
    *,
    token: str | None = None,
    exchange: str = "binance",
    ssl: tls.SSLContext | None = None,
    proxy: str | Literal[True] | None = True,
    timings: Timings | None = None,
    on_state: Callable[[Transition], None] | None = None,
    on_status: Callable[[ExchangeStatus], None] | None = None,
    on_quality: Callable[[Quality], None] | None = None,
    on_frame: Callable[[bytes], None] | None = None,
) -> Markets:
    """Return a client to be used as `async with connect(url) as markets`.

    `async with` does not wait for the server: a server that is away is tried again and again. What another
    attempt cannot change (a wrong token, a wrong path) is raised where the program iterates.

    Args:
        url: `ws://127.0.0.1:8080/ws/markets`; the route's path may be left out, and `http` is `ws`.
        token: the access token, if the server asks for one.
        exchange: of the subscriptions that name none.
        ssl: what to trust, for `wss`; `None`: what Python trusts.
        proxy: its URL; `True`: that of the environment; `None`: none.
        timings: of the attempts to connect; `None`: those that the protocol asks for.
        on_state: called at each change of the connection's state.
        on_status: called at each change of an exchange's state.
        on_quality: called at each change of the state of a stream that was subscribed with `quality=True`.
        on_frame: called with each frame as it came.

    """
    return Markets(
        url,
        token=token,
        exchange=exchange,
        ssl=ssl,
        proxy=proxy,
        timings=timings or Timings(),
        on_state=on_state,
        on_status=on_status,
        on_quality=on_quality,
        on_frame=on_frame,
    )
