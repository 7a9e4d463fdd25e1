"""The list of an exchange's symbols: loads it, refreshes it, and knows which symbols have left it.

It is refreshed every few minutes, and at once when somebody wants a symbol that it lacks. A refresh that
fails or makes no sense changes nothing. A symbol has left the list when two consecutive lists lack it,
because one list alone may be incomplete.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import Callable, Iterable, Sequence

import msgspec
from loguru import logger

from livemarkets.errors import ExchangeError
from livemarkets.exchanges.base import ListedSymbols, SymbolSource
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeName, SymbolInfo
from livemarkets.market.symbols import SymbolDirectory, is_well_formed

__all__ = ["Absence", "ListLimits", "SymbolList"]

_HIDDEN_KEPT = 20
_SOUGHT_KEPT = 20


class ListLimits(msgspec.Struct, frozen=True, kw_only=True):
    """When a list of symbols is loaded, and what is believed."""

    refresh_seconds: float = 300.0
    """Time between two refreshes; each is shortened at random by up to a fifth."""
    at_once_seconds: float = 60.0
    """Least time between two refreshes for unknown symbols, and between two questions for one symbol. It is
    also the time until the second look at a list that lacks a symbol."""
    retry_seconds: float = 15.0
    """Time until the next attempt after the first failure; it doubles up to `at_once_seconds`."""
    least_share: float = 0.5
    """A list with a smaller share of the symbols known before is not believed …"""
    believe_seconds: float = 3600.0
    """… unless every list has been that short for this time."""
    denial_seconds: float = 600.0
    """How long the exchange's answer that it does not have a symbol is believed."""
    streams_without_list: int = 2000
    """How many streams are subscribed at the exchange while no list is loaded."""


class Absence(msgspec.Struct):
    """A symbol that the newest lists lack."""

    since_ts: int
    """When the first of these lists was loaded, ms since the epoch."""
    was_listed: bool
    """Whether a list before had it."""
    lists: int = 0
    """How many consecutive lists lack it. One alone may be incomplete."""


class SymbolList:
    """The symbols of one exchange. :meth:`run` loads and refreshes them.

    Args:
        exchange: its name, for the log.
        source: returns the list.
        wanted: returns the symbols whose streams are wanted.
        on_load: called after every list that was believed.
        limits: times and shares (:class:`ListLimits`).
        clock: source of the time.
        uniform: source of randomness.

    """

    def __init__(
        self,
        exchange: ExchangeName,
        source: SymbolSource,
        wanted: Callable[[], Iterable[str]],
        on_load: Callable[[], None],
        *,
        limits: ListLimits,
        clock: Clock,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.directory = SymbolDirectory()
        self.limits = limits
        self.skipped = 0
        """Entries of the newest list that made no sense."""
        self.loaded_ts: int | None = None
        """When the list was loaded, ms since the epoch; `None` before the first."""
        self._exchange = exchange
        self._source = source
        self._wanted = wanted
        self._on_load = on_load
        self._clock = clock
        self._uniform = uniform
        self._tried = asyncio.Event()
        self._wake = asyncio.Event()
        self._searched = asyncio.Event()
        self._due = math.inf  # when the list is loaded next, monotonic seconds
        self._is_searching = False
        self._sought: dict[str, None] = {}  # symbols to ask the exchange for, the oldest first
        self._next_search = self._next_guess = self._next_question = -math.inf  # when the next is allowed
        self._failures = 0
        self._listed = 0  # symbols of the newest list that was believed
        self._short_since: float | None = None
        self._absences: dict[str, Absence] = {}
        self._hidden: dict[str, SymbolInfo] = {}  # the exchange has them, though its list leaves them out
        self._denied: dict[str, float] = {}  # symbol -> until when the denial is believed

    # look-up

    def absence(self, symbol: str) -> Absence | None:
        """Return since when the lists lack a wanted symbol; `None` if the newest one has it."""
        return self._absences.get(symbol)

    def has_room(self, streams: int) -> bool:
        """Return whether so many streams may be subscribed at the exchange. With a list, it bounds them."""
        return self.directory.is_loaded or streams <= self.limits.streams_without_list

    def age_seconds(self) -> float | None:
        """Return how old the list is; `None` if none is loaded."""
        return None if self.loaded_ts is None else max(self._clock.now_ms() - self.loaded_ts, 0) / 1000

    async def ensure(self, timeout_seconds: float) -> None:
        """Wait until the list is loaded or its first request has failed, up to `timeout_seconds`."""
        if not self.directory.is_loaded:
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._tried.wait()
            except TimeoutError:
                self._tried.set()  # later callers do not wait for the same answer again

    async def find(self, symbols: Sequence[str], timeout_seconds: float, *, ask: bool = True) -> None:
        """Look for symbols that the list lacks, and wait for the result up to `timeout_seconds`.

        The list is loaded again. If it still lacks a symbol, the exchange is asked for this symbol alone,
        unless `ask` is false. Both happen at most once in `at_once_seconds` for all callers, else later.
        """
        if self.seek(symbols, ask=ask) or (self._is_searching and self._missing(symbols)):
            with contextlib.suppress(TimeoutError):  # the answer will be there for the next caller
                async with asyncio.timeout(timeout_seconds):
                    await self._searched.wait()

    def seek(self, symbols: Sequence[str], *, ask: bool = True) -> bool:
        """Begin to look for symbols as :meth:`find` does, without waiting. Return whether it was begun."""
        missing = self._missing(symbols)
        asked = [symbol for symbol in missing if ask and symbol not in self._denied]
        self._sought |= dict.fromkeys(asked[: max(0, _SOUGHT_KEPT - len(self._sought))])
        if not missing or not self.refresh_soon(is_guess=not ask):
            if self._sought:  # then at the next opportunity
                self._due = min(self._due, self._next_search)
                self._wake.set()
            return False
        self._is_searching = True
        self._searched.clear()
        return True

    def refresh_soon(self, *, is_guess: bool = True) -> bool:
        """Load the list again at once, unless that was done less than `at_once_seconds` ago.

        A guess never takes the turn of somebody who asks for a symbol.
        """
        now = self._clock.monotonic()
        if now < (self._next_guess if is_guess else self._next_search):
            return False
        self._next_guess = now + self.limits.at_once_seconds
        if not is_guess:
            self._next_search = self._next_guess
        self._due = now
        self._wake.set()
        return True

    def _missing(self, symbols: Sequence[str]) -> list[str]:
        """Return the symbols that a new list may have."""
        if not self.directory.is_loaded:
            return []
        return [one for one in symbols if not self.directory.accepts(one) and is_well_formed(one)]

    # loading

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self._due = math.inf
            if self._sought:
                self._next_search = self._clock.monotonic() + self.limits.at_once_seconds
            delay = await self._refresh()
            now = self._clock.monotonic()
            self._tried.set()
            if self._due > now:
                self._is_searching = False
                self._searched.set()
            self._due = min(self._due, now + delay, self._next_search if self._sought else math.inf)
            while (wait := self._due - self._clock.monotonic()) > 0:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._wake.wait()

    async def _refresh(self) -> float:
        """Load the list. Return the time until the next refresh, seconds."""
        limits = self.limits
        try:
            listed = await self._source.symbols()
            fault = self._fault_of(listed)
        except ExchangeError as error:
            fault = str(error)
        if fault is not None:
            self._note_failure(fault)
            return min(limits.retry_seconds * (1 << min(self._failures - 1, 10)), limits.at_once_seconds)
        self._take(listed)
        await self._ask_for_one()
        self._on_load()
        is_doubtful = any(absence.lists == 1 for absence in self._absences.values())
        delay = limits.refresh_seconds * self._uniform(0.8, 1.0)
        return min(delay, limits.at_once_seconds) if is_doubtful else delay

    def _fault_of(self, listed: ListedSymbols) -> str | None:
        """Return why a list is not believed; `None` if it is."""
        count, known, now = len(listed.symbols), self._listed, self._clock.monotonic()
        if not count or count < known * self.limits.least_share:
            self._short_since = now if self._short_since is None else self._short_since
            if not count or now - self._short_since < self.limits.believe_seconds:
                return f"it has {count} symbols, and {known} are known"
        self._short_since, self._listed = None, count
        return None

    def _take(self, listed: ListedSymbols) -> None:
        if self._failures or self.loaded_ts is None or self.skipped != listed.skipped:
            self._log(listed)
        self._failures, self.skipped, self.loaded_ts = 0, listed.skipped, self._clock.now_ms()
        names = {info.symbol: info for info in listed.symbols}
        self._hidden = {symbol: info for symbol, info in self._hidden.items() if symbol not in names}
        names |= self._hidden
        wanted = set(self._wanted())
        absences: dict[str, Absence] = {}
        for symbol in (wanted | self.directory.names()) - names.keys():
            info = self.directory.get(symbol)
            absence = self._absences.get(symbol) or Absence(self.loaded_ts, info is not None)
            absence.lists += 1
            if info is not None and absence.lists == 1:
                names[symbol] = info  # it stays until the next list confirms that it has left
            if symbol in wanted or absence.lists == 1:
                absences[symbol] = absence
        self._absences = absences
        self.directory.replace(names.values())

    def _note_failure(self, why: str) -> None:
        self._failures += 1
        if self._failures.bit_count() == 1:  # the first, second, fourth, eighth …: an outage fills no log
            logger.warning(
                "{}: attempt {} to load the list of symbols failed: {}; {}",
                self._exchange,
                self._failures,
                why,
                "the list before stays" if self._listed else "every symbol is accepted until then",
            )

    def _log(self, listed: ListedSymbols) -> None:
        logger.info("{}: {} symbols loaded", self._exchange, len(listed.symbols))
        if listed.skipped:
            logger.warning(
                "{}: {} entries of the list of symbols make no sense and are skipped, among them {}",
                self._exchange,
                listed.skipped,
                "; ".join(listed.faults),
            )

    # symbols that the list leaves out

    async def _ask_for_one(self) -> None:
        """Ask for one symbol that the list lacks: a sought one, else a wanted one, else a hidden one."""
        now = self._clock.monotonic()
        self._denied = {symbol: until for symbol, until in self._denied.items() if until > now}
        accepts = self.directory.accepts
        self._sought = {symbol: None for symbol in self._sought if not accepts(symbol)}
        lacking = [symbol for symbol in (*self._sought, *self._absences) if not accepts(symbol)]
        symbol = next((one for one in (*lacking, *self._hidden) if one not in self._denied), None)
        if symbol is None or now < self._next_question:
            return
        self._next_question = now + self.limits.at_once_seconds
        self._sought.pop(symbol, None)
        try:
            info = await self._source.symbol(symbol)
        except ExchangeError as error:
            logger.debug("{}: could not ask for {}: {}", self._exchange, symbol, error)
            return
        was_hidden = self._hidden.pop(symbol, None) is not None
        if info is None:
            self._denied[symbol] = now + self.limits.denial_seconds
        elif len(self._hidden) < _HIDDEN_KEPT:
            self._hidden[symbol] = info
            self._absences.pop(symbol, None)
            if not was_hidden:
                logger.info("{}: has {}, which its list leaves out", self._exchange, symbol)
            if self.directory.get(symbol) != info:
                self.directory.add(info)
