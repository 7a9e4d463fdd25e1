"""What the pages need of the application.

`livemarkets.app.Services` satisfies it. The tests of the pages use a smaller object graph.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence, Set, Sized
from typing import Protocol

from livemarkets.embedded.faults import FaultOffer
from livemarkets.market.candles import Candle
from livemarkets.market.latest_updates import LatestUpdates
from livemarkets.market.models import ExchangeStatus, StreamKey, StreamQuality
from livemarkets.market.stores import LatestPriceStore, RecentTrades
from livemarkets.market.symbols import SymbolDirectory
from livemarkets.server.turns import Turns
from livemarkets.status.report import StatusReport

__all__ = [
    "CandleView",
    "Candles",
    "FaultButtons",
    "Inspection",
    "PageServices",
    "PageSettings",
    "Subscriptions",
]


class PageSettings(Protocol):
    """The settings that pages depend on; see `livemarkets.config.settings`."""

    @property
    def stream_enabled(self) -> bool:
        """The feature flag."""

    @property
    def simulator_enabled(self) -> bool:
        """Whether the simulator may replace an exchange that cannot be reached."""

    @property
    def role(self) -> str:
        """`all`, `ingest` or `edge`."""

    @property
    def default_symbols(self) -> tuple[str, ...]:
        """What the Live page shows when its address names no symbols."""

    @property
    def max_symbols_per_client(self) -> int:
        """How many symbols one page may show."""

    @property
    def access_token(self) -> Sized:
        """Empty when no token is required."""


class Subscriptions(Protocol):
    """The part of `SubscriptionManager` that a page uses. A subscriber is the `PageSubscriber` of a page."""

    def subscribe_all(self, subscriber: Hashable, keys: Iterable[StreamKey]) -> None:
        """Replace the subscriptions of `subscriber` by `keys`."""

    def release(self, subscriber: Hashable) -> list[StreamKey]:
        """End all subscriptions of `subscriber`. Idempotent."""


class CandleView(Protocol):
    """What is known of one stream of candles."""

    @property
    def closed(self) -> Sequence[Candle]:
        """The newest closed candles, oldest first, with none missing between them."""

    @property
    def running(self) -> Candle | None:
        """The newest version of the candle after these; `None` before it came."""


class Candles(Protocol):
    """The part of `CandleFeed` that a page uses: it reads wanted streams, and has their past fetched."""

    def line(self, key: StreamKey) -> CandleView | None:
        """Return the candles of a wanted stream, for reading only."""

    async def ensure(self, key: StreamKey, count: int, asker: str | None) -> None:
        """Have so many closed candles of a wanted stream in memory, as for a reader of `/ws/markets`.

        Args:
            key: the stream. It must be wanted already.
            count: how many.
            asker: the address of the person. Its share of the exchange's rate limit is bounded.
        """


class Inspection(Protocol):
    """The part of `StatusCollector` that a page uses."""

    async def report(self) -> StatusReport:
        """Return the state of the whole server, at most a second old."""


class FaultButtons(Protocol):
    """The part of `FaultControl` that a page uses."""

    @property
    def offers(self) -> Mapping[str, FaultOffer]:
        """The faults that a person may cause, by name."""

    async def inject(self, name: str) -> None:
        """Cause a fault of the simulator, or raise `FaultRefused` with the reason."""


class PageServices(Protocol):
    """The application as the pages see it. They read stores and subscribe, nothing else."""

    @property
    def settings(self) -> PageSettings:
        """The settings."""

    @property
    def manager(self) -> Subscriptions:
        """The subscriptions."""

    @property
    def latest(self) -> LatestPriceStore:
        """The last tick of every stream."""

    @property
    def trades(self) -> RecentTrades:
        """The recent ticks of every stream."""

    @property
    def updates(self) -> LatestUpdates:
        """The newest update of every stream in which the newest wins."""

    @property
    def inspection(self) -> Inspection:
        """What the status page shows."""

    @property
    def faults(self) -> FaultButtons | None:
        """The faults of the simulator; `None` where it is not offered."""

    @property
    def page_turns(self) -> Turns:
        """What spreads the work of all pages over the turns of the event loop."""

    def exchanges(self) -> tuple[str, ...]:
        """Return the names of the exchanges on offer."""

    def status(self, exchange: str) -> ExchangeStatus:
        """Return the state of `exchange`, why, and since when."""

    def symbols(self, exchange: str) -> SymbolDirectory:
        """Return what `exchange` lists; empty until it is known."""

    def quality(self, key: StreamKey) -> StreamQuality | None:
        """Return the state of a stream and why; `None` if nobody is subscribed to it."""

    def quality_version(self, exchange: str) -> int:
        """Return a number that rises when the state of any stream of `exchange` changes."""

    def channels(self, exchange: str) -> Set[str]:
        """Return which kinds of data `exchange` has."""

    def candles(self, exchange: str) -> Candles:
        """Return the candles of `exchange` that are wanted."""

    def seek_symbols(self, exchange: str, symbols: Sequence[str], *, ask: bool) -> None:
        """Load the list of symbols again soon, because somebody wants symbols that it lacks.

        Args:
            exchange: the exchange.
            symbols: what is wanted.
            ask: whether these are whole names, for which the exchange may be asked one by one.
        """

    async def ensure_symbols(self, exchange: str) -> None:
        """Load the symbols of `exchange` unless they are loaded. A failure shows in the exchange's status."""

    def now_ms(self) -> int:
        """Return the current time, ms since the epoch."""

    def elapsed_ms(self) -> int:
        """Return the milliseconds since some moment. Durations are measured with it: the time may be set."""
