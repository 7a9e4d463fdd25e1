"""How a client's streams are started in which the newest wins: what is known first, then live."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from livemarkets.delivery.fanout import Fanout
from livemarkets.delivery.mailbox import Mailbox
from livemarkets.delivery.newest import ROWS_AT_ONCE
from livemarkets.market.channels import ALL_SYMBOLS
from livemarkets.market.models import StreamKey
from livemarkets.market.updates import TickerRow
from livemarkets.protocol.updates import encode_row, encode_rows, encode_update_snapshot
from livemarkets.ws_markets.beginnings import Beginning
from livemarkets.ws_markets.terms import Terms

__all__ = ["UpdateStreams"]

_NAMES_AT_ONCE = 50
"""If a request has more names, each is started only after the client has read what came before."""


class UpdateStreams:
    """Starts and stops the streams of one client.

    Args:
        mailbox: the client's mailbox.
        fanout: the delivery to all readers.
        posting: held while something is sent that waits for room in the mailbox.

    """

    __slots__ = (
        "_fanout",
        "_mailbox",
        "_posting",
    )

    def __init__(self, mailbox: Mailbox, fanout: Fanout, posting: asyncio.Lock) -> None:
        self._mailbox = mailbox
        self._fanout = fanout
        self._posting = posting

    def begin(self, key: StreamKey, terms: Terms, *, has_snapshot: bool, names: int) -> Beginning | None:
        """Start a stream at once, or return how it is started.

        Args:
            key: the stream.
            terms: how the client wants to read it.
            has_snapshot: whether the client is sent what is known. Otherwise its snapshot is empty.
            names: how many names are started together.

        """
        if key.symbol == ALL_SYMBOLS:
            return Beginning(partial(self._introduce_all, terms=terms, has_snapshot=has_snapshot), False)
        if has_snapshot and terms.feed.updates.latest.is_awaited(key):
            return Beginning(partial(self._introduce_when_known, terms=terms), False)
        if names > _NAMES_AT_ONCE or not self._mailbox.room.is_set():
            introduce = partial(self._introduce_when_there_is_room, terms=terms, has_snapshot=has_snapshot)
            return Beginning(introduce, True)
        self._introduce(key, terms, has_snapshot)
        return None

    def leave(self, key: StreamKey, terms: Terms) -> None:
        """Stop delivering a stream. Idempotent."""
        self._fanout.newest.leave(terms.name(key), self._mailbox)

    def _introduce(self, key: StreamKey, terms: Terms, has_snapshot: bool) -> None:
        update = terms.feed.updates.latest.store.get(key) if has_snapshot else None
        self._fanout.post(self._mailbox, encode_update_snapshot(key, update, terms.levels))
        self._join(key, terms)

    async def _introduce_when_known(self, key: StreamKey, terms: Terms) -> None:
        await terms.feed.updates.latest.wait_known(key)
        await self._introduce_when_there_is_room(key, terms, True)

    async def _introduce_when_there_is_room(self, key: StreamKey, terms: Terms, has_snapshot: bool) -> None:
        async with self._posting:  # many streams of a client must not find room in the same turn
            await self._mailbox.room.wait()
            self._introduce(key, terms, has_snapshot)
            await asyncio.sleep(0)  # posted messages are sent at the end of this turn

    async def _introduce_all(self, key: StreamKey, terms: Terms, has_snapshot: bool) -> None:
        """Send the newest row of every symbol, then what changed meanwhile, then join the stream."""
        if has_snapshot:
            await terms.feed.updates.latest.wait_known(key)
        known = terms.feed.updates.latest.store.rows(key)
        sent: dict[str, TickerRow] = {} if has_snapshot else dict(known)
        first = list(known.values()) if has_snapshot else []
        for start in range(0, max(len(first), 1), ROWS_AT_ONCE):
            await self._send_rows(key, first[start : start + ROWS_AT_ONCE], sent, is_snapshot=True)
        while True:
            known = terms.feed.updates.latest.store.rows(key)
            # What was sent longest ago comes first, so that no symbol waits for ever.
            changed = [row for symbol, row in known.items() if symbol not in sent]
            changed += [known[symbol] for symbol, row in sent.items() if known.get(symbol, row) is not row]
            if len(changed) <= ROWS_AT_ONCE:
                break
            await self._send_rows(key, changed[:ROWS_AT_ONCE], sent)
        # From the look at the rows to the join there is no await, so that no change is missed.
        if changed:
            self._fanout.post(self._mailbox, encode_rows(key, [encode_row(row) for row in changed]))
        self._join(key, terms)

    async def _send_rows(
        self,
        key: StreamKey,
        rows: Sequence[TickerRow],
        sent: dict[str, TickerRow],
        *,
        is_snapshot: bool = False,
    ) -> None:
        async with self._posting:
            await self._mailbox.room.wait()
            payload = encode_rows(key, [encode_row(row) for row in rows], is_snapshot=is_snapshot)
            self._fanout.post(self._mailbox, payload)
            for row in rows:
                sent.pop(row.symbol, None)
                sent[row.symbol] = row
            await asyncio.sleep(0)

    def _join(self, key: StreamKey, terms: Terms) -> None:
        self._fanout.newest.join(terms.name(key), self._mailbox, terms.interval_seconds)
