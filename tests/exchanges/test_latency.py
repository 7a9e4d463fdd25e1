"""How old trades are at each step: sampled, never corrected, bounded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from livemarkets.exchanges.binance.messages import trade_times
from livemarkets.exchanges.latency import LatencyMeter, Take

TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1672515782136,"s":"BTCUSDT","t":5,"p":"1","q":"1",'
    b'"T":1672515782100,"m":true}}'
)
TICKER = b'{"stream":"btcusdt@ticker","data":{"e":"24hrTicker","E":1672515782136}}'


class Later:
    """What is due later."""

    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback

    def cancel(self) -> None:
        self.at = math.inf


class Way:
    """The way of trades, with clocks that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.now_ms = 0
        self.delivered = 0
        self.takes_seconds = 0.0
        self.has_readers = True
        self.due: list[Callable[[], None]] = []
        self.meter = LatencyMeter(
            lambda: self.now,
            lambda: self.now_ms,
            lambda raw: (int(raw), int(raw) + 2) if raw.isdigit() else None,
            self._call_later,
            lambda: self.delivered,
            self.due.append,
        )
        self.taken = 0
        self.on_texts: Take = self._take
        self._timers: list[Later] = []
        self.watching = self.meter.watching(self)
        self.watching.__enter__()

    def _call_later(self, seconds: float, callback: Callable[[], None]) -> Later:
        self._timers.append(Later(self.now + seconds, callback))
        return self._timers[-1]

    def read(self, raws: list[bytes]) -> None:
        """Have frames arrive, after what was due before."""
        due = [timer for timer in self._timers if timer.at <= self.now]
        self._timers = [timer for timer in self._timers if timer.at > self.now]
        for timer in due:
            timer.callback()
        self.on_texts(raws)

    def _take(self, raws: list[bytes]) -> None:
        self.taken += len(raws)
        self.now += self.takes_seconds
        self.delivered += self.has_readers

    def sends(self, seconds: float) -> None:
        """The writes of this turn of the event loop are done after so long."""
        self.now += seconds
        while self.due:
            self.due.pop()()


def test_a_trade_is_measured_at_each_step() -> None:
    way = Way()
    way.now_ms, way.takes_seconds = 1040, 0.001
    way.read([b"1000", b"1010"])
    way.sends(0.002)
    hops = way.meter.statistics().hops
    assert [(hop.samples, hop.p50_ms, hop.p99_ms) for hop in hops.values()] == [
        (1, 2.0, 2.0),
        (1, 38.0, 38.0),
        (1, 3.0, 3.0),
    ]


def test_a_clock_that_is_behind_is_told_as_it_is() -> None:
    way = Way()
    way.now_ms = 500
    way.read([b"1000"])
    found = way.meter.statistics()
    assert found.least_ms == found.hops["event_to_received"].p50_ms == -502.0


def test_few_reads_are_measured_however_many_there_are() -> None:
    way = Way()
    for _ in range(10_000):
        way.read([b"1000"])
        way.now += 0.001
    way.sends(0)
    samples = way.meter.statistics().hops["matched_to_event"].samples
    assert way.taken == 10_000
    assert 140 <= samples <= 160


def test_a_read_that_is_not_measured_goes_straight_to_its_taker() -> None:
    way = Way()
    assert way.on_texts != way._take
    way.read([b"1000"])
    assert way.on_texts == way._take
    way.now += 0.1
    way.read([b"ticker"])
    way.watching.__exit__(None, None, None)
    way.now += 0.1
    way.read([b"1000"])
    assert way.on_texts == way._take, "the connection ended"
    assert way.taken == 3


def test_what_nobody_reads_is_not_told_as_sent() -> None:
    way = Way()
    way.has_readers = False
    way.read([b"1000"])
    assert way.due == []
    assert way.meter.statistics().hops["received_to_sent"].p50_ms is None


def test_other_frames_are_no_samples() -> None:
    way = Way()
    way.read([b"ticker"])
    assert way.taken == 1
    assert way.meter.statistics().least_ms is None


def test_a_read_that_brings_nothing_first_is_not_counted() -> None:
    way = Way()
    way.watching.__exit__(None, None, None)
    first = 0
    way.watching = way.meter.watching(way, lambda: first)
    way.watching.__enter__()
    way.read([b"1000"])
    assert (way.taken, way.meter.statistics().hops["event_to_received"].samples) == (1, 0)
    take = way._take

    def wins(raws: list[bytes]) -> None:
        nonlocal first
        first += 1
        take(raws)

    way.watching.__exit__(None, None, None)
    way.on_texts = wins
    way.watching = way.meter.watching(way, lambda: first)
    way.watching.__enter__()
    way.read([b"1000"])
    assert (way.taken, way.meter.statistics().hops["event_to_received"].samples) == (2, 1)


def test_percentiles_are_of_a_minute_and_the_plot_of_five() -> None:
    way = Way()
    for age_ms in range(1, 101):
        way.now_ms = 1002 + age_ms
        way.read([b"1000"])
        way.now += 0.0625
    hop = way.meter.statistics().hops["event_to_received"]
    assert (hop.samples, hop.p50_ms, hop.p99_ms) == (100, 51.0, 99.0)
    assert hop.plot == [None] * 29, "the present slot is not in the plot"
    way.now += 70
    hop = way.meter.statistics().hops["event_to_received"]
    assert (hop.samples, hop.p50_ms) == (0, None)
    assert [each for each in hop.plot if each is not None] == [(51.0, 99.0)]
    way.now += 300
    assert [each for each in way.meter.statistics().hops["event_to_received"].plot if each] == []
    for _ in range(1000):
        way.read([b"1000"])
        way.now += 10
    assert len(way.meter.statistics().hops["event_to_received"].plot) == 29


def test_the_clock_is_judged_by_the_last_half_minute() -> None:
    way = Way()
    way.now_ms = 500
    way.read([b"1000"])
    way.now += 35
    way.now_ms = 1010
    way.read([b"1000"])
    assert way.meter.statistics().least_ms == 8.0


def test_the_times_of_a_frame_are_read() -> None:
    assert trade_times(TRADE) == (1672515782100, 1672515782136)
    assert trade_times(TICKER) is None
    assert trade_times(TRADE.replace(b"1672515782136", b"7")) is None
    assert trade_times(TRADE.replace(b'"E":1672515782136,', b"")) is None
    assert trade_times(b'"trade"') is None
    assert trade_times(b'{"stream":"\xff"trade"') is None


def counted(buckets: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The bounds at which a histogram's number rises, and the number there."""
    found: dict[str, int] = {}
    for bound, number in buckets:
        if number != max(found.values(), default=0):
            found[bound] = number
    return found


def test_each_step_and_the_age_of_what_is_sent_are_counted_by_size_since_the_start() -> None:
    way = Way()
    for _ in range(3):
        way.now_ms, way.takes_seconds = 1040, 0.001
        way.read([b"1000"])
        way.now_ms += 3
        way.sends(0.002)
        way.now += 400.0  # longer than percentiles are kept
    meter = way.meter
    assert {hop: counted(histogram.buckets()) for hop, histogram in meter.by_hop.items()} == {
        "matched_to_event": {"0.002": 3},
        "event_to_received": {"0.05": 3},
        "received_to_sent": {"0.005": 3},
    }
    assert counted(meter.ages.buckets()) == {"0.05": 3}
    assert round(meter.ages.total, 6) == 3 * 0.043


def test_a_clock_that_is_behind_is_counted_as_less_than_nothing() -> None:
    way = Way()
    way.now_ms = 500
    way.read([b"1000"])
    assert counted(way.meter.by_hop["event_to_received"].buckets()) == {"0.0": 1}
    assert way.meter.by_hop["event_to_received"].total == -0.502


def test_what_nobody_reads_has_no_age() -> None:
    way = Way()
    way.has_readers = False
    way.read([b"1000"])
    way.sends(0)
    assert counted(way.meter.ages.buckets()) == {}
