"""One client or several legs, as the setting says."""

from __future__ import annotations

from typing import Any

import pytest

from livemarkets.app import build
from livemarkets.config.settings import Settings
from livemarkets.exchanges.binance.client import BinanceClient
from livemarkets.exchanges.legs import Legs

URLS = ("wss://one", "wss://two", "wss://three")


def client_of(exchange: str = "binance", **fields: Any) -> Any:
    """The client that the app makes."""
    settings = Settings(stream_enabled=True, binance_ws_url=URLS, **fields)
    return build(settings).feeds[exchange].client


def test_one_leg_is_the_client_itself() -> None:
    client = client_of()
    assert isinstance(client, BinanceClient)
    assert client.urls == URLS
    assert client.statistics().legs == ()


@pytest.mark.parametrize("exchange", ["binance", "simulator"])
def test_several_legs_are_clients_of_their_own(exchange: str) -> None:
    legs = client_of(exchange, binance_legs=2)
    assert isinstance(legs, Legs)
    clients = [leg.client for leg in legs.legs]
    assert all(isinstance(client, BinanceClient) for client in clients)
    assert [leg.number for leg in legs.statistics().legs] == [1, 2]


def test_each_leg_prefers_an_address_and_all_share_the_budget() -> None:
    clients: list[Any] = [leg.client for leg in client_of(binance_legs=2).legs]
    assert [client.urls for client in clients] == [
        ("wss://one", "wss://three", "wss://two"),
        ("wss://two", "wss://three", "wss://one"),
    ]
    assert clients[0]._attempts._budget is clients[1]._attempts._budget
    lifetimes = [client._timings.shard.lifetime_seconds for client in clients]
    assert lifetimes[1] < 0.9 * lifetimes[0], "their connections do not reach their age together"


def test_all_legs_get_the_addresses_of_the_embedded_exchange() -> None:
    services = build(Settings(stream_enabled=True, binance_legs=2))
    assert services.simulator is not None
    simulator = services.simulator
    simulator._handle_line('{"ws_url":"ws://127.0.0.1:5","rest_url":"http://127.0.0.1:5"}')
    legs = services.feeds["simulator"].client
    assert isinstance(legs, Legs)
    clients: list[Any] = [leg.client for leg in legs.legs]
    assert [client.urls for client in clients] == [("ws://127.0.0.1:5",)] * 2
