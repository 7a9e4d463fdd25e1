"""The ports between an exchange and its feed: what a new exchange has to implement.

An exchange is a package beside this module. It implements :class:`ExchangeClient`, :class:`TradeHistory` and
:class:`SymbolSource`, bundled as :class:`ExchangePorts`. Its client passes what it reads to an
:class:`ExchangeEvents`. The composition root (`livemarkets/app.py`) gives the ports to a feed, which keeps
order, finds holes and fills them.

Rules for every port:

* Symbols have our spelling: letters and digits of any script, a to z in upper case, such as `BTCUSDT`. If the
  exchange writes `BTC-USDT`, the package converts it, for trades, history and the list of symbols.
* A tick's price and size are finite and above 0, with the exchange's digits. Its side is the taker's. Its
  times are ms since the epoch. Its `id` is above 0. A trade that does not fit these rules is never passed on.
  If it has an id, the client reports the id (:meth:`ExchangeEvents.on_invalid`), and the history lists it
  (:attr:`FetchedTrades.invalid_ids`).
* Everything is called in one event loop. A method that is not `async` returns at once.
* Monotonic times and `recv_ts` come from the :class:`~livemarkets.market.clock.Clock` of the composition
  root.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from enum import Enum
from typing import Literal, Protocol

import msgspec

from livemarkets.exchanges.history import (
    FIRST_VALUES_AT_ONCE,
    PAGE_CANDLES,
    PAGE_TRADES,
    CandleHistory,
    FetchedTrades,
    FirstValues,
    HistoryStatistics,
    ListedSymbols,
    NoCandles,
    Purpose,
    RateLimitStatistics,
    SymbolSource,
    TradeHistory,
)
from livemarkets.exchanges.latency import LatencyMeter
from livemarkets.exchanges.statistics import AddressStatistics, ConnectionStatistics, LegStatistics
from livemarkets.market.channels import TRADES
from livemarkets.market.models import ExchangeState, StreamKey, TradeTick
from livemarkets.market.updates import StreamUpdate

__all__ = [
    "FIRST_VALUES_AT_ONCE",
    "PAGE_CANDLES",
    "PAGE_TRADES",
    "CandleHistory",
    "ClientStatistics",
    "ClientStatus",
    "Evidence",
    "ExchangeClient",
    "ExchangeEvents",
    "ExchangePorts",
    "FetchedTrades",
    "FirstValues",
    "Guarantee",
    "HistoryStatistics",
    "ListedSymbols",
    "Purpose",
    "RateLimitStatistics",
    "Silence",
    "StreamState",
    "SymbolSource",
    "TradeHistory",
]


class Guarantee(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange promises about its trades. It decides which losses and repeats can be detected.

    A feed requires consecutive ids and a history by id, and refuses an exchange that promises less.
    """

    ids: Literal["consecutive", "ascending", "none"]
    """`consecutive`: each id is the one before plus 1, so holes and repeats can be found. `ascending`: only
    repeats can be found. `none`: neither can."""
    history: Literal["by_id", "none"]
    """How past trades can be requested."""

    def require(self, exchange: str) -> None:
        """Check that it is enough for a feed.

        Raises:
            ValueError: it promises too little.

        """
        if (self.ids, self.history) != ("consecutive", "by_id"):
            raise ValueError(f"{exchange}: consecutive ids and a history by id are required, not {self}")


class ClientStatus(msgspec.Struct, frozen=True):
    """The state of the exchange as its client sees it."""

    state: ExchangeState
    """Any state but `STALE`, which only the feed can detect. `IDLE`: nothing is wanted. `LIVE`: every wanted
    stream is acknowledged or refused. `DOWN`: the exchange cannot be reached. `CONNECTING`: otherwise."""
    reason: str | None = None
    """For people; see :class:`~livemarkets.market.models.ExchangeStatus`."""
    retry_at: float | None = None
    """On the monotonic clock; `None` when no attempt is waiting."""


class StreamState(Enum):
    """The state of one wanted stream at the exchange."""

    PENDING = "pending"
    """Not confirmed yet."""
    ACKNOWLEDGED = "acknowledged"
    """The exchange confirmed it on the connection in use."""
    REJECTED = "rejected"
    """The exchange refused it. The client requests it again later."""


class Evidence(Enum):
    """Why a stream is suspected of being mute."""

    BEHIND = "behind"
    """The exchange has newer trades than the stream has brought."""
    SILENT = "silent"
    """It is silent for longer than usual, and the history did not answer the question for newer trades."""


class Silence(Enum):
    """What the silence of a stream means at this moment."""

    NONE = "none"
    """A trade came a short while ago."""
    UNUSUAL = "unusual"
    """It is silent for longer than usual."""
    NATURAL = "natural"
    """It trades so rarely that its silence says nothing about the connection."""
    NOT_TRADED = "not traded"
    """The exchange does not trade its symbol at present, so that nobody need wait for data."""


class ClientStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of a client since the start, and its open connections."""

    connections: int
    """Connections that are open or opening."""
    connects: int
    """Connection attempts."""
    rotations: int
    """Connections that were replaced before they ended."""
    complaints: Mapping[str, int]
    """How many malformed messages and refusals came from the exchange, by kind."""
    each: Sequence[ConnectionStatistics] = ()
    """The connections one by one."""
    addresses: Sequence[AddressStatistics] = ()
    ban_seconds: float = 0.0
    """How long the exchange has forbidden connections from now on; 0 if they are allowed."""
    legs: Sequence[LegStatistics] = ()
    """The clients that it consists of; empty if it is one."""


class ExchangeEvents(Protocol):
    """Receives the events of an exchange's client; implemented by the feed.

    Called synchronously. Must not raise.
    """

    def on_trades(self, key: StreamKey, ticks: Sequence[TradeTick]) -> None:
        """Trades of one stream arrived together.

        The client orders only the trades of one call. Between calls there may be repeats, holes and any
        order: the feed corrects them.

        Args:
            key: the object that was given to :meth:`ExchangeClient.want`, or an equal one. Trades of a stream
                that is no longer wanted may be passed on or dropped.
            ticks: of this stream only, oldest first; never empty.

        """

    def on_invalid(self, key: StreamKey, trade_id: int) -> None:
        """A trade with impossible values arrived on a stream, such as a price of 0.

        Its id is declared with the cause `invalid`. Report only a trade whose id is certain: a frame that
        cannot be read is left out, and the history is asked for what is missing.
        """

    def on_update(self, key: StreamKey, update: StreamUpdate) -> None:
        """An update of a stream other than one of trades arrived. It may be a repeat or out of order.

        Args:
            key: the object that was given to :meth:`ExchangeClient.want`, or an equal one. Updates of a
                stream that is no longer wanted may be passed on or dropped.
            update: of the type of the key's channel. Prices and sizes are finite and above 0.

        """

    def on_newest(self, key: StreamKey, trade_id: int) -> None:
        """Something showed the id of a stream's newest trade, such as a message of the bus.

        It may come before the trade: the feed waits a moment, then it fetches what is missing. It costs
        nothing while nothing is missing. An id that is too far ahead of all others is ignored. The ids in
        tickers and candles need no call: the feed reads them from the updates.
        """

    def on_status(self, status: ClientStatus) -> None:
        """The client's status changed. :attr:`ExchangeClient.status` has this value already."""

    def silence_of(self, key: StreamKey) -> Silence:
        """Return what the silence of a wanted stream means now."""


class ExchangeClient(Protocol):
    """Keeps the wanted streams of one exchange subscribed, and reconnects after failures.

    It is created before there is an event loop, and starts nothing at that time. Every method may be called
    at any time, also while :meth:`run` is not running.
    """

    @property
    def guarantee(self) -> Guarantee:
        """What the exchange promises about its trades."""

    @property
    def status(self) -> ClientStatus:
        """The present state of the exchange; `IDLE` at first."""

    def want(self, key: StreamKey) -> None:
        """Keep this stream subscribed from now on. Idempotent.

        Only channels of :attr:`ExchangePorts.channels` are requested. The symbol of the one stream of all
        tickers is :data:`~livemarkets.market.channels.ALL_SYMBOLS`.

        The list of symbols may not be loaded yet, so the exchange may not have this symbol. If the exchange
        refuses the stream, its state is `REJECTED`.
        """

    def unwant(self, key: StreamKey) -> None:
        """Unsubscribe the stream. After the last one, close the connection. Idempotent."""

    def suspect(self, key: StreamKey, evidence: Evidence) -> None:
        """Note that a stream may be mute. The client decides what to do.

        The feed fetches the missing trades. It calls this again while the stream stays mute.
        """

    def state_of(self, key: StreamKey) -> StreamState:
        """Return the state of a wanted stream at the exchange.

        The feed monitors only acknowledged streams for silence. When a stream becomes acknowledged again, the
        feed measures its silence from that moment.
        """

    def acknowledged_at(self, key: StreamKey) -> float | None:
        """Return when the exchange confirmed the present subscription of a stream, monotonic seconds.

        `None` if the stream is not acknowledged. Another time than before says that another subscription has
        begun, and that something between the two may be missing. Nobody may have seen it while there was
        none.
        """

    def rejection(self, key: StreamKey) -> str | None:
        """Return the exchange's error text if it refused the stream, else `None`."""

    def statistics(self) -> ClientStatistics:
        """Return the counters since the start."""

    async def run(self) -> None:
        """Run until cancelled; then close every connection, within 2 seconds.

        It is first called when a stream or the list of symbols is needed, and may be called again after it
        ended. Failures of connections do not end it. An exception from it is a defect: it is logged, and all
        tasks of this exchange start again.
        """


class ExchangePorts(msgspec.Struct, frozen=True):
    """The ports of one exchange, for one feed."""

    connect: Callable[[ExchangeEvents], ExchangeClient]
    """Makes the client, which passes what it reads to the given events. Called once."""
    history: TradeHistory
    symbols: SymbolSource
    """May be the same object as `history`."""
    prepare: Callable[[], Awaitable[None]] | None = None
    """Awaited before anything is sent to the exchange. It waits until the embedded exchange listens."""
    channels: Set[str] = frozenset({TRADES})
    """What can be subscribed; trades are always among it."""
    first_values: FirstValues | None = None
    """May be the same object as `history`. `None` if there are none: then only the streams show something."""
    candles: CandleHistory = NoCandles()
    """Needed for the channel of candles. It may be the same object as `history`."""
    latency: LatencyMeter | None = None
    """What measures how old trades are; `None` if nothing does."""
    can_ask: Callable[[], bool] = lambda: True
    """Returns whether there is anybody to ask about the past. While there is not, nobody loses patience."""
