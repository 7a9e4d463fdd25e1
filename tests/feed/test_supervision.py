"""Work that is begun again after a defect, and that ends when it is told to."""

import asyncio

import pytest

from livemarkets.feed.supervision import supervise
from tests.support.helpers import eventually


async def test_work_that_fails_begins_again() -> None:
    attempts = 0

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise RuntimeError("a defect, on purpose")
        if attempts == 2:
            return
        await asyncio.Event().wait()

    task = asyncio.create_task(supervise("this test", work, restart_seconds=0))
    await eventually(lambda: attempts == 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_group_whose_child_fails_while_it_waits_begins_again() -> None:
    """Before Python 3.13, such a group leaves the mark of a cancellation on the task that it is in."""
    attempts = 0

    async def child() -> None:
        await asyncio.sleep(0)
        if attempts < 3:
            raise RuntimeError("a defect, on purpose")
        await asyncio.Event().wait()

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(child())

    task = asyncio.create_task(supervise("this test", work, restart_seconds=0))
    await eventually(lambda: attempts == 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("fails", [True, False], ids=["a child fails", "the work ends by itself"])
async def test_a_cancellation_that_a_task_group_swallows_still_ends_it(fails: bool) -> None:
    """One child has failed, its sibling is still closing, and then the whole is cancelled."""
    is_closing = asyncio.Event()

    async def fail() -> None:
        raise RuntimeError("a defect, on purpose")

    async def close_slowly() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            is_closing.set()
            await asyncio.sleep(0.01)

    async def work() -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(close_slowly())
                await asyncio.sleep(0)
                tasks.create_task(fail())
        except* RuntimeError:
            if fails:
                raise

    task = asyncio.create_task(supervise("this test", work, restart_seconds=0))
    await is_closing.wait()
    task.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await task
