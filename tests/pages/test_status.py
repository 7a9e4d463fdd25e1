"""Labs › Status without a browser: its rows, and NiceGUI's simulated user."""

from __future__ import annotations

import gc
import html
import re
import weakref
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User

from livemarkets.config.settings import Settings
from livemarkets.exchanges.latency import HopStatistics
from livemarkets.market.models import ExchangeState, StreamKey
from livemarkets.status.exchange_report import ClockReport, ConnectionReport
from livemarkets.status.report import Need, ReaderReport
from pages.elements.fact_table.fact_table import Cell, FactTable
from pages.elements.needs_list import NeedsList
from pages.labs.status import tables
from tests.pages.local import LocalServices
from tests.pages.visiting import in_simulated_time as in_simulated_time
from tests.support import reports
from tests.support.helpers import eventually

NEED = Need(kind="clock", level="warning", what="The clock is off.", way="Run `timedatectl`.")


def texts(rows: dict[str, dict[str, Cell]], column: str) -> dict[str, str]:
    return {key: row[column].text for key, row in rows.items() if column in row}


def test_an_exchange_is_told_at_a_glance() -> None:
    given = reports.exchange(
        state="down",
        reason="timeout",
        banned_until_ts=reports.LATER,
        clock=ClockReport(offset_ms=-5012.0, precision_ms=30.0),
        complaints={"not JSON": 3},
        paused_until_ts=reports.LATER,
    )
    facts = tables.exchange_facts(given)
    assert texts(facts, "value") | {"Trades": ""} == {
        "State": "down: timeout",
        "For": "",
        "Connections refused until": "",
        "Connections": "0 open; 1 attempts, 0 planned replacements",
        "Streams": "none",
        "Trades": "",
        "Weight of questions": "20 of 3,000 a minute; 20 by its own count",
        "Questions": "1",
        "Questions refused until": "",
        "Our clock": "5.01 s behind the exchange's (± 30.0 ms)",
        "Not understood": "3 not JSON",
    }
    assert facts["State"]["value"].tone == "bad"
    assert facts["For"]["value"].age == given.since_ts
    assert facts["Connections refused until"]["value"].time == reports.LATER


@pytest.mark.parametrize(
    ("offset_ms", "precision_ms", "text"),
    [
        (0.5, 1.5, "at most 2.00 ms from the exchange's"),
        (-40.0, 3.0, "40.0 ms behind the exchange's (± 3.00 ms)"),
        (80.0, None, "80.0 ms ahead of the exchange's, time on the way included"),
    ],
)
def test_the_clock_is_never_told_better_than_it_is_known(
    offset_ms: float, precision_ms: float | None, text: str
) -> None:
    clock = ClockReport(offset_ms=offset_ms, precision_ms=precision_ms)
    facts = tables.exchange_facts(reports.exchange(clock=clock))
    assert facts["Our clock"]["value"].text == text


def test_each_leg_has_a_row_with_its_share() -> None:
    away = reports.leg(
        2, "down", reason="timeout", urls=[], first=150, missed=3, disagreed=1, lead_p50_ms=None
    )
    rows = tables.leg_rows([reports.leg(1), away])
    assert texts(rows, "share") == {"1": "25.0 %", "2": "75.0 %"}
    assert texts(rows, "p50") == {"1": "1.50 ms", "2": ""}
    assert texts(rows, "url") == {"1": "wss://one.example/stream", "2": "none"}
    assert (rows["2"]["state"].text, rows["2"]["state"].tone) == ("down: timeout", "bad")
    assert (rows["2"]["missed"].tone, rows["2"]["disagreed"].tone) == ("warn", "bad")
    assert texts(tables.leg_rows([reports.leg(1, first=0)]), "share") == {"1": ""}
    assert tables.leg_rows([]) == {}


def test_streams_connections_addresses_readers_and_steps_have_rows() -> None:
    stream = reports.stream("ETHUSDT", "recovering", lost=7)
    row = tables.stream_rows([stream])["ETHUSDT trades "]
    assert (row["state"].text, row["state"].tone) == ("recovering", "warn")
    assert (row["rhythm"].text, row["last_id"].text, row["lost"].tone) == ("1.5 s", "7", "bad")
    connection = ConnectionReport(
        name="binance-1.2",
        shard="binance-1",
        url="wss://one.example/stream",
        role="standby",
        streams=3,
        acknowledged=2,
        opened_ts=None,
        rotates_ts=reports.LATER,
        round_trip_ms=None,
    )
    row = tables.connection_rows([connection])["binance-1.2"]
    assert (row["name"].text, row["streams"].text) == ("binance-1.2 (standby)", "2 of 3")
    assert (row["age"].text, row["streams"].tone) == ("opening", "warn")
    failing = reports.exchange(addresses=[reports.address("wss://one.example", rests=True)])
    rows = tables.address_rows(failing)
    assert list(rows) == ["streams wss://one.example", "rest https://rest.example"]
    state = rows["streams wss://one.example"]["state"]
    assert (state.text, state.time) == ("passed over until ", reports.LATER)
    reader = ReaderReport(
        client="abc", names=2, mode="all", is_lagging=True, backlog_bytes=2048, behind_ms=1500
    )
    row = tables.reader_rows([reader])["abc"]
    assert (row["backlog"].text, row["behind"].text, row["state"].text) == ("2,048", "1.5 s", "skips trades")
    hop = HopStatistics(samples=9, p50_ms=-12.5, p99_ms=1500.0, plot=[None, (1.0, 2.0)])
    quiet = HopStatistics(samples=0, p50_ms=None, p99_ms=None, plot=[None])
    given = reports.exchange(latency={"event_to_received": hop, "received_to_sent": quiet})
    rows = tables.hop_rows(given)
    assert texts(rows, "p50") == {"event_to_received": "−12.5 ms"}, "nothing is cut off"
    assert rows["event_to_received"]["plot"].plot == (None, (1.0, 2.0))
    assert tables.rest_of(1234, "streams") == "1,234 more streams are not shown."
    assert tables.rest_of(0, "streams") == ""


def table(visitor: User, title: str) -> FactTable:
    """The table of this title."""
    return next(each for each in visitor.find(kind=FactTable).elements if each.props["title"] == title)


async def test_only_what_changed_is_sent_and_nothing_to_a_hidden_page(
    visitor: User, services: LocalServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    await visitor.open("/labs/status")
    facts = table(visitor, "Binance at a glance")
    await eventually(lambda: facts.rows)
    assert facts.rows["State"]["value"].text == "live"
    sent: list[tuple[str, Any]] = []
    for each in visitor.find(kind=FactTable).elements:
        monkeypatch.setattr(each, "call", lambda *call: sent.append(call))

    services.clock_ms += 1000
    services.set_status("binance", ExchangeState.DOWN, "timeout")
    await eventually(lambda: len(sent) > 0)
    assert sent == [
        (
            "apply",
            {
                "now": services.now_ms(),
                "cells": {"State": {"value": {"text": "down: timeout", "tone": "bad"}}},
            },
        )
    ]

    sent.clear()
    visitor.find(kind=NeedsList).trigger("visibility", False)
    services.set_status("binance", ExchangeState.LIVE)
    services.inspection.needs.append(NEED)
    asked = services.inspection.asked
    [timer] = visitor.find(kind=ui.timer).elements
    assert timer.callback is not None
    await timer.callback()
    assert (sent, services.inspection.asked) == ([], asked), "nothing is even collected"

    visitor.find(kind=NeedsList).trigger("visibility", True)
    await eventually(lambda: facts.rows.get("State") and facts.rows["State"]["value"].text == "live")
    needs = next(iter(visitor.find(kind=NeedsList).elements))
    assert needs.needs == (NEED,)


async def test_the_simulator_can_be_watched_and_broken(visitor: User, services: LocalServices) -> None:
    await visitor.open("/labs/status")
    assert services.manager.counts() == (0, 0, 0), "the page itself subscribes to nothing"
    visitor.find("Watch the simulator").click()
    await eventually(lambda: services.manager.wanted("simulator"))
    assert StreamKey.trades("simulator", "BTCUSDT") in services.manager.wanted("simulator")
    visitor.find("Half-open connection").click()
    await visitor.should_see("Done: Half-open connection.")
    services.buttons.refusal = "one fault every two seconds: wait a moment"
    visitor.find("Cut for 3 s").click()
    await visitor.should_see("Not done: one fault every two seconds: wait a moment.")
    assert services.buttons.caused == ["half_open"]
    assert services.manager.wanted("binance") == set()
    visitor.find("Watch the simulator").click()
    await eventually(lambda: not services.manager.wanted("simulator"))


class TestWithoutTheSimulator:
    @pytest.fixture
    def services(self) -> LocalServices:
        return LocalServices(Settings(stream_enabled=True, simulator_enabled=False))

    async def test_nothing_can_be_broken(self, visitor: User) -> None:
        await visitor.open("/labs/status")
        await visitor.should_see("What needs you")
        await visitor.should_not_see("Break it")


async def test_a_closed_page_is_freed_without_a_collection(visitor: User, services: LocalServices) -> None:
    """The server freezes what lives long: a cycle of a page that was open for long would stay for ever."""
    await visitor.open("/labs/status")
    await eventually(lambda: table(visitor, "Binance at a glance").rows)
    visitor.find("Watch the simulator").click()
    await eventually(lambda: services.manager.wanted("simulator"))
    parts = [
        weakref.ref(each)
        for kind in (FactTable, NeedsList, ui.label)
        for each in visitor.find(kind=kind).elements
    ]
    client = visitor.client
    assert client is not None
    gc.disable()
    try:
        client.delete()
        visitor.client = client = None
        await eventually(lambda: [part() for part in parts if part() is not None] == [])
    finally:
        gc.enable()
    assert services.manager.counts() == (0, 0, 0)


async def test_the_badge_has_its_words_before_the_first_report(
    visitor: User, services: LocalServices
) -> None:
    page = html.unescape((await visitor.http_client.get("/labs/status")).text)
    (badge,) = re.findall(r'"hasAge":false.*?"exchanges":\[(.*?)\]', page)
    assert '"label":"Binance","state":"live","word":"live"' in badge
