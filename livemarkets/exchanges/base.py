"""The ports between an exchange and what reads it: what a new exchange has to implement.

An exchange is a package beside this module. It offers an :class:`ExchangeClient`, a :class:`TradeHistory`
and a :class:`SymbolSource`, together as :class:`ExchangePorts`, and tells an :class:`ExchangeEvents` what it
reads. The composition root gives them to a feed, which keeps order, finds holes and fills them.

What every port keeps to:

* Symbols have our spelling, letters and digits of any script, a to z in upper case: `BTCUSDT`. Where the
  exchange writes `BTC-USDT`, the package alone knows that, for trades, history and list alike.
* A tick's price and size are finite and above 0, with the exchange's digits; its side is the taker's; its
  times are ms. Its `id` is above 0. What cannot be made so is left out.
* All is called in the one event loop. What is not `async` returns at once.
* Times on the monotonic clock, and `recv_ts`, come from the :class:`~livemarkets.market.clock.Clock` that the
  composition root has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
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
    "ExchangePorts",
    "FetchedTrades",
    "Guarantee",
    "HistoryStatistics",
    "Silence",
    "StreamState",
    "SymbolSource",
    "TradeHistory",
]

PAGE_TRADES = 1000
"""Trades in one page of history. Fewer say that the newest is among them: an exchange that answers with
fewer at a time is asked several times for one page."""


class Guarantee(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange promises about its trades. It decides how far their continuity can be kept.

    A feed asks for consecutive ids with a history by id, and refuses less.
    """

    ids: Literal["consecutive", "ascending", "none"]
    """`consecutive`: each id is the one before plus 1, so a hole shows. `ascending`: a repeat shows, a hole
    does not. `none`: neither does."""
    history: Literal["by_id", "none"]
    """How trades of the past can be asked for."""


class ClientStatus(msgspec.Struct, frozen=True):
    """How the exchange is, seen from its connections."""

    state: ExchangeState
    """All but `STALE`, which the feed alone can tell. `IDLE` while nothing is wanted, `LIVE` when everything
    that is wanted is acknowledged, refused streams left aside; `DOWN` when an attempt failed."""
    reason: str | None = None
    """For people; see :class:`~livemarkets.market.models.ExchangeStatus`."""
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
    """What an exchange's client tells: the feed listens. Called synchronously; does not raise."""

    def on_trades(self, key: StreamKey, ticks: Sequence[TradeTick]) -> None:
        """Trades of one stream arrived together.

        The client puts into order what came together, and no more. It need not know which trades it has told
        before: from one call to the next there may be repeats, holes and any order.

        Args:
            key: the very object that was given to :meth:`ExchangeClient.want`, or one equal to it. What
                comes for a stream that is not wanted any more may be told or dropped.
            ticks: of this stream alone, oldest first; never empty.

        """

    def on_status(self, status: ClientStatus) -> None:
        """The client's status changed to this one, which :attr:`ExchangeClient.status` is already."""

    def silence_of(self, key: StreamKey) -> Silence:
        """Return what the silence of a wanted stream means now."""


class ExchangeClient(Protocol):
    """Keeps the wanted streams of one exchange coming, through everything that happens to connections.

    It is made before there is an event loop, and starts nothing then. Everything may be called at any time,
    also while :meth:`run` is not running.
    """

    @property
    def guarantee(self) -> Guarantee:
        """What the exchange promises about its trades."""

    @property
    def status(self) -> ClientStatus:
        """How the exchange is; `IDLE` at first."""

    def want(self, key: StreamKey) -> None:
        """Keep this stream coming from now on. Idempotent.

        The list of symbols may not be known yet, so the exchange may turn out not to have it: then it is
        `REJECTED`.
        """

    def unwant(self, key: StreamKey) -> None:
        """Let the stream go, and the connection with the last one. Idempotent."""

    def suspect(self, key: StreamKey, evidence: Evidence) -> None:
        """Hear that a stream may be mute. What follows from it is the client's business.

        The missing trades are fetched by others. It is told again while the stream stays mute.
        """

    def state_of(self, key: StreamKey) -> StreamState:
        """Return where a wanted stream stands with the exchange.

        Only an acknowledged stream is watched for silence. One that comes to be acknowledged again counts as
        interrupted.
        """

    def rejection(self, key: StreamKey) -> str | None:
        """Return the exchange's words when it refused the stream, else `None`."""

    def statistics(self) -> ClientStatistics:
        """Return what was done since the start."""

    async def run(self) -> None:
        """Run until cancelled; then close every connection, within 2 seconds.

        It begins when somebody wants something, and may be run again after it ended. What happens to a
        connection does not end it: an error out of here is a defect, is logged as one, and has everything of
        this exchange started again.
        """


class FetchedTrades(msgspec.Struct, frozen=True):
    """Trades by id, and how far the answer is proof."""

    ticks: list[TradeTick]
    """In any order; `backfilled` is set."""
    covered_to: int
    """The answer is complete from the id asked for up to here: an id in between that is not among the ticks
    is declared as one that the exchange does not have. Less than the id asked for when nothing is proven."""
    newest_id: int | None
    """The highest id in the exchange's answer, `None` when that was empty."""


class HistoryStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of an exchange's history and list of symbols since the start."""

    calls: int
    failures: int
    """Calls that no address answered well."""


class TradeHistory(Protocol):
    """Where trades of the past can be had. Every failure is an :exc:`~livemarkets.errors.ExchangeError`.

    Who calls tries again by itself, not before the `retry_after_seconds` of an
    :exc:`~livemarkets.errors.ExchangeUnreachable`. A call that hangs holds up others: it has a timeout.
    """

    async def trades_from(self, symbol: str, from_id: int) -> FetchedTrades:
        """Return the page of trades that begins with `from_id`.

        Returns:
            About :data:`PAGE_TRADES`; fewer only when the newest trade is among them. No trade at all when
            `from_id` is beyond the newest, which is no error. Where the exchange gives nothing but its newest
            trades: those, and nothing proven unless they reach back to `from_id`.

        Raises:
            RestError: with status 400: the exchange does not know such an id.
            ExchangeError: there is no answer that can be used.

        """

    async def newest_ids(self, symbols: Sequence[str]) -> dict[str, int]:
        """Return the newest trade id of each symbol that has traded; the others are left out.

        Asked whenever a stream is silent for unusually long, so it has to be cheap. An old answer would hide
        that the stream is mute.

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
        """Return everything that the exchange lists; a step that is not known is 0.

        Asked when the exchange is first wanted, then every hour, and soon again after a failure.

        Raises:
            ExchangeError: there is no answer that can be used.

        """


class ExchangePorts(msgspec.Struct, frozen=True):
    """An exchange as a feed needs it. One feed alone uses it."""

    connect: Callable[[ExchangeEvents], ExchangeClient]
    """Makes the client, which tells the events what it reads. Called once."""
    history: TradeHistory
    symbols: SymbolSource
    """May be the same object as the history."""
    prepare: Callable[[], Awaitable[None]] | None = None
    """Awaited before anything is sent to the exchange; the embedded exchange is started by it."""
