"""The list of symbols: as long and as odd as real ones, and any name can be added."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.simulator import SimulatedMarket, SimulatorError
from livemarkets.simulator.market.symbols import DEFAULT_RULES, UNIT, from_units, rules_for

NOW_MS = 1_780_000_000_123.0


def test_the_market_lists_more_than_four_hundred_symbols_once_each() -> None:
    names = [rules.symbol for rules in DEFAULT_RULES]
    assert len(names) == len(set(names)) >= 400


def test_the_list_has_the_oddities_of_real_ones() -> None:
    bases = {rules.base for rules in DEFAULT_RULES}
    assert any(len(base) == 1 for base in bases)
    assert any(base[0].isdigit() for base in bases)
    assert any(not base.isascii() for base in bases)
    assert any(from_units(rules.tick) == "0.00000001" for rules in DEFAULT_RULES)
    assert {rules.quote for rules in DEFAULT_RULES} >= {"USDT", "USDC", "BTC", "ETH", "BNB", "EUR", "TRY"}


def test_some_sizes_are_millions_of_units() -> None:
    trades = SimulatedMarket(1).history("BTTCUSDT", NOW_MS + 600_000).recent(500)
    market = SimulatedMarket(1, trades_per_second=50.0)
    trades = market.history("BTTCUSDT", NOW_MS).recent(500)
    assert any(trade.size > 10**6 * UNIT for trade in trades)


def test_rules_make_sense() -> None:
    for rules in DEFAULT_RULES:
        assert rules.symbol == rules.base + rules.quote
        assert rules.price % rules.tick == 0, rules
        assert rules.price // rules.tick >= 20, rules
        assert UNIT % rules.lot == 0 or rules.lot % UNIT == 0, rules
        assert 0 < rules.trades_per_second < 100, rules
        assert 1_502_928_000_000 <= rules.listed_ms < 1_735_689_600_000, rules


def test_any_symbol_can_be_added() -> None:
    wanted = ["BTCUSDT", "牛市USDT", "XUSDC", "123BTC", "ÉLANEUR"]
    market = SimulatedMarket(1, symbols=wanted, trades_per_second=10.0)
    assert list(market.rules) == wanted
    for symbol in wanted:
        assert market.history(symbol, NOW_MS).trades
        assert len(market.candles(symbol, "1d", None, None, 100, NOW_MS)) == 100
    assert rules_for("XUSDC") == market.rules["XUSDC"]


@pytest.mark.parametrize("symbol", ["NOPE", "USDT", "btcusdt", "A/BUSDT", "", "X" * 60 + "USDT"])
def test_a_name_that_no_symbol_can_have_is_refused(symbol: str) -> None:
    with pytest.raises(SimulatorError, match="does not know"):
        SimulatedMarket(1, symbols=[symbol])


@given(
    st.text(alphabet="ABCXYZ0189币安É", min_size=1, max_size=12),
    st.sampled_from(["USDT", "BTC", "TRY", "BNB"]),
)
def test_the_rules_of_a_name_depend_on_the_name_alone(base: str, quote: str) -> None:
    rules = rules_for(base + quote)
    assert rules is not None
    assert rules == rules_for(base + quote)
    assert rules.tick >= 1
    assert rules.lot >= 1
    assert rules.price >= 20 * rules.tick
