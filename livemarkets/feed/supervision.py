"""Work that goes on until cancelled: a defect is logged and costs a pause, a cancellation always ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from loguru import logger

__all__ = ["supervise"]

_RESTART_SECONDS = 1.0


async def supervise(
    name: str, work: Callable[[], Awaitable[None]], *, restart_seconds: float = _RESTART_SECONDS
) -> None:
    """Do `work`, and begin it again whenever it fails or ends, until cancelled.

    Args:
        name: for the log.
        work: called for each attempt.
        restart_seconds: the pause before the next attempt.

    """
    while True:
        try:
            await work()
        except Exception:
            if _is_being_cancelled():
                logger.opt(exception=True).debug("{}: failed while being cancelled", name)
            else:
                logger.exception("{} failed and will be restarted", name)
        # A task group whose children fail while it is being cancelled raises their errors alone. Before
        # Python 3.13 nothing but this count then tells that the task was asked to end.
        if _is_being_cancelled():
            raise asyncio.CancelledError
        await asyncio.sleep(restart_seconds)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
