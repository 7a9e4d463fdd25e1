"""Loads the list of an exchange's symbols and refreshes it once per hour."""

from __future__ import annotations

import asyncio

from loguru import logger

from livemarkets.errors import ExchangeError
from livemarkets.exchanges.base import SymbolSource
from livemarkets.market.models import ExchangeName
from livemarkets.market.symbols import SymbolDirectory

__all__ = ["SymbolList"]

_REFRESH_SECONDS = 3600.0
_RETRY_SECONDS = 15.0


class SymbolList:
    """The symbols of one exchange. :meth:`run` loads and refreshes them.

    Args:
        exchange: its name, for the log.
        source: returns the list.

    """

    def __init__(self, exchange: ExchangeName, source: SymbolSource) -> None:
        self.directory = SymbolDirectory()
        self._exchange = exchange
        self._source = source
        self._tried = asyncio.Event()

    async def ensure(self, timeout_seconds: float) -> None:
        """Wait until the list is loaded or its first request has failed, up to `timeout_seconds`."""
        if not self.directory.is_loaded:
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._tried.wait()
            except TimeoutError:
                self._tried.set()  # later callers do not wait for the same answer again

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            delay = _REFRESH_SECONDS
            try:
                self.directory.replace((await self._source.symbols()).symbols)
                logger.info("{}: {} symbols loaded", self._exchange, len(self.directory))
            except ExchangeError as error:
                delay = _RETRY_SECONDS
                logger.warning("{}: cannot load the list of symbols: {}", self._exchange, error)
            self._tried.set()
            await asyncio.sleep(delay)
