"""Replays a recording of an exchange's frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from loguru import logger

from livemarkets.simulator.market.history import Aggregate, History
from livemarkets.simulator.market.listing import Listing
from livemarkets.simulator.market.order_book import Depth
from livemarkets.simulator.market.recording import RecordedFrame, read_recording
from livemarkets.simulator.market.replayed_symbol import ReplayedSymbol
from livemarkets.simulator.market.source import SimulatorError
from livemarkets.simulator.market.statistics import Bar, Summary
from livemarkets.simulator.market.streams import Quote, StreamEvent, is_served
from livemarkets.simulator.market.symbols import SymbolRules

__all__ = ["Replay"]

_MOST_TOLD = 1000
"""Missing streams that the log names. Clients choose the names, so there could be any number."""


class Replay:
    """A market that replays a recording with its original frames, ids, fields and intervals.

    The clock starts at the first subscription to a recorded stream, and does not stop. Streams without a
    subscriber are not sent. REST serves the frames that have been replayed.

    Args:
        path: lines of `{"recv_ms": …, "frame": {"stream": …, "data": …}}`, gzip or plain.
        speed: replay speed; 2.0 is twice as fast as recorded.
        lead_in_seconds: delay between the first subscription and the first frame.

    Raises:
        SimulatorError: the file cannot be read, or a number is out of range.

    """

    def __init__(self, path: str | Path, speed: float = 1.0, *, lead_in_seconds: float = 0.0) -> None:
        if speed <= 0 or lead_in_seconds < 0:
            raise SimulatorError("a replay's speed must be greater than 0, its lead-in not negative")
        self._path = Path(path)
        self._recording = read_recording(self._path)
        if self._recording.was_in_microseconds:
            logger.info("simulator: {} has times in microseconds; it is played in ms", self._path.name)
        self._speed = speed
        self._lead_in_ms = lead_in_seconds * 1000.0
        self._available = self._recording.streams
        self._wanted: frozenset[str] = frozenset()
        self._told: set[str] = set()  # wanted streams that are not in the recording
        self._started_ms: float | None = None
        self._position = 0
        self._pending: list[StreamEvent] = []
        self._hidden: Counter[str] = Counter()
        self._hidden_ids: dict[str, set[int]] = {}
        # The history keeps all frames, because the recording is in memory anyway.
        size = max(len(self._recording.frames), 1)
        traded = {entry.symbol for entry in self._recording.frames if entry.trade is not None}
        self._symbols = {
            symbol: ReplayedSymbol(rules, size, has_trades=symbol in traded)
            for symbol, rules in self._recording.rules.items()
        }
        self.skew_ms = 0
        self.listing = Listing(self._recording.rules)

    @property
    def rules(self) -> Mapping[str, SymbolRules]:
        """The symbols of the recording. Tick and lot sizes are derived from its digits."""
        return self.listing.rules

    @property
    def finished(self) -> bool:
        """Whether every frame has been replayed."""
        return self._position >= len(self._recording.frames)

    def serves(self, stream: str) -> bool:
        """Return whether the recording has the stream, or might have had it."""
        return stream in self._available or is_served(stream)

    def want(self, streams: Collection[str], now_ms: float) -> None:
        """Set the streams to send, and start the clock if one of them is in the recording."""
        self._wanted = frozenset(streams)
        self._tell_missing()
        if self._started_ms is None and not self._wanted.isdisjoint(self._available):
            self._started_ms = now_ms + self._lead_in_ms
            logger.info("simulator: replaying {} at {:g} times its speed", self._path.name, self._speed)

    def advance(self, now_ms: float) -> list[StreamEvent]:
        """Return all events up to now, in order."""
        events, self._pending = self._pending, []
        if self._started_ms is not None and not self.finished:
            self._play((now_ms - self._started_ms) * self._speed, events)
        return events

    def next_ms(self) -> float | None:
        """Return when the next frame is due, also if it has no subscriber: REST serves it."""
        if self._pending:
            return 0.0
        if self._started_ms is None or self.finished:
            return None
        return self._started_ms + self._recording.frames[self._position].offset_ms / self._speed

    def history(self, symbol: str, now_ms: float) -> History:
        """Return the replayed trades of a symbol."""
        return self._symbols[symbol].history

    def quote(self, symbol: str) -> Quote:
        """Return the best bid and ask that have been played."""
        return self._symbols[symbol].quote()

    def depth(self, symbol: str, limit: int, now_ms: float) -> Depth:
        """Return the levels of the order book that have been played."""
        return self._symbols[symbol].depth(limit)

    def candles(
        self,
        symbol: str,
        interval: str,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
        now_ms: float,
        *,
        offset_ms: int = 0,
        behind_ms: int = 0,
    ) -> list[Bar]:
        """Return the klines that have been played, until the last trade."""
        return self._symbols[symbol].candles(interval, start_ms, end_ms, limit, offset_ms)

    def summary(self, symbol: str, start_ms: int, now_ms: float) -> Summary | None:
        """Return a summary of played trades: the time since `start_ms` counts back from the last trade."""
        return self._symbols[symbol].summary(int(now_ms) + self.skew_ms - start_ms)

    def burst(self, symbol: str, trades: int, now_ms: float) -> None:
        """Replay at once until the symbol has had `trades` trades. The clock continues from there."""
        if self._started_ms is None or self.finished:
            return
        frames, at = self._recording.frames, self._position
        while trades > 0 and at < len(frames):
            trades -= frames[at].symbol == symbol and frames[at].trade is not None
            at += 1
        offset_ms = frames[at - 1].offset_ms
        self._play(offset_ms, self._pending)
        self._started_ms = min(self._started_ms, now_ms - offset_ms / self._speed)

    def skip_ids(self, symbol: str, count: int) -> None:
        """Hide the next trades of the symbol, from the streams and from REST."""
        self._hidden[symbol] += count

    def relist(self, symbol: str, first_id: int) -> None:
        """Refuse, because a recording keeps its ids."""
        raise SimulatorError("a recording cannot be relisted")

    def _tell_missing(self) -> None:
        for stream in sorted(self._wanted - self._available - self._told):
            if len(self._told) == _MOST_TOLD:
                return
            self._told.add(stream)
            logger.warning("simulator: {} does not have {}, which stays silent", self._path.name, stream)
            if len(self._told) == _MOST_TOLD:
                logger.warning("simulator: further streams without a recording are not told")

    def _play(self, until_ms: float, events: list[StreamEvent]) -> None:
        frames = self._recording.frames
        while not self.finished and frames[self._position].offset_ms <= until_ms:
            entry = frames[self._position]
            self._position += 1
            if self._happens(entry):
                if entry.symbol:
                    aggregate = self._visible_aggregate(entry)
                    self._symbols[entry.symbol].play(entry.event, entry.trade, aggregate)
                if entry.event.stream in self._wanted:
                    events.append(entry.event)
        if self.finished:
            logger.info("simulator: end of {} after {} frames", self._path.name, len(frames))

    def _happens(self, entry: RecordedFrame) -> bool:
        if entry.trade is None or self._hidden[entry.symbol] <= 0:
            return True
        self._hidden[entry.symbol] -= 1
        self._hidden_ids.setdefault(entry.symbol, set()).add(entry.trade.id)
        return False

    def _visible_aggregate(self, entry: RecordedFrame) -> Aggregate | None:
        aggregate, hidden = entry.aggregate, self._hidden_ids.get(entry.symbol)
        if aggregate is None or not hidden:
            return aggregate
        covered = range(aggregate.first_id, aggregate.last_id + 1)
        return None if any(trade_id in hidden for trade_id in covered) else aggregate
