"""An exchange for tests of programs that trade: it runs in the test's own process, and has faults on request.

`docs/simulator.md` has an example.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from livemarkets.simulator.faults.catalogue import Faults
from livemarkets.simulator.faults.commands import call_command, describe_commands
from livemarkets.simulator.market.simulated_market import SimulatedMarket
from livemarkets.simulator.market.source import SimulatorError, Source
from livemarkets.simulator.protocol.limits import ExchangeLimits
from livemarkets.simulator.server.certificate import Certificate
from livemarkets.simulator.server.simulator import Simulator

__all__ = ["SimulatedExchange", "simulated_exchange"]

_HOST = "127.0.0.1"
_LOOK_SECONDS = 0.01


class SimulatedExchange:
    """A running exchange. :func:`simulated_exchange` starts it.

    Args:
        simulator: the exchange itself.
        authority: the certificate that clients have to trust; `None` without TLS.

    """

    def __init__(self, simulator: Simulator, authority: Path | None) -> None:
        self._simulator = simulator
        self.port = simulator.port
        """The port of both addresses."""
        self.ws_url = simulator.ws_url
        """Base address of the streams, such as `ws://127.0.0.1:41234`; `/ws` and `/stream` are below it."""
        self.rest_url = simulator.rest_url
        """Base address of REST, such as `http://127.0.0.1:41234`; `/api/v3` is below it."""
        self.authority = authority
        """The certificate that clients have to trust, a PEM file; `None` without TLS."""

    async def fault(self, name: str, /, **arguments: Any) -> None:
        """Inject a fault. It is in effect when this returns.

        Args:
            name: one of :attr:`faults`.
            arguments: those of the fault, such as `seconds=5`.

        Raises:
            SimulatorError: there is no such fault, or an argument is unknown, missing or out of bounds. The
                text says which, and what there is instead.

        """
        call_command(self._simulator.faults, name, arguments)

    @property
    def faults(self) -> dict[str, str]:
        """Every fault: its name → its arguments and what it does."""
        return describe_commands(Faults)

    @property
    def subscriptions(self) -> set[str]:
        """The streams that somebody has subscribed, such as `btcusdt@trade`."""
        return self._simulator.subscriptions()

    async def subscribed(self, stream: str, *, timeout_seconds: float = 5.0) -> None:
        """Wait until somebody has subscribed a stream. Many faults concern the present connections only.

        Raises:
            SimulatorError: nobody has in that time. The text names the streams that are subscribed.

        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while stream not in self.subscriptions:  # noqa: ASYNC110 - no event tells of subscriptions
                    await asyncio.sleep(_LOOK_SECONDS)
        if stream not in self.subscriptions:
            there_are = ", ".join(sorted(self.subscriptions)) or "none"
            raise SimulatorError(
                f"nobody subscribed {stream} in {timeout_seconds:g} s; subscribed streams: {there_are}"
            )

    def stats(self) -> dict[str, Any]:
        """Return the counters since the start, such as `connects` and `trades_sent`."""
        return self._simulator.stats()


@contextlib.asynccontextmanager
async def simulated_exchange(
    market: Source | None = None,
    *,
    limits: ExchangeLimits | None = None,
    tls: Path | None = None,
    port: int = 0,
) -> AsyncIterator[SimulatedExchange]:
    """Run an exchange on the loopback interface, in this process and on this event loop.

    At the end, also after an error, its connections are closed and nothing of it is left.

    Args:
        market: what it trades, such as `SimulatedMarket(symbols=["BTCUSDT"], trades_per_second=50)` or
            `Replay("trades.jsonl.gz", speed=10)`; `None` for a simulated market of 473 symbols.
        limits: its rules; `None` for Binance's.
        tls: a folder for its certificate, for `wss://` and `https://`; `None` for `ws://` and `http://`.
        port: the port to listen on; 0 for a free one.

    Raises:
        SimulatorError: the port is taken, or there can be no certificate in the folder.

    """
    certificate = None if tls is None else Certificate(tls, _HOST)
    simulator = Simulator(
        SimulatedMarket() if market is None else market,
        limits=limits,
        tls=None if certificate is None else certificate.context,
    )
    await simulator.start(_HOST, port)
    try:
        yield SimulatedExchange(simulator, None if certificate is None else certificate.authority)
    finally:
        await simulator.aclose()
