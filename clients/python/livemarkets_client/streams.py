"""What the program wants: kept while there is no connection, and asked for on each new one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from livemarkets_client.models import Refusal
from livemarkets_client.requests import StreamName
from livemarkets_client.subscription import Intake, Stream, refuse

__all__ = ["Streams"]


class Streams:
    """All streams of a client, by name. `asked` and `accepted` are those of the present connection."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._wanted: dict[StreamName, Stream] = {}
        self._asked: set[StreamName] = set()
        self._accepted: dict[StreamName, Stream] = {}
        self._dropped: set[StreamName] = set()
        self._end: Callable[[], Exception] | None = None

    def add(self, streams: Iterable[Stream]) -> None:
        """Want streams.

        Raises:
            ValueError: a stream of this name is wanted already, by another subscription.

        """
        streams = list(streams)
        for stream in streams:
            if stream.name in self._wanted:
                raise ValueError(
                    f"{stream.name.channel} of {stream.name.symbol} are subscribed already: close that "
                    "subscription first, or use another connect()"
                )
        if self._end is not None:
            for stream in streams:
                stream.intake.end(self._end)
            return
        self._wanted |= {stream.name: stream for stream in streams}
        self.changed.set()

    def remove(self, intake: Intake) -> None:
        """Want the streams of a subscription no more."""
        for name in [name for name, stream in self._wanted.items() if stream.intake is intake]:
            self._drop(name)
        intake.end()
        self.changed.set()

    def intakes(self) -> list[Intake]:
        """Return the subscriptions."""
        return list({id(stream.intake): stream.intake for stream in self._wanted.values()}.values())

    def end(self, reason: Callable[[], Exception]) -> None:
        """End all subscriptions, and those that are still to come."""
        self._end = reason
        for intake in self.intakes():
            intake.end(reason)

    # --- one connection ---------------------------------------------------------------------------

    def forget_connection(self) -> None:
        """Begin a new connection: nothing is asked for yet."""
        self._asked.clear()
        self._accepted.clear()
        self._dropped.clear()
        for stream in self._wanted.values():
            stream.account.reconnect()
        self.changed.set()

    def take_dropped(self) -> list[StreamName]:
        """Return what the server has to be told to send no more."""
        dropped, self._dropped = sorted(self._dropped, key=str), set()
        return dropped

    def take_unasked(self) -> list[Stream]:
        """Return what has to be asked for, and count it as asked."""
        unasked = [stream for name, stream in self._wanted.items() if name not in self._asked]
        self._asked |= {stream.name for stream in unasked}
        return unasked

    def accept(self, stream: Stream) -> None:
        """Note that from now on what comes under this name is for this stream."""
        if self._wanted.get(stream.name) is stream:
            stream.was_accepted = True
            stream.intake.refused.pop(stream.name.symbol, None)
            self._accepted[stream.name] = stream

    def refuse(self, refused: list[tuple[Stream, Refusal]]) -> None:
        """Note that the server does not send these. What it has sent before is asked for again later."""
        present = [(stream, why) for stream, why in refused if self._wanted.get(stream.name) is stream]
        for stream, _ in present:
            if not stream.was_accepted:
                del self._wanted[stream.name]
        left = {id(intake) for intake in self.intakes()}
        refuse(present, lambda intake: id(intake) in left)

    def ask_again(self, streams: Iterable[Stream]) -> None:
        """Note that a message was ignored."""
        self._asked -= {stream.name for stream in streams if self._wanted.get(stream.name) is stream}
        self.changed.set()

    def find(self, name: StreamName) -> Stream | None:
        """Return the stream to which a message belongs; `None`: to one that was closed."""
        return self._accepted.get(name)

    def _drop(self, name: StreamName) -> None:
        del self._wanted[name]
        self._accepted.pop(name, None)
        if name in self._asked:
            self._asked.remove(name)
            self._dropped.add(name)
