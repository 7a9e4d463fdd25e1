"""The quality of each wanted stream: one state, since when, and what was lost. It is decided here alone.

It is computed from the ledger (missing trades; only streams of trades have one), the monitors of silence
(mute streams), the list of symbols (halted, delisted) and the exchange's client (refused streams). A sweep
looks at the streams that are not live and at those with news. Streams that are live cost nothing, and the hot
path is not concerned. A hole that closes between two sweeps, as in a rotation, is not told.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from livemarkets.exchanges.base import StreamState
from livemarkets.feed.hour_count import HourCount
from livemarkets.feed.ledger import Ledger
from livemarkets.feed.symbol_list import SymbolList
from livemarkets.market.candles import Candle
from livemarkets.market.channels import ALL_SYMBOLS, TRADES
from livemarkets.market.clock import Clock
from livemarkets.market.models import Gap, QualityState, StreamKey, StreamQuality, TradeTick
from livemarkets.market.stores import LatestPriceStore
from livemarkets.market.updates import SymbolUpdate

__all__ = ["QualityMonitor"]

_SWEEP_SECONDS = 0.25
_AT_ONCE = 200
"""Streams that are looked at before the event loop runs."""
_MINUTE_MS = 60_000
_SWEEPS_A_MINUTE = int(60 / _SWEEP_SECONDS)
_LIST_DELAY_MS = 2000
"""A trade that came later than this after the list was loaded shows that the symbol is traded again."""


class Upstream(Protocol):
    """The exchange's client; a part of :class:`livemarkets.exchanges.base.ExchangeClient`."""

    def state_of(self, key: StreamKey) -> StreamState:
        """Return the state of a stream at the exchange."""

    def rejection(self, key: StreamKey) -> str | None:
        """Return the exchange's error text if it refused the stream, else `None`."""


class Updates(Protocol):
    """The streams other than those of trades; part of :class:`livemarkets.feed.update_feeds.UpdateFeeds`."""

    def get(self, key: StreamKey) -> SymbolUpdate | Candle | None:
        """Return the newest update of a stream about one symbol; `None` if there is none."""

    def is_recovering(self, key: StreamKey) -> bool:
        """Return whether something of a stream is being fetched."""


class _Finding(msgspec.Struct, frozen=True):
    state: QualityState
    reason: str | None = None
    is_listed: bool = True
    is_refusal: bool = False


_LIVE = _Finding(QualityState.LIVE)
_RECOVERING = _Finding(QualityState.RECOVERING, "trades are missing and being fetched")
_FETCHING = _Finding(QualityState.RECOVERING, "candles are missing and being fetched")


class _Stream:
    """One wanted stream: the state that was told last, and what was lost, fetched, repeated lately."""

    __slots__ = ("fetched", "finding", "ledger", "lost", "refuted", "repeated", "since")

    def __init__(self, ledger: Ledger | None, since: int) -> None:
        self.ledger = ledger
        self.finding = _LIVE
        self.since = since
        self.refuted: str | None = None  # the status in the list that trades contradicted
        self.lost, self.fetched, self.repeated = HourCount(), HourCount(), HourCount()

    def count(self, now_ms: int) -> None:
        """Note the counters of the ledger."""
        if self.ledger is not None:
            self.fetched.note_total(self.ledger.holes.fetched, now_ms)
            self.repeated.note_total(self.ledger.duplicates, now_ms)


class QualityMonitor:
    """The quality of the wanted streams of one exchange.

    Args:
        symbols: the exchange's list of symbols.
        upstream: the exchange's client.
        latest: the newest trades.
        updates: the newest updates.
        is_mute: returns whether a stream is known to miss something newer.
        clock: source of the time.

    """

    def __init__(
        self,
        symbols: SymbolList,
        upstream: Upstream,
        latest: LatestPriceStore,
        updates: Updates,
        is_mute: Callable[[StreamKey], bool],
        *,
        clock: Clock,
    ) -> None:
        self.version = 0
        """A number that rises whenever the state of any stream changes."""
        self._symbols = symbols
        self._upstream = upstream
        self._latest = latest
        self._updates = updates
        self._is_mute = is_mute
        self._clock = clock
        self._streams: dict[StreamKey, _Stream] = {}
        self._doubted: dict[StreamKey, None] = {}
        self._listeners: list[Callable[[StreamQuality, bool], None]] = []

    def add_listener(self, listener: Callable[[StreamQuality, bool], None]) -> None:
        """Call `listener` synchronously with the quality of each stream whose state or reason changed.

        The second argument is whether the state changed.
        """
        self._listeners.append(listener)

    # events of the feed

    def add(self, key: StreamKey, ledger: Ledger | None = None) -> None:
        """Watch a stream that is wanted from now on. Only streams of trades have a ledger."""
        stream = self._streams[key] = _Stream(ledger, self._clock.now_ms())
        stream.finding = self._judge(key, stream)
        self._doubted[key] = None

    def discard(self, key: StreamKey) -> None:
        """Forget a stream that is no longer wanted."""
        self._streams.pop(key, None)
        self._doubted.pop(key, None)

    def doubt(self, key: StreamKey) -> None:
        """Look at a stream in the next sweep, because something happened to it."""
        self._doubted[key] = None

    def doubt_all(self) -> None:
        """Look at every stream in the next sweep."""
        self._doubted.update(dict.fromkeys(self._streams))

    def note_gap(self, gap: Gap) -> None:
        """Count what a gap declares as lost."""
        stream = self._streams.get(gap.key)
        if stream is None or gap.cause != "upstream":
            return
        stream.lost.add(max(gap.to_id - gap.from_id + 1, 0), self._clock.now_ms())
        self._doubted[gap.key] = None

    # questions

    def of(self, key: StreamKey) -> StreamQuality | None:
        """Return the present quality of a stream; `None` if it is not wanted."""
        stream = self._streams.get(key)
        return None if stream is None else self._describe(key, stream)

    def delivers(self, key: StreamKey) -> bool:
        """Return whether a wanted stream has brought data, so that its symbol exists, listed or not."""
        stream = self._streams.get(key)
        return stream is not None and stream.finding.is_listed and self._newest(key) is not None

    def _newest(self, key: StreamKey) -> TradeTick | SymbolUpdate | Candle | None:
        return self._latest.get(key) if key.channel == TRADES else self._updates.get(key)

    def is_expected(self, key: StreamKey) -> bool:
        """Return whether trades of a stream are expected, so that its silence may mean something.

        They are not while the exchange does not trade the symbol, or does not list it.
        """
        stream = self._streams.get(key)
        return stream is None or (
            stream.finding.is_listed and stream.finding.state is not QualityState.HALTED
        )

    def counts(self) -> Mapping[str, int]:
        """Return how many streams are in each state."""
        found = Counter(stream.finding.state for stream in self._streams.values())
        return {state.value: found[state] for state in QualityState}

    def troubled(self) -> list[StreamQuality]:
        """Return the quality of the streams that do not deliver: of all but `live` and `recovering` ones."""
        good = (QualityState.LIVE, QualityState.RECOVERING)
        return [
            self._describe(key, stream)
            for key, stream in self._streams.items()
            if stream.finding.state not in good
        ]

    # task

    async def run(self) -> None:
        """Run until cancelled."""
        sweeps = 0
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            sweeps += 1
            if sweeps % _SWEEPS_A_MINUTE == 0:
                self.doubt_all()  # they are counted, too
            doubted, self._doubted = self._doubted, {}
            for at, key in enumerate(doubted):
                self._look_at(key)
                if at % _AT_ONCE == _AT_ONCE - 1:
                    await asyncio.sleep(0)

    def _look_at(self, key: StreamKey) -> None:
        stream = self._streams.get(key)
        if stream is None:
            return
        stream.count(self._clock.now_ms())
        finding, before = self._judge(key, stream), stream.finding
        if finding is not _LIVE:
            self._doubted[key] = None  # it is looked at until it is live again
        if finding == before:
            return
        stream.finding = finding
        is_new_state = finding.state is not before.state
        if is_new_state:
            stream.since = self._clock.now_ms()
        self.version += 1
        quality = self._describe(key, stream)
        for listener in self._listeners:
            listener(quality, is_new_state)

    def _judge(self, key: StreamKey, stream: _Stream) -> _Finding:
        """Return the first state that holds."""
        found = None if key.symbol == ALL_SYMBOLS else self._judge_symbol(key, stream)
        if found is not None:
            return found
        upstream = self._upstream.state_of(key)
        if upstream is StreamState.REJECTED:
            reason = f"{key.exchange} refused it: {self._upstream.rejection(key)}"
            return _Finding(QualityState.UNKNOWN, reason, is_refusal=True)
        if upstream is StreamState.PENDING and stream.finding.is_refusal:
            return stream.finding  # it is requested again, and nobody has said otherwise yet
        if self._is_mute(key):
            what = "newer trades, which do" if key.channel == TRADES else "something newer, which does"
            return _Finding(QualityState.STALE, f"{key.exchange} has {what} not arrive")
        if stream.ledger is not None and stream.ledger.holes:
            return _RECOVERING
        if self._updates.is_recovering(key):
            return _FETCHING
        return _LIVE

    def _judge_symbol(self, key: StreamKey, stream: _Stream) -> _Finding | None:
        """Return what the list of symbols says, if it is no good news."""
        symbols, exchange, symbol = self._symbols, key.exchange, key.symbol
        newest = self._newest(key)
        came_ts = 0 if newest is None or getattr(newest, "backfilled", False) else newest.recv_ts
        if not symbols.directory.is_loaded:
            if newest is None:
                what = "no trade" if key.channel == TRADES else "nothing"
                return _Finding(QualityState.UNKNOWN, f"no list of symbols is loaded, and {what} has come")
        elif (info := symbols.directory.get(symbol)) is None:
            absence = symbols.absence(symbol)
            existed = newest is not None or (absence is not None and absence.was_listed)
            if existed and absence is not None and absence.lists > 1 and came_ts < absence.since_ts:
                return _Finding(QualityState.DELISTED, f"{exchange} no longer lists {symbol}", False)
            if newest is None:
                return _Finding(QualityState.UNKNOWN, f"{exchange} does not list {symbol}", False)
        elif not info.is_trading:
            loaded_ts = symbols.loaded_ts or 0
            # An order book may change while nothing is traded, so only trades contradict the list.
            if key.channel == TRADES and came_ts > loaded_ts + _LIST_DELAY_MS:
                stream.refuted = info.status
                symbols.refresh_soon()
            elif key.channel != TRADES or stream.refuted != info.status or loaded_ts - came_ts > _MINUTE_MS:
                return _Finding(QualityState.HALTED, f"{exchange} lists it with the status {info.status}")
        else:
            stream.refuted = None
        return None

    def _describe(self, key: StreamKey, stream: _Stream) -> StreamQuality:
        ledger, now_ms = stream.ledger, self._clock.now_ms()
        stream.count(now_ms)
        last_id = -1 if ledger is None else ledger.newest_seen()
        return StreamQuality(
            key=key,
            state=stream.finding.state,
            reason=stream.finding.reason,
            since=stream.since,
            complete_to=None if ledger is None else ledger.complete_to,
            last_id=None if last_id < 0 else last_id,
            lost=stream.lost.in_hour(now_ms),
            lost_ts=stream.lost.newest_ts,
            fetched=stream.fetched.in_hour(now_ms),
            repeated=stream.repeated.in_hour(now_ms),
            is_listed=stream.finding.is_listed,
        )
