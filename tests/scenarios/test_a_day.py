"""A day of an operator: what happens, and what alerts, readiness, metrics and log tell of it.

Its time is simulated (:mod:`tests.support.simulated_time`), so it takes as long as what it computes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from livemarkets.app import Tuning
from livemarkets.exchanges.binance.timings import ClientTimings, ShardTimings
from livemarkets.simulator import SimulatedMarket
from tests.support.promtool import what_differs
from tests.support.simulated_day import Day, simulated_day
from tests.support.simulated_time import run_in_simulated_time

KEPT, DELISTED = ("BTCUSDT", "ETHUSDT"), "SOLUSDT"
DAY = 24 * 60
LOST = 3


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when, in minutes since midnight."""

    ban: float
    ban_minutes: float
    delisting: float
    leave: float
    """When the reader no longer wants what was delisted."""
    rotation: tuple[float, float]
    """The connection is replaced from 5 % before its lifetime on. A silent stream delays it by 30 s."""
    shutdowns: tuple[float, float]
    """The exchange announces them."""
    notice_seconds: float
    cut: float
    cut_minutes: float
    end: float


async def live_through(plan: Plan) -> Day:
    """Let everything of a plan happen."""
    lifetime = ShardTimings(lifetime_seconds=plan.rotation[1] * 60.0)
    market = SimulatedMarket(seed=7, symbols=(*KEPT, DELISTED), trades_per_second=0.1)
    events = [
        (plan.ban, forbid),
        (plan.ban + plan.ban_minutes, permit),
        (plan.delisting, delist),
        (plan.leave, leave),
        *((minute, shut_down) for minute in plan.shutdowns),
        (plan.cut, cut),
        (plan.cut + plan.cut_minutes, mend),
    ]
    tuning = Tuning(client=ClientTimings(shard=lifetime))
    async with simulated_day(market, tuning, channel="trades", symbols=[*KEPT, DELISTED]) as day:
        for minute, happen in sorted(events, key=lambda event: event[0]):
            await day.until(minute)
            await happen(day, plan)
        await day.until(plan.end + 0.5)
    return day


async def forbid(day: Day, plan: Plan) -> None:
    """The exchange bans us from REST, and some trades go missing."""
    day.exchange.faults.rest_limit(count=10**9, status=418, retry_after_seconds=int(plan.ban_minutes * 60))
    day.exchange.faults.lose(stream=f"{KEPT[0].lower()}@trade", count=LOST)


async def permit(day: Day, plan: Plan) -> None:
    day.exchange.faults.clear()


async def delist(day: Day, plan: Plan) -> None:
    day.exchange.faults.delist(symbol=DELISTED)


async def leave(day: Day, plan: Plan) -> None:
    await day.reader.send(type="unsubscribe", exchange="binance", channel="trades", symbol=DELISTED)


async def shut_down(day: Day, plan: Plan) -> None:
    day.exchange.faults.shutdown(notice_seconds=plan.notice_seconds)


async def cut(day: Day, plan: Plan) -> None:
    day.cable.cut()


async def mend(day: Day, plan: Plan) -> None:
    day.cable.mend()


WHOLE = Plan(
    ban=240,
    ban_minutes=15,
    delisting=540,
    leave=660,
    rotation=(1311, 1380),
    shutdowns=(1385, 1420),
    notice_seconds=300,
    cut=1395,
    cut_minutes=10,
    end=DAY,
)
SHORT = Plan(
    ban=3,
    ban_minutes=2.5,
    delisting=2,
    leave=17,
    rotation=(8.7, 9.2),
    shutdowns=(10, 17),
    notice_seconds=40,
    cut=11,
    cut_minutes=5,
    end=19,
)


def alerts_of(plan: Plan) -> dict[str, tuple[float, float]]:
    """Which alerts fire, and in which minutes at most: they wait first, and some look back."""
    alerts = {
        "LiveMarketsRestForbidden": (plan.ban + 1, plan.ban + plan.ban_minutes + 1),
        "LiveMarketsTradesLost": (plan.ban, plan.ban + 13),
        "LiveMarketsExchangeNotLive": (plan.cut + 3, plan.cut + plan.cut_minutes + 1),
    }
    if plan.leave - plan.delisting > 60:
        alerts["LiveMarketsSymbolsNotTraded"] = (plan.delisting + 60, plan.leave + 1)
    return alerts


def checks_of(plan: Plan) -> Iterator[dict[str, Any]]:
    """What promtool has to find: each alert within its minutes, and nothing else."""
    for name, (begin, end) in alerts_of(plan).items():
        fires = f'ALERTS{{alertstate="firing", alertname="{name}"}}'
        first, last = int(begin), min(int(end) + 1, int(plan.end))
        for expression, minute in (
            (f"count_over_time({fires}[{last - first}m]) > bool 0", last),
            (
                f"count_over_time({fires}[{int(plan.end)}m]) == count_over_time({fires}[{last - first}m])",
                last,
            ),
        ):
            found = {"labels": "{}", "value": 1}
            yield {"expr": f"count({expression})", "eval_time": f"{minute}m", "exp_samples": [found]}
        if last < plan.end:
            since = f"count_over_time({fires}[{int(plan.end) - last}m])"
            yield {"expr": since, "eval_time": f"{int(plan.end)}m", "exp_samples": []}
    names = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(alerts_of(plan))]
    every = f'count by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{int(plan.end)}m]))'
    yield {"expr": every, "eval_time": f"{int(plan.end)}m", "exp_samples": names}


def told_in(day: Day, text: str) -> list[str]:
    """The lines of the log that have this text."""
    return [line for line in day.log.lines if text in line]


@pytest.mark.long
@pytest.mark.parametrize(
    "plan", [pytest.param(SHORT, id="short"), pytest.param(WHOLE, id="whole", marks=pytest.mark.verify)]
)
def test_a_day_is_told_by_alerts_readiness_metrics_and_log(plan: Plan, tmp_path: Path) -> None:
    day = run_in_simulated_time(live_through(plan), has_sockets=True)
    print("\n".join(day.log.lines))  # noqa: T201 (shown by `make verify`)
    check_log(day, plan)
    check_readiness(day, plan)
    check_metrics(day)
    check_reader(day)
    assert what_differs(day.series, list(checks_of(plan)), tmp_path) == ""
    earlier = msgspec.structs.replace(plan, cut=plan.cut - plan.cut_minutes)
    assert "LiveMarketsExchangeNotLive" in what_differs(day.series, list(checks_of(earlier)), tmp_path)


def check_log(day: Day, plan: Plan) -> None:
    """Each event has its line, and there are few others."""
    assert len(day.log.lines) < 200
    assert told_in(day, " ERROR ") == []
    ban = f"no REST call for {plan.ban_minutes * 60:.0f} s: HTTP 418: this IP address is banned temporarily"
    for text, count in (
        (ban, 1),
        (f"binance trades {KEPT[0]}: gap from ", 1),
        (f"binance trades {DELISTED}: delisted: binance no longer lists {DELISTED}", 1),
        ("took over because the connection is near the exchange's age limit", 1),
        ("took over because the exchange announced its shutdown", 2),
        ("connection lost: a ping was not answered; next attempt in ", 1),
        (f"live again after {plan.cut_minutes:.0f} min, ", 1),
    ):
        assert len(told_in(day, text)) == count, text
    hours, minutes, seconds = map(int, told_in(day, "age limit")[0].partition(" ")[0].split(":"))
    assert plan.rotation[0] < hours * 60 + minutes + seconds / 60 < plan.rotation[1] + 1


def check_readiness(day: Day, plan: Plan) -> None:
    """The app always takes readers; its streams are live but in the cut, and what is not traded is named."""
    assert all(each.takes_readers for each in day.readiness)
    cut = range(int(plan.cut) + 1, int(plan.cut + plan.cut_minutes))
    for minute, each in list(enumerate(day.readiness))[1:]:  # it begins with midnight
        assert each.is_live != (minute in cut) or minute in (cut.start, cut.stop), (minute, each)
    assert {reason for each in day.readiness for reason in each.reasons} >= {"binance is down: timeout"}
    named = [minute for minute, each in enumerate(day.readiness) if each.not_traded]
    assert plan.delisting < named[0] < plan.delisting + 15
    assert named == list(range(named[0], int(plan.leave) + 1))
    assert DELISTED in day.readiness[named[0]].not_traded[0]


def check_metrics(day: Day) -> None:
    """The counters have what happened."""
    of_binance = '{exchange="binance"}'
    for name, value in (("trades_lost", LOST), ("gaps", 1), ("upstream_rotations", 3)):
        assert day.values(f"livemarkets_{name}_total{of_binance}")[-1] == value, name
    assert day.values(f"livemarkets_trades_backfilled_total{of_binance}")[-1] > 0
    assert max(day.values(f"livemarkets_rest_pause_seconds{of_binance}")) > 60
    assert max(day.values('livemarkets_streams_in_state{exchange="binance",state="delisted"}')) == 1
    assert max(day.values('livemarkets_exchange_state{exchange="binance",state="down"}')) == 1


def check_reader(day: Day) -> None:
    """The reader has every trade of the cut, and was told which ones the ban cost."""
    reached: dict[str, int] = {}
    declared = []
    for message in day.messages:
        if message["type"] == "gap":
            declared.append((message["symbol"], message["to_id"] - message["from_id"] + 1, message["cause"]))
            assert message["from_id"] == reached[message["symbol"]] + 1
            reached[message["symbol"]] = message["to_id"]
        for trade in message.get("data", [message] if message["type"] == "trade" else []):
            assert trade["id"] == reached.get(trade["symbol"], trade["id"] - 1) + 1, trade
            reached[trade["symbol"]] = trade["id"]
    assert declared == [(KEPT[0], LOST, "upstream")]
