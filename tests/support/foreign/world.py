"""The foreign exchange, the running app and its readers, with everything that happened written down."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from loguru import logger

from livemarkets.app import Tuning
from tests.support.app import RunningApp, running_app, settings_for
from tests.support.foreign.exchange import ForeignExchange, foreign_exchange
from tests.support.foreign.reader import Reader

SETTLE_SECONDS = 15.0


def tuning(patience_seconds: float) -> Tuning:
    """What the app is given, so that a case is short. Limits are named wherever they are kept."""
    changes = {
        "open_seconds": 2.0,
        "ping_seconds": 1.0,
        "pong_seconds": 1.0,
        "ack_timeout_seconds": 1.5,
        "rejection_seconds": 1.5,
        "takeover_seconds": 2.0,
        "backoff_initial_seconds": 0.1,
        "backoff_cap_seconds": 1.0,
        "streams_per_connection": 4,
        "hold_seconds": 0.1,
        "proof_seconds": 0.5,
        "at_once_seconds": 0.5,
        "patience_seconds": patience_seconds,
    }
    return msgspec.convert(_changed(msgspec.to_builtins(Tuning()), changes), Tuning)


def _changed(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _changed(value, changes) if isinstance(value, dict) else changes.get(name, value)
        for name, value in values.items()
    }


class World:
    """The exchange, the app and its readers; `check` says which promise is broken, with the trace."""

    def __init__(self, exchange: ForeignExchange, app: RunningApp, patience_seconds: float) -> None:
        self.exchange = exchange
        self.app = app
        self.patience_seconds = patience_seconds
        self.log: list[str] = []
        self.readers: list[Reader] = []
        self.errors: list[str] = []
        """What nobody expects: ERROR records of the log, and exceptions that nobody caught."""
        self.began_at = time.monotonic()

    def note(self, text: str) -> None:
        """Write down what happens, for the trace of a failure."""
        self.log.append(f"{time.monotonic() - self.began_at:6.2f} {text}")

    def note_record(self, line: str) -> None:
        """Take a record of the app's log."""
        self.note(f"log {line.rstrip()}")
        if line.startswith(("ERROR", "CRITICAL")):
            self.errors.append(line)

    def problems(self) -> list[str]:
        """Every promise that is broken so far."""
        found = [*self.errors, *self.exchange.rules.violations]
        for reader in self.readers:
            found += reader.problems
        return found

    def check(self) -> None:
        """Fail with the trace if a promise is broken."""
        if found := self.problems():
            raise AssertionError("\n".join([*found[:10], "", "The trace:", *self.log[-80:]]))

    async def join(self, *names: str) -> Reader:
        """One more reader."""
        reader = Reader(
            f"reader {len(self.readers)}",
            f"ws://127.0.0.1:{self.app.port}/ws/markets",
            self.exchange,
            patience_seconds=self.patience_seconds,
            note=self.note,
        )
        self.readers.append(reader)
        await reader.join()
        if names:
            await reader.subscribe(*names)
        return reader

    def wanted(self) -> set[str]:
        """The streams that somebody wants."""
        listings = self.exchange.market.listings
        return {listings[symbol].stream for reader in self.readers for symbol in reader.held()}

    async def settle(self) -> None:
        """End the faults, and wait until every reader has all that happened, or its declaration."""
        self.exchange.faults.clear()
        for reader in self.readers:
            if reader.is_connected and not reader.is_reading:
                reader.go_on()
        await self._until(lambda: self.wanted() <= self.exchange.carried, "all wanted streams to be carried")
        await self._until(lambda: self._late(is_withheld=False) == [], "what was missed in cuts")
        self.exchange.market.trade(*[name for name in self.exchange.market.listings if self._trades(name)])
        await self._until(lambda: self._late(is_withheld=True) == [], "everything that was traded")
        await self._until(lambda: self.exchange.carried <= self.wanted(), "no stream that nobody wants")
        self.check()

    async def _until(self, predicate: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while not predicate():
            self.check()
            if time.monotonic() > deadline:
                late = self._late(is_withheld=True)
                carried = sorted(self.exchange.carried), sorted(self.wanted())
                raise AssertionError(
                    "\n".join([f"waited in vain for {what}", *late, str(carried), "", *self.log[-80:]])
                )
            await asyncio.sleep(0.02)

    def _trades(self, symbol: str) -> bool:
        listing = self.exchange.market.listings[symbol]
        return listing.is_listed and listing.status == "TRADING"

    def _late(self, *, is_withheld: bool) -> list[str]:
        """Who lacks what. A newest trade that a living stream withheld shows with the next trade only."""
        late = []
        for reader in self.readers:
            for symbol in reader.held():
                reached, newest = reader.records[symbol].reached, self.exchange.truth.newest(symbol)
                may_lack = reached is None or self.exchange.market.listings[symbol].is_newest_withheld
                if may_lack and not is_withheld:
                    continue
                if self._trades(symbol) and (reached is None or reached < newest):
                    late.append(f"{reader.name} has {symbol} up to {reached} of {newest}")
        return late


@contextlib.asynccontextmanager
async def running_world(*, patience_seconds: float = 3.0, **fields: Any) -> AsyncIterator[World]:
    """Run the foreign exchange and the app on it; `fields` are settings of the app."""
    async with foreign_exchange(ping_seconds=2.0) as exchange:
        urls = {"binance_ws_url": exchange.ws_url, "binance_rest_url": exchange.rest_url}
        settings = settings_for(None, **(urls | fields))
        async with running_app(settings, tuning=tuning(patience_seconds)) as app:
            world = World(exchange, app, patience_seconds)
            sink = logger.add(world.note_record, level="WARNING", format="{level}: {message}")
            loop, before = asyncio.get_running_loop(), asyncio.get_running_loop().get_exception_handler()
            loop.set_exception_handler(lambda _, context: world.errors.append(f"asyncio: {context}"))
            try:
                yield world
            finally:
                for reader in world.readers:
                    await reader.leave(abruptly=True)
                loop.set_exception_handler(before)
                logger.remove(sink)
