"""The subscriptions of one `/ws/markets` client, and how each of its streams is started."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial

from msgspec import UNSET

from livemarkets.delivery.arrival import ArrivalOrder
from livemarkets.delivery.fanout import Fanout
from livemarkets.delivery.mailbox import Mailbox
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.feed.ledger import Released
from livemarkets.market.channels import CANDLES, DEPTH, NEWEST_WINS, TRADES
from livemarkets.market.models import Gap, StreamKey, TradeTick
from livemarkets.market.stores import RecentTrades
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.protocol.encoding import encode_gap, encode_released, encode_snapshots
from livemarkets.protocol.messages import Subscription
from livemarkets.protocol.requests import SubscribeRequest
from livemarkets.server.turns import Turns
from livemarkets.ws_markets.beginning import encode_part, with_gaps
from livemarkets.ws_markets.beginnings import Beginning, Beginnings
from livemarkets.ws_markets.candle_streams import CandleStreams
from livemarkets.ws_markets.terms import Terms
from livemarkets.ws_markets.update_streams import UpdateStreams

__all__ = ["ClientStreams"]

_TRADES_AT_ONCE = 2_000
"""If the snapshots of a request are longer, each is sent only after the client has read the one before."""
_WAITING_AT_ONCE = 500
"""If more trades wait behind a hole after a resumption, they are sent in parts."""


class ClientStreams:
    """The streams of one client. Changes are synchronous; snapshots and resumption run in tasks.

    Args:
        address: the client's address, to which limits apply.
        mailbox: the client's mailbox, and the subscriber as the manager knows it.
        manager: the subscriptions of all subscribers.
        trades: the recent trades of every stream.
        fanout: the delivery to all readers.
        turns: spreads what is sent before the live streams over the turns of the event loop.

    """

    __slots__ = (
        "_address",
        "_beginnings",
        "_candles",
        "_fanout",
        "_mailbox",
        "_manager",
        "_posting",
        "_terms",
        "_trades",
        "_turns",
        "_updates",
    )

    def __init__(
        self,
        address: str,
        mailbox: Mailbox,
        manager: SubscriptionManager,
        trades: RecentTrades,
        fanout: Fanout,
        turns: Turns,
    ) -> None:
        self._address = address
        self._mailbox = mailbox
        self._manager = manager
        self._trades = trades
        self._fanout = fanout
        self._turns = turns
        self._terms: dict[StreamKey, Terms] = {}
        self._beginnings = Beginnings(mailbox, fanout, turns)
        self._posting = asyncio.Lock()
        self._updates = UpdateStreams(mailbox, fanout, self._posting)
        self._candles = CandleStreams(mailbox, fanout, self._posting, address, self._beginnings)

    def keys(self) -> list[StreamKey]:
        """Return the subscribed streams in the order of subscription."""
        return self._manager.subscriptions(self._mailbox)

    def modes(self) -> list[str]:
        """Return the mode of each subscribed stream."""
        return [terms.mode for terms in self._terms.values()]

    def describe(self) -> list[Subscription]:
        """Return the subscribed streams, each with what the client asked for and how far it is."""
        return [self._describe(key, self._terms[key]) for key in self.keys()]

    def _describe(self, key: StreamKey, terms: Terms) -> Subscription:
        ledger = terms.feed.ledger(key)
        newest = self._trades.recent(key, 1)
        last_id = newest[0].id if newest else None
        complete_to = None if ledger is None else ledger.complete_to
        if ledger is not None and terms.reads_arrivals and ledger.held:
            last_id = ledger.newest_seen()
        told_to = self._fanout.complete_to(key, self._mailbox)
        if key in self._beginnings:
            complete_to = None
        elif complete_to is not None and told_to is not None:
            complete_to = min(complete_to, told_to)
        order = terms.order if key.channel == TRADES else UNSET
        levels = terms.levels if key.channel == DEPTH else UNSET
        interval = key.parameter or UNSET
        return Subscription(*key[:3], terms.mode, order, last_id, complete_to, levels, interval)

    def want(self, keys: Iterable[StreamKey]) -> None:
        """Keep the streams subscribed at the exchange from now on."""
        for key in keys:
            self._manager.subscribe(self._mailbox, key)

    def begin(self, feed: ExchangeFeed, keys: Sequence[StreamKey], request: SubscribeRequest) -> None:
        """Start wanted streams: the requested snapshot or resumption first, then live trades."""
        terms = Terms.of(request, feed)
        expected = sum(
            min(request.snapshot, self._trades.count(key)) + self._held(key, terms) for key in keys
        )
        introduce = partial(self._introduce_when_there_is_room, snapshot=request.snapshot, terms=terms)
        introduction = Beginning(introduce, True)
        resumption = Beginning(partial(self._resume_after, ids=request.after, terms=terms), False)
        for key in keys:
            self._leave(key)
            self._terms[key] = terms
            beginning: Beginning | None
            if key.channel in NEWEST_WINS:
                beginning = self._updates.begin(
                    key, terms, has_snapshot=request.snapshot > 0, names=len(keys)
                )
            elif key.channel == CANDLES:
                after = request.after.get(key.symbol)
                beginning = self._candles.begin(key, terms, request.snapshot, after)
            elif key.symbol in request.after:
                beginning = resumption
            elif expected > _TRADES_AT_ONCE or not self._mailbox.room.is_set():
                beginning = introduction
            else:
                beginning = None
                self._introduce(key, request.snapshot, terms)
            if beginning is not None:
                self._beginnings.add(key, beginning)

    def end(self, keys: Iterable[StreamKey]) -> None:
        """Unsubscribe streams. Idempotent."""
        for key in keys:
            self._leave(key)
            self._manager.unsubscribe(self._mailbox, key)

    def _leave(self, key: StreamKey) -> None:
        """Deliver the stream no more. Idempotent."""
        self._beginnings.cancel(key)
        terms = self._terms.pop(key, None)
        if key.channel == CANDLES:
            self._candles.leave(key)
        elif key.channel not in NEWEST_WINS:
            self._fanout.leave(key, self._mailbox)
        elif terms is not None:
            self._updates.leave(key, terms)

    def release(self) -> None:
        """Unsubscribe every stream. Idempotent."""
        self._beginnings.stop()
        self.end(self.keys())
        self._fanout.forget(self._mailbox)

    def _held(self, key: StreamKey, terms: Terms) -> int:
        """Return how many trades behind a hole the client is sent at the beginning."""
        ledger = terms.feed.ledger(key) if terms.wants_all_arrivals else None
        return 0 if ledger is None else ledger.held

    def _waiting(self, key: StreamKey, terms: Terms) -> list[TradeTick]:
        """Return the trades behind a hole, for a client that reads in order of arrival."""
        ledger = terms.feed.ledger(key) if terms.reads_arrivals else None
        return [] if ledger is None else ledger.waiting()

    def _introduce(self, key: StreamKey, snapshot: int, terms: Terms) -> None:
        """Send the recent trades, and all of those behind a hole to a client that wants every trade."""
        waiting = self._waiting(key, terms)
        if not terms.wants_all_arrivals:
            waiting = waiting[max(0, len(waiting) - snapshot) :]
        parts = [*self._recent(key, max(0, snapshot - len(waiting)), terms), *waiting]
        self._post_all(encode_released(key, parts) or encode_snapshots(key, ()))
        self._join(key, terms)

    def _recent(self, key: StreamKey, count: int, terms: Terms) -> list[Released]:
        """Return the newest trades in order of ids, for a client of every trade with the gaps among them."""
        ticks = self._trades.recent(key, count)
        if not ticks or terms.mode == "latest":
            return [*ticks]
        return with_gaps(ticks, self._trades.gaps(key), _complete_to(key, terms))

    async def _introduce_when_there_is_room(self, key: StreamKey, snapshot: int, terms: Terms) -> None:
        first = self._trades.start_of(key, snapshot)
        if first is not None and min(snapshot, self._trades.count(key)) > _TRADES_AT_ONCE:
            if terms.mode != "latest":
                await self._resume(key, first - 1, terms)
                return
            snapshot = await self._post_older(key, first, terms)
        async with self._posting:  # many streams of a client must not find room in the same turn
            await self._mailbox.room.wait()
            await self._turns.wait()
            if self._held(key, terms) <= _TRADES_AT_ONCE:
                self._introduce(key, snapshot, terms)
                await asyncio.sleep(0)  # posted messages are sent at the end of this turn
                return
        recent = self._recent(key, snapshot, terms)
        complete_to = _complete_to(key, terms)
        await self._post_when_there_is_room(encode_released(key, recent), terms)
        await self._resume(key, complete_to, terms)

    async def _post_older(self, key: StreamKey, first: int, terms: Terms) -> int:
        """Send the older trades of a long snapshot from `first` on. Return how many are left for the rest."""
        ticks = self._trades.after(key, first - 1, _TRADES_AT_ONCE + 1)
        while len(ticks) > _TRADES_AT_ONCE:
            await self._post_when_there_is_room(encode_snapshots(key, ticks[:-1]), terms)
            ticks = self._trades.after(key, ticks[-2].id, _TRADES_AT_ONCE + 1)
        return len(ticks)

    async def _resume_after(self, key: StreamKey, ids: Mapping[str, int], terms: Terms) -> None:
        await self._resume(key, ids[key.symbol], terms)

    async def _resume(self, key: StreamKey, after: int, terms: Terms) -> None:
        """Send what follows `after` in order of ids, then what waits behind a hole, then join the stream.

        So many trades can wait that they are sent in parts. If their hole is closed meanwhile, the resumption
        goes on, without those that were sent.
        """
        told: set[int] = set()
        had_snapshot = False
        while True:
            async with aclosing(terms.feed.resumer.resume(key, after, self._address)) as parts:
                async for part in parts:
                    had_snapshot |= part.has_everything or any(map(_is_trade, part.items))
                    if not part.is_last:
                        payloads = encode_part(key, part, told)
                        await self._post_when_there_is_room(payloads, terms)
                        continue
                    # From here to the join there is no await, so that no trade is missed or repeated.
                    waiting = self._waiting_untold(key, terms, told)
                    payloads = encode_part(key, part, told, waiting[:_TRADES_AT_ONCE])
                    if len(waiting) <= _WAITING_AT_ONCE:
                        self._post_all(payloads)
                        if not (had_snapshot or waiting):
                            self._post_all(encode_snapshots(key, ()))
                        self._join(key, terms)
                        return
                    had_snapshot = True
                    told.update(tick.id for tick in waiting[:_TRADES_AT_ONCE])
                    after = _complete_to(key, terms)
                    await self._post_when_there_is_room(payloads, terms)

    def _waiting_untold(self, key: StreamKey, terms: Terms, told: set[int]) -> list[TradeTick]:
        waiting = [tick for tick in self._waiting(key, terms) if tick.id not in told]
        return waiting if terms.wants_all_arrivals else waiting[-1:]

    def _join(self, key: StreamKey, terms: Terms) -> None:
        """Deliver the live stream from here on; in order of arrival, first say what is pending."""
        if not terms.reads_arrivals:
            self._fanout.join(key, self._mailbox)
            return
        ledger = terms.feed.ledger(key)
        arrival = self._fanout.arrival_order(key)
        if arrival is None or arrival.next_id is None:
            holes = () if ledger is None else [(hole.first, hole.last) for hole in ledger.holes]
            newest_id = None if ledger is None else ledger.newest_known()
            arrival = ArrivalOrder(None if newest_id is None else newest_id + 1, holes)
        if terms.wants_all_arrivals:
            for first, last in arrival.pending:
                gap = Gap(key, first, last, "pending")
                self._fanout.post(self._mailbox, encode_gap(gap, arrival.complete_to))
        self._fanout.join(key, self._mailbox, terms.interval_seconds, arrival)

    def _post_all(self, payloads: Iterable[bytes]) -> None:
        for payload in payloads:
            self._fanout.post(self._mailbox, payload)

    async def _post_when_there_is_room(self, payloads: Iterable[bytes], terms: Terms) -> None:
        async with self._posting:
            await self._mailbox.room.wait()
            await self._turns.wait()
            self._post_all(payloads)
            await asyncio.sleep(0)


def _complete_to(key: StreamKey, terms: Terms) -> int:
    """Return the id up to which nothing is open, or -1 before the first trade."""
    ledger = terms.feed.ledger(key)
    return -1 if ledger is None or ledger.complete_to is None else ledger.complete_to


def _is_trade(item: Released) -> bool:
    return isinstance(item, TradeTick)
