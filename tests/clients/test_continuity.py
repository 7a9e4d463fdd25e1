"""The account of a stream: whatever the server sends, each id comes once, in order, or is declared."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets_client.continuity import Account, CandleAccount, Item, TradeAccount, position_after
from livemarkets_client.messages import GapMessage, LaggedMessage, decode
from livemarkets_client.models import Candle, CandleGap, Gap, Lagged, Trade


def trade(trade_id: int) -> Trade:
    price = Decimal("61837.63000000")
    return Trade(
        exchange="binance",
        symbol="BTCUSDT",
        price=price,
        size=price,
        side="buy",
        ts=1,
        id=trade_id,
        recv_ts=1,
    )


def gap(from_id: int, to_id: int, cause: str = "upstream") -> GapMessage:
    return GapMessage(
        exchange="binance", channel="trades", symbol="BTCUSDT", cause=cause, from_id=from_id, to_id=to_id
    )


def lagged(from_id: int, to_id: int) -> LaggedMessage:
    skipped = to_id - from_id + 1
    return LaggedMessage(
        exchange="binance",
        channel="trades",
        symbol="BTCUSDT",
        skipped=skipped,
        from_id=from_id,
        to_id=to_id,
    )


def candle(open_ts: int, *, closed: bool, revised: bool = False) -> Candle:
    figures: dict[str, Any] = dict.fromkeys(
        ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume"), Decimal(1)
    )
    figures |= {"exchange": "binance", "symbol": "BTCUSDT", "interval": "1m"}
    figures |= {"open_ts": open_ts, "close_ts": open_ts + 59, "ts": open_ts, "recv_ts": open_ts}
    return Candle(**figures, trades=1, closed=closed, revised=revised)


def told(account: Account, *messages: Trade | GapMessage | LaggedMessage) -> list[Item]:
    items: list[Item] = []
    for message in messages:
        match message:
            case Trade():
                items += account.take(message)
            case GapMessage():
                items += account.take_gap(message)
            case LaggedMessage():
                items += account.take_lagged(message)
    return items


def ranges(items: list[Item]) -> list[tuple[str, int, int]]:
    found = []
    for item in items:
        match item:
            case Trade():
                found.append(("trade", item.id, item.id))
            case Gap():
                found.append((item.cause, item.from_id, item.to_id))
            case Lagged():
                found.append(("lagged", item.from_id, item.to_id))
    return found


@pytest.mark.parametrize(
    ("after", "messages", "expected"),
    [
        (None, [trade(7), trade(8)], [("trade", 7, 7), ("trade", 8, 8)]),
        (7, [trade(6), trade(7), trade(8), trade(8)], [("trade", 8, 8)]),
        (7, [trade(10)], [("undeclared", 8, 9), ("trade", 10, 10)]),
        (7, [gap(8, 9), trade(10)], [("upstream", 8, 9), ("trade", 10, 10)]),
        (7, [gap(5, 9), gap(8, 9), trade(10)], [("upstream", 8, 9), ("trade", 10, 10)]),
        (7, [gap(10, 11)], [("undeclared", 8, 9), ("upstream", 10, 11)]),
        (7, [lagged(8, 20), trade(21)], [("lagged", 8, 20), ("trade", 21, 21)]),
        (7, [lagged(3, 20)], [("lagged", 8, 20)]),
        (0, [gap(1, 4, "history"), trade(5)], [("history", 1, 4), ("trade", 5, 5)]),
        (900, [gap(901, 4, "venue"), trade(5)], [("venue", 901, 4), ("trade", 5, 5)]),
    ],
)
def test_each_id_comes_once_or_is_declared(
    after: int | None, messages: list[Any], expected: list[tuple[str, int, int]]
) -> None:
    assert ranges(told(TradeAccount(after), *messages)) == expected


_ids = st.integers(1, 40)
_declared = st.builds(lambda a, b: (min(a, b), max(a, b)), _ids, _ids)


@given(
    after=st.integers(0, 20),
    messages=st.lists(
        st.one_of(
            _ids.map(trade), _declared.map(lambda ids: gap(*ids)), _declared.map(lambda ids: lagged(*ids))
        )
    ),
)
def test_whatever_comes_the_ids_rise_by_one(after: int, messages: list[Any]) -> None:
    account = TradeAccount(after)
    items = told(account, *messages)
    told_ids = [("", after, after), *ranges(items)]
    assert all(second[1] == first[2] + 1 for first, second in itertools.pairwise(told_ids))
    assert account.after == told_ids[-1][2]
    position: int | None = after
    for item in items:
        position = position_after(item, position)
    assert position == account.after


def test_a_closed_candle_comes_once_and_a_correction_comes_always() -> None:
    account = CandleAccount()
    steps: list[tuple[Candle, bool]] = [
        (candle(60, closed=True), True),
        (candle(120, closed=False), True),
        (candle(60, closed=True), False),
        (candle(120, closed=False), True),
        (candle(120, closed=True), True),
        (candle(120, closed=False), False),
        (candle(60, closed=True, revised=True), True),
        (candle(180, closed=False), True),
    ]
    for each, is_new in steps:
        assert account.take(each) == ((each,) if is_new else ())
    assert account.after == 120


def test_a_running_candle_alone_is_a_position_too() -> None:
    account = CandleAccount()
    running = candle(120, closed=False)
    account.take(running)
    assert account.after == position_after(running, None) == 119
    assert position_after(running, 60) == 60


def test_gaps_of_candles_are_clipped_and_may_lead_back() -> None:
    account = CandleAccount(after=120)

    def missing(first: int, last: int) -> GapMessage:
        return GapMessage(
            exchange="binance",
            channel="candles",
            symbol="BTCUSDT",
            interval="1m",
            cause="upstream",
            from_open_ts=first,
            to_open_ts=last,
        )

    assert account.take_gap(missing(60, 120)) == ()
    (found,) = account.take_gap(missing(60, 240))
    assert isinstance(found, CandleGap)
    assert (found.from_open_ts, found.to_open_ts, account.after) == (121, 240, 240)
    account.take_gap(missing(241, 60))
    assert account.after == 60


@pytest.mark.parametrize(
    "raw",
    [
        b'"\x80"',
        b'{"type":"trade\x80"}',
        b"[" * 100_000,
        b"nonsense",
        b"{}",
        b'{"type":"trade","exchange":1,"type":"\xff"}',
        b'{"type":"new","value":' + b"[" * 100_000,
    ],
    ids=["no UTF-8", "none in a message", "deep", "no JSON", "no type", "two types", "an unknown type, deep"],
)
def test_what_is_no_message_is_one_error(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(raw)
