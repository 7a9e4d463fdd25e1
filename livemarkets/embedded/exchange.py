"""Keeps the embedded exchange running in a process of its own, from its first use on.

The process is `python -m livemarkets.simulator --embedded`. On standard output it tells its addresses, and
then shows a sign of life every second. `livemarkets/simulator/server/parent.py` is the other end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
from loguru import logger

import livemarkets
from livemarkets.embedded.child import Child, running_child
from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.budgets import backoff
from livemarkets.feed.supervision import supervise

__all__ = ["Addresses", "EmbeddedExchange", "EmbeddedTimings", "simulator_command"]

_ROOT = Path(livemarkets.__file__).resolve().parents[1]
_LEVELS = frozenset({"DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL"})
_TICKS = 5
"""Missing signs of life are counted in parts of the whole time. A single late timer of this process, such as
after it was stopped itself, is then no proof against the other process."""


class Addresses(msgspec.Struct, frozen=True):
    """The base addresses of the running exchange."""

    ws_url: str
    rest_url: str


class EmbeddedTimings(msgspec.Struct, frozen=True, kw_only=True):
    """Time limits of the process."""

    silence_seconds: float = 15.0
    """A process without a sign of life for this long is replaced."""
    steady_seconds: float = 60.0
    """After a process has run for this long, the backoff starts again."""
    backoff_initial_seconds: float = 0.5
    backoff_cap_seconds: float = 30.0


class EmbeddedExchange:
    """The process of the embedded exchange. It starts at the first :meth:`ready`, and again when it ends.

    Args:
        use: called with the addresses whenever a process listens.
        timings: time limits (:class:`EmbeddedTimings`).
        command: what to start; `None` for the simulator, with this interpreter and its flags.

    """

    def __init__(
        self,
        use: Callable[[Addresses], None],
        *,
        timings: EmbeddedTimings | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        self.secret = secrets.token_urlsafe(32)
        """What the exchange's fault control asks for."""
        self.starts = 0
        """How many processes were started."""
        self.addresses: Addresses | None = None
        """`None` while no process listens."""
        self.pid: int | None = None
        self._use = use
        self._timings = timings or EmbeddedTimings()
        self._command = command
        self._reason = ""
        self._level = "WARNING"
        self._early_lines: deque[str] = deque(maxlen=50)
        self._is_heard = False
        self._attempt_ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        """Start the exchange if nobody did, and wait until it listens.

        Raises:
            ExchangeUnreachable: the present attempt to start it has failed. The next one follows by itself.

        """
        if self._task is None:
            self._task = asyncio.create_task(
                supervise("the embedded exchange", self._run), name="embedded exchange"
            )
        if self.addresses is None:
            await self._attempt_ended.wait()
        if self.addresses is None:
            raise ExchangeUnreachable(self._reason)

    async def wait(self, report: Callable[[str], None]) -> None:
        """Like :meth:`ready`, but wait through any number of failed starts, and report the reason of each."""
        while True:
            try:
                return await self.ready()
            except ExchangeUnreachable as error:
                report(f"the embedded exchange {error.reason}")

    async def aclose(self) -> None:
        """End the process and the task. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        delays = self._new_delays()
        while True:
            began = loop.time()
            self._reason = await self._run_once()
            if loop.time() - began > self._timings.steady_seconds:
                delays = self._new_delays()
            delay = next(delays)
            logger.warning(
                "simulator: the embedded exchange {}; starting it again in {:.1f} s", self._reason, delay
            )
            self._wake_waiting()
            await asyncio.sleep(delay)

    async def _run_once(self) -> str:
        """Run one process until it ends, or shows no sign of life. Return why it is over."""
        self._early_lines.clear()
        self.starts += 1
        try:
            async with running_child(
                self._command or simulator_command(),
                directory=_ROOT,
                environment=self._environment(),
                receive_line=self._handle_line,
                receive_log=self._handle_log,
            ) as child:
                self.pid = child.pid
                ending = await self._until_over(child)
        except (OSError, ValueError) as error:
            return f"cannot be started: {error}"
        finally:
            was_listening, self.addresses, self.pid = self.addresses is not None, None, None
        said = next((line for line in reversed(self._early_lines) if line.strip()), "")
        return ending if was_listening or not said else f"{ending} at its start: {said}"

    async def _until_over(self, child: Child) -> str:
        missing = 0
        while missing < _TICKS:
            self._is_heard = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timings.silence_seconds / _TICKS):
                    return f"ended with exit code {await child.exit_code()}"
            missing = 0 if self._is_heard else missing + 1
        return f"showed no sign of life for {self._timings.silence_seconds:g} s"

    def _handle_line(self, line: str) -> None:
        if self.addresses is not None:
            self._is_heard = True
            return
        try:
            self.addresses = msgspec.json.decode(line, type=Addresses)
        except msgspec.MsgspecError:
            return  # and no sign of life
        logger.info(
            "simulator: the embedded exchange is listening on {} (process {})",
            self.addresses.ws_url,
            self.pid,
        )
        while self._early_lines:
            self._pass_on(self._early_lines.popleft())
        self._use(self.addresses)
        self._wake_waiting()

    def _handle_log(self, line: str) -> None:
        if self.addresses is None:  # one line will say why it did not start
            self._early_lines.append(line)
        else:
            self._pass_on(line)

    def _pass_on(self, line: str) -> None:
        level, _, text = line.partition(" ")
        if level in _LEVELS:
            self._level = level
        else:
            text = line  # the interpreter's own words
        logger.log(self._level, "simulator: {}", text.removeprefix("simulator: "))

    def _wake_waiting(self) -> None:
        self._attempt_ended.set()
        self._attempt_ended.clear()

    def _new_delays(self) -> Iterator[float]:
        return backoff(
            initial_seconds=self._timings.backoff_initial_seconds,
            cap_seconds=self._timings.backoff_cap_seconds,
        )

    def _environment(self) -> dict[str, str]:
        # The settings of the app, its access token among them, are none of the exchange's business.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIVE_")}
        return inherited | {"SIMULATOR_CONTROL_SECRET": self.secret}


def simulator_command() -> list[str]:
    """Return the command that starts the simulator on a free port, with this interpreter and its flags.

    Raises:
        OSError: the path of the interpreter is not known.

    """
    if not sys.executable:
        raise OSError("this program does not know its Python interpreter")
    # What `multiprocessing` uses for the same purpose; there is no public function.
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [sys.executable, *flags, "-m", "livemarkets.simulator", "--embedded", "--port", "0"]
