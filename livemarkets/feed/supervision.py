"""Restarts a task after an unexpected error. A cancellation always ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from loguru import logger

__all__ = ["supervise"]

_RESTART_SECONDS = 1.0


async def supervise(
    name: str, work: Callable[[], Awaitable[None]], *, restart_seconds: float = _RESTART_SECONDS
) -> None:
    """Run `work`, and start it again whenever it fails or returns, until cancelled.

    Args:
        name: for the log.
        work: called at each start.
        restart_seconds: delay before the next start.

    """
    while True:
        try:
            await work()
        except Exception:
            if _is_being_cancelled():
                logger.opt(exception=True).debug("{}: failed while being cancelled", name)
            else:
                logger.exception("{} failed and will be restarted", name)
        # A task group whose children fail during its cancellation raises only their errors. Before Python
        # 3.13, this count is then the only sign of the cancellation.
        if _is_being_cancelled():
            raise asyncio.CancelledError
        await asyncio.sleep(restart_seconds)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
