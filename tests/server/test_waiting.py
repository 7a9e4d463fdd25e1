"""The small forms of asyncio's queue and event behave like the originals."""

from __future__ import annotations

import asyncio
import sys

from livemarkets.server.waiting import Flag, Inbox


async def test_a_flag_wakes_all_who_wait_and_a_cancelled_one_harms_nobody() -> None:
    flag = Flag()
    await flag.wait()
    flag.clear()
    flag.clear()
    waiting = [asyncio.create_task(flag.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting[1:])
    flag.set()
    flag.set()
    await asyncio.gather(*waiting[1:])
    assert flag.is_set()


async def test_who_waits_for_a_flag_that_is_cleared_again_waits_on() -> None:
    flag = Flag()
    flag.clear()
    waiting = asyncio.create_task(flag.wait())
    await asyncio.sleep(0)
    flag.set()
    flag.clear()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    flag.set()
    await waiting


async def test_an_inbox_keeps_order_and_survives_a_cancelled_reader() -> None:
    inbox = Inbox()
    reading = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.sleep(0)
    for message in (1, 2):
        inbox.put_nowait(message)
    assert not inbox.empty()
    assert [await inbox.get(), await inbox.get()] == [1, 2]
    assert inbox.empty()
    reading = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put_nowait(3)
    assert await reading == 3


def test_they_are_small() -> None:
    assert sys.getsizeof(Flag()) + sys.getsizeof(Inbox()) < 200
