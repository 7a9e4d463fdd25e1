"""Restarts a task after an unexpected error. A cancellation always ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from loguru import logger

__all__ = ["supervise"]

_RESTART_SECONDS = 1.0


async def supervise(
    name: str, work: Callable[[], Coroutine[Any, Any, None]], *, restart_seconds: float = _RESTART_SECONDS
) -> None:
    """Run `work`, and start it again whenever it fails or returns, until cancelled.

    The work has a task of its own. A task group whose child fails cancels the task that it is in, and before
    Python 3.13 it leaves that mark behind: it would look as if the work itself had been cancelled.

    Args:
        name: for the log, and of the task.
        work: called at each start.
        restart_seconds: delay before the next start.

    """
    while True:
        task = asyncio.create_task(work(), name=name)
        try:
            await asyncio.wait([task])
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled() and (error := task.exception()) is not None:
                    logger.opt(exception=error).debug("{}: failed while being cancelled", name)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.opt(exception=error).error("{} failed and will be restarted", name)
        await asyncio.sleep(restart_seconds)
