"""Awaits several calls together."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from livemarkets.exchanges.failures import first_of

__all__ = ["all_of"]

T = TypeVar("T")


async def all_of(calls: Mapping[str, Coroutine[Any, Any, T]]) -> dict[str, T]:
    """Return what each call returns. They run at once, each in a task that has the name of its call.

    The first error ends the other calls and is raised. It is in no reference cycle, nor are the tasks:
    an exchange that fails again and again would leave much garbage, and its collection holds the event loop.
    """
    tasks: dict[str, asyncio.Task[T]] = {}
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for name, call in calls.items():
                tasks[name] = group.create_task(call, name=name)
    except BaseExceptionGroup as failures:
        failure = first_of(failures)
        traceback.clear_frames(failures.__traceback__)  # the frame of the TaskGroup refers to the failures
    if failure is None:
        return {name: task.result() for name, task in tasks.items()}
    try:
        raise failure
    finally:
        del failure  # it refers to this frame, and so do the tasks through it
        tasks.clear()
