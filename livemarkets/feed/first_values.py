"""Asks the exchange for a value of new streams, so that a reader of a quiet symbol sees something.

It also asks for the value of streams that were interrupted: nobody can say whether what is stored is true.

The streams of some moments share one question. The questions are few: one a second and channel at most, and
one a minute for all tickers. Streams of which nothing is known come first. A first value is for eyes only: it
is no evidence for the ledgers of trades, and whatever a stream brings replaces it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable

from loguru import logger

from livemarkets.errors import ExchangeError
from livemarkets.exchanges.base import FIRST_VALUES_AT_ONCE, FirstValues
from livemarkets.market.channels import ALL_SYMBOLS, DEPTH
from livemarkets.market.models import StreamKey
from livemarkets.market.updates import TickersDelta, Update

__all__ = ["FirstValueQuestions"]

_GATHER_SECONDS = 0.15
_PAUSE_SECONDS = 1.0
_ALL_PAUSE_SECONDS = 60.0


class FirstValueQuestions:
    """The streams of one exchange that wait for a first value.

    Args:
        source: the exchange; `None` if it has no first values.
        is_needed: returns whether a stream is wanted of which nothing is known, or nothing certain.
        on_value: given each value, and when it was asked for.
        on_end: told each stream whose question has ended, with or without a value.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        source: FirstValues | None,
        is_needed: Callable[[StreamKey], bool],
        on_value: Callable[[StreamKey, Update, float], None],
        on_end: Callable[[StreamKey], None],
        clock: Callable[[], float],
    ) -> None:
        self._source = source
        self._is_needed = is_needed
        self._on_value = on_value
        self._on_end = on_end
        self._clock = clock
        self._new: dict[StreamKey, None] = {}  # nothing is known of them
        self._doubted: dict[StreamKey, None] = {}
        self._all_at = -math.inf  # when all tickers may be asked for again
        self._wake = asyncio.Event()

    def ask(self, key: StreamKey, *, is_new: bool) -> bool:
        """Ask for a value of a stream soon. Return whether the exchange can be asked."""
        if self._source is None:
            return False
        if key.symbol == ALL_SYMBOLS and self._clock() < self._all_at:
            return False
        (self._new if is_new else self._doubted)[key] = None
        self._wake.set()
        return True

    async def run(self) -> None:
        """Ask, until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._wake.clear()
            for keys in self._take_some():
                await self._ask(keys)
            if self._new or self._doubted:
                self._wake.set()
                await asyncio.sleep(_PAUSE_SECONDS)

    def _take_some(self) -> list[list[StreamKey]]:
        """Return the streams of the next questions: at most one for each channel, and one for all tickers."""
        questions: dict[str, list[StreamKey]] = {}
        for key in self._new | self._doubted:
            if not self._is_needed(key):
                self._end([key])
                continue
            kind = ALL_SYMBOLS if key.symbol == ALL_SYMBOLS else key.channel
            keys = questions.setdefault(kind, [])
            if len(keys) < (1 if key.channel == DEPTH else FIRST_VALUES_AT_ONCE):
                keys.append(key)
        return list(questions.values())

    async def _ask(self, keys: list[StreamKey]) -> None:
        assert self._source is not None
        by_symbol, asked_at = {key.symbol: key for key in keys}, self._clock()
        if ALL_SYMBOLS in by_symbol:
            self._all_at = asked_at + _ALL_PAUSE_SECONDS
        try:
            for update in await self._source.first_values(keys[0].channel, list(by_symbol)):
                symbol = ALL_SYMBOLS if isinstance(update, TickersDelta) else update.symbol
                key = by_symbol.get(symbol)
                if key is not None and self._is_needed(key):
                    self._on_value(key, update, asked_at)
        except ExchangeError as error:
            logger.debug("no first values of {} streams: {}", len(keys), error)
        finally:
            self._end(keys)

    def _end(self, keys: Iterable[StreamKey]) -> None:
        for key in keys:
            if key in self._new or key in self._doubted:
                self._new.pop(key, None)
                self._doubted.pop(key, None)
                self._on_end(key)
