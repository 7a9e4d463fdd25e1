"""The port between a campaign and the exchange that it runs on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from random import Random
from typing import Protocol

import msgspec

from tests.soak.channels import ChannelMarket

__all__ = ["CampaignExchange", "ExchangeFactory", "ExchangeFigures"]


class ExchangeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the exchange counted."""

    trades: Mapping[str, int]
    """Trades by symbol: those that were sent, or those that happened."""
    accepted: int
    """Connections."""
    refused: int
    violations: Mapping[str, int]
    """Limits of the exchange that the app exceeded; empty in a clean campaign."""


class CampaignExchange(Protocol):
    """A running exchange with the protocol of Binance, whose symbols trade by themselves."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that the clients subscribe."""

    @property
    def ws_url(self) -> str:
        """Base address of the streams."""

    @property
    def rest_url(self) -> str:
        """Base address of REST."""

    @property
    def rare(self) -> frozenset[str]:
        """The kinds of faults that cost seconds each; they come a quarter as often as the others."""

    def kinds(self, random: Random) -> dict[str, Callable[[], object]]:
        """Every kind of fault by name, with arguments drawn anew at each call.

        Outages of REST are shorter than the app's patience, so a trade that REST has need not be declared.
        """

    @property
    def injected(self) -> Mapping[str, int]:
        """How many faults there were, by kind."""

    def clear(self) -> None:
        """End every fault."""

    def skip(self, symbol: str, count: int) -> None:
        """Leave out so many ids: the next trade has the id behind them."""

    def newest(self, symbol: str) -> int:
        """Return the newest trade id."""

    def numberings(self, symbol: str) -> list[dict[int, str]]:
        """Return price and size of all trades by id, for every numbering, oldest first."""

    @property
    def channels(self) -> ChannelMarket | None:
        """The truth about the other channels; `None` if the exchange has only trades."""

    def subscribed(self) -> set[str]:
        """Return the streams that are subscribed."""

    def figures(self) -> ExchangeFigures:
        """Return what it counted."""


ExchangeFactory = Callable[[int], AbstractAsyncContextManager[CampaignExchange]]
"""Makes an exchange that runs until the context ends, from a seed."""
