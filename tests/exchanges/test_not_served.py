"""What an address does not serve: how long it is not asked for it."""

from __future__ import annotations

from livemarkets.errors import RestError
from livemarkets.exchanges.not_served import NotServed

ADDRESSES = ("a", "b")
FIREWALL = RestError(403, None, "refused by the exchange's firewall")
NO_SUCH_CALL = RestError(404, None, "not served")
PATIENCE_SECONDS = 15.0
"""How long a trade waits behind a hole. A refusal that passes must not outlast it."""


def rest_of(served: NotServed, symbol: str | None, now: float, call: str = "trades") -> float:
    """For how many seconds address `a` is not asked from now on."""
    return next(
        seconds / 10
        for seconds in range(10_000)
        if "a" in served.without(ADDRESSES, call, symbol, now + seconds / 10)
    )


def test_a_refused_symbol_is_asked_for_again_soon_and_then_ever_later() -> None:
    served, now, rests = NotServed(), 100.0, []
    for _ in range(7):
        assert not served.note("a", "trades", "UNIONUSDT", FIREWALL, now)
        rests.append(rest_of(served, "UNIONUSDT", now))
        assert rest_of(served, "BTCUSDT", now) == 0
        now += rests[-1]
    assert rests == [2, 4, 8, 16, 32, 60, 60]
    assert rests[0] < PATIENCE_SECONDS


def test_a_symbol_that_was_served_again_begins_anew() -> None:
    served = NotServed()
    for now in (0.0, 10.0, 20.0):
        served.note("a", "trades", "UNIONUSDT", FIREWALL, now)
    served.note_served("a", "trades", "UNIONUSDT")
    assert rest_of(served, "UNIONUSDT", 20.0) == 0
    served.note("a", "trades", "UNIONUSDT", FIREWALL, 30.0)
    assert rest_of(served, "UNIONUSDT", 30.0) == 2


def test_three_refused_symbols_rest_the_call_for_less_than_trades_wait() -> None:
    served = NotServed()
    assert [served.note("a", "trades", symbol, FIREWALL, 0.0) for symbol in ("A", "B", "C")] == [0, 0, 1]
    assert rest_of(served, "D", 0.0) == 5
    assert rest_of(served, "D", 0.0) < PATIENCE_SECONDS
    assert served.without(ADDRESSES, "trades", "D", 0.0) == ["b"]
    assert rest_of(served, "D", 0.0, call="aggTrades") == 0


def test_a_call_that_is_not_served_rests_for_minutes_in_the_end() -> None:
    served, now = NotServed(), 0.0
    rests = []
    for _ in range(9):
        assert served.note("a", "historicalTrades", "BTCUSDT", NO_SUCH_CALL, now)
        rests.append(rest_of(served, "BTCUSDT", now, call="historicalTrades"))
        now += rests[-1]
    assert rests[:3] == [5, 10, 20]
    assert rests[-1] == 600
    assert str(served.error("historicalTrades")) == str(NO_SUCH_CALL)
