"""How a client's streams of candles are started: past candles first, oldest first, then live."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial

from msgspec.structs import replace

from livemarkets.delivery.fanout import Fanout
from livemarkets.delivery.mailbox import Mailbox
from livemarkets.feed.candle_line import CandleLine
from livemarkets.market.candles import Candle, CandleGap, ReleasedCandle
from livemarkets.market.models import StreamKey
from livemarkets.protocol.candles import (
    encode_candle,
    encode_candle_gap,
    encode_candle_lagged,
    encode_candle_snapshot,
)
from livemarkets.ws_markets.beginnings import Beginning, Beginnings
from livemarkets.ws_markets.terms import Terms

__all__ = ["CandleStreams"]

CANDLES_AT_ONCE = 500
"""The most candles of one `snapshot` message. A longer snapshot is sent as several messages."""


class CandleStreams:
    """Starts and stops the streams of candles of one client.

    Args:
        mailbox: the client's mailbox.
        fanout: the delivery to all readers.
        posting: held while something is sent that waits for room in the mailbox.
        address: the client's address, to which limits apply.
        beginnings: starts streams.

    """

    __slots__ = (
        "_address",
        "_beginnings",
        "_fanout",
        "_mailbox",
        "_posting",
    )

    def __init__(
        self,
        mailbox: Mailbox,
        fanout: Fanout,
        posting: asyncio.Lock,
        address: str,
        beginnings: Beginnings,
    ) -> None:
        self._mailbox = mailbox
        self._fanout = fanout
        self._posting = posting
        self._address = address
        self._beginnings = beginnings

    def begin(self, key: StreamKey, terms: Terms, snapshot: int, after: int | None) -> Beginning:
        """Return how a stream is started.

        Args:
            key: the stream. It must be wanted already.
            terms: how the client wants to read it.
            snapshot: how many past candles come first.
            after: the open time of the last closed candle that the client has: those after it come first
                instead; `None` if it has none.

        """
        introduce = partial(self._introduce, terms=terms, snapshot=snapshot, after=after)
        return Beginning(introduce, is_one_by_one=False)

    def resume(self, key: StreamKey, terms: Terms, after: int) -> None:
        """Start a stream again after a closed candle."""
        self._beginnings.add(key, self.begin(key, terms, 0, after))

    def leave(self, key: StreamKey) -> None:
        """Stop delivering a stream. Idempotent."""
        self._fanout.candles.leave(key, self._mailbox)

    async def _introduce(self, key: StreamKey, terms: Terms, snapshot: int, after: int | None) -> None:
        """Send past candles, then those that were closed meanwhile and the running one, then join."""
        candles = terms.feed.updates.candles
        if after is None:
            await candles.past.ensure(key, snapshot, self._address)
            line = candles.line(key)
            told_to = -1 if line is None else _before_newest(line, snapshot)
        else:
            told_to = await self._resume(key, terms, after)
        is_wanted_running = snapshot > 0 or after is not None
        while True:
            async with self._posting:  # many streams of a client must not find room in the same turn
                await self._mailbox.room.wait()
                line = candles.line(key)
                if line is None:
                    return
                is_cut = line.told_to > told_to and not line.memory.reaches(told_to)
                closed = line.memory.after(told_to)
                if len(closed) <= CANDLES_AT_ONCE and not is_cut:
                    # From here to the join there is no await, so that no candle is missed or repeated.
                    running = [line.running] if is_wanted_running and line.running is not None else []
                    self._post(encode_candle_snapshot(key, _first_told([*closed, *running])))
                    self._join(key, terms, line)
                    await asyncio.sleep(0)  # posted messages are sent at the end of this turn
                    return
                if not is_cut:
                    part = closed[:CANDLES_AT_ONCE]
                    self._post(encode_candle_snapshot(key, _first_told(part)))
                    told_to = part[-1].open_ts
                    await asyncio.sleep(0)
            if is_cut:
                told_to = await self._resume(key, terms, told_to)

    async def _resume(self, key: StreamKey, terms: Terms, told_to: int) -> int:
        """Send what memory does not hold after a closed candle. Return the open time of the last one."""
        past = terms.feed.updates.candles.past
        async with aclosing(past.resume(key, told_to, self._address)) as parts:
            async for part in parts:
                await self._send(key, part.items)
                told_to = part.told_to
        line = terms.feed.updates.candles.line(key)
        if line is not None and not line.memory.reaches(told_to):
            return max(told_to, line.told_to)  # the history did not answer in time
        return told_to

    async def _send(self, key: StreamKey, items: Sequence[ReleasedCandle]) -> None:
        async with self._posting:
            await self._mailbox.room.wait()
            for each in items:
                if isinstance(each, CandleGap):
                    self._post(encode_candle_gap(each))
            bars = [each for each in items if isinstance(each, Candle)]
            for start in range(0, len(bars), CANDLES_AT_ONCE):
                self._post(encode_candle_snapshot(key, _first_told(bars[start : start + CANDLES_AT_ONCE])))
                await asyncio.sleep(0)

    def _join(self, key: StreamKey, terms: Terms, line: CandleLine) -> None:
        told = _Told(self, key, terms)
        self._fanout.candles.join(key, self._mailbox, told, line.told_to, terms.interval_seconds)

    def _post(self, payload: bytes) -> None:
        self._fanout.post(self._mailbox, payload)


class _Told:
    """Where a client that was slow gets the candles that it missed (a `CandleReader`)."""

    __slots__ = ("_key", "_streams", "_terms")

    def __init__(self, streams: CandleStreams, key: StreamKey, terms: Terms) -> None:
        self._streams = streams
        self._key = key
        self._terms = terms

    def _line(self) -> CandleLine | None:
        return self._terms.feed.updates.candles.line(self._key)

    def closed_after(self, open_ts: int) -> Sequence[tuple[int, bytes]] | None:
        """Return open times and messages of the closed candles after one; `None` if memory is too short."""
        line = self._line()
        if line is None:
            return ()
        if line.told_to > open_ts and not line.memory.reaches(open_ts):
            return None
        return [(each.open_ts, encode_candle(each)) for each in _first_told(line.memory.after(open_ts))]

    def lagged(self, from_ts: int, to_ts: int, count: int) -> bytes:
        """Return the message that names so many closed candles, which follow."""
        return encode_candle_lagged(self._key, from_ts, to_ts, count)

    def resume(self, open_ts: int) -> None:
        """Start the stream again after a closed candle."""
        self._streams.resume(self._key, self._terms, open_ts)


def _before_newest(line: CandleLine, count: int) -> int:
    """Return a time after which so many of the newest closed candles opened."""
    newest = line.closed[-count:] if count else []
    return newest[0].open_ts - 1 if newest else line.told_to


def _first_told(candles: Sequence[Candle]) -> Sequence[Candle]:
    """Return candles as they are told for the first time. To this client, none of them was revised."""
    return [replace(each, revised=False) if each.revised else each for each in candles]
