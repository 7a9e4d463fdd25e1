"""A short campaign of faults, the proof that it can fail, and the judge and report of the long ones."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from websockets.asyncio.client import ClientConnection

from tests.soak.campaign import EXCHANGES, Outcome, Plan, run
from tests.soak.candle_truth import CandleVerdict
from tests.soak.exchanges import ExchangeFigures
from tests.soak.reader import Reader
from tests.soak.report import page, text
from tests.soak.simulated import SYMBOLS, simulated_exchange
from tests.soak.truth import Event, Verdict, judge

# The judge


def price(trade_id: int) -> str:
    return f"{trade_id}.00000000 1.00000000"


def trades(first: int, last: int, mark: str = "") -> list[Event]:
    return [Event("trade", number, number, price(number) + mark) for number in range(first, last + 1)]


def numbering(*ids: int) -> dict[int, str]:
    return {number: price(number) for number in ids}


def gap(first: int, last: int, cause: str) -> Event:
    return Event("gap", first, last, cause)


TEN = [numbering(*range(1, 11))]


def figures(verdict: Verdict) -> dict[str, int]:
    """What is not 0."""
    names = ["lost", "repeated", "disordered", "altered", "falsely_declared", "avoidable", "renumbered"]
    return {name: getattr(verdict, name) for name in names if getattr(verdict, name)}


def test_a_whole_record_is_clean() -> None:
    verdict = judge(trades(3, 10), TEN, 10)
    assert verdict.is_clean
    assert (verdict.received, figures(verdict), verdict.examples) == (8, {}, [])


@pytest.mark.parametrize(
    ("events", "found"),
    [
        pytest.param([*trades(1, 4), *trades(7, 10)], {"lost": 2}, id="two are missing"),
        pytest.param(trades(1, 7), {"lost": 3}, id="the end is missing"),
        pytest.param([*trades(1, 5), *trades(5, 10)], {"repeated": 1}, id="one came twice"),
        pytest.param([*trades(1, 10), *trades(1, 10)], {"repeated": 10}, id="all came twice"),
        pytest.param(
            [*trades(1, 4), *trades(6, 6), *trades(5, 5), *trades(7, 10)],
            {"lost": 1, "disordered": 1},
            id="two changed places",
        ),
        pytest.param(
            [*trades(1, 4), Event("trade", 5, 5, "9.00000000 1.00000000"), *trades(6, 10)],
            {"altered": 1},
            id="one has another price",
        ),
        pytest.param(trades(1, 11), {"altered": 1}, id="one never happened"),
        pytest.param(
            [*trades(1, 4), gap(5, 6, "upstream"), *trades(7, 10)], {"avoidable": 2}, id="declared too easily"
        ),
        pytest.param(
            [*trades(1, 4), gap(5, 6, "history"), *trades(7, 10)], {"avoidable": 2}, id="history was there"
        ),
        pytest.param(
            [*trades(1, 4), gap(5, 6, "venue"), *trades(7, 10)],
            {"falsely_declared": 2},
            id="declared as not existing",
        ),
        pytest.param(
            [*trades(1, 4), gap(6, 6, "upstream"), *trades(7, 10)],
            {"lost": 1, "avoidable": 1},
            id="a hole beside the declared one",
        ),
        pytest.param(
            [*trades(1, 6), gap(5, 6, "upstream"), *trades(7, 10)],
            {"repeated": 1, "avoidable": 2},
            id="declared what came",
        ),
    ],
)
def test_what_is_wrong_is_found(events: list[Event], found: dict[str, int]) -> None:
    verdict = judge(events, TEN, 10)
    assert figures(verdict) == found
    assert not verdict.is_clean
    assert verdict.examples


def test_ids_that_the_exchange_left_out_must_be_declared() -> None:
    truth = [numbering(1, 2, 3, 7, 8)]
    declared = judge([*trades(1, 3), gap(4, 6, "venue"), *trades(7, 8)], truth, 8)
    assert declared.is_clean
    assert declared.declared == {"venue": 3}
    assert figures(judge([*trades(1, 3), *trades(7, 8)], truth, 8)) == {"lost": 3}


def test_a_record_across_a_renumbering_is_judged_by_each_numbering() -> None:
    truth = [numbering(*range(100, 111)), {n: f"{n}.50000000 2.00000000" for n in range(1, 6)}]
    second = [Event("trade", n, n, truth[1][n]) for n in range(1, 6)]
    verdict = judge([*trades(100, 110), gap(111, 0, "venue"), *second], truth, 5)
    assert verdict.is_clean
    assert figures(verdict) == {"renumbered": 1}
    verdict = judge([*trades(100, 110), gap(111, 0, "venue"), *second[:2], *second[3:]], truth, 5)
    assert figures(verdict) == {"renumbered": 1, "lost": 1}
    verdict = judge([*trades(100, 110), *second], truth, 5)
    assert not verdict.is_clean, "nobody said that the numbers begin anew"


def test_what_was_open_of_an_older_numbering_cannot_be_had() -> None:
    truth = [numbering(*range(100, 111)), numbering(1, 2, 3)]
    verdict = judge(
        [*trades(100, 105), gap(106, 110, "upstream"), gap(111, 0, "venue"), *trades(1, 3)], truth, 3
    )
    assert verdict.is_clean
    assert verdict.declared["upstream"] == 5


def test_backfilled_trades_are_counted_and_compared() -> None:
    verdict = judge([*trades(1, 4), *trades(5, 8, " backfilled"), *trades(9, 10)], TEN, 10)
    assert verdict.is_clean
    assert verdict.backfilled == 4


def test_figures_add_up() -> None:
    total = Verdict()
    total.add(judge([*trades(1, 4), *trades(7, 10)], TEN, 10))
    total.add(judge([*trades(1, 4), gap(5, 6, "venue"), *trades(7, 10)], TEN, 10))
    assert figures(total) == {"lost": 2, "falsely_declared": 2}
    assert (total.received, total.declared, len(total.examples)) == (16, {"venue": 2}, 2)


async def test_the_truth_keeps_what_a_relisting_ends() -> None:
    async with simulated_exchange(1) as exchange:
        exchange.simulator.faults.burst(symbol="BTCUSDT", trades=10)
        exchange.simulator.faults.set_status(symbol="BTCUSDT", state="BREAK")
        before = exchange.newest("BTCUSDT")
        exchange.relist("BTCUSDT")
        exchange.simulator.faults.set_status(symbol="BTCUSDT", state="TRADING")
        exchange.simulator.faults.burst(symbol="BTCUSDT", trades=10)
        old, new = exchange.numberings("BTCUSDT")
        assert max(old) == before
        assert min(new) == 900_000_000
        assert len(new) >= 10
        assert len(exchange.numberings("ETHUSDT")) == 1


@pytest.mark.parametrize("turns", range(5))
async def test_a_client_that_is_ended_as_an_answer_arrives_ends(turns: int) -> None:
    """At whatever turn of the event loop: one that went on would be waited for without end."""
    answers: asyncio.Queue[str] = asyncio.Queue()

    class Socket:
        async def recv(self) -> str:
            return await answers.get()

    reader = Reader("client", "", SYMBOLS, Random(1))
    task = asyncio.create_task(reader._until_unsubscribed(cast(ClientConnection, Socket())))
    await asyncio.sleep(0.01)
    answers.put_nowait('{"type":"pong"}')
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=1)
    task.cancel()
    assert done == {task}


@pytest.mark.parametrize("name", EXCHANGES)
async def test_every_fault_of_a_campaign_is_one_that_the_exchange_knows(name: str) -> None:
    async with EXCHANGES[name](1) as exchange:
        for symbol in exchange.symbols:
            assert exchange.newest(symbol) > 0
        for inject in exchange.kinds(Random(1)).values():
            inject()
        assert sum(exchange.injected.values()) >= len(exchange.kinds(Random(1))) - 2, "two are mere trades"
        exchange.clear()
        assert not exchange.figures().violations


# The report


FIGURES = ExchangeFigures(trades={"BTCUSDT": 10}, accepted=4, refused=1, violations={})


def an_outcome(**changes: Any) -> Outcome:
    readers = [Reader(f"client {number}", "", SYMBOLS, Random(1)) for number in range(2)]
    fields: dict[str, Any] = {
        "readers": readers,
        "verdicts": {reader.name: judge(trades(1, 10), TEN, 10) for reader in readers},
        "injected": {"drop": 3, "lose": 4},
        "exchange": FIGURES,
        "memory_kb": [(float(at), 100_000 + at * 100) for at in range(20)],
        "received": [(float(at), at * 50) for at in range(20)],
        "fault_times": [(1.0, "drop"), (5.0, "lose")],
        "metrics": {"livemarkets_gaps_total": 2.0, "python_info": 1.0},
    }
    return Outcome(Plan(seed=9), **(fields | changes))


def test_the_report_has_every_figure() -> None:
    report = text(an_outcome())
    lines = dict(line.split("  ", 1) for line in report.splitlines() if "  " in line.strip())
    found = {name.strip(): value.strip() for name, value in lines.items()}
    assert found["faults"] == "7"
    assert found["received"] == "20"
    assert found["lost without declaration"] == "0"
    assert found["connections accepted, refused"] == "4, 1"
    assert found["limits broken"] == "none"
    assert found["livemarkets_gaps_total"] == "2"
    assert found["memory after warm-up, at the end"] == "97.9 MB, 99.5 MB (101.6%)"
    assert found["verdict"] == "every promise was kept"
    assert "python_info" not in report


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"verdicts": {"client 0": judge(trades(1, 9), TEN, 10)}}, id="loss"),
        pytest.param({"unsettled": ["client 0 has BTCUSDT up to 9 of 10"]}, id="not settled"),
        pytest.param({"app_ended": True}, id="the app ended"),
        pytest.param({"candles": {"all, slow": CandleVerdict(closed=9, missing=1)}}, id="a candle"),
        pytest.param({"left_upstream": ["btcusdt@bookTicker"]}, id="a stream that nobody reads"),
        pytest.param(
            {"exchange": ExchangeFigures(trades={}, accepted=4, refused=1, violations={"messages": 1})},
            id="limits",
        ),
    ],
)
def test_a_broken_promise_is_said_loudly(changes: dict[str, Any]) -> None:
    outcome = an_outcome(**changes)
    if "verdicts" in changes:
        outcome.verdicts["client 1"] = Verdict()
    assert not outcome.is_clean
    assert "A PROMISE WAS BROKEN" in text(outcome)
    assert "<h1>A promise was broken</h1>" in page(outcome)


def test_the_page_has_plots_and_needs_nothing_from_elsewhere() -> None:
    html = page(an_outcome(unsettled=["<script>"]))
    assert html.count("<svg") == 2
    assert html.count("<polyline") == 2
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "http" not in html
    assert "<h1>A promise was broken</h1>" in html


def test_a_page_of_a_campaign_that_hardly_ran_is_no_error() -> None:
    outcome = an_outcome(received=[], fault_times=[], memory_kb=[(0.0, 100)])
    assert "<svg" not in page(outcome)


# The campaigns


@pytest.mark.parametrize(
    ("exchange", "faults", "seconds", "received", "deaths"),
    [
        pytest.param("simulator", 32, 8.0, 1_500, 1, id="every kind of fault"),
        pytest.param("simulator", 300, 120.0, 10_000, 5, id="many times", marks=pytest.mark.verify),
        pytest.param("foreign", 120, 45.0, 10_000, 5, id="the foreign exchange", marks=pytest.mark.verify),
    ],
)
async def test_a_short_campaign_keeps_every_promise(
    tmp_path: Path, exchange: str, faults: int, seconds: float, received: int, deaths: int
) -> None:
    """Five clients of trades, seven of all else; the memory is judged where there is time for it to grow."""
    outcome = await run(
        Plan(exchange=exchange, seed=3, faults=faults, seconds=seconds, log=tmp_path / "app.log")
    )
    report = text(outcome)
    print(report)  # noqa: T201 (shown by `make verify`)
    assert outcome.is_clean, report
    assert outcome.exchange.violations == {}, report
    assert sum(outcome.injected.values()) >= faults, report
    assert len(outcome.verdicts) == 5
    total = outcome.total
    assert total.received > received, report
    assert total.backfilled > 0, report
    assert total.declared["venue"] > 0, report
    assert outcome.readers[4].connections > deaths, "a client that is killed and resumes"
    assert outcome.left_upstream == [], report
    for reader in outcome.channel_readers:
        assert outcome.candles[reader.name].closed > seconds, report
        assert reader.counts["skipped"] or not reader.name.startswith("latest"), report
    assert len(outcome.channel_readers) == (7 if exchange == "simulator" else 0)
    assert seconds < 30 or outcome.memory_growth < 1.10, report
    assert "Traceback" not in (tmp_path / "app.log").read_text(encoding="utf-8")


@pytest.mark.verify
async def test_without_the_ledger_the_same_campaign_fails() -> None:
    outcome = await run(Plan(seed=3, faults=60, seconds=8.0, has_ledger=False, settle_seconds=1.0))
    assert not outcome.is_clean
    total = outcome.total
    assert total.lost, text(outcome)
    assert total.repeated + total.disordered, text(outcome)
    assert "A PROMISE WAS BROKEN" in text(outcome)
