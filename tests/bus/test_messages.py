"""Messages of the bus come back as they went, and bytes that are none cost nobody anything."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from livemarkets.bus.edge_streams import TradesStream, UpdatesStream
from livemarkets.bus.messages import VERSION, Batch, TradeRow, Wants, decode, encode, row_of, tick_of
from livemarkets.market.models import StreamKey, TradeTick
from tests.support.candles import BTC_1M, make_candle
from tests.support.ticks import make_tick

BTC = StreamKey.trades("binance", "BTCUSDT")


class Owner:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: Counter[str] = Counter()
        self.leader: str | None = None


class Heard:
    """Keeps what a stream passes on."""

    def __init__(self) -> None:
        self.ticks: list[TradeTick] = []
        self.updates: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return {
            "on_trades": lambda key, ticks: self.ticks.extend(ticks),
            "on_update": lambda key, update: self.updates.append(update),
        }[name]


def trades_stream() -> tuple[TradesStream, Owner, Heard]:
    owner, heard = Owner(), Heard()
    stream = TradesStream(BTC, owner, heard)
    stream.end_join()
    return stream, owner, heard


def batch(node: str, number: int, *ids: int) -> bytes:
    rows = [row_of(make_tick(trade_id)) for trade_id in ids]
    return encode(Batch(VERSION, node, number, -1, rows))


def test_a_trade_keeps_every_digit() -> None:
    tick = TradeTick("binance", "BTCUSDT", Decimal("0.00100000"), Decimal("12.30"), "sell", 1, 2, 3, True)
    data = encode(Batch(VERSION, "a", 1, -1, [row_of(tick)]))
    found = decode(data, msgspec.msgpack.Decoder(Batch[TradeRow]))
    assert found is not None
    again = tick_of("binance", "BTCUSDT", found.items[0])
    assert again == tick
    assert (str(again.price), str(again.size)) == ("0.00100000", "12.30")


@given(st.binary(max_size=200))
@example(b"\x95\x00\xa2\x00\x80")  # a text that is not UTF-8
@example(b"\x91" * 2000)
def test_bytes_that_are_no_message_are_counted_and_nothing_else(data: bytes) -> None:
    stream, owner, heard = trades_stream()
    stream.handle(data, b"", b"")
    assert (owner.counts["malformed"], heard.ticks) == (1, [])


def test_another_version_is_not_read() -> None:
    wants = Wants(VERSION + 1, "edge", 1, -1, 0, True, True, [], [])
    assert decode(encode(wants), msgspec.msgpack.Decoder(Wants)) is None


def test_a_jump_of_the_numbers_is_a_loss_and_a_new_publisher_is_none() -> None:
    stream, owner, heard = trades_stream()
    for data in (
        batch("a", 1, 10),
        batch("a", 2, 11),
        batch("a", 5, 14),
        batch("b", 7, 15),
        batch("a", 1, 16),
    ):
        stream.handle(data, b"", b"")
    assert owner.counts["lost"] == 2
    assert [tick.id for tick in heard.ticks] == [10, 11, 14, 15, 16]
    assert owner.first == {"a": 4, "b": 1}


def test_of_a_private_exchange_one_ingest_alone_counts() -> None:
    stream, owner, heard = trades_stream()
    owner.leader = "a"
    stream.handle(batch("b", 1, 10), b"", b"")
    stream.handle(batch("a", 1, 11), b"", b"")
    assert [tick.id for tick in heard.ticks] == [11]


def test_whether_a_candle_was_told_before_is_decided_by_who_tells_it() -> None:
    heard = Heard()
    stream = UpdatesStream(BTC_1M, Owner(), heard)
    candle = msgspec.structs.replace(make_candle(1, closed=True), revised=True)
    stream.handle(encode(Batch(VERSION, "a", 1, -1, [candle])), b"", b"")
    assert heard.updates == [make_candle(1, closed=True)]
