"""Plays a recording of the exchange's frames as it was received."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from loguru import logger

from livemarkets.simulator.market.history import Aggregate, History
from livemarkets.simulator.market.recording import RecordedFrame, read_recording
from livemarkets.simulator.market.source import SimulatorError
from livemarkets.simulator.market.streams import Quote, StreamEvent
from livemarkets.simulator.market.symbols import UNIT, SymbolRules

__all__ = ["Replay"]


class Replay:
    """A market that is a recording: its frames, ids and fields as they were, with their spacing.

    The clock starts when a stream of the recording is subscribed for the first time and then runs, whoever
    stays; what nobody is subscribed to is not sent. REST serves what has been played.

    Args:
        path: lines of `{"recv_ms": …, "frame": {"stream": …, "data": …}}`, gzip or plain.
        speed: 2.0 plays twice as fast as it was recorded.
        lead_in_seconds: pause between the first subscription and the first frame.

    Raises:
        SimulatorError: the file cannot be read, or a speed that makes no sense.

    """

    def __init__(self, path: str | Path, speed: float = 1.0, *, lead_in_seconds: float = 0.0) -> None:
        if speed <= 0 or lead_in_seconds < 0:
            raise SimulatorError("a replay's speed must be greater than 0, its lead-in not negative")
        self._path = Path(path)
        self._recording = read_recording(self._path)
        self._speed = speed
        self._lead_in_ms = lead_in_seconds * 1000.0
        self._available = self._recording.streams
        self._wanted: frozenset[str] = frozenset()
        self._started_ms: float | None = None
        self._position = 0
        self._pending: list[StreamEvent] = []
        self._hidden: Counter[str] = Counter()
        self._hidden_ids: dict[str, set[int]] = {}
        # Nothing that was played is ever forgotten: the whole recording is in memory anyway.
        size = max(len(self._recording.frames), 1)
        self._histories = {symbol: History(size) for symbol in self._recording.rules}
        self.skew_ms = 0

    @property
    def rules(self) -> Mapping[str, SymbolRules]:
        """The symbols of the recording; tick and lot are as fine as its own digits."""
        return self._recording.rules

    @property
    def finished(self) -> bool:
        """Whether every frame has been played."""
        return self._position >= len(self._recording.frames)

    def want(self, streams: Collection[str], now_ms: float) -> None:
        """Set which streams are sent, and start the clock if one of them is in the recording."""
        self._wanted = frozenset(streams)
        if self._started_ms is None and not self._wanted.isdisjoint(self._available):
            self._started_ms = now_ms + self._lead_in_ms
            logger.info("simulator: replaying {} at {:g} times its speed", self._path.name, self._speed)

    def advance(self, now_ms: float) -> list[StreamEvent]:
        """Play up to now, in order and completely, however late it is."""
        emissions, self._pending = self._pending, []
        if self._started_ms is not None and not self.finished:
            self._play((now_ms - self._started_ms) * self._speed, emissions)
        return emissions

    def next_ms(self) -> float | None:
        """Return when the next frame is due, also when nobody wants it: REST does."""
        if self._pending:
            return 0.0
        if self._started_ms is None or self.finished:
            return None
        return self._started_ms + self._recording.frames[self._position].offset_ms / self._speed

    def history(self, symbol: str, now_ms: float) -> History:
        """Return what has been played of a symbol."""
        return self._histories[symbol]

    def quote(self, symbol: str) -> Quote:
        """Return quotes around the last price: the book itself is not kept."""
        rules = self.rules[symbol]
        trades = self._histories[symbol].trades
        price = trades[-1].price if trades else 0
        return Quote(
            update_id=self._position, bid=price, bid_size=UNIT, ask=price + rules.tick, ask_size=UNIT
        )

    def burst(self, symbol: str, trades: int, now_ms: float) -> None:
        """Play at once until the symbol has traded that often; the clock goes on from there."""
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
        """Let the next trades of the symbol never have happened."""
        self._hidden[symbol] += count

    def relist(self, symbol: str, first_id: int) -> None:
        """Refuse: a recording keeps its ids."""
        raise SimulatorError("a recording cannot be relisted")

    def _play(self, until_ms: float, emissions: list[StreamEvent]) -> None:
        frames = self._recording.frames
        while not self.finished and frames[self._position].offset_ms <= until_ms:
            played = frames[self._position]
            self._position += 1
            if self._happens(played):
                if played.symbol:
                    self._histories[played.symbol].add(played.trade, self._visible_aggregate(played))
                if played.emission.stream in self._wanted:
                    emissions.append(played.emission)
        if self.finished:
            logger.info("simulator: end of {} after {} frames", self._path.name, len(frames))

    def _happens(self, played: RecordedFrame) -> bool:
        if played.trade is None or self._hidden[played.symbol] <= 0:
            return True
        self._hidden[played.symbol] -= 1
        self._hidden_ids.setdefault(played.symbol, set()).add(played.trade.id)
        return False

    def _visible_aggregate(self, played: RecordedFrame) -> Aggregate | None:
        aggregate, hidden = played.aggregate, self._hidden_ids.get(played.symbol)
        if aggregate is None or not hidden:
            return aggregate
        covered = range(aggregate.first_id, aggregate.last_id + 1)
        return None if any(trade_id in hidden for trade_id in covered) else aggregate
