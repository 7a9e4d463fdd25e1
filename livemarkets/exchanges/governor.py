"""Decides which call of an exchange's REST API goes next, within the exchange's limits. No I/O.

A call waits until there is weight for it, and a place among the simultaneous calls. Of the waiting calls goes
first the one with the most urgent :class:`~livemarkets.exchanges.base.Purpose`, then the one whose asker used
least in the last ten minutes, then the oldest. Each purpose has a share that the others cannot use.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import AsyncIterator, Mapping

from livemarkets.errors import ExchangeUnreachable, WeightUsedUp
from livemarkets.exchanges.askers import Askers
from livemarkets.exchanges.base import Purpose, RateLimitStatistics
from livemarkets.exchanges.request_weight import KeptBack, RequestWeight, Spent
from livemarkets.exchanges.waiting_calls import WaitingCalls
from livemarkets.market.clock import Clock

__all__ = ["Governor", "Turn"]

_AT_ONCE = 10
"""Simultaneous calls. More would not be faster: the weight of a minute is gone in seconds even so."""
_WEIGHT = KeptBack((0.15, 0.10, 0.25, 0.05))
_PLACES = KeptBack((0.3, 0.1, 0.1, 0.1))
"""What is kept back for holes, checks, resumptions and lists, in this order."""
_ASKER_PART = 0.5
"""The part of the usable weight of a minute that one asker may use."""
_WAIT_SECONDS = {Purpose.HOLE: 30.0, Purpose.CHECK: 15.0, Purpose.RESUME: 90.0, Purpose.LIST: 60.0}
_PAUSE_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 3 * 86_400.0
"""`rest-api.md`, "IP Limits": a ban lasts from 2 minutes to 3 days."""
_LOOK_AGAIN_SECONDS = 1.0
_REFUSED_AT_ONCE = 500
"""Calls that are refused before the event loop runs. The next ones are refused a moment later."""


class Turn:
    """The right to make one call now, at one address after the other."""

    def __init__(self, governor: Governor, purpose: Purpose, asker: str | None, spent: Spent) -> None:
        self._governor = governor
        self._purpose = purpose
        self._asker = asker
        self._spent = spent

    @property
    def weight(self) -> int:
        """The weight of this call that may not be counted by the exchange yet."""
        return self._spent.weight

    def note_not_reached(self) -> None:
        """Note that the exchange did not see the call. It costs no weight."""
        self._governor.take_back(self._spent, self._asker)

    def again(self, weight: int) -> None:
        """Count the call at a further address."""
        self._spent = self._governor.spend(weight, self._purpose, self._asker)


class _Waiting:
    """A call that waits for its turn."""

    __slots__ = ("asker", "deadline", "future", "purpose", "weight")

    def __init__(self, purpose: Purpose, asker: str | None, weight: int, deadline: float) -> None:
        self.purpose = purpose
        self.asker = asker
        self.weight = weight
        self.deadline = deadline
        self.future: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()


class Governor:
    """Gives turns to the calls of one exchange's REST API.

    Args:
        clock: source of the time.
        wait_seconds: how long a call may wait for its turn.

    """

    def __init__(self, clock: Clock, *, wait_seconds: Mapping[Purpose, float] = _WAIT_SECONDS) -> None:
        self.weight = RequestWeight()
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._askers = Askers()
        self._waiting: dict[Purpose, WaitingCalls[_Waiting]] = {one: WaitingCalls() for one in Purpose}
        self._running = [0] * len(Purpose)
        self._in_flight = 0  # weight of the calls that have no answer yet
        self._paused_until = 0.0
        self._untold_pauses = 0  # consecutive refusals that did not say how long to wait
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None

    @contextlib.asynccontextmanager
    async def turn(self, weight: int, purpose: Purpose, asker: str | None) -> AsyncIterator[Turn]:
        """Wait for the turn of a call, and hold a place among the simultaneous calls during the context.

        Args:
            weight: the request weight of the call.
            purpose: why the call is made.
            asker: for whom; `None` if it is for everybody.

        Raises:
            ExchangeUnreachable: it waited too long. `retry_after_seconds` says when it may be its turn.

        """
        waiting = _Waiting(purpose, asker, weight, self._clock.monotonic() + self._wait_seconds[purpose])
        self._waiting[purpose].add(waiting)
        self._give_turns_soon()
        try:
            turn = await waiting.future
        except asyncio.CancelledError:
            if waiting.future.done() and not waiting.future.cancelled() and not waiting.future.exception():
                waiting.future.result().note_not_reached()
                self._end(purpose, weight)
            self._waiting[purpose].remove(waiting)
            raise
        try:
            yield turn
        finally:
            self._end(purpose, weight)

    def take_back(self, spent: Spent, asker: str | None) -> None:
        """Undo :meth:`spend`."""
        now = self._clock.monotonic()
        self._askers.spend(asker, -spent.weight, now)
        self.weight.take_back(spent, now)

    def spend(self, weight: int, purpose: Purpose, asker: str | None) -> Spent:
        """Count a call that goes now."""
        now = self._clock.monotonic()
        self._askers.spend(asker, weight, now)
        return self.weight.spend(weight, purpose, now)

    def note_count(self, counted: int, turn: Turn) -> None:
        """Set what the exchange has counted in its present minute, as the answer to this call said."""
        now_seconds = self._clock.now_ms() / 1000
        self.weight.note_count(
            counted, self._in_flight - turn.weight, self._clock.monotonic(), 61.0 - now_seconds % 60
        )

    def note_answer(self) -> None:
        """Note that the exchange answered a call."""
        self._untold_pauses = 0

    def pause(self, seconds: float | None) -> float:
        """Give no turn for a time, because the exchange forbade calls. Return the length of the pause.

        Args:
            seconds: as the exchange said; `None` if it did not say. Then the pause is 30 s, and twice as long
                after each further refusal of that kind.

        """
        now = self._clock.monotonic()
        if not seconds or seconds < 0:
            if now < self._paused_until:
                return self._paused_until - now  # a call that was under way when the pause began
            seconds = _PAUSE_SECONDS * 2.0 ** min(self._untold_pauses, 20)
            self._untold_pauses += 1
        seconds = min(seconds, _LONGEST_PAUSE_SECONDS)
        self._paused_until = max(self._paused_until, now + seconds)
        self._give_turns()
        return self._paused_until - now

    @property
    def pause_seconds(self) -> float:
        """How long no call is allowed from now on; 0 when calls are allowed."""
        return max(0.0, self._paused_until - self._clock.monotonic())

    def statistics(self) -> RateLimitStatistics:
        """Return how much of the limit is used."""
        now = self._clock.monotonic()
        return RateLimitStatistics(
            used=sum(self.weight.used(now)),
            usable=self.weight.usable,
            counted=self.weight.counted,
            waiting={one: len(self._waiting[one]) for one in Purpose},
            limited=frozenset(self._limited(now)),
            pause_seconds=self.pause_seconds,
        )

    def _limited(self, now: float) -> list[Purpose]:
        """Return the purposes whose calls would wait even if no other call were under way."""
        if now < self._paused_until:
            return [purpose for purpose in Purpose if self._waiting[purpose]]
        limited: list[Purpose] = []
        for purpose in Purpose:
            if self._waits_for_weight(purpose, now, may_share=not limited):
                limited.append(purpose)
        return limited

    def _waits_for_weight(self, purpose: Purpose, now: float, may_share: bool) -> bool:
        calls = self._waiting[purpose]
        return bool(calls) and not any(
            self._may_use(call, now) for _, call in calls.firsts(self._fitting(purpose, now, may_share))
        )

    def _give_turns_soon(self) -> None:
        """Give turns once for all that happens in this turn of the event loop."""
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_soon(self._give_turns)

    def _give_turns(self) -> None:
        """Let all waiting calls go that may go now, and refuse those that cannot go in time."""
        self._soon = None
        now = self._clock.monotonic()
        self._refuse_the_late(now)
        if now >= self._paused_until:
            may_share = True
            for purpose in Purpose:
                self._give_turns_to(purpose, now, may_share)
                # Calls that are less urgent must not take the common weight that these wait for.
                may_share = may_share and not self._waits_for_weight(purpose, now, may_share)
        self._arm(now)

    def _give_turns_to(self, purpose: Purpose, now: float, may_share: bool) -> None:
        """Let the calls of one purpose go, those first whose askers used least. All are looked at once."""
        calls = self._waiting[purpose]
        if not calls or not self._has_place(purpose):
            return
        lately = self._askers.lately
        order = [
            (lately(call.asker, now), place, call)
            for place, call in calls.firsts(self._fitting(purpose, now, may_share))
        ]
        heapq.heapify(order)
        while order and self._has_place(purpose):
            _, place, call = heapq.heappop(order)
            if not call.future.done():  # else it was cancelled a moment ago
                if not (self._fits(purpose, call.weight, now, may_share) and self._may_use(call, now)):
                    continue
                self._give_turn(call)
            calls.remove(call)
            following = calls.first_of(call.asker)
            if following is not None:
                heapq.heappush(order, (lately(call.asker, now), place, following))

    def _give_turn(self, call: _Waiting) -> None:
        self._running[call.purpose] += 1
        self._in_flight += call.weight
        spent = self.spend(call.weight, call.purpose, call.asker)
        call.future.set_result(Turn(self, call.purpose, call.asker, spent))

    def _has_place(self, purpose: Purpose) -> bool:
        return _PLACES.fits(self._running, purpose, 1, _AT_ONCE)

    def _fitting(self, purpose: Purpose, now: float, may_share: bool) -> list[int]:
        """Return the weights of calls that the exchange's limit allows at present."""
        weights = self._waiting[purpose].weights
        return [weight for weight in weights if self._fits(purpose, weight, now, may_share)]

    def _fits(self, purpose: Purpose, weight: int, now: float, may_share: bool) -> bool:
        used, others = self.weight.used(now), self.weight.others(now)
        return _WEIGHT.fits(used, purpose, weight, self.weight.usable, others=others, may_share=may_share)

    def _may_use(self, call: _Waiting, now: float) -> bool:
        """Return whether the call is within the part that one asker may use."""
        bound = max(int(self.weight.usable * _ASKER_PART), call.weight)
        return self._askers.in_minute(call.asker, now) + call.weight <= bound

    def _refuse_the_late(self, now: float) -> None:
        latest, left = max(now, self._paused_until), _REFUSED_AT_ONCE
        for calls in self._waiting.values():
            while left and (call := calls.oldest) is not None and call.deadline <= latest:
                left -= 1
                calls.remove(call)
                if not call.future.done():
                    call.future.set_exception(self._refusal(now))
        if not left:
            self._give_turns_soon()

    def _refusal(self, now: float) -> ExchangeUnreachable:
        if now < self._paused_until:
            return ExchangeUnreachable("REST paused: the exchange forbade calls", self._paused_until - now)
        free_at = self.weight.next_change(now)
        return WeightUsedUp("REST paused: request weight used up", max(1.0, min(free_at - now, 60.0)))

    def _end(self, purpose: Purpose, weight: int) -> None:
        self._running[purpose] -= 1
        self._in_flight -= weight
        self._give_turns_soon()

    def _arm(self, now: float) -> None:
        """Look again when the next call may go or is late."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        oldest = [calls.oldest for calls in self._waiting.values()]  # calls of a purpose wait equally long
        deadlines = [call.deadline for call in oldest if call is not None]
        if deadlines:
            next_turn = self._paused_until if now < self._paused_until else self.weight.next_change(now)
            wait = min(max(min(next_turn, *deadlines) - now, 0.001), _LOOK_AGAIN_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(wait, self._give_turns)
