"""The limits of the streams of candles."""

from __future__ import annotations

import msgspec

__all__ = ["CandleLimits"]


class CandleLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes and time limits of the streams of candles.

    The history does not say whether a candle is closed. It is believed to be, if a later candle is in
    the same answer, and if either a second answer agrees or the candle ended some time ago.
    """

    kept: int = 1000
    """How many closed candles of a stream are in memory."""
    confirm_seconds: float = 1.0
    """Least time between two answers that agree."""
    final_ms: int = 10_000
    """The history no longer changes a candle that ended so long ago."""
    absent_seconds: float = 5.0
    """If two answers so far apart have nothing between two candles, then there is nothing."""
    overdue_ms: int = 3000
    """So long after a candle's end, the history is asked whether it is closed."""
    patience_seconds: float = 60.0
    """How long a candle waits for those before it. After that, a gap is declared for them. It is longer than
    that of trades, because the history lags, and a closed candle counts for more than a quick one."""
    back_seconds: float = 5.0
    """If nothing but candles of the past comes for so long, then the exchange's time was set back."""
    quiet_seconds: float = 60.0
    """If a stream is silent for so long, the history is asked for something newer."""
    behind_seconds: float = 5.0
    """If a stream lacks a trade that another stream has shown for so long, then it is mute. The exchange
    sends a running candle every 2 s."""
    suspect_seconds: float = 10.0
    """How often the client is told about a stream that stays mute."""
    retry_seconds: float = 1.0
    """After an answer that did not help, the next one is asked for after this time, then twice, and so on."""
    retry_most_seconds: float = 5.0
    """The longest such time while a candle waits."""
    retry_idle_seconds: float = 60.0
    """The longest such time while none waits."""
    history_candles: int = 20_000
    """How far back a resumption reaches, in candles. A gap is declared for older ones."""
    resume_seconds: float = 15.0
    """How long a reader waits for past candles without progress."""
