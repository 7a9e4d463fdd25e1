"""Faults of a stream's events on the way from the market to the subscribers."""

from __future__ import annotations

from collections.abc import Callable

from livemarkets.simulator.market.streams import StreamEvent

__all__ = ["Disturbance", "Disturbances", "Lose", "Mute", "Repeat", "Swap"]


class Disturbance:
    """A fault of one stream.

    Args:
        stream: the stream; `None` for the first one with an event.
        connection: number of the only affected connection; `None` for all connections.

    """

    def __init__(self, stream: str | None, connection: int | None = None) -> None:
        self.stream = stream
        self.connection = connection
        self.done = False

    def apply(self, run: list[StreamEvent]) -> list[StreamEvent]:
        """Return the events to send in place of some consecutive events of the stream."""
        raise NotImplementedError

    def stop(self) -> None:
        """End the fault. Held events are sent with the next event."""
        self.done = True


class Lose(Disturbance):
    """The next `count` events are never sent."""

    def __init__(self, stream: str | None, count: int, connection: int | None = None) -> None:
        super().__init__(stream, connection)
        self._left = count

    def apply(self, run: list[StreamEvent]) -> list[StreamEvent]:
        """Remove the first events."""
        lost = min(self._left, len(run))
        self._left -= lost
        self.done = self._left == 0
        return run[lost:]


class Repeat(Disturbance):
    """The next `count` events are sent, and then all of them once more."""

    def __init__(self, stream: str | None, count: int, connection: int | None = None) -> None:
        super().__init__(stream, connection)
        self._left = count
        self._seen: list[StreamEvent] = []

    def apply(self, run: list[StreamEvent]) -> list[StreamEvent]:
        """Repeat the events when `count` of them have been sent."""
        head, tail = run[: self._left], run[self._left :]
        self._left -= len(head)
        self._seen += head
        if self._left:
            return run
        self.done = True
        return [*head, *self._seen, *tail]


class Swap(Disturbance):
    """The next `count` pairs of neighbouring events are swapped."""

    def __init__(self, stream: str | None, count: int, connection: int | None = None) -> None:
        super().__init__(stream, connection)
        self._left = count
        self._held: StreamEvent | None = None
        self._stopping = False

    def apply(self, run: list[StreamEvent]) -> list[StreamEvent]:
        """Hold the first event of each pair until the second has been sent."""
        if self._stopping:
            self.done = True
            return [self._held, *run] if self._held is not None else run
        result = []
        for event in run:
            if self._held is not None:
                result += [event, self._held]
                self._held = None
                self._left -= 1
            elif self._left:
                self._held = event
            else:
                result.append(event)
        self.done = self._left == 0
        return result

    def stop(self) -> None:
        """End the fault. A held event is sent in its order with the next event."""
        if self._held is None:
            self.done = True
        self._stopping = True


class Mute(Disturbance):
    """Nothing is sent until `over` returns true."""

    def __init__(self, stream: str | None, over: Callable[[], bool], connection: int | None = None) -> None:
        super().__init__(stream, connection)
        self._over = over

    def apply(self, run: list[StreamEvent]) -> list[StreamEvent]:
        """Remove all events."""
        self.done = self._over()
        return run if self.done else []


class Disturbances:
    """All active faults of streams, in the order in which they were added."""

    def __init__(self) -> None:
        self._going_on: list[Disturbance] = []

    def add(self, disturbance: Disturbance) -> None:
        """Activate a fault."""
        self._going_on.append(disturbance)

    def clear(self) -> None:
        """End all faults."""
        for disturbance in self._going_on:
            disturbance.stop()
        self._forget()

    def apply(self, run: list[StreamEvent], connection: int | None = None) -> list[StreamEvent]:
        """Return the events to send in place of consecutive events of one stream.

        Args:
            run: the events. The same list is returned when no fault applies.
            connection: apply the faults of this connection only; `None` applies those of all connections.

        """
        if not self._going_on or not run:
            return run
        stream = run[0].stream
        for disturbance in tuple(self._going_on):
            if disturbance.connection == connection and disturbance.stream in (None, stream) and run:
                disturbance.stream = stream
                run = disturbance.apply(run)
        self._forget()
        return run

    def _forget(self) -> None:
        self._going_on = [disturbance for disturbance in self._going_on if not disturbance.done]

    def __len__(self) -> int:
        return len(self._going_on)
