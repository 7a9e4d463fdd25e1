"""Every stream has a subject of its own, whatever script its symbol is in."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from livemarkets.bus import subjects
from livemarkets.market.models import StreamKey

TOKENS = re.compile(r"[A-Za-z0-9_~%-]+(\.[A-Za-z0-9_~%-]+)+")
KEYS = st.builds(
    StreamKey,
    st.sampled_from(["binance", "simulator"]),
    st.sampled_from(["trades", "candles"]),
    st.text(min_size=1, max_size=64),
    st.sampled_from([None, "1m", "1M"]),
)


def test_subjects_are_readable_where_they_can_be() -> None:
    assert subjects.data(StreamKey.trades("binance", "BTCUSDT")) == "lm.1.data.binance.trades.BTCUSDT"
    assert subjects.data(StreamKey.trades("binance", "币USDT")) == "lm.1.data.binance.trades.%E5%B8%81USDT"
    assert subjects.data(StreamKey("binance", "tickers", "*")) == "lm.1.data.binance.tickers.%2A"
    assert subjects.data(StreamKey("binance", "candles", "A", "1m")) == "lm.1.data.binance.candles.A.1m"


@given(KEYS, KEYS)
def test_different_streams_have_different_subjects_without_wildcards(
    one: StreamKey, other: StreamKey
) -> None:
    assert TOKENS.fullmatch(subjects.data(one))
    assert (subjects.data(one) == subjects.data(other)) is (one == other)


def test_the_longest_symbol_fits_into_a_line_of_the_protocol() -> None:
    assert len(subjects.data(StreamKey.trades("binance", "𝔸" * 64))) < 1024
