"""Work of a page in pieces, each in its own turn of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from livemarkets.server.turns import Turns
from pages.in_turns import InTurns
from tests.support.helpers import eventually


class Work:
    """Ten pieces, noted with the turn of the event loop in which each is done."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.at: list[int] = []
        self._turn = 0
        self.in_turns = InTurns(Turns(), self._pieces)
        self._count()

    def _count(self) -> None:
        self._turn += 1
        asyncio.get_running_loop().call_soon(self._count)

    def _pieces(self) -> Iterator[None]:
        for piece in range(10):
            if piece:
                yield
            self.done.append(piece)
            self.at.append(self._turn)


async def test_the_first_piece_is_done_at_once_and_each_other_in_a_turn_of_its_own() -> None:
    work = Work()
    work.in_turns.begin()
    assert work.done == [0]
    await eventually(lambda: len(work.done) == 10)
    assert len(set(work.at[1:])) == 9


async def test_who_begins_again_drops_what_is_left_of_before() -> None:
    work = Work()
    work.in_turns.begin()
    await eventually(lambda: len(work.done) >= 4)
    left = len(work.done)
    work.in_turns.begin()
    await eventually(lambda: work.done[left:] == list(range(10)))
    work.in_turns.begin()
    await eventually(lambda: work.done[left + 10 :] == list(range(10)))


async def test_who_ends_it_gets_no_more() -> None:
    work = Work()
    before = asyncio.all_tasks()
    work.in_turns.begin()
    work.in_turns.end()
    work.in_turns.end()
    await eventually(lambda: asyncio.all_tasks() == before)
    assert work.done == [0]
