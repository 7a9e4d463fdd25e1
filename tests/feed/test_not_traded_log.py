"""The log tells which wanted streams are not traded, in few lines."""

from __future__ import annotations

import msgspec

from livemarkets.feed.not_traded_log import NotTradedLog
from livemarkets.market.models import QualityState, StreamKey, StreamQuality
from tests.support.logged import logged

QUALITY = StreamQuality(
    key=StreamKey.trades("binance", "BTCUSDT"),
    state=QualityState.LIVE,
    reason=None,
    since=0,
    complete_to=None,
    last_id=None,
    lost=0,
    lost_ts=None,
)


def changed(symbol: str, state: QualityState, reason: str | None = None) -> StreamQuality:
    key = StreamKey.trades("binance", symbol)
    return msgspec.structs.replace(QUALITY, key=key, state=state, reason=reason)


def test_a_stream_that_is_halted_and_traded_again_is_told_and_no_other_change() -> None:
    log = NotTradedLog(lambda: 0.0)
    with logged() as lines:
        log.note(changed("BTCUSDT", QualityState.RECOVERING), True)
        log.note(changed("BTCUSDT", QualityState.HALTED, "it is halted"), True)
        log.note(changed("BTCUSDT", QualityState.HALTED, "it is halted still"), False)
        log.note(changed("BTCUSDT", QualityState.LIVE), True)
        log.note(changed("BTCUSDT", QualityState.LIVE), True)
    assert lines == ["binance trades BTCUSDT: halted: it is halted", "binance trades BTCUSDT: traded again"]


def test_a_halt_of_the_whole_exchange_is_one_line_a_minute() -> None:
    now = 0.0
    log = NotTradedLog(lambda: now)
    with logged() as lines:
        for number in range(500):
            log.note(changed(f"S{number}USDT", QualityState.HALTED, "halted"), True)
        now = 61.0
        log.note(changed("BTCUSDT", QualityState.HALTED, "halted"), True)
    assert len(lines) == 2
    assert lines[1].endswith("; 499 more streams since the last such line")
