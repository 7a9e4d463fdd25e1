"""The state of an exchange, as its client and its mute streams make it."""

import pytest

from livemarkets.exchanges.base import ClientStatus
from livemarkets.feed.status import next_status
from livemarkets.market.channels import ALL_SYMBOLS, BOOK, CANDLES, DEPTH, TICKERS
from livemarkets.market.models import ExchangeState, ExchangeStatus, StreamKey

BTC, ETH = StreamKey.trades("binance", "BTCUSDT"), StreamKey.trades("binance", "ETHUSDT")
BTC_1M = StreamKey("binance", CANDLES, "BTCUSDT", "1m")
BEFORE = ExchangeStatus(exchange="binance", state=ExchangeState.LIVE, reason=None, ts=1)
LIVE = ClientStatus(ExchangeState.LIVE)


def status_with(*mute: StreamKey, wanted: int = 3, client: ClientStatus = LIVE) -> ExchangeStatus:
    return next_status(BEFORE, client, mute, wanted, now=0.0, now_ms=2)


def test_a_mute_stream_of_trades_makes_the_exchange_stale() -> None:
    status = status_with(BTC, ETH)
    assert (status.state, status.reason) == ("stale", "no trades arrive for BTCUSDT, ETHUSDT")
    assert status.ts == 2


@pytest.mark.parametrize(
    "key",
    [
        BTC_1M,
        StreamKey("binance", DEPTH, "BTCUSDT"),
        StreamKey("binance", BOOK, "BTCUSDT"),
        StreamKey("binance", TICKERS, ALL_SYMBOLS),
    ],
    ids=str,
)
def test_a_mute_stream_of_another_channel_says_nothing_of_prices(key: StreamKey) -> None:
    assert status_with(key) == BEFORE


def test_the_reason_names_the_streams_of_trades_alone() -> None:
    assert status_with(BTC_1M, ETH).reason == "no trades arrive for ETHUSDT"


def test_an_exchange_of_which_nothing_wanted_arrives_is_mute() -> None:
    every = StreamKey("binance", TICKERS, ALL_SYMBOLS)
    status = status_with(every, BTC_1M, wanted=2)
    assert (status.state, status.reason) == ("stale", "nothing arrives for *, BTCUSDT")
    assert status_with(wanted=0) == BEFORE


def test_an_exchange_that_is_not_connected_is_not_stale() -> None:
    assert status_with(BTC, client=ClientStatus(ExchangeState.DOWN, "refused")).state == "down"
