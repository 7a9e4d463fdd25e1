"""The faults that a page may cause: real ones, rationed, and of the embedded exchange alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from livemarkets.embedded.exchange import Addresses, EmbeddedExchange
from livemarkets.embedded.faults import OFFERS, FaultControl, FaultRefused
from livemarkets.simulator import SimulatedMarket, Simulator
from livemarkets.simulator.faults.catalogue import Faults
from livemarkets.simulator.faults.commands import describe_commands


class Given:
    """An exchange inside this process, in place of the embedded one's, and the buttons for it."""

    def __init__(self, simulator: Simulator, secret: str) -> None:
        self.simulator = simulator
        self.embedded = EmbeddedExchange(lambda _: None)
        self.embedded.secret = secret
        self.embedded.addresses = Addresses(simulator.ws_url, simulator.rest_url)
        self.now = 1000.0
        self.control = FaultControl(self.embedded, lambda: self.now)


@pytest.fixture
async def given() -> AsyncIterator[Given]:
    simulator = Simulator(SimulatedMarket(symbols=("BTCUSDT",)), control_secret="a long enough secret")
    await simulator.start()
    yield Given(simulator, "a long enough secret")
    await simulator.aclose()


async def test_every_button_causes_its_faults(given: Given) -> None:
    for offer in OFFERS:
        before = given.simulator.faults.injected.copy()
        await given.control.inject(offer.name)
        caused = given.simulator.faults.injected - before
        expected = [command["fault"] for command in offer.commands if command["fault"] != "clear"]
        assert sorted(caused) == sorted(expected), offer.name
        given.now += 2
    assert {command["fault"] for offer in OFFERS for command in offer.commands} <= set(
        describe_commands(Faults)
    )
    assert all(offer.label and offer.hint for offer in OFFERS)


async def test_a_skewed_clock_is_repaired(given: Given) -> None:
    await given.control.inject("skew")
    assert given.simulator.source.skew_ms == 5000
    given.now += 2
    await given.control.inject("clear")
    assert given.simulator.source.skew_ms == 0


async def test_one_fault_in_two_seconds(given: Given) -> None:
    await given.control.inject("cut")
    with pytest.raises(FaultRefused, match="wait a moment"):
        await given.control.inject("lose")
    given.now += 2
    await given.control.inject("lose")


async def test_what_is_not_offered_is_refused(given: Given) -> None:
    with pytest.raises(FaultRefused, match="no such fault"):
        await given.control.inject("relist")
    given.embedded.addresses = None
    with pytest.raises(FaultRefused, match="does not run"):
        await given.control.inject("lose")
    assert given.simulator.faults.injected.total() == 0


async def test_a_wrong_secret_and_a_dead_exchange_are_told(given: Given) -> None:
    given.embedded.secret = "wrong"
    with pytest.raises(FaultRefused, match="does not answer"):
        await given.control.inject("lose")
    given.now += 2
    given.embedded.addresses = Addresses("ws://127.0.0.1:9", "http://127.0.0.1:9")
    with pytest.raises(FaultRefused, match="does not answer"):
        await given.control.inject("lose")
