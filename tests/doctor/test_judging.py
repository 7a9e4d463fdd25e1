"""What judges without a network: shapes, the list of symbols, findings, reports, redaction."""

from __future__ import annotations

import socket
from typing import Any

import msgspec
import pytest

from livemarkets.doctor.checks import CHECKS
from livemarkets.doctor.limits import Limits
from livemarkets.doctor.listing import listing_of
from livemarkets.doctor.network import without_secrets
from livemarkets.doctor.record import Answer, Channel, Record, Reply
from livemarkets.doctor.report import as_json, as_text
from livemarkets.doctor.shapes import Bar, Trade, bar_fault, book_fault, day_fault, depth_fault, trade_fault
from livemarkets.doctor.values import Check, Finding, judge, median, passed
from tests.support.helpers import PROJECT_ROOT

TRADE = {"e": "trade", "E": 1, "s": "BNBBTC", "t": 12, "p": "0.1", "q": "100", "T": 1, "m": True, "M": True}
BOOK = {"u": 4, "s": "BNBUSDT", "b": "25.1", "B": "31.2", "a": "25.3", "A": "40.6"}
DEPTH = {"lastUpdateId": 160, "bids": [["0.0024", "10"]], "asks": [["0.0026", "100"]]}
ENTRY = {
    "symbol": "ETHBTC",
    "status": "TRADING",
    "baseAsset": "ETH",
    "quoteAsset": "BTC",
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "stepSize": "0.1"},
    ],
}


def record() -> Record:
    return Record(Limits(), ("BTCUSDT",), 180.0)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"t": "12"}, "the field t is not of the type int"),
        ({"m": 1}, "the field m is not of the type bool"),
        ({"s": "BNBUSDT"}, "the event or the symbol is not that of its stream"),
    ],
)
def test_the_shape_of_a_trade(change: dict[str, Any], fault: str | None) -> None:
    assert trade_fault(TRADE | change, "BNBBTC") == fault


@pytest.mark.parametrize("odd", [None, [], "text", 7, {}, {"k": 3}])
def test_no_event_has_a_shape_that_stops_the_doctor(odd: Any) -> None:
    for fault in (
        trade_fault(odd, "X"),
        bar_fault(odd, "X", "1m"),
        day_fault(odd, "X"),
        book_fault(odd, "X"),
    ):
        assert fault is not None
    assert depth_fault(odd) is not None
    assert listing_of(odd) is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"B": "1e-5"}, "the field B is not a plain decimal"),
        ({"a": "25.1"}, "the best bid is not below the best ask"),
        ({"s": "BNBBTC"}, "the symbol is not that of its stream"),
        ({"a": "0.00", "b": "0.00"}, None),
    ],
)
def test_the_shape_of_the_best_prices(change: dict[str, Any], fault: str | None) -> None:
    assert book_fault(BOOK | change, "BNBUSDT") == fault


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"bids": [["1", "1"]] * 21}, "bids has more than 20 levels"),
        ({"asks": [["1"]]}, "a level of asks is not a price and a quantity"),
        ({"asks": [["2", "1"], ["1", "1"]]}, "asks does not begin with the best price"),
    ],
)
def test_the_shape_of_an_order_book(change: dict[str, Any], fault: str | None) -> None:
    assert depth_fault(DEPTH | change) == fault


def test_the_list_of_symbols_is_reduced_to_what_matters() -> None:
    entries = [
        ENTRY,
        ENTRY | {"symbol": "ＡＢUSDT"},
        ENTRY | {"symbol": "123456", "status": "BREAK"},
        ENTRY | {"symbol": "ETHBTC"},
        ENTRY | {"symbol": "eth-btc"},
        ENTRY | {"baseAsset": None},
        ENTRY | {"filters": [{"filterType": "LOT_SIZE", "stepSize": "0.1"}]},
        "nonsense",
    ]
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
        {"rateLimitType": "ODD"},
    ]
    listing = listing_of({"symbols": entries, "rateLimits": limits})
    assert listing is not None
    assert listing.symbols == ("ETHBTC", "ＡＢUSDT", "123456", "ETHBTC")
    assert "123456" not in listing.trading
    assert (listing.unfit_names, listing.other_scripts) == (1, ("ＡＢUSDT",))
    assert listing.faults == {
        "the name is listed twice": 1,
        "the field baseAsset is not of the type str": 1,
        "PRICE_FILTER has no tickSize": 1,
        "it is not an object": 1,
    }
    assert listing.weight_per_minute == 6000
    assert listing.rate_limits == ("REQUEST_WEIGHT 6000 per 1 MINUTE", "RAW_REQUESTS 61000 per 5 MINUTE")


def test_with_nothing_observed_no_check_fails_but_those_of_the_addresses() -> None:
    findings = judge(CHECKS, record())
    assert {finding.verdict for check, finding in findings if not check.id.startswith("network")} == {
        "not_seen"
    }


def test_an_error_in_a_check_is_its_failure_alone() -> None:
    def odd(record: Record) -> Finding:
        raise KeyError("E")

    checks = (Check("a.b", "A.", "a", odd), Check("a.c", "B.", "a", lambda record: passed("fine")))
    assert [finding.verdict for _, finding in judge(checks, record())] == ["fail", "pass"]


def test_odd_answers_are_failures_and_not_errors() -> None:
    observed = record()
    bodies: list[Any] = [None, {}, [], [None], [[]], [{"id": "x"}], "text"]
    for call in ("trades", "historicalTrades", "aggTrades", "ticker/24hr", "klines", "time"):
        for body in bodies:
            answer = Answer("http://x", call, "sample", 2, 0.0, 0.1, 200, None, body, symbol="BTCUSDT")
            observed.answers.append(answer)
    ids: list[Any] = [None, [], "1", {"a": 1}, True]
    channel = Channel("main", "ws://x", opened_at=0.0, ended_at=9.0)
    channel.replies = [Reply(odd, False, odd, "", 1.0) for odd in ids]
    observed.channels.append(channel)
    errors = [check.id for check, finding in judge(CHECKS, observed) if "cannot read" in finding.seen]
    assert errors == []


def test_the_lag_of_candles_is_that_of_the_newest_one_in_any_order() -> None:
    observed = record()
    channel = Channel("main", "ws://x", opened_at=0.0)
    channel.trades["BTCUSDT"] = [Trade(each, "1", "1", True, 0, 0, each / 100) for each in range(2000)]
    channel.bars["BTCUSDT", "1m"] = [
        Bar(0, 59_999, 0, 999, "1", "1", "1", "1", "1", 1000, closed=True, event_ms=0, at=10.0),
        Bar(60_000, 119_999, 1000, 1999, "1", "1", "1", "1", "1", 1000, closed=False, event_ms=0, at=20.0),
    ]
    observed.channels.append(channel)
    old = [0, "1", "1", "1", "1", "1", 59_999, "1", 1000, "1", "1", "0"]
    for second in range(11, 20):
        new = [60_000, "1", "1", "1", "1", "1", 119_999, "1", second * 100 - 1000, "1", "1", "0"]
        observed.answers.append(
            Answer("http://x", "klines", "sample", 2, float(second), 0.1, 200, None, [new, old])
        )
    findings = {check.id: finding for check, finding in judge(CHECKS, observed)}
    assert findings["lag.klines"].numbers == {"answers": 9, "median_seconds": 0.0, "worst_seconds": 0.0}


def test_the_median_of_nothing_is_an_error() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0
    with pytest.raises(ValueError, match="nothing"):
        median([])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("wss://stream.binance.com:9443", "wss://stream.binance.com:9443"),
        ("http://me:secret@proxy.example:3128/path?key=secret", "http://proxy.example:3128/path"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        (f"http://{socket.gethostname()}:80", "http://this-machine:80"),
    ],
)
def test_addresses_are_shown_without_secrets(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


def test_the_report_has_colours_only_for_a_terminal() -> None:
    observed = record()
    observed.notes.append("a note")
    findings = judge(CHECKS, observed)
    assert "\x1b[" not in as_text(observed, findings, colours=False)
    text = as_text(observed, findings, colours=True)
    assert "\x1b[33mnot seen \x1b[0m" in text
    assert "note: a note" in text


def test_the_report_as_json_is_one_object() -> None:
    observed = record()
    report = msgspec.json.decode(as_json(observed, judge(CHECKS, observed)))
    assert report["format"] == 1
    assert report["end"] is None
    assert {"id", "result", "assumption", "used_by", "seen", "numbers"} == report["checks"][0].keys()


def test_every_check_is_in_the_manual_as_the_code_has_it() -> None:
    rows = [f"| `{check.id}` | {check.assumption} | {check.used_by} |" for check in CHECKS]
    lines = (PROJECT_ROOT / "docs" / "doctor.md").read_text(encoding="utf-8").splitlines()
    assert [row for row in rows if row not in lines] == []
    assert [line for line in lines if line.startswith("| `") and "." in line[:30] and line not in rows] == []


def test_every_module_that_a_check_names_exists() -> None:
    named = {name for check in CHECKS for name in check.used_by.split(", ")}
    package = PROJECT_ROOT / "livemarkets"
    missing = [name for name in named if not (package / name).exists() and not (PROJECT_ROOT / name).exists()]
    assert missing == []
