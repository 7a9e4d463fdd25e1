"""The faults of the embedded exchange that a person may cause from a page: few, and not often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from livemarkets.embedded.exchange import EmbeddedExchange
from livemarkets.network.tcp import open_tcp
from livemarkets.rate_limit import TokenBucket

__all__ = ["OFFERS", "FaultControl", "FaultOffer", "FaultRefused"]

_SECONDS = 3.0
_STREAM = "btcusdt@trade"


class FaultRefused(Exception):
    """The fault was not caused. The text says why, for a person."""


class FaultOffer(msgspec.Struct, frozen=True, kw_only=True):
    """One button."""

    name: str
    label: str
    hint: str
    commands: Sequence[Mapping[str, Any]]
    """What the control API of the exchange is told, in order."""


OFFERS = (
    FaultOffer(
        name="half_open",
        label="Half-open connection",
        hint="The connection stays open, but nothing comes any more, as when a cable is cut.",
        commands=({"fault": "half_open"},),
    ),
    FaultOffer(
        name="cut",
        label="Cut for 3 s",
        hint="The connection is dropped, and new ones are refused for 3 seconds.",
        commands=({"fault": "refuse", "seconds": 3}, {"fault": "drop"}),
    ),
    FaultOffer(
        name="lose",
        label="Lose 10 trades",
        hint="Ten trades of BTCUSDT do not arrive. They are fetched.",
        commands=({"fault": "lose", "stream": _STREAM, "count": 10},),
    ),
    FaultOffer(
        name="no_answers",
        label="Lose trades, answer nothing",
        hint="Ten trades of BTCUSDT do not arrive, and cannot be fetched for 8 seconds.",
        commands=({"fault": "rest_down", "seconds": 8}, {"fault": "lose", "stream": _STREAM, "count": 10}),
    ),
    FaultOffer(
        name="mute",
        label="Mute one stream",
        hint="The stream of BTCUSDT falls silent, and the others go on.",
        commands=({"fault": "mute", "stream": _STREAM},),
    ),
    FaultOffer(
        name="skew",
        label="Set its clock 5 s ahead",
        hint="The exchange's clock is wrong until it is repaired.",
        commands=({"fault": "skew", "ms": 5000},),
    ),
    FaultOffer(
        name="clear",
        label="Repair",
        hint="Every fault ends.",
        commands=({"fault": "clear"},),
    ),
)


class FaultControl:
    """Causes the faults of :data:`OFFERS` at the embedded exchange, one in two seconds for all who ask.

    Args:
        exchange: the embedded exchange. No other exchange can be told to fail.
        clock: monotonic seconds.

    """

    def __init__(self, exchange: EmbeddedExchange, clock: Callable[[], float]) -> None:
        self.offers = {offer.name: offer for offer in OFFERS}
        self._exchange = exchange
        self._bucket = TokenBucket(rate_per_second=0.5, burst=1, clock=clock)

    async def inject(self, name: str) -> None:
        """Cause a fault.

        Raises:
            FaultRefused: there is no such offer, it is too soon, or the exchange does not run or answer.

        """
        offer = self.offers.get(name)
        if offer is None:
            raise FaultRefused("there is no such fault")
        addresses = self._exchange.addresses
        if addresses is None:
            raise FaultRefused("the simulator does not run: watch it first")
        if not self._bucket.take():
            raise FaultRefused("one fault every two seconds: wait a moment")
        try:
            async with asyncio.timeout(_SECONDS):
                await self._tell(addresses.ws_url, offer.commands)
        except (OSError, WebSocketException, msgspec.MsgspecError, UnicodeDecodeError):
            raise FaultRefused("the simulator does not answer") from None

    async def _tell(self, url: str, commands: Sequence[Mapping[str, Any]]) -> None:
        parts = urlsplit(url)
        connected = await open_tcp(parts.hostname or "", parts.port or 80, None)
        try:
            connecting = connect(
                f"{url}/simulator/control",
                additional_headers={"Authorization": f"Bearer {self._exchange.secret}"},
                sock=connected,
                proxy=None,
                close_timeout=0.5,
            )
            async with connecting as socket:
                for command in commands:
                    await _tell_one(socket, command)
        finally:
            connected.close()


async def _tell_one(socket: ClientConnection, command: Mapping[str, Any]) -> None:
    await socket.send(msgspec.json.encode(command).decode())
    reply = msgspec.json.decode(await socket.recv(), type=dict[str, Any])
    if not reply.get("ok"):
        raise FaultRefused(f"the simulator refuses it: {reply.get('error')}")
