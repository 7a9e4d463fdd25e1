"""The state of an exchange, as the ingests on the bus see it."""

from __future__ import annotations

from msgspec.structs import replace

from livemarkets.bus.heard import Ingests
from livemarkets.bus.messages import VERSION, Beat, ExchangeBeat
from livemarkets.exchanges.base import ClientStatus
from livemarkets.market.models import ExchangeState


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def beat(node: str, state: str, *, started_ms: int = 1, is_private: bool = False) -> Beat:
    exchange = "simulator" if is_private else "binance"
    row = ExchangeBeat(exchange, state, f"{node} says so", None, is_private)
    return Beat(VERSION, node, started_ms, [row], [])


def test_the_best_state_counts_while_any_ingest_is_heard() -> None:
    ingests = Ingests(Time())
    assert ingests.status_of("binance") is None
    ingests.note(beat("a", "down"))
    assert ingests.status_of("binance") == ClientStatus(ExchangeState.DOWN, "a says so")
    ingests.note(beat("b", "live"))
    assert ingests.status_of("binance") == ClientStatus(ExchangeState.LIVE, "b says so")
    status = ingests.status_of("other")
    assert status == ClientStatus(ExchangeState.DOWN, "no ingest on the bus offers other")


def test_an_ingest_that_has_not_heard_what_is_wanted_is_connecting() -> None:
    ingests = Ingests(Time())
    ingests.note(beat("a", "idle"))
    assert ingests.status_of("binance") == ClientStatus(ExchangeState.CONNECTING)


def test_an_ingest_without_a_beat_is_gone() -> None:
    time = Time()
    ingests = Ingests(time)
    ingests.note(beat("a", "live"))
    time.now += 2.0
    ingests.note(beat("b", "live"))
    assert ingests.take_silent() == []
    time.now += 1.0
    assert [ingest.node for ingest in ingests.take_silent()] == ["a"]
    assert (ingests.is_heard("a"), ingests.is_heard("b")) == (False, True)


def test_questions_go_to_an_ingest_that_fares_best() -> None:
    ingests = Ingests(Time())
    assert ingests.answerer("binance") is None
    ingests.note(beat("a", "down"))
    assert ingests.answerer("binance") == "a"
    ingests.note(beat("b", "live"))
    ingests.note(beat("c", "live"))
    assert {ingests.answerer("binance") for _ in range(100)} == {"b", "c"}
    assert ingests.answerer("other") is None


def test_every_edge_follows_the_ingest_that_has_run_longest() -> None:
    ingests = Ingests(Time())
    ingests.note(beat("a", "live", started_ms=20, is_private=True))
    ingests.note(beat("b", "down", started_ms=10, is_private=True))
    assert ingests.leader("simulator") == ingests.answerer("simulator") == "b"
    assert ingests.leader("binance") is None
    assert ingests.status_of("simulator") == ClientStatus(ExchangeState.DOWN, "b says so")


def test_the_edges_of_all_ingests_are_known_but_for_this_one() -> None:
    ingests = Ingests(Time())
    ingests.note(replace(beat("a", "live"), edges=[("me", 3), ("other", 5)]))
    ingests.note(replace(beat("b", "live"), edges=[("other", 5), ("third", 0)]))
    assert [(edge.node, edge.role, edge.streams) for edge in ingests.edges(but="me")] == [
        ("other", "edge", 5),
        ("third", "edge", 0),
    ]
    told = [
        (ingest.node, ingest.role, ingest.first) for ingest in ingests.nodes({"a": 1, "b": 2}.__getitem__)
    ]
    assert told == [("a", "ingest", 1), ("b", "ingest", 2)]
