"""Reports of a sound server, and parts of them to change, for tests."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from livemarkets.status.exchange_report import (
    AddressReport,
    ClockReport,
    ExchangeReport,
    LegReport,
    RestReport,
    StreamReport,
    StreamsReport,
)
from livemarkets.status.report import ProcessReport, ReadersReport, StatusReport

NOW = 1_723_161_255_000
LATER = NOW + 480_000


def address(url: str, *, rests: bool = False) -> AddressReport:
    """An address that is used, or passed over."""
    return AddressReport(url=url, failures=int(rests), rests_until_ts=LATER if rests else None, proxy=None)


def leg(number: int, state: str = "live", *, for_ms: int = 0, **changes: Any) -> LegReport:
    """One of several legs."""
    sound = LegReport(
        leg=number,
        state=state,
        reason=None,
        since_ts=NOW - for_ms,
        urls=["wss://one.example/stream"],
        trades=100,
        first=50,
        missed=0,
        disagreed=0,
        lead_p50_ms=1.5,
        lead_p99_ms=20.0,
    )
    return replace(sound, **changes)


def stream(symbol: str, state: str = "live", *, for_ms: int = 0, lost: int = 0) -> StreamReport:
    """A stream of trades."""
    return StreamReport(
        channel="trades",
        symbol=symbol,
        parameter=None,
        state=state,
        reason=None,
        since_ts=NOW - for_ms,
        usual_silence_ms=1500,
        last_ts=NOW,
        last_id=7,
        missing=0,
        backfilled=0,
        duplicates=0,
        lost=lost,
        lost_ts=NOW if lost else None,
    )


def exchange(name: str = "binance", **changes: Any) -> ExchangeReport:
    """An exchange that is live."""
    rest = RestReport(
        calls=1,
        failures=0,
        used=20,
        usable=3000,
        counted=20,
        waiting={},
        paused_until_ts=changes.pop("paused_until_ts", None),
        addresses=changes.pop("rest_addresses", [address("https://rest.example")]),
    )
    streams = StreamsReport(
        wanted=1,
        states={},
        received=1,
        backfilled=0,
        duplicates=0,
        lost=0,
        gaps=0,
        holes_open=0,
        worst=changes.pop("worst", [stream("BTCUSDT")]),
        others=0,
    )
    sound = ExchangeReport(
        exchange=name,
        state="live",
        reason=None,
        since_ts=NOW - 20_000,
        retry_ts=None,
        banned_until_ts=None,
        connects=1,
        rotations=0,
        complaints={},
        symbols_known=5,
        connections=[],
        legs=[],
        addresses=[address("wss://one.example"), address("wss://two.example")],
        rest=rest,
        streams=streams,
        latency={},
        clock=ClockReport(offset_ms=12.0, precision_ms=40.0),
        changes=[],
    )
    return replace(sound, **changes)


def report(*exchanges: ExchangeReport, readers: dict[str, Any] | None = None, **process: Any) -> StatusReport:
    """The report of a sound server."""
    sound: dict[str, Any] = {
        "started_ts": NOW,
        "memory_bytes": 10**8,
        "files_left": 900,
        "files_limit": 1024,
        "loop_longest_ms": 9.0,
        "loop_p99_ms": 2.0,
        "log_lines": 5,
        "versions": {},
        "warnings": (),
    }
    people: dict[str, Any] = {
        "connected": 1,
        "most": 5000,
        "pages": 1,
        "lagging": 0,
        "closed_slow": 0,
        "refused": {},
        "worst": [],
        "others": 0,
    }
    return StatusReport(
        ts=NOW,
        needs=(),
        process=ProcessReport(**(sound | process)),
        exchanges=exchanges or (exchange(),),
        readers=ReadersReport(**(people | (readers or {}))),
    )
