"""What needs a person: found in a report, in words that a stranger understands. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from livemarkets.market.channels import TRADES
from livemarkets.status.bus_report import BusReport
from livemarkets.status.exchange_report import ExchangeReport
from livemarkets.status.report import Need, ProcessReport, ReadersReport, StatusReport

__all__ = ["find_needs"]

_FEW_FILES = 100
_CLOCK_OFF_MS = 1000.0
_HELD_MS = 250.0
"""A person sees it. A shorter pause now and then is the machine's."""
_RECOVERING_MS = 60_000
_DOCTOR = "`.venv/bin/python -m livemarkets doctor` says what fails."
_MANY_LINES = 300
_NAMED = 3
"""Symbols and addresses that are named; the others are counted."""
_NOT_LIVE_MS = 10_000
"""A state that lasts shorter is no reason to do anything."""


def find_needs(report: StatusReport) -> list[Need]:
    """Return what a person should do or know, problems first."""
    found = [*_of_process(report.process), *_of_readers(report.readers), *_of_bus(report.bus)]
    for exchange in report.exchanges:
        found += [*_of_exchange(exchange, report.ts), *_of_streams(exchange, report.ts)]
    return sorted(found, key=lambda need: need.level != "problem")


def _of_bus(bus: BusReport | None) -> Iterator[Need]:
    if bus is None:
        return
    ingests = sum(node.role == "ingest" for node in bus.nodes)
    if not bus.is_connected:
        yield Need(
            kind="bus",
            level="problem",
            what=f"The bus cannot be reached ({bus.reason or 'not yet connected'}): no trade passes.",
            way="See whether the NATS server runs, and LIVE_BUS_URL. It is tried again all the time.",
        )
    elif bus.role == "edge" and not ingests:
        yield Need(
            kind="ingest",
            level="problem",
            what="No ingest is heard on the bus, so no trade arrives.",
            way="Start a server with LIVE_ROLE=ingest and the same LIVE_BUS_URL.",
        )
    elif bus.role == "edge" and ingests == 1:
        yield Need(
            kind="ingest",
            level="warning",
            what="Only one ingest is heard on the bus. If it ends, no trade arrives.",
            way="Start a second one with LIVE_ROLE=ingest, best on another machine and at another address.",
        )


def _of_process(process: ProcessReport) -> Iterator[Need]:
    left, limit = process.files_left, process.files_limit
    if left is not None and limit is not None and left < _FEW_FILES:
        yield Need(
            kind="files",
            level="problem",
            what=f"Only {left} of {limit:,} open files are left. Soon new connections are refused.",
            way="Raise the limit of open files (`ulimit -n`, or `LimitNOFILE=` of systemd) and restart.",
        )
    for warning in process.warnings:
        yield Need(
            kind="settings",
            level="problem" if "everybody who reaches" in warning else "warning",
            what=warning,
            way=_way_of_setting(warning),
        )
    if process.loop_longest_ms > _HELD_MS:
        yield Need(
            kind="busy",
            level="warning",
            what=f"In the last minute, everything stood still for {process.loop_longest_ms:.0f} ms.",
            way="Give the server more processor time: other programs on the machine may take it.",
        )

    if process.log_lines > _MANY_LINES:
        yield Need(
            kind="log",
            level="warning",
            what=f"This server wrote {process.log_lines:,} lines into its log in the last minute.",
            way="Look into the log: the line that repeats says what is wrong, or who sends nonsense.",
        )


def _way_of_setting(warning: str) -> str:
    if "everybody who reaches" in warning:
        return "Set LIVE_ACCESS_TOKEN in .env.local, or LIVE_HOST to 127.0.0.1, and restart."
    if "can be guessed" in warning:
        return "Set a longer LIVE_ACCESS_TOKEN in .env.local, and restart."
    return "Correct it where it is set, and restart."


def _of_readers(readers: ReadersReport) -> Iterator[Need]:
    if readers.connected >= readers.most:
        yield Need(
            kind="full",
            level="problem",
            what=f"{readers.most:,} programs are connected, the most allowed. Further ones are refused.",
            way="Raise LIVE_MAX_CLIENTS in .env.local and restart, or start a second server.",
        )
    if readers.lagging:
        yield Need(
            kind="slow_readers",
            level="warning",
            what=f"{_count(readers.lagging, 'program')} cannot read fast enough, and skip trades.",
            way="They are told what they skip. They can subscribe fewer symbols, or ask for `mode: latest`.",
        )


def _of_exchange(exchange: ExchangeReport, now_ms: int) -> Iterator[Need]:
    name = _name(exchange)
    if exchange.banned_until_ts is not None:
        yield Need(
            kind="banned",
            level="problem",
            what=f"{name} refuses every connection from this IP address for a while.",
            way="Wait: it is tried again by itself. If it comes back, stop other programs that use "
            f"{name} from here too.",
            until_ts=exchange.banned_until_ts,
        )
    elif exchange.state == "down":
        reason = f" ({exchange.reason})" if exchange.reason else ""
        yield Need(
            kind="down",
            level="problem",
            what=f"{name} cannot be reached{reason}.",
            way=_way_to(exchange),
            until_ts=None,
        )
    elif exchange.state in ("connecting", "stale") and now_ms - exchange.since_ts > _NOT_LIVE_MS:
        reason = f" ({exchange.reason})" if exchange.reason else ""
        yield Need(
            kind="not_live",
            level="problem",
            what=f"{name} has been {exchange.state} for a while{reason}: some prices are old.",
            way=_way_to(exchange),
        )
    if exchange.rest.paused_until_ts is not None:
        yield Need(
            kind="rest_paused",
            level="problem",
            what=f"{name} answers no questions for a while. Trades that were missed come later, or are lost.",
            way="Wait: it is tried again by itself. If it comes back, stop other programs that use "
            f"{name} from here too.",
            until_ts=exchange.rest.paused_until_ts,
        )
    yield from _of_legs(exchange, now_ms)
    yield from _of_addresses(exchange)
    yield from _of_clock(exchange)


def _name(exchange: ExchangeReport) -> str:
    """Return the name as people write it."""
    return exchange.exchange.capitalize()


def _way_to(exchange: ExchangeReport) -> str:
    if exchange.exchange == "simulator":
        return "Wait: it heals by itself. If it does not, look into the log of this server."
    return (
        "Check the network of this machine. If it needs a proxy, set LIVE_PROXY_URL in .env.local. " + _DOCTOR
    )


def _of_legs(exchange: ExchangeReport, now_ms: int) -> Iterator[Need]:
    well = [leg for leg in exchange.legs if leg.state == "live"]
    failing = [leg for leg in exchange.legs if leg.state != "live" and now_ms - leg.since_ts > _NOT_LIVE_MS]
    if not well or not failing:
        return  # all is well, or the exchange is not live, which is told
    some = "one leg alone" if len(well) == 1 else f"{len(well)} of {len(exchange.legs)} legs"
    why = "; ".join(
        f"leg {leg.leg} is {leg.state}" + (f" ({leg.reason})" if leg.reason else "") for leg in failing
    )
    yield Need(
        kind="leg",
        level="warning",
        what=f"{_name(exchange)} comes by {some}: {why}.",
        way="Nothing is missing yet, but the next failure would be felt. It is tried again by itself. "
        "If it does not come back, see below which address fails.",
    )


def _of_addresses(exchange: ExchangeReport) -> Iterator[Need]:
    variables = {"streams": "LIVE_BINANCE_WS_URL", "questions": "LIVE_BINANCE_REST_URL"}
    for purpose, addresses in (("streams", exchange.addresses), ("questions", exchange.rest.addresses)):
        failing = [each.url for each in addresses if each.rests_until_ts is not None]
        if not failing or exchange.exchange == "simulator":
            continue
        everything = len(failing) == len(addresses)
        yield Need(
            kind="address",
            level="problem" if everything else "warning",
            what=f"{_named(failing)} {'fails' if len(failing) == 1 else 'fail'} for {purpose} of "
            f"{_name(exchange)}; {'no other address is left' if everything else 'others are used'}.",
            way="It is tried again by itself. If the exchange has given up the address, set a new one "
            f"in {variables[purpose]}.",
        )


def _of_clock(exchange: ExchangeReport) -> Iterator[Need]:
    clock = exchange.clock
    if clock is None or abs(clock.offset_ms) < _CLOCK_OFF_MS + 2 * (clock.precision_ms or 0.0):
        return
    if clock.offset_ms > 0 and clock.precision_ms is None:
        return  # messages may have been long on their way
    where = "ahead of" if clock.offset_ms > 0 else "behind"
    yield Need(
        kind="clock",
        level="warning",
        what=f"The clock of this machine is about {abs(clock.offset_ms) / 1000:.1f} s {where} that of "
        f"{_name(exchange)}. Times and ages shown here are wrong by as much.",
        way="Let the machine set its clock by itself (NTP: `timedatectl set-ntp true`).",
    )


def _of_streams(exchange: ExchangeReport, now_ms: int) -> Iterator[Need]:
    streams, name = exchange.streams, _name(exchange)
    stuck = [
        each.symbol
        for each in streams.worst
        if each.state == "recovering" and now_ms - each.since_ts > _RECOVERING_MS
    ]
    if stuck:
        yield Need(
            kind="not_recovering",
            level="problem",
            what=f"Missing trades of {_named(stuck)} have not been fetched from {name} for over a minute.",
            way=f"See below whether {name} answers questions. {_DOCTOR}",
        )
    mute = [
        each
        for each in streams.worst
        # Mute trades make the exchange stale, which is told.
        if each.state == "stale" and each.channel != TRADES and now_ms - each.since_ts > _RECOVERING_MS
    ]
    for channel in sorted({each.channel for each in mute}):
        symbols = [each.symbol for each in mute if each.channel == channel]
        yield Need(
            kind="mute",
            level="warning",
            what=f"Mute streams: {channel} of {_named(symbols)}. {name} has newer data.",
            way=f"Wait: it is tried again by itself. If that does not help: {_DOCTOR}",
        )
    lost = [each for each in streams.worst if each.lost]
    if lost:
        total = sum(each.lost for each in lost)
        yield Need(
            kind="lost",
            level="warning",
            what=f"{_count(total, 'trade')} of {_named([each.symbol for each in lost])} "
            "were lost in the last hour. Readers were told which.",
            way="Nothing brings them back. See below what fails often: the connection, or questions.",
        )
    unknown = [each.symbol for each in streams.worst if each.state in ("unknown", "delisted")]
    if unknown and exchange.state == "live":
        yield Need(
            kind="unknown",
            level="warning",
            what=f"{name} does not have {_named(unknown)}, or nobody can say.",
            way="Check the spelling, and end the subscriptions of symbols that are gone.",
        )


def _named(names: Sequence[str]) -> str:
    names = list(dict.fromkeys(names))
    if len(names) > _NAMED:
        return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" + ("" if number == 1 else "s")
