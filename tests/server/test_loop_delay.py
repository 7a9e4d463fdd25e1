"""How late the event loop is, in simulated time."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from livemarkets.server.loop_delay import BOUNDS_SECONDS, LoopDelay
from tests.support.simulated_time import run_in_simulated_time


def test_whatever_holds_the_loop_is_a_delay_and_remembered_for_a_minute() -> None:
    async def main() -> None:
        held = 0.0
        loop = asyncio.get_running_loop()
        delay = LoopDelay(lambda: loop.time() + held)
        task = asyncio.create_task(delay.run(), name="measured")
        await asyncio.sleep(1.01)
        assert delay.counts[0] == sum(delay.counts) == 20
        held = 0.3
        await asyncio.sleep(0.1)
        assert delay.counts[BOUNDS_SECONDS.index(0.5)] == 1
        assert delay.longest_seconds() == pytest.approx(delay.total_seconds) == pytest.approx(0.3)
        held += 0.07
        await asyncio.sleep(0.1)
        assert delay.counts[BOUNDS_SECONDS.index(0.1)] == 1
        assert delay.longest_seconds() == pytest.approx(0.3)
        await asyncio.sleep(58)
        assert delay.longest_seconds() == pytest.approx(0.3)
        await asyncio.sleep(2)
        assert delay.longest_seconds() < 0.001
        held += 5.0
        await asyncio.sleep(0.1)
        assert delay.counts[-1] == 1
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run_in_simulated_time(main())
