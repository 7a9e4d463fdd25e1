"""A page of an app that keeps very many trades, seen by NiceGUI's simulated user."""

from __future__ import annotations

import time

import pytest
from nicegui.testing import User

from livemarkets.config.settings import Settings
from pages.elements.market_grid.market_grid import MarketGrid
from pages.elements.market_head.market_head import MarketHead
from pages.elements.trade_tape import MAX_LINES, TradeTape
from tests.pages.local import LocalServices
from tests.pages.visiting import in_simulated_time as in_simulated_time
from tests.pages.visiting import only, opened

HOLD_MS = 20.0
"""CPU time of the best of several runs: what else the machine does at the moment does not count."""


@pytest.fixture
def services() -> LocalServices:
    return LocalServices(Settings(stream_enabled=True, feed_length=100_000))


async def test_a_selection_holds_the_loop_no_longer_for_a_long_memory(
    visitor: User, services: LocalServices
) -> None:
    """One event of a page took 0.3 s with `LIVE_FEED_LENGTH=100000` (REVIEW A4)."""
    services.put_many("ETHUSDT", ["2683.80"] * 100_000)
    await opened(visitor, services)
    grid, tape, head = visitor.find(kind=MarketGrid), only(visitor, TradeTape), only(visitor, MarketHead)
    held = []
    for _ in range(4):
        grid.trigger("select", "BTCUSDT")
        before = time.thread_time()
        grid.trigger("select", "ETHUSDT")
        held.append(1000 * (time.thread_time() - before))
    assert min(held) < HOLD_MS
    assert tape.shown[-1].id == 100_000
    assert len(tape.shown) == MAX_LINES
    assert head.values.last == "100.00"
