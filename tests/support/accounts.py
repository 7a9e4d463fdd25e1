"""What clients of `/ws/markets` know of one symbol, by the messages that they got. They trust nobody."""

from __future__ import annotations

from typing import Any


class Account:
    """The ids of one symbol that a client in order of arrival was told: as a trade, or as not to come.

    Args:
        after: the id from which it resumes; `None` without a resumption.

    """

    def __init__(self, after: int | None = None) -> None:
        self.base = after
        """Ids up to this one are none of this subscription; `None` while no id is known."""
        self.told: dict[int, str] = {}
        """Id → what settled it."""
        self.pending: set[int] = set()
        self.renumberings = 0
        self._resumes = after is not None
        self._is_beginning = True

    @property
    def newest(self) -> int:
        """The highest id that the client knows of."""
        return max([*self.told, *self.pending, -1 if self.base is None else self.base])

    @property
    def complete_to(self) -> int:
        """The id up to which everything was told. What a snapshot passes over counts as open."""
        found = -1 if self.base is None else self.base
        while found + 1 in self.told:
            found += 1
        return found

    def take(self, message: dict[str, Any]) -> None:
        """Note a message."""
        match message:
            case {"type": "snapshot", "data": ticks}:
                for tick in ticks:
                    self._show(tick["id"])
            case {"type": "trade", "id": trade_id}:
                self.end_beginning()
                self._settle(trade_id, "trade")
            case {"type": "gap", "from_id": first, "to_id": last, "cause": cause}:
                self._take_gap(first, last, cause)
                assert message["complete_to"] <= self.complete_to, (message, self.complete_to)
            case {"type": "lagged", "from_id": first, "to_id": last}:
                self.end_beginning()
                self._settle_all(first, last, "lagged")

    def _show(self, trade_id: int) -> None:
        """Note a trade of a snapshot. What it passes over must be settled, or turn out to be pending."""
        assert self._is_beginning
        self._settle(trade_id, "snapshot")

    def _take_gap(self, first: int, last: int, cause: str) -> None:
        if last < first:
            self._renumber(first, last)
        elif cause == "pending":
            self._take_pending(first, last)
        else:
            if self.pending:
                self.end_beginning()
            self._settle_all(first, last, f"gap {cause}")

    def end_beginning(self) -> None:
        """Check that the snapshot and what is pending leave nothing out."""
        if self._is_beginning and self.base is not None:
            assert {*self.told, *self.pending} == set(range(self.base + 1, self.newest + 1))
        self._is_beginning = False

    def _settle_all(self, first: int, last: int, how: str) -> None:
        for trade_id in range(first, last + 1):
            self._settle(trade_id, how)

    def _settle(self, trade_id: int, how: str) -> None:
        if self.base is None or (self._is_beginning and not self._resumes):
            self.base = trade_id - 1 if self.base is None else min(self.base, trade_id - 1)
        assert trade_id not in self.told, f"{how} {trade_id}, after {self.told[trade_id]}"
        assert trade_id > self.base, f"{how} {trade_id}, after {self.base}"
        if trade_id not in self.pending and not self._is_beginning:
            assert trade_id == self.newest + 1, f"{how} {trade_id} after {self.newest}, undeclared"
        self.pending.discard(trade_id)
        self.told[trade_id] = how

    def _take_pending(self, first: int, last: int) -> None:
        if self._is_beginning and not self._resumes:
            self.base = first - 1 if self.base is None else min(first - 1, self.base)
        for trade_id in range(first, last + 1):
            assert trade_id not in self.told, f"pending {trade_id}, after {self.told.get(trade_id)}"
            assert self._is_beginning or trade_id in self.pending or trade_id == self.newest + 1
            self.pending.add(trade_id)

    def _renumber(self, from_id: int, to_id: int) -> None:
        assert self.base is None or from_id == self.newest + 1
        assert not self.pending
        self.base, self.told = to_id, {}
        self.renumberings += 1


class OrderedAccount(Account):
    """That of a client in order of ids, in which nothing is ever pending."""

    def _settle(self, trade_id: int, how: str) -> None:
        assert self.base is None or trade_id == self.newest + 1, f"{how} {trade_id} after {self.newest}"
        super()._settle(trade_id, how)

    def _take_pending(self, first: int, last: int) -> None:
        raise AssertionError("pending, in order of ids")


class LatestAccount:
    """That of a client in `mode: latest`: it never goes back."""

    def __init__(self) -> None:
        self.last: dict[str, Any] = {}
        self.renumberings = 0

    def take(self, message: dict[str, Any]) -> None:
        """Note a message."""
        assert message["type"] in ("snapshot", "trade"), message
        for tick in message.get("data", [message]):
            assert not self.last or tick["ts"] > self.last["ts"], (self.last, tick)
            self.last = tick
