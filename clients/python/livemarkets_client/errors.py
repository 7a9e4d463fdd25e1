"""The exceptions.

- `LiveMarketsError`
    - `ConnectionEnded`: the connection is closed for good, another attempt would end likewise
    - `SubscribeError`: symbols, or the whole request, were refused
    - `GapError`: some trades or candles will not come; only with `on_gap="raise"`
"""

from __future__ import annotations

from livemarkets_client.models import CandleGap, CandleLagged, Gap, Lagged, Refusal

__all__ = ["ConnectionEnded", "GapError", "LiveMarketsError", "SubscribeError"]


class LiveMarketsError(Exception):
    """The base of all exceptions of this library."""


class ConnectionEnded(LiveMarketsError):
    """The server refused the connection, or closed it, in a way that another attempt cannot change."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code
        self.reason = reason


class SubscribeError(LiveMarketsError):
    """Symbols were refused. The others of the same subscription go on: iterate again to read them."""

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        super().__init__("; ".join(refusal.message for refusal in refusals))
        self.refusals = refusals


class GapError(LiveMarketsError):
    """Some trades or candles will not come. Iterate again to read what follows."""

    def __init__(self, gap: Gap | Lagged | CandleGap | CandleLagged) -> None:
        first, last = (
            (gap.from_id, gap.to_id) if isinstance(gap, Gap | Lagged) else (gap.from_open_ts, gap.to_open_ts)
        )
        super().__init__(f"{gap.exchange} {gap.symbol}: {first} to {last} will not come")
        self.gap = gap
