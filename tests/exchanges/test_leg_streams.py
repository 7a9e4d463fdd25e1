"""Who is first, by how much, and what a leg missed; which updates of a leg come too late."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from msgspec.structs import replace

from livemarkets.exchanges.leg_streams import LegStream, LegTally, Race
from livemarkets.market.updates import StreamUpdate, TickersDelta
from tests.support.candles import make_candle
from tests.support.ticks import make_tick
from tests.support.updates import make_book


class Two:
    """One stream on two legs, with a clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.race = Race(lambda: self.now)
        self.tallies = LegTally(), LegTally()
        self.streams = [LegStream(self.race, tally, lambda: self.now) for tally in self.tallies]

    def bring(self, leg: int, *ids: int, price: str = "1", later_ms: int = 0) -> None:
        """Let a leg bring trades together; their times are as far apart as their ids."""
        now_ms = int(self.now * 1000)
        self.streams[leg].take_trades(
            [
                replace(make_tick(each, price=price, ts=1_000_000 + each + later_ms), recv_ts=now_ms)
                for each in ids
            ]
        )

    def each(self, leg: int, ids: Iterable[int]) -> None:
        for trade_id in ids:
            self.now += 0.01
            self.bring(leg, trade_id)

    @property
    def missed(self) -> list[int]:
        return [tally.missed for tally in self.tallies]

    @property
    def first(self) -> list[int]:
        return [tally.first for tally in self.tallies]


def test_each_trade_is_won_by_the_leg_that_brings_it_first() -> None:
    two = Two()
    two.bring(0, 1, 2, 3)
    two.bring(1, 1, 2, 3, 4, 5)
    two.bring(0, 4, 5)
    two.bring(0, 6)
    assert two.first == [4, 2]
    assert [tally.brought for tally in two.tallies] == [6, 5]


def test_the_lead_is_the_time_until_the_next_leg_brings_the_same_trade() -> None:
    two = Two()
    for trade_id in (1, 2, 3):
        two.bring(0, trade_id)
        two.now += 0.030
        two.bring(1, trade_id)
        two.now += 1
    assert [round(seconds, 6) for _, seconds in two.tallies[0].leads] == [0.03] * 3
    assert list(two.tallies[0].lead.buckets())[4:6] == [("0.02", 0), ("0.05", 3)]
    assert not two.tallies[1].leads


def test_a_leg_that_does_not_come_back_for_long_gives_no_lead() -> None:
    two = Two()
    two.bring(0, 1)
    two.each(0, range(2, 10))
    two.now += 100
    two.each(0, range(10, 20))
    two.bring(1, 18, 19)
    assert all(seconds < 1 for _, seconds in two.tallies[0].leads)


def test_a_sampled_trade_that_differs_is_told() -> None:
    two = Two()
    two.bring(0, 1)
    two.bring(1, 1, price="2")
    two.now += 1
    two.bring(0, 2)
    two.bring(1, 2)
    assert [tally.disagreed for tally in two.tallies] == [0, 1]


def test_what_a_leg_goes_on_without_is_missed_after_a_moment() -> None:
    two = Two()
    two.each(0, range(1, 10))
    two.each(1, [1, 2, 3, 7, 8, 9])
    assert two.missed == [0, 0], "they may still come"
    two.now += 6
    two.each(1, [10, 14, 15])
    assert two.missed == [0, 3]
    two.now += 6
    two.each(1, [16])
    assert two.missed == [0, 6]


def test_what_comes_late_or_in_another_order_is_not_missed() -> None:
    two = Two()
    two.each(1, [1, 3, 2, 6, 5, 4, 7])
    two.now += 6
    two.each(1, [8, 9])
    assert two.missed == [0, 0]


def test_overlapping_connections_of_a_rotation_miss_nothing() -> None:
    two = Two()
    two.each(0, [1, 2, 3, 5, 3, 4, 6, 5, 6, 7, 8])
    two.now += 6
    two.each(0, [9, 10])
    assert two.missed == [0, 0]
    assert two.streams[0].newest == 10


def test_a_false_id_ahead_is_no_loss_and_does_not_stop_the_count() -> None:
    two = Two()
    two.each(0, [1, 2, 3, 5_000_000, 4, 5])
    two.now += 6
    two.each(0, range(6, 20))
    two.each(1, range(1, 20))
    assert two.missed == [0, 0]
    assert (two.streams[0].newest, two.race.newest) == (19, 19)
    assert two.first == [19, 0]


def test_a_leg_that_comes_back_has_missed_what_it_was_away_for() -> None:
    two = Two()
    two.each(1, range(1, 11))
    two.each(0, range(1, 3011))
    two.each(1, range(3011, 3014))
    two.now += 6
    two.each(1, [3014])
    assert two.missed == [0, 3000]
    assert two.race.newest == 3014


def test_a_jump_of_the_ids_is_no_loss() -> None:
    two = Two()
    for leg in (0, 1):
        two.each(leg, [1, 2])
    for leg in (0, 1):
        two.each(leg, [9_000_001, 9_000_002])
        two.now += 6
        two.each(leg, [9_000_003])
    assert two.missed == [0, 0]
    assert two.race.newest == 9_000_003


def test_a_new_numbering_is_followed_and_repeats_are_none() -> None:
    two = Two()
    for leg in (0, 1):
        two.each(leg, range(1001, 1011))
    two.each(0, range(1001, 1005))
    assert (two.race.newest, two.streams[0].newest) == (1010, 1010)
    two.bring(0, 1, later_ms=10_000)
    two.bring(0, 2, later_ms=10_000)
    two.bring(0, 3, later_ms=10_000)
    two.bring(0, 4, later_ms=10_000)
    assert two.race.newest == 4
    assert two.missed == [0, 0]


@pytest.mark.parametrize("seed", range(5))
def test_every_trade_is_won_once_and_every_loss_counted(seed: int) -> None:
    """Legs that lose, repeat and lag at random, against a plain count."""
    random = Random(seed)
    two = Two()
    lost = [0, 0]
    came: set[int] = set()
    queues: list[list[int]] = [[], []]
    for trade_id in range(1, 2001):
        two.now += 0.01
        for leg in (0, 1):
            if trade_id > 1 and random.random() < 0.02 and trade_id < 1990:
                lost[leg] += 1
            else:
                queues[leg].append(trade_id)
            if random.random() < 0.5 or trade_id == 1:
                ids, queues[leg] = queues[leg], []
                if ids:
                    two.bring(leg, *ids)
                    came.update(ids)
                if ids and random.random() < 0.1:
                    two.bring(leg, *ids)
    for leg in (0, 1):
        two.now += 10
        two.each(leg, [*queues[leg], *range(2001, 2010)])
        came.update(queues[leg])
        for trade_id in range(2010, 2010 + 40):
            two.now += 6
            two.bring(leg, trade_id)
    assert two.missed == lost
    assert sum(two.first) <= 2049
    assert sum(two.first) >= len(came) * 0.9


def late(two: Two, leg: int, update: StreamUpdate) -> bool:
    return two.streams[leg].take_update(update)


def test_a_leg_that_is_behind_does_not_take_an_update_back_in_time() -> None:
    two = Two()
    for update_id in (1, 2, 3):
        assert not late(two, 0, make_book(update_id))
    assert late(two, 1, make_book(1))
    assert late(two, 1, make_book(2))
    assert not late(two, 1, make_book(3))
    assert not late(two, 1, make_book(4))
    assert not late(two, 0, make_book(2)), "it goes back itself: the store decides"


def test_a_new_numbering_of_updates_is_passed_on() -> None:
    two = Two()
    for leg in (0, 1):
        assert not late(two, leg, make_book(1000))
    for update_id in (1, 2, 3):
        for leg in (0, 1):
            assert not late(two, leg, make_book(update_id))


def test_a_closed_candle_is_never_late_and_a_running_one_is() -> None:
    two = Two()
    assert not late(two, 0, make_candle(1))
    assert not late(two, 0, make_candle(2))
    assert late(two, 1, make_candle(1))
    assert not late(two, 1, make_candle(1, closed=True))
    assert not late(two, 1, make_candle(2))


def test_rows_of_all_symbols_are_passed_on() -> None:
    two = Two()
    assert not late(two, 0, TickersDelta("binance", (), 0))
    assert two.streams[0].arrivals == 1
