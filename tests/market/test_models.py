import gc
from decimal import Decimal

import msgspec
import pytest

from livemarkets.market.models import TRADES, ExchangeState, ExchangeStatus, Gap, StreamKey, TradeTick
from tests.support.ticks import BTC, make_tick


def test_a_tick_has_the_fields_of_the_contract_in_their_order() -> None:
    assert TradeTick.__struct_fields__ == (
        "exchange",
        "symbol",
        "price",
        "size",
        "side",
        "ts",
        "id",
        "recv_ts",
        "backfilled",
    )


def test_a_tick_cannot_be_changed() -> None:
    tick = make_tick(1)
    with pytest.raises(AttributeError):
        tick.price = Decimal(1)  # type: ignore[misc]


def test_equal_ticks_are_equal_and_can_be_keys() -> None:
    assert make_tick(1) == make_tick(1)
    assert make_tick(1) != make_tick(2)
    assert len({make_tick(1), make_tick(1), make_tick(2)}) == 2


def test_a_tick_costs_the_garbage_collector_nothing() -> None:
    assert not gc.is_tracked(make_tick(1))


def test_a_tick_keeps_the_digits_of_the_exchange() -> None:
    tick = make_tick(1, price="0.00100000", size="12.30000000")
    assert (str(tick.price), str(tick.size)) == ("0.00100000", "12.30000000")


def test_the_backfilled_mark_is_on_the_wire_only_where_it_says_something() -> None:
    assert b"backfilled" not in msgspec.json.encode(make_tick(1))
    assert msgspec.json.decode(msgspec.json.encode(make_tick(1, backfilled=True)))["backfilled"] is True


def test_a_stream_key_names_the_whole_stream() -> None:
    assert StreamKey.trades("binance", "BTCUSDT") == StreamKey("binance", TRADES, "BTCUSDT") == BTC
    assert StreamKey.trades("simulator", "BTCUSDT") != BTC
    minutes, hours = (StreamKey("binance", "candles", "BTCUSDT", interval) for interval in ("1m", "1h"))
    assert len({BTC, minutes, hours}) == 3
    assert [str(key) for key in (BTC, hours)] == ["binance trades BTCUSDT", "binance candles BTCUSDT 1h"]


def test_the_states_are_those_of_the_protocol() -> None:
    assert [state.value for state in ExchangeState] == ["idle", "connecting", "live", "stale", "down"]


def test_values_can_be_compared() -> None:
    def status(reason: str | None) -> ExchangeStatus:
        return ExchangeStatus(exchange="binance", state=ExchangeState.DOWN, reason=reason, ts=1)

    assert status("timeout") == status("timeout") != status(None)
    assert Gap(BTC, 1, 2, "venue") != Gap(BTC, 1, 2, "upstream")
