"""The order of arrival: whatever the servers have read, each id comes once or is declared."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.delivery.arrival import ArrivalOrder
from livemarkets_client.arrival import ArrivalAccount, ArrivalPositions
from livemarkets_client.buffers import OldestSkipped
from livemarkets_client.continuity import Item
from livemarkets_client.messages import GapMessage, LaggedMessage
from livemarkets_client.models import Gap, Lagged, Pending, Trade
from tests.clients.test_continuity import gap, lagged, told, trade

Range = tuple[int, int]


class Server:
    """An instance: what it has read of the stream, and what it says of that."""

    def __init__(self) -> None:
        self.order = ArrivalOrder(1)
        self.trades: set[int] = set()
        self.gaps: list[Range] = []

    def reads(self, trade_id: int) -> list[Any]:
        if not self.order.is_new(trade_id):
            return []
        opened = self.order.expect(trade_id - 1)
        self.order.take(trade_id)
        self.trades.add(trade_id)
        return [*pending(opened), trade(trade_id)]

    def declares(self, first: int, last: int) -> list[Any]:
        opened = self.order.expect(first - 1)
        settled = self.order.settle(first, last)
        self.gaps += settled
        return [*pending(opened), *(gap(*ids) for ids in settled)]

    def answers(self, after: int) -> list[Any]:
        """What it says to a client that comes with `after`."""
        told: list[tuple[int, Any]] = [
            (trade_id, trade(trade_id)) for trade_id in self.trades if trade_id > after
        ]
        told += [
            (max(first, after + 1), gap(max(first, after + 1), last))
            for first, last in self.gaps
            if last > after
        ]
        still_open = [pending(ids)[0] for ids in self.order.pending]
        return [message for _, message in sorted(told, key=lambda each: each[0])] + still_open


def pending(ids: Range | None) -> list[GapMessage]:
    return [] if ids is None else [gap(*ids, "pending")]


class Reader:
    """A program, with an account of its own of what it was given."""

    def __init__(self) -> None:
        self.settled: set[int] = set()
        self.open: set[int] = set()
        self.positions = ArrivalPositions({"BTCUSDT": 0})

    @property
    def complete_to(self) -> int:
        return min(self.open, default=max(self.settled, default=0) + 1) - 1

    def take(self, items: list[Item]) -> None:
        for item in items:
            self.positions.note(item)
            assert isinstance(item, Trade | Gap | Lagged | Pending)
            first, last = (item.id, item.id) if isinstance(item, Trade) else (item.from_id, item.to_id)
            ids = set(range(first, last + 1))
            assert ids
            assert not ids & self.settled, f"{item} again"
            if isinstance(item, Pending):
                assert not ids & self.open
                self.open |= ids
            else:
                self.open -= ids
                self.settled |= ids
        assert {*self.settled, *self.open} == set(range(1, 1 + max([0, *self.settled, *self.open])))
        assert self.positions.by_symbol() == {"BTCUSDT": self.complete_to}


steps = st.one_of(
    st.tuples(st.just("reads"), st.integers(0, 1), st.integers(-6, 4)),
    st.tuples(st.just("reads"), st.integers(0, 1), st.integers(-6, 4)),
    st.tuples(st.just("declares"), st.integers(0, 1), st.integers(-6, 4)),
    st.tuples(st.just("connects"), st.integers(0, 1), st.just(0)),
)


@given(st.lists(steps, max_size=60))
def test_each_id_comes_once_or_is_declared_at_whatever_server(actions: list[tuple[str, int, int]]) -> None:
    servers = [Server(), Server()]
    at, account, reader = 0, ArrivalAccount(0), Reader()
    for action, number, offset in actions:
        server = servers[number]
        assert server.order.next_id is not None
        trade_id = max(1, server.order.next_id + offset)
        match action:
            case "reads":
                messages = server.reads(trade_id)
            case "declares":
                messages = server.declares(trade_id, trade_id + abs(offset))
            case _:
                at = number
                account.reconnect()
                messages = server.answers(account.after or 0)
        if number == at:
            reader.take(told(account, *messages))
        assert account.after == reader.complete_to
    newest = max(server.order.next_id or 1 for server in servers) - 1
    reader.take(told(account, *servers[at].declares(1, newest)))
    account.reconnect()
    reader.take(told(account, *servers[at].answers(account.after or 0)))
    assert (reader.open, reader.complete_to) == (set(), newest)


def summary(items: list[Item]) -> list[tuple[str, int, int]]:
    found = []
    for item in items:
        match item:
            case Trade():
                found.append(("trade", item.id, item.id))
            case Pending():
                found.append(("again" if item.takes_back else "pending", item.from_id, item.to_id))
            case Gap():
                found.append((item.cause, item.from_id, item.to_id))
            case Lagged():
                found.append(("lagged", item.from_id, item.to_id))
    return found


@pytest.mark.parametrize(
    ("after", "messages", "expected", "position"),
    [
        # All that waits behind a hole comes in the snapshot, and then what is pending before it.
        (None, [trade(14), trade(15), gap(11, 13, "pending")], ["14", "15", "pending 11-13"], 10),
        (None, [trade(14), gap(11, 13, "pending"), trade(12)], ["14", "pending 11-13", "12"], 10),
        (
            None,
            [gap(11, 13, "pending"), trade(14), gap(11, 13)],
            ["pending 11-13", "14", "upstream 11-13"],
            14,
        ),
        (7, [trade(8), trade(11)], ["8", "pending 9-10", "11"], 8),
        (
            7,
            [trade(10), lagged(8, 11), trade(12)],
            ["pending 8-9", "10", "lagged 8-9", "lagged 11-11", "12"],
            12,
        ),
        (7, [gap(8, 12, "pending"), gap(10, 10), trade(9)], ["pending 8-12", "upstream 10-10", "9"], 7),
        (7, [gap(8, 9, "history"), gap(8, 9, "history")], ["history 8-9"], 9),
        # The exchange has sent a trade with a false id.
        (7, [trade(8), trade(90), gap(90, 90, "pending")], ["8", "pending 9-89", "90", "again 90-90"], 8),
        (7, [trade(8), gap(9, 2, "venue"), trade(3)], ["8", "venue 9-2", "3"], 3),
    ],
)
def test_what_is_missing_is_pending_until_it_is_settled(
    after: int | None, messages: list[Any], expected: list[str], position: int
) -> None:
    account = ArrivalAccount(after)
    items = told(account, *messages)
    texts = [
        f"{first}" if kind == "trade" else f"{kind} {first}-{last}" for kind, first, last in summary(items)
    ]
    assert texts == expected
    positions = ArrivalPositions({} if after is None else {"BTCUSDT": after})
    for item in items:
        positions.note(item)
    assert account.after == positions.by_symbol()["BTCUSDT"] == position


def test_what_another_server_calls_pending_is_not_taken_back() -> None:
    account = ArrivalAccount(7)
    told(account, gap(8, 8, "pending"), trade(9), trade(10))
    account.reconnect()
    assert summary(told(account, gap(8, 10, "pending"), trade(9))) == []
    assert summary(told(account, gap(9, 9, "pending"))) == [("again", 9, 9)], "of this connection"


def test_what_a_slow_program_skips_is_declared_in_order_of_arrival_too() -> None:
    account, buffer, reader = ArrivalAccount(0), OldestSkipped(2), Reader()
    messages: list[Trade | GapMessage | LaggedMessage] = [trade(1), trade(4), trade(3), gap(2, 2), trade(5)]
    for item in told(account, *messages):
        assert isinstance(item, Trade | Gap | Lagged | Pending)
        buffer.put(item)
    found: list[Item] = []
    while (waiting := buffer.pop()) is not None:
        found.append(waiting)
    reader.take(found)
    assert reader.complete_to == 5
    assert summary(found)[-2:] == [("upstream", 2, 2), ("trade", 5, 5)]
