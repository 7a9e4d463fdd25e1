"""The rows of the status page, from the report. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from livemarkets.status.exchange_report import (
    AddressReport,
    ClockReport,
    ConnectionReport,
    ExchangeReport,
    LegReport,
    StateChange,
    StreamReport,
)
from livemarkets.status.report import ProcessReport, ReaderReport, ReadersReport
from pages.elements.fact_table.fact_table import Cell, CellTone

__all__ = [
    "address_rows",
    "change_rows",
    "connection_rows",
    "exchange_facts",
    "hop_rows",
    "leg_rows",
    "reader_rows",
    "rest_of",
    "server_facts",
    "stream_rows",
]

Row = dict[str, Cell]

CHANGES_SHOWN = 8
HOPS = {
    "matched_to_event": "Trade → message of the exchange",
    "event_to_received": "Message → received here",
    "received_to_sent": "Received → sent to readers",
}
STATE_TONES: dict[str, CellTone] = {
    "live": "good",
    "idle": "muted",
    "halted": "muted",
    "connecting": "warn",
    "recovering": "warn",
    "stale": "warn",
    "unknown": "warn",
    "delisted": "muted",
    "down": "bad",
}


def exchange_facts(exchange: ExchangeReport) -> dict[str, Row]:
    """Return the facts of an exchange, one a row."""
    return {name: {"fact": Cell(text=name), "value": value} for name, value in _exchange_facts(exchange)}


def _exchange_facts(exchange: ExchangeReport) -> Iterator[tuple[str, Cell]]:
    rest, streams = exchange.rest, exchange.streams
    state = exchange.state + (f": {exchange.reason}" if exchange.reason else "")
    yield "State", Cell(text=state, tone=STATE_TONES.get(exchange.state, ""))
    yield "For", Cell(age=exchange.since_ts)
    if exchange.retry_ts is not None:
        yield "Next attempt in", Cell(left=exchange.retry_ts)
    if exchange.banned_until_ts is not None:
        yield "Connections refused until", Cell(time=exchange.banned_until_ts, tone="bad")
    if exchange.connects:
        attempts = f"{exchange.connects:,} attempts, {exchange.rotations:,} planned replacements"
        yield "Connections", Cell(text=f"{len(exchange.connections)} open; {attempts}")
    if exchange.state != "idle" or streams.received:
        found = [f"{count:,} {name}" for name, count in streams.states.items() if count]
        yield "Streams", Cell(text=", ".join(found) or "none")
        yield "Trades", Cell(text=_trades(exchange), tone="warn" if streams.lost else "")
    if rest.calls:
        counted = "" if rest.counted is None else f"; {rest.counted:,} by its own count"
        if rest.usable:
            yield "Weight of questions", Cell(text=f"{rest.used:,} of {rest.usable:,} a minute{counted}")
        failures = f", {rest.failures:,} failed" if rest.failures else ""
        waiting = sum(rest.waiting.values())
        yield "Questions", Cell(text=f"{rest.calls:,}{failures}" + (f", {waiting} wait" if waiting else ""))
    if rest.paused_until_ts is not None:
        yield "Questions refused until", Cell(time=rest.paused_until_ts, tone="bad")
    if exchange.clock is not None:
        yield "Our clock", Cell(text=_clock(exchange.clock))
    if exchange.complaints:
        found = [f"{count:,} {kind}" for kind, count in sorted(exchange.complaints.items())]
        yield "Not understood", Cell(text=", ".join(found), tone="warn")


def _clock(clock: ClockReport) -> str:
    offset, precision = clock.offset_ms, clock.precision_ms
    if precision is not None and abs(offset) <= precision:
        return f"at most {_ms(precision + abs(offset))} from the exchange's"
    side = "ahead of" if offset >= 0 else "behind"
    exact = ", time on the way included" if precision is None else f" (± {_ms(precision)})"
    return f"{_ms(abs(offset))} {side} the exchange's{exact}"


def _trades(exchange: ExchangeReport) -> str:
    streams = exchange.streams
    return (
        f"{streams.received:,} received, {streams.backfilled:,} fetched, {streams.duplicates:,} repeated, "
        f"{streams.lost:,} lost in {streams.gaps:,} gaps"
    )


def change_rows(changes: Sequence[StateChange]) -> dict[str, Row]:
    """Return the last states, one a row, the newest first."""
    return {
        f"{each.ts} {each.state}": {
            "time": Cell(time=each.ts),
            "state": Cell(text=each.state, tone=STATE_TONES.get(each.state, "")),
            "reason": Cell(text=each.reason or ""),
        }
        for each in changes[:CHANGES_SHOWN]
    }


def connection_rows(connections: Sequence[ConnectionReport]) -> dict[str, Row]:
    """Return the connections, one a row."""
    return {each.name: _connection(each) for each in connections}


def _connection(each: ConnectionReport) -> Row:
    is_complete = each.acknowledged == each.streams
    return {
        "name": Cell(text=each.name + (" (standby)" if each.role == "standby" else "")),
        "url": Cell(text=each.url),
        "shard": Cell(text=each.shard),
        "streams": Cell(
            text=f"{each.acknowledged:,} of {each.streams:,}", tone="" if is_complete else "warn"
        ),
        "age": Cell(text="opening", tone="warn") if each.opened_ts is None else Cell(age=each.opened_ts),
        "rotates": Cell(left=each.rotates_ts),
        "ping": Cell(text="" if each.round_trip_ms is None else _ms(each.round_trip_ms)),
    }


def leg_rows(legs: Sequence[LegReport]) -> dict[str, Row]:
    """Return the legs, one a row."""
    trades = sum(each.first for each in legs)
    return {str(each.leg): _leg(each, trades) for each in legs}


def _leg(each: LegReport, trades: int) -> Row:
    state = each.state + (f": {each.reason}" if each.reason else "")
    return {
        "leg": Cell(text=str(each.leg)),
        "url": Cell(text=", ".join(each.urls) or "none", tone="" if each.urls else "muted"),
        "state": Cell(text=state, tone=STATE_TONES.get(each.state, "")),
        "age": Cell(age=each.since_ts),
        "share": Cell(text=f"{100 * each.first / trades:.1f} %" if trades else ""),
        "p50": Cell(text="" if each.lead_p50_ms is None else _ms(each.lead_p50_ms)),
        "p99": Cell(text="" if each.lead_p99_ms is None else _ms(each.lead_p99_ms)),
        "missed": _count(each.missed, "warn"),
        "disagreed": _count(each.disagreed, "bad"),
    }


def address_rows(exchange: ExchangeReport) -> dict[str, Row]:
    """Return the addresses of streams and of questions, one a row."""
    rows = {f"streams {each.url}": _address(each, "streams") for each in exchange.addresses}
    return rows | {f"rest {each.url}": _address(each, "questions (REST)") for each in exchange.rest.addresses}


def _address(each: AddressReport, use: str) -> Row:
    if each.rests_until_ts is None:
        state = Cell(text="in use")
    else:
        state = Cell(text="passed over until ", time=each.rests_until_ts, tone="warn")
    return {
        "url": Cell(text=each.url),
        "use": Cell(text=use),
        "state": state,
        "failures": Cell(text=f"{each.failures:,}", tone="warn" if each.failures else "muted"),
        "proxy": Cell(text=each.proxy or "none", tone="" if each.proxy else "muted"),
    }


def stream_rows(streams: Sequence[StreamReport]) -> dict[str, Row]:
    """Return the streams, one a row."""
    return {" ".join([each.symbol, each.channel, each.parameter or ""]): _stream(each) for each in streams}


def _stream(each: StreamReport) -> Row:
    name = each.symbol if each.channel == "trades" else f"{each.symbol} {each.channel} {each.parameter or ''}"
    row = {
        "symbol": Cell(text=name.strip()),
        "state": Cell(
            text=each.state + (f": {each.reason}" if each.reason else ""),
            tone=STATE_TONES.get(each.state, ""),
        ),
        "age": Cell(text="nothing yet", tone="muted") if each.last_ts is None else Cell(age=each.last_ts),
    }
    if each.channel == "trades":
        row |= {
            "rhythm": Cell(
                text="" if each.usual_silence_ms is None else f"{each.usual_silence_ms / 1000:.1f} s"
            ),
            "last_id": Cell(text="" if each.last_id is None else str(each.last_id)),
            "missing": _count(each.missing, "warn"),
            "backfilled": _count(each.backfilled, ""),
            "duplicates": _count(each.duplicates, ""),
            "lost": _count(each.lost, "bad"),
        }
    return row


def hop_rows(exchange: ExchangeReport) -> dict[str, Row]:
    """Return the steps of a trade's way that were measured, one a row."""
    return {
        name: {
            "hop": Cell(text=HOPS.get(name, name)),
            "p50": Cell(text="" if hop.p50_ms is None else _ms(hop.p50_ms)),
            "p99": Cell(text="" if hop.p99_ms is None else _ms(hop.p99_ms)),
            "samples": Cell(text=f"{hop.samples:,}", tone="muted"),
            "plot": Cell(plot=tuple(hop.plot)),
        }
        for name, hop in exchange.latency.items()
        if hop.samples or any(hop.plot)
    }


def server_facts(process: ProcessReport, readers: ReadersReport) -> dict[str, Row]:
    """Return the facts of the process, one a row."""
    return {
        name: {"fact": Cell(text=name), "value": value} for name, value in _server_facts(process, readers)
    }


def _server_facts(process: ProcessReport, readers: ReadersReport) -> Iterator[tuple[str, Cell]]:
    yield "Runs for", Cell(age=process.started_ts)
    if process.memory_bytes is not None:
        yield "Memory", Cell(text=f"{process.memory_bytes / 2**20:,.0f} MB")
    if process.files_left is not None and process.files_limit is not None:
        yield "Open files", Cell(text=f"{process.files_left:,} of {process.files_limit:,} left")
    longest, usual = _ms(process.loop_longest_ms), _ms(process.loop_p99_ms)
    yield (
        "Event loop",
        Cell(
            text=f"at most {longest} late in the last minute; 99 of 100 times at most {usual} since the start"
        ),
    )
    yield "Log", Cell(text=f"{process.log_lines:,} lines in the last minute")
    yield "Programs", Cell(text=f"{readers.connected:,} of at most {readers.most:,} on /ws/markets")
    yield "Pages", Cell(text=f"{readers.pages:,} with subscriptions")
    if readers.lagging or readers.closed_slow:
        text = f"{readers.lagging:,} now; {readers.closed_slow:,} disconnected since the start"
        yield "Too slow", Cell(text=text, tone="warn")
    if any(readers.refused.values()):
        found = [f"{count:,} {reason}" for reason, count in sorted(readers.refused.items()) if count]
        yield "Refused", Cell(text=", ".join(found), tone="warn")
    yield "Versions", Cell(text=", ".join(f"{name} {version}" for name, version in process.versions.items()))


def reader_rows(readers: Sequence[ReaderReport]) -> dict[str, Row]:
    """Return the programs that read `/ws/markets`, one a row."""
    return {
        each.client: {
            "client": Cell(text=each.client),
            "names": Cell(text=f"{each.names:,}"),
            "mode": Cell(text=each.mode),
            "backlog": _count(each.backlog_bytes, "warn"),
            "behind": Cell(text=f"{each.behind_ms / 1000:.1f} s" if each.behind_ms else ""),
            "state": Cell(text="skips trades", tone="warn") if each.is_lagging else Cell(text="reads all"),
        }
        for each in readers
    }


def rest_of(others: int, what: str) -> str:
    """Return how many rows are not shown."""
    return f"{others:,} more {what} are not shown." if others else ""


def _count(number: int, tone: CellTone) -> Cell:
    return Cell(text=f"{number:,}", tone=tone if number else "muted")


def _ms(value: float) -> str:
    """Return a span of time with three digits: 0.42 ms, 42.0 ms, 4.20 s."""
    if abs(value) >= 1000:
        return f"{value / 1000:.2f} s".replace("-", "−")
    return (f"{value:.2f} ms" if abs(value) < 10 else f"{value:.1f} ms").replace("-", "−")
