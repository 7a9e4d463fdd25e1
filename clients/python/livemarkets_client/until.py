"""Runs several coroutines until one of them ends, or somebody says stop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

__all__ = ["run_until"]


async def run_until(stop: asyncio.Event, work: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Run all of `work` until `stop` is set or one of it ends. What ended with an error raises it."""
    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(each, name=f"part {number}") for number, each in enumerate(work, 1)
    ]
    tasks.append(asyncio.create_task(stop.wait(), name="waits for the end"))
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()
