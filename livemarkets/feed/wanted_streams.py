"""The wanted streams of one exchange of which a feed takes care. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from livemarkets.exchanges.base import Silence
from livemarkets.market.models import StreamKey

__all__ = ["WantedStream", "WantedStreams"]


class WantedStream(Protocol):
    """One wanted stream."""

    key: StreamKey
    last_at: float
    """When it brought something, or its silence began to count; monotonic seconds."""
    is_mute: bool
    """Whether it does not bring what it should."""


S = TypeVar("S", bound=WantedStream)


class WantedStreams(Generic[S]):
    """The wanted streams of a feed, and what their silence means.

    Args:
        lively_seconds: a stream that brought something within this time shows that its connection delivers.
        clock: monotonic seconds.

    """

    def __init__(self, lively_seconds: float, clock: Callable[[], float]) -> None:
        self._streams: dict[StreamKey, S] = {}
        self._lively_seconds = lively_seconds
        self._clock = clock

    def keys(self) -> list[StreamKey]:
        """Return the streams that are wanted."""
        return list(self._streams)

    @property
    def count(self) -> int:
        """How many streams are wanted."""
        return len(self._streams)

    def interned(self, key: StreamKey) -> StreamKey | None:
        """Return the wanted stream's own key object; `None` if it is not wanted."""
        stream = self._streams.get(key)
        return None if stream is None else stream.key

    @property
    def mute(self) -> list[StreamKey]:
        """The streams that do not bring what they should."""
        return [key for key, stream in self._streams.items() if stream.is_mute]

    def is_mute(self, key: StreamKey) -> bool:
        """Return whether a stream does not bring what it should."""
        stream = self._streams.get(key)
        return stream is not None and stream.is_mute

    def silence_of(self, key: StreamKey) -> Silence:
        """Return what the silence of a stream says about its connection."""
        stream = self._streams.get(key)
        if stream is None:
            return Silence.NATURAL
        if stream.is_mute:
            return Silence.UNUSUAL
        return Silence.NONE if self._clock() - stream.last_at < self._lively_seconds else Silence.NATURAL
