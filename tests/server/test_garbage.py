"""What is frozen, so that no collection of garbage looks at it again, and when."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from starlette.types import Receive, Scope, Send

from livemarkets.server.garbage import FreezingApp
from tests.support.helpers import eventually


class Cycle:
    """An object that only a collection can free."""

    def __init__(self) -> None:
        self.itself = self


class App:
    """Each request keeps a cycle until it ends."""

    def __init__(self) -> None:
        self.kept: list[weakref.ref[Cycle]] = []
        self.may_end = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cycle = Cycle()
        self.kept.append(weakref.ref(cycle))
        await self.may_end.wait()


class World:
    def __init__(self) -> None:
        self.app = App()
        self.freezing = FreezingApp(self.app)
        gc.callbacks.append(self.freezing.note_collection)
        self.frozen = gc.get_freeze_count()

    def ask(self, kind: str = "http") -> asyncio.Future[None]:
        async def receive() -> dict[str, str]:
            return {}

        async def send(_: object) -> None:
            pass

        return asyncio.ensure_future(self.freezing({"type": kind}, receive, send))

    @property
    def has_frozen(self) -> bool:
        return gc.get_freeze_count() > self.frozen


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    try:
        yield world
    finally:
        gc.callbacks.remove(world.freezing.note_collection)


@pytest.mark.parametrize("generation", [1, 2])
async def test_what_stays_is_frozen_when_some_thousand_objects_have_come(
    world: World, generation: int
) -> None:
    """A full collection that comes late has much to look at, and holds the event loop."""
    gc.collect(0)
    await asyncio.sleep(0)
    assert not world.has_frozen
    gc.collect(generation)
    assert not world.has_frozen, "not in the middle of what goes on"
    await eventually(lambda: world.has_frozen)


async def test_what_becomes_garbage_before_it_is_frozen_is_freed(world: World) -> None:
    cycle = Cycle()
    gone = weakref.ref(cycle)
    gc.collect(1)
    del cycle
    await eventually(lambda: world.has_frozen)
    assert gone() is None


async def test_what_a_request_leaves_in_cycles_is_never_frozen(world: World) -> None:
    """Otherwise each request during which a collection comes would take memory for ever."""
    requests = [world.ask() for _ in range(3)]
    await eventually(lambda: len(world.app.kept) == 3)
    gc.collect()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not world.has_frozen
    world.app.may_end.set()
    await asyncio.gather(*requests)
    await eventually(lambda: world.has_frozen)
    gc.collect()
    assert [reference() for reference in world.app.kept] == [None] * 3


async def test_an_open_connection_does_not_hold_it_up(world: World) -> None:
    connection = world.ask("websocket")
    await eventually(lambda: len(world.app.kept) == 1)
    gc.collect()
    await eventually(lambda: world.has_frozen)
    world.app.may_end.set()
    await connection
