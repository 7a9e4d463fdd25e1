"""The account of one stream: nothing twice, nothing out of order, nothing missing that is not said.

No I/O. An account takes what the server sends, and returns what the subscription yields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from livemarkets_client.messages import GapMessage, LaggedMessage, Update
from livemarkets_client.models import Candle, CandleGap, CandleLagged, Gap, Lagged, Pending, Trade

__all__ = [
    "Account",
    "CandleAccount",
    "Item",
    "LatestTradeAccount",
    "NewestAccount",
    "Positions",
    "TradeAccount",
    "gap_of",
    "lagged_of",
    "position_after",
]

Item = Update | Gap | Lagged | Pending | CandleGap | CandleLagged


class Account(Protocol):
    """What one stream has brought."""

    @property
    def after(self) -> int | None:
        """From where to go on after a reconnect; `None`: from the present."""

    def reconnect(self) -> None:
        """Begin a new connection. Only the order of arrival has to know."""
        return

    def take(self, update: Update) -> Sequence[Item]:
        """Take a live update, or one of a snapshot."""

    def take_gap(self, message: GapMessage) -> Sequence[Item]:
        """Take the declaration of a gap."""

    def take_lagged(self, message: LaggedMessage) -> Sequence[Item]:
        """Take the declaration of what was skipped."""


class TradeAccount(Account):
    """Every trade of a symbol, in order of ids.

    Args:
        after: the id of the last trade that the program has; `None`: the account begins with the first one.

    """

    def __init__(self, after: int | None = None) -> None:
        self._last = after

    @property
    def after(self) -> int | None:
        """The id of the last trade, or of the last one that was declared missing."""
        return self._last

    def take(self, update: Update) -> Sequence[Item]:
        """Return the trade if it is the next one."""
        assert isinstance(update, Trade)
        last = self._last
        if last is not None and update.id <= last:
            return ()
        self._last = update.id
        if last is None or update.id == last + 1:
            return (update,)
        return (
            Gap(
                exchange=update.exchange,
                symbol=update.symbol,
                from_id=last + 1,
                to_id=update.id - 1,
                cause="undeclared",
            ),
            update,
        )

    def take_gap(self, message: GapMessage) -> Sequence[Item]:
        """Return what is new of a gap. Gaps inside a snapshot are declared again."""
        gap = gap_of(message, message.from_id, message.to_id)
        if not gap.restarts_ids:
            return self._pass_over(gap)
        self._last = message.to_id
        return (gap,)

    def take_lagged(self, message: LaggedMessage) -> Sequence[Item]:
        """Return what is new of it."""
        return self._pass_over(lagged_of(message, message.from_id, message.to_id))

    def _pass_over(self, hole: Gap | Lagged) -> Sequence[Item]:
        last = self._last
        if last is not None and hole.to_id <= last:
            return ()
        self._last = hole.to_id
        if last is None or hole.from_id == last + 1:
            return (hole,)
        if hole.from_id > last + 1:
            between = Gap(
                exchange=hole.exchange,
                symbol=hole.symbol,
                from_id=last + 1,
                to_id=hole.from_id - 1,
                cause="undeclared",
            )
            return (between, hole)
        return (
            gap_of(hole, last + 1, hole.to_id)
            if isinstance(hole, Gap)
            else lagged_of(hole, last + 1, hole.to_id),
        )


def gap_of(gap: Gap | GapMessage, from_id: int, to_id: int) -> Gap:
    """Return a part of a gap."""
    return Gap(exchange=gap.exchange, symbol=gap.symbol, from_id=from_id, to_id=to_id, cause=gap.cause)


def lagged_of(lagged: Lagged | LaggedMessage, from_id: int, to_id: int) -> Lagged:
    """Return a part of what was skipped."""
    return Lagged(
        exchange=lagged.exchange,
        symbol=lagged.symbol,
        from_id=from_id,
        to_id=to_id,
        skipped=min(lagged.skipped, to_id - from_id + 1),
    )


class CandleAccount(Account):
    """Every closed candle of a symbol once, in order, and the running one.

    Args:
        after: the `open_ts` of the last closed candle that the program has.

    """

    def __init__(self, after: int | None = None) -> None:
        self._closed_to = after
        self._running: int | None = None

    @property
    def after(self) -> int | None:
        """The open time of the last closed candle, or what is just before the running one."""
        if self._closed_to is None and self._running is not None:
            return self._running - 1
        return self._closed_to

    def take(self, update: Update) -> Sequence[Item]:
        """Return the candle unless it is known; a correction is always new."""
        assert isinstance(update, Candle)
        is_known = self._closed_to is not None and update.open_ts <= self._closed_to
        if is_known and not update.revised:
            return ()
        if not update.closed:
            self._running = update.open_ts
        elif not is_known:
            self._closed_to = update.open_ts
        return (update,)

    def take_gap(self, message: GapMessage) -> Sequence[Item]:
        """Return what is new of a gap."""
        is_set_back = message.to_open_ts < message.from_open_ts
        from_open_ts = message.from_open_ts
        if self._closed_to is not None and not is_set_back:
            if message.to_open_ts <= self._closed_to:
                return ()
            from_open_ts = max(from_open_ts, self._closed_to + 1)
        self._closed_to = message.to_open_ts
        return (
            CandleGap(
                exchange=message.exchange,
                symbol=message.symbol,
                interval=message.interval or "",
                from_open_ts=from_open_ts,
                to_open_ts=message.to_open_ts,
                cause=message.cause,
            ),
        )

    def take_lagged(self, message: LaggedMessage) -> Sequence[Item]:
        """Return it; the candles that it names follow."""
        return (
            CandleLagged(
                exchange=message.exchange,
                symbol=message.symbol,
                interval=message.interval or "",
                from_open_ts=message.from_open_ts,
                to_open_ts=message.to_open_ts,
                skipped=message.skipped,
            ),
        )


class NewestAccount(Account):
    """Updates of which the newest replaces those before: nothing is ever missing."""

    @property
    def after(self) -> int | None:
        """Return `None`: after a reconnect, the newest comes."""
        return None

    def take(self, update: Update) -> Sequence[Item]:
        """Return the update."""
        return (update,)

    def take_gap(self, message: GapMessage) -> Sequence[Item]:
        """Return nothing: there is no gap in these channels."""
        return ()

    def take_lagged(self, message: LaggedMessage) -> Sequence[Item]:
        """Return nothing: an update says itself what was skipped."""
        return ()


class LatestTradeAccount(NewestAccount):
    """The newest trade of a symbol at intervals. A reconnect may bring the last one again."""

    def __init__(self, after: int | None = None) -> None:
        self._last: int | None = None

    def take(self, update: Update) -> Sequence[Item]:
        """Return the trade unless it is the same one."""
        assert isinstance(update, Trade)
        if update.id == self._last:
            return ()
        self._last = update.id
        return (update,)


def position_after(item: Item, before: int | None) -> int | None:
    """Return the position of a symbol once this item has been read: what to give as `after` to go on."""
    match item:
        case Trade():
            return item.id
        case Gap() | Lagged():
            return item.to_id
        case CandleGap():
            return item.to_open_ts
        case Candle():
            reached = item.open_ts if item.closed else item.open_ts - 1
            return reached if before is None else max(before, reached if item.closed else before)
        case _:
            return before


class Positions:
    """How far a program has read, by symbol.

    Args:
        after: where it begins.

    """

    def __init__(self, after: Mapping[str, int]) -> None:
        self._last = dict(after)

    def note(self, item: Item) -> None:
        """Note that the program has read an item."""
        position = position_after(item, self._last.get(item.symbol))
        if position is not None:
            self._last[item.symbol] = position

    def by_symbol(self) -> dict[str, int]:
        """Return the positions that are known."""
        return dict(self._last)
