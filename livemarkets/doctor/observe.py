"""The observation: what is asked of the exchange, in which order, until the time is over."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from livemarkets.doctor.answers import ids_of, newest_id, rows
from livemarkets.doctor.network import probe, without_secrets
from livemarkets.doctor.record import Address, Channel, Record
from livemarkets.doctor.rest import ALL_DAY_TICKERS, Rest
from livemarkets.doctor.script import follow, measure_stream_limit, talk
from livemarkets.doctor.stream import StreamTap, opened
from livemarkets.exchanges.outbound import Outbound
from livemarkets.market.clock import Clock

__all__ = ["UNLISTED", "Observer"]

UNLISTED = "DOCTORNOSUCHUSDT"
"""A well-formed symbol that no exchange lists."""
_PROGRESS_SECONDS = 30.0
_SAMPLES = 12
_SAMPLE_SECONDS = (0.5, 15.0)
"""Least and most time between two measurements of the lag."""
_TIME_CALLS = 3
_LONGEST_WAIT_SECONDS = 30.0
"""How much longer than asked for the observation may last, until every question was asked once."""

_Job = Coroutine[Any, Any, None]


class Observer:
    """One observation of one exchange.

    Args:
        record: receives everything.
        clock: source of the time.
        stream_urls: base addresses of the streams.
        rest_urls: base addresses of REST.
        outbound: which proxy and which certificates.
        report: called with a line about the progress, every half minute.

    """

    def __init__(
        self,
        record: Record,
        clock: Clock,
        stream_urls: Sequence[str],
        rest_urls: Sequence[str],
        outbound: Outbound,
        report: Callable[[str], None],
    ) -> None:
        self._record = record
        self._clock = clock
        self._now = clock.monotonic
        self._stream_urls = {without_secrets(url): url for url in stream_urls}
        self._rest_urls = {without_secrets(url): url for url in rest_urls}
        self._report = report
        self._outbound = outbound
        self._rest = Rest(record, clock, self._rest_urls, outbound)
        self._all_asked = False
        self._measured = asyncio.Event()

    async def run(self) -> None:
        """Observe until the time is over, or the main connection ends. A cancellation keeps the record."""
        record = self._record
        record.began_at, record.began_ms = self._now(), self._clock.now_ms()
        try:
            await self._look_at_the_network()
            for address in self._rest_urls:
                await self._introduce(address)
            await self._choose_symbols()
            await self._observe_streams()
        finally:
            record.ended_at = self._now()
            record.pause = self._rest.stopped
            await self._rest.aclose()

    async def _look_at_the_network(self) -> None:
        seconds = self._record.limits.connect_seconds
        probes = []
        for kind, urls in (("stream", self._stream_urls), ("rest", self._rest_urls)):
            for shown, url in urls.items():
                address = Address(shown, kind)
                self._record.addresses.append(address)
                probes.append(probe(address, url, self._outbound, seconds))
        await asyncio.gather(*probes)

    async def _introduce(self, address: str) -> None:
        """Ask an address for the time and for its symbols, before there are streams that would wait."""
        for _ in range(_TIME_CALLS):
            sent_ms = self._clock.now_ms()
            answer = await self._rest.get(address, "time")
            if answer is None or answer.status is None:
                return
            told = answer.body.get("serverTime") if isinstance(answer.body, dict) else None
            if type(told) is int:
                round_trip = answer.received_at - answer.sent_at
                offset = (told - sent_ms) / 1000 - round_trip / 2
                self._record.clock_offsets.append((round_trip, offset))
        await self._rest.get(address, "exchangeInfo", showPermissionSets="false")

    async def _choose_symbols(self) -> None:
        record, listing = self._record, self._record.listing
        if listing is not None:
            missing = [symbol for symbol in record.symbols if symbol not in listing.trading]
            if missing:
                record.notes.append(
                    f"left out, since they are not listed or do not trade: {', '.join(missing)}"
                )
            kept = tuple(symbol for symbol in record.symbols if symbol in listing.trading)
            record.symbols = kept or listing.trading[:1] or record.symbols
            record.utf8_symbol = next((name for name in listing.other_scripts if name in listing.trading), "")
        for address in record.reached("rest"):
            answer = await self._rest.get(address, "ticker/24hr", "all", charged=ALL_DAY_TICKERS, type="MINI")
            if answer is not None and answer.failure is None:
                record.quiet_symbol = self._quietest(rows(answer))
                break

    def _quietest(self, days: list[dict[str, Any]]) -> str:
        listing = self._record.listing
        trading = set(listing.trading) if listing else set()
        counts = [
            (day["count"], day["symbol"])
            for day in days
            if type(day.get("count")) is int and day.get("symbol") in trading
        ]
        others = [each for each in counts if each[1] not in self._record.symbols]
        # One that has never traded has no price, and so no candles.
        return min(others, key=lambda each: (each[0] == 0, each), default=(0, ""))[1]

    async def _observe_streams(self) -> None:
        async with AsyncExitStack() as stack:
            taps = [tap for url in self._stream_urls if (tap := await self._open(stack, url, "other"))]
            if len(taps) == 1:
                again = await self._open(stack, taps[0].channel.address, "second")
                taps += [again] if again else []
            for tap, name in zip(taps, ("main", "second"), strict=False):
                tap.channel.name = name
            questions: list[_Job] = [self._ask_everything()]
            if not taps:
                self._measured.set()  # there is nothing to measure against
                await self._guarded(questions[0])
                return
            main = taps[0]
            questions += [talk(main, self._record), self._measure_limit(main.channel.address)]
            questions += [follow(tap, self._record) for tap in taps[1:]]
            await self._run(main, questions, [self._sample(), self._tell_progress()])

    async def _run(self, main: StreamTap, questions: Sequence[_Job], measurements: Sequence[_Job]) -> None:
        """Observe for the time that was asked for, and until every question was asked once."""
        asking, measuring = (
            [asyncio.create_task(self._guarded(job), name="doctor: observation") for job in jobs]
            for jobs in (questions, measurements)
        )
        try:
            if await main.wait_for(lambda: main.channel.has_ended() or main.full, self._record.seconds):
                self._record.end = (
                    "the most trades that are kept have come" if main.full else "the main connection ended"
                )
            else:
                await asyncio.wait(asking, timeout=_LONGEST_WAIT_SECONDS)
        finally:
            for task in (*asking, *measuring):
                task.cancel()
            await asyncio.wait((*asking, *measuring))

    async def _guarded(self, job: _Job) -> None:
        """Keep an error in one part from ending the others."""
        try:
            await job
        except Exception as error:  # the exchange sent something that nobody has thought of
            self._record.notes.append(
                f"a part of the observation ended early: {type(error).__name__}: {error}"[:200]
            )

    async def _open(self, stack: AsyncExitStack, address: str, name: str) -> StreamTap | None:
        channel = Channel(name, address)
        self._record.channels.append(channel)
        url, seconds = self._stream_urls[address], self._record.limits.open_seconds
        return await stack.enter_async_context(opened(channel, self._clock, url, self._outbound, seconds))

    async def _measure_limit(self, address: str) -> None:
        async with AsyncExitStack() as stack:
            tap = await self._open(stack, address, "limit")
            if tap is not None:
                await measure_stream_limit(tap, self._record)

    async def _ask_everything(self) -> None:
        """Use each call that the product uses, once at each address, and wait for a measurement of each."""
        for address in self._record.reached("rest"):
            await self._ask(address, self._record.symbols[0])
        self._all_asked = True
        await self._measured.wait()

    async def _ask(self, address: str, symbol: str) -> None:
        get = self._rest.get
        some = msgspec.json.encode(self._record.symbols).decode()
        unlisted = msgspec.json.encode([symbol, UNLISTED]).decode()
        await get(address, "ticker/24hr", "some", symbols=some, type="MINI")
        await get(address, "ticker/24hr", "unlisted", symbols=unlisted, type="MINI")
        await get(address, "aggTrades", "newest", symbol=symbol, limit=1)
        await get(address, "klines", "newest", symbol=symbol, interval="1m", limit=2)
        page = await get(address, "trades", "page", symbol=symbol, limit=1000)
        recent = await get(address, "historicalTrades", "recent", symbol=symbol, limit=100)
        newest = newest_id(recent, page)
        if recent is None or recent.failure is not None or not ids_of(recent) or newest is None:
            return
        history: dict[str, Any] = {"symbol": symbol, "limit": 50}
        await get(address, "historicalTrades", "from", fromId=min(ids_of(recent)), **history)
        await get(address, "historicalTrades", "beyond", fromId=newest + 10**9, **history)
        await get(address, "historicalTrades", "oldest", fromId=1, **history)

    async def _sample(self) -> None:
        """Measure, again and again, how far each call lags the stream."""
        symbol = self._record.symbols[0]
        some = msgspec.json.encode([symbol]).decode()
        least, most = _SAMPLE_SECONDS
        pause = min(max(self._record.seconds / _SAMPLES, least), most)
        for address in itertools.cycle(self._record.reached("rest")):
            await asyncio.sleep(pause)
            is_whole = self._all_asked
            get = self._rest.get
            await get(address, "ticker/24hr", "sample", symbols=some, type="MINI")
            await get(address, "trades", "sample", symbol=symbol, limit=10)
            await get(address, "aggTrades", "sample", symbol=symbol, limit=1)
            await get(address, "klines", "sample", symbol=symbol, interval="1m", limit=2)
            if any(answer.address == address for answer in self._record.of("historicalTrades")):
                await get(address, "historicalTrades", "sample", symbol=symbol, limit=10)
            if is_whole:
                self._measured.set()
        self._measured.set()  # without an address there is nothing to measure

    async def _tell_progress(self) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_SECONDS)
            record = self._record
            trades = sum(len(each) for channel in record.channels for each in channel.trades.values())
            self._report(
                f"{self._now() - record.began_at:.0f} s: {trades:,} trades on {len(record.channels)} "
                f"connections, {len(record.answers)} REST calls"
            )
