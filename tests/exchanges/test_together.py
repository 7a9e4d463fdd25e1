"""Calls that are awaited together."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from livemarkets.errors import RestError
from livemarkets.exchanges.together import all_of


async def answer(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def test_each_call_has_its_answer() -> None:
    assert await all_of({"one": answer(1), "two": answer(2)}) == {"one": 1, "two": 2}


async def test_the_first_error_ends_the_other_calls_and_is_freed_without_a_collection() -> None:
    ended: list[str] = []

    async def refused() -> int:
        await asyncio.sleep(0)
        raise RestError(404, None, "not served")

    async def endless() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("endless")
        return 0

    gc.collect()
    gc.disable()
    try:
        with pytest.raises(RestError) as raised:
            await all_of({"refused": refused(), "endless": endless()})
        assert ended == ["endless"]
        error = weakref.ref(raised.value)
        del raised
        await asyncio.sleep(0)
        assert error() is None
    finally:
        gc.enable()
