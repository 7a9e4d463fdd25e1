"""What needs a person: each kind of trouble is told, with what to do; a sound program needs nobody."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from livemarkets.status.exchange_report import ClockReport, ExchangeReport
from livemarkets.status.needs import find_needs
from livemarkets.status.report import Need, StatusReport
from tests.support.reports import LATER, NOW, address, exchange, leg, report, stream


def only(found: list[Need]) -> Need:
    assert len(found) == 1, found
    return found[0]


def test_a_sound_program_needs_nobody() -> None:
    assert find_needs(report()) == []
    assert find_needs(report(exchange(state="idle"), exchange("simulator", state="idle"))) == []
    assert find_needs(report(files_left=None, files_limit=None, memory_bytes=None)) == []


OPEN_HOST = (
    "LIVE_HOST is 0.0.0.0 and LIVE_ACCESS_TOKEN is empty: everybody who reaches this machine can use the app"
)
SHORT_TOKEN = "LIVE_ACCESS_TOKEN has fewer than 16 characters and can be guessed; …"


@pytest.mark.parametrize(
    ("given", "kind", "level", "what", "way"),
    [
        (report(files_left=60), "files", "problem", "Only 60 of 1,024 open files", "ulimit -n"),
        (report(warnings=[OPEN_HOST]), "settings", "problem", "everybody who", "Set LIVE_ACCESS_TOKEN"),
        (report(warnings=[SHORT_TOKEN]), "settings", "warning", "guessed", "longer LIVE_ACCESS_TOKEN"),
        (report(warnings=["LIVE_X is not a setting"]), "settings", "warning", "LIVE_X", "Correct it"),
        (report(loop_longest_ms=340.2), "busy", "warning", "340 ms", "processor time"),
        (report(log_lines=1200), "log", "warning", "1,200 lines", "repeats"),
        (report(readers={"connected": 5000}), "full", "problem", "5,000 programs", "LIVE_MAX_CLIENTS"),
        (report(readers={"lagging": 1}), "slow_readers", "warning", "1 program cannot", "mode: latest"),
        (report(exchange(state="down", reason="timeout")), "down", "problem", "(timeout)", "doctor"),
        (report(exchange(state="stale")), "not_live", "problem", "Binance has been stale", "LIVE_PROXY_URL"),
        (
            report(exchange("simulator", state="down")),
            "down",
            "problem",
            "Simulator cannot",
            "heals by itself",
        ),
        (
            report(exchange(addresses=[address("wss://a.example", rests=True), address("wss://b.example")])),
            *("address", "warning", "wss://a.example fails for streams", "LIVE_BINANCE_WS_URL"),
        ),
        (
            report(exchange(rest_addresses=[address("https://a.example", rests=True)])),
            *("address", "problem", "no other address is left", "LIVE_BINANCE_REST_URL"),
        ),
        (
            report(exchange(clock=ClockReport(offset_ms=-5012.0, precision_ms=None))),
            *("clock", "warning", "about 5.0 s behind", "timedatectl"),
        ),
        (
            report(exchange(clock=ClockReport(offset_ms=2500.0, precision_ms=30.0))),
            *("clock", "warning", "about 2.5 s ahead of", "NTP"),
        ),
        (
            report(exchange(worst=[stream("ETHUSDT", "recovering", for_ms=61_000)])),
            *("not_recovering", "problem", "ETHUSDT", "doctor"),
        ),
        (
            report(exchange(worst=[stream(name, lost=10) for name in ("A", "B", "C", "D", "E")])),
            *("lost", "warning", "50 trades of A, B, C and 2 more were lost", "what fails often"),
        ),
        (
            report(exchange(worst=[replace(stream("BTCUSDT", "stale", for_ms=61_000), channel="candles")])),
            *("mute", "warning", "Mute streams: candles of BTCUSDT. Binance has", "by itself"),
        ),
        (
            report(exchange(worst=[stream("NOPE", "unknown"), stream("GONE", "delisted")])),
            *("unknown", "warning", "NOPE and GONE", "spelling"),
        ),
    ],
)
def test_each_trouble_is_told_with_what_to_do(
    given: StatusReport, kind: str, level: str, what: str, way: str
) -> None:
    need = only(find_needs(given))
    assert (need.kind, need.level) == (kind, level)
    assert what in need.what
    assert way in need.way
    assert need.until_ts is None


def test_a_ban_and_a_pause_are_told_with_their_end() -> None:
    banned = only(find_needs(report(exchange(state="down", banned_until_ts=LATER))))
    assert (banned.kind, banned.until_ts) == ("banned", LATER)
    paused = only(find_needs(report(exchange(paused_until_ts=LATER))))
    assert (paused.kind, paused.until_ts) == ("rest_paused", LATER)


@pytest.mark.parametrize(
    "given",
    [
        exchange(state="connecting", since_ts=NOW - 3_000),
        exchange(worst=[stream("ETHUSDT", "recovering", for_ms=2_000)]),
        exchange(clock=ClockReport(offset_ms=2500.0, precision_ms=None)),
        exchange(clock=ClockReport(offset_ms=2500.0, precision_ms=1000.0)),
        exchange(clock=ClockReport(offset_ms=-900.0, precision_ms=5.0)),
        exchange(clock=None),
        exchange("simulator", addresses=[address("ws://127.0.0.1:1", rests=True)]),
        exchange(worst=[stream("LUNAUSDT", "halted", for_ms=10**8)]),
        exchange(worst=[replace(stream("BTCUSDT", "stale", for_ms=2_000), channel="candles")]),
    ],
)
def test_what_is_short_or_natural_or_uncertain_needs_nobody(given: ExchangeReport) -> None:
    assert find_needs(report(given)) == []


def test_problems_come_before_warnings() -> None:
    given = report(exchange(state="down"), readers={"lagging": 3}, warnings=[SHORT_TOKEN])
    assert [need.level for need in find_needs(given)] == ["problem", "warning", "warning"]


def test_one_leg_alone_is_told_while_prices_come() -> None:
    alone = [leg(1), leg(2, "down", for_ms=20_000, reason="timeout")]
    need = only(find_needs(report(exchange(legs=alone))))
    assert (need.kind, need.level) == ("leg", "warning")
    assert need.what == "Binance comes by one leg alone: leg 2 is down (timeout)."
    two_of_three = [leg(1), leg(2), leg(3, "stale", for_ms=20_000)]
    assert only(find_needs(report(exchange(legs=two_of_three)))).what == (
        "Binance comes by 2 of 3 legs: leg 3 is stale."
    )


def test_legs_that_are_well_or_only_just_away_need_nobody() -> None:
    assert find_needs(report(exchange(legs=[leg(1), leg(2)]))) == []
    assert find_needs(report(exchange(legs=[leg(1), leg(2, "connecting", for_ms=2_000)]))) == []
    assert find_needs(report(exchange(state="idle", legs=[leg(1, "idle"), leg(2, "idle")]))) == []
    both = [leg(number, "down", for_ms=20_000) for number in (1, 2)]
    down = find_needs(report(exchange(state="down", legs=both)))
    assert [need.kind for need in down] == ["down"]
