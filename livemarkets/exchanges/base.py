"""The ports between an exchange and what reads it: what a new exchange has to implement.

An exchange is a package beside this module. It offers an :class:`ExchangeClient`, a :class:`TradeHistory`
and a :class:`SymbolSource`, and tells an :class:`ExchangeEvents` what it reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Literal, Protocol

import msgspec

from livemarkets.market.models import ExchangeState, StreamKey, SymbolInfo, TradeTick

__all__ = [
    "PAGE_TRADES",
    "ClientStatistics",
    "ClientStatus",
    "Evidence",
    "ExchangeClient",
    "ExchangeEvents",
    "FetchedTrades",
    "Guarantee",
    "HistoryStatistics",
    "Silence",
    "StreamState",
    "SymbolSource",
    "TradeHistory",
]

PAGE_TRADES = 1000
"""Trades in one page of history. A shorter page ends at the newest trade."""


class Guarantee(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange promises about its trades. It decides how far their continuity can be kept."""

    ids: Literal["consecutive", "ascending", "none"]
    """`consecutive`: each id is the one before plus 1, so a hole shows. `ascending`: a repeat shows, a hole
    does not. `none`: neither does."""
    history: Literal["by_id", "none"]
    """How trades of the past can be asked for."""


class ClientStatus(msgspec.Struct, frozen=True):
    """How the exchange is, seen from its connections."""

    state: ExchangeState
    reason: str | None = None
    retry_at: float | None = None
    """On the monotonic clock; `None` when no attempt is waiting."""


class StreamState(Enum):
    """Where one wanted stream stands with the exchange."""

    PENDING = "pending"
    """Asked for, or still to be asked for."""
    ACKNOWLEDGED = "acknowledged"
    """The exchange confirmed it on the connection in use."""
    REJECTED = "rejected"
    """The exchange refused it; it is asked for again later."""


class Evidence(Enum):
    """Why a stream is suspected of being mute."""

    BEHIND = "behind"
    """The exchange has newer trades than the stream has brought."""
    SILENT = "silent"
    """It has been silent for longer than it usually is, and nobody could be asked."""


class Silence(Enum):
    """What the silence of a stream means at this moment."""

    NONE = "none"
    """It spoke a short while ago."""
    UNUSUAL = "unusual"
    """It is silent for longer than it usually is."""
    NATURAL = "natural"
    """It speaks so rarely that its silence says nothing."""


class ClientStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What a client has done since the start, and what it has open now."""

    connections: int
    """Connections that are open or opening."""
    connects: int
    """Connection attempts."""
    rotations: int
    """Connections replaced while another still delivered."""
    complaints: Mapping[str, int]
    """What the exchange sent that made no sense, and what it refused, by kind."""


class ExchangeEvents(Protocol):
    """What an exchange's client tells. Called synchronously; must not raise."""

    def on_trades(self, key: StreamKey, ticks: Sequence[TradeTick]) -> None:
        """Trades of one stream arrived together, oldest first. Repeats and any order are possible.

        Args:
            key: the very object that was given to :meth:`ExchangeClient.want`, or one equal to it.
            ticks: never empty.

        """

    def on_status(self, status: ClientStatus) -> None:
        """The client's status changed."""

    def silence_of(self, key: StreamKey) -> Silence:
        """Return what the silence of a wanted stream means now."""


class ExchangeClient(Protocol):
    """Keeps the wanted streams of one exchange coming, through everything that happens to connections."""

    @property
    def guarantee(self) -> Guarantee:
        """What the exchange promises about its trades."""

    @property
    def status(self) -> ClientStatus:
        """How the exchange is."""

    def want(self, key: StreamKey) -> None:
        """Keep this stream coming from now on. Idempotent."""

    def unwant(self, key: StreamKey) -> None:
        """Let the stream go. Idempotent."""

    def suspect(self, key: StreamKey, evidence: Evidence) -> None:
        """Hear that a stream may be mute. What follows from it is the client's business."""

    def state_of(self, key: StreamKey) -> StreamState:
        """Return where a stream stands with the exchange."""

    def rejection(self, key: StreamKey) -> str | None:
        """Return the exchange's words when it refused the stream, else `None`."""

    def statistics(self) -> ClientStatistics:
        """Return what was done since the start."""

    async def run(self) -> None:
        """Do all of it until cancelled; then close every connection."""


class FetchedTrades(msgspec.Struct, frozen=True):
    """Trades by id, and how far the answer is proof."""

    ticks: list[TradeTick]
    covered_to: int
    """The answer is complete from the id asked for up to here; less than that id when nothing is proven."""
    newest_id: int | None
    """The newest id that the exchange was seen to have."""


class HistoryStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of an exchange over REST since the start."""

    calls: int
    failures: int
    """Calls that no address answered well."""


class TradeHistory(Protocol):
    """Where trades of the past can be had. Every failure is an :exc:`~livemarkets.errors.ExchangeError`."""

    async def trades_from(self, symbol: str, from_id: int) -> FetchedTrades:
        """Return a page of trades with ids from `from_id` on, at most :data:`PAGE_TRADES`.

        Raises:
            ExchangeError: there is no answer that can be used.

        """

    async def newest_ids(self, symbols: Sequence[str]) -> dict[str, int]:
        """Return the newest trade id of each symbol that has traded.

        Raises:
            ExchangeError: there is no answer that can be used.

        """

    def statistics(self) -> HistoryStatistics:
        """Return what was asked since the start."""

    async def aclose(self) -> None:
        """Close the idle connections. Idempotent; it may be used again afterwards."""


class SymbolSource(Protocol):
    """Where the list of symbols comes from."""

    async def symbols(self) -> list[SymbolInfo]:
        """Return everything that the exchange lists.

        Raises:
            ExchangeError: there is no answer that can be used.

        """
