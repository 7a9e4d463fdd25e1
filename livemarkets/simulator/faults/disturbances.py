"""What can happen to the events of a stream between the exchange and its subscribers."""

from __future__ import annotations

from collections.abc import Callable

from livemarkets.simulator.market.streams import StreamEvent

__all__ = ["Disturbance", "Disturbances", "Lose", "Mute", "Repeat", "Swap"]


class Disturbance:
    """A fault of one stream.

    Args:
        stream: which stream; `None` means the first one that has an event.
        connection: number of the only connection concerned; `None` concerns all of them alike.

    """

    def __init__(self, stream: str | None, connection: int | None = None) -> None:
        self.stream = stream
        self.connection = connection
        self.done = False

    def apply(self, run: list[StreamEvent]) -> list[StreamEvent]:
        """Return what becomes of some consecutive events of the stream."""
        raise NotImplementedError

    def stop(self) -> None:
        """End the fault; events that are still held go out with the next one."""
        self.done = True


class Lose(Disturbance):
    """The next `count` events are never sent."""

    def __init__(self, stream: str | None, count: int, connection: int | None = None) -> None:
        super().__init__(stream, connection)
        self._left = count

    def apply(self, run: list[StreamEvent]) -> list[StreamEvent]:
        """Leave out the beginning."""
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
        """Say again what was said, once there is enough of it."""
        head, tail = run[: self._left], run[self._left :]
        self._left -= len(head)
        self._seen += head
        if self._left:
            return run
        self.done = True
        return [*head, *self._seen, *tail]


class Swap(Disturbance):
    """The next `count` pairs of neighbours change places."""

    def __init__(self, stream: str | None, count: int, connection: int | None = None) -> None:
        super().__init__(stream, connection)
        self._left = count
        self._held: StreamEvent | None = None
        self._stopping = False

    def apply(self, run: list[StreamEvent]) -> list[StreamEvent]:
        """Hold every first of a pair until the second has gone out."""
        if self._stopping:
            self.done = True
            return [self._held, *run] if self._held is not None else run
        result = []
        for emission in run:
            if self._held is not None:
                result += [emission, self._held]
                self._held = None
                self._left -= 1
            elif self._left:
                self._held = emission
            else:
                result.append(emission)
        self.done = self._left == 0
        return result

    def stop(self) -> None:
        """Let the held event go out, in its place, with the next one."""
        if self._held is None:
            self.done = True
        self._stopping = True


class Mute(Disturbance):
    """Nothing is sent until the clock says so."""

    def __init__(self, stream: str | None, over: Callable[[], bool], connection: int | None = None) -> None:
        super().__init__(stream, connection)
        self._over = over

    def apply(self, run: list[StreamEvent]) -> list[StreamEvent]:
        """Leave out everything."""
        self.done = self._over()
        return run if self.done else []


class Disturbances:
    """All faults of streams that are going on, in the order in which they began."""

    def __init__(self) -> None:
        self._going_on: list[Disturbance] = []

    def add(self, disturbance: Disturbance) -> None:
        """Begin a fault."""
        self._going_on.append(disturbance)

    def clear(self) -> None:
        """End all of them."""
        for disturbance in self._going_on:
            disturbance.stop()
        self._forget()

    def apply(self, run: list[StreamEvent], connection: int | None = None) -> list[StreamEvent]:
        """Return what becomes of consecutive events of one stream; the same list when nothing does.

        Args:
            run: the events.
            connection: asks for the faults of this connection alone; `None` for those of all.

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
