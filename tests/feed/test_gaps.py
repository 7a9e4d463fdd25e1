"""What is counted and logged of the gaps of one exchange."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from loguru import logger

from livemarkets.feed.gaps import GapRecord
from livemarkets.market.models import Gap
from tests.support.ticks import BTC, ETH


class World:
    """A record of gaps, with its time and its log."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.told: list[Gap] = []
        self.lines: list[str] = []
        self.record = GapRecord(1_000_000, self.told.append, lambda: self.now)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    sink = logger.add(lambda line: world.lines.append(line.rstrip()), level="INFO", format="{message}")
    yield world
    logger.remove(sink)


def test_a_jump_of_the_ids_is_no_loss_of_as_many_trades(world: World) -> None:
    """REVIEW B14: one wrong id raised the metric by 10^18."""
    world.record.note(Gap(BTC, 5, 14, "upstream"))
    world.record.note(Gap(BTC, 15, 10**18, "upstream"))
    world.record.note(Gap(ETH, 15, 500, "history"))
    assert (world.record.count, world.record.lost) == (3, 1_000_010)
    assert len(world.told) == 3


def test_many_gaps_are_a_line_a_minute_for_each_cause(world: World) -> None:
    """REVIEW C9: one reconnect with REST down was 719 lines."""
    for number in range(200):
        world.record.note(Gap(BTC, 2 * number, 2 * number, "upstream"))
    world.record.note(Gap(ETH, 7, 8, "venue"))
    assert world.lines == [f"{BTC}: gap from 0 to 0 (upstream)", f"{ETH}: gap from 7 to 8 (venue)"]
    world.now += 60
    world.record.note(Gap(BTC, 900, 901, "upstream"))
    assert "199 more of this cause" in world.lines[2]


def test_many_false_ids_are_a_line_a_minute(world: World) -> None:
    for number in range(50):
        world.record.note_false_id(BTC, 10**9 + number)
    assert len(world.lines) == 1
    world.now += 60
    world.record.note_false_id(BTC, 10**9)
    assert "49 more such trades" in world.lines[1]
    assert world.record.count == 0
