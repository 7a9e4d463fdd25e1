"""The words for every state: what it is, why, and what to do. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from livemarkets.market.models import ExchangeState, ExchangeStatus, QualityState

__all__ = [
    "EXCHANGE_LABELS",
    "POPULAR_SYMBOLS",
    "QUALITY_WORDS",
    "STATE_WORDS",
    "Banner",
    "Tone",
    "banner_for",
    "label",
]

Tone = Literal["live", "quiet", "stale", "down", "simulated"]

EXCHANGE_LABELS = {"binance": "Binance", "simulator": "Simulator"}

STATE_WORDS = {
    ExchangeState.IDLE: "idle",
    ExchangeState.CONNECTING: "connecting",
    ExchangeState.LIVE: "live",
    ExchangeState.STALE: "stale",
    ExchangeState.DOWN: "down",
}

QUALITY_WORDS = {
    QualityState.DELISTED: "delisted",
    QualityState.HALTED: "halted",
    QualityState.UNKNOWN: "unknown",
    QualityState.STALE: "stale",
    QualityState.RECOVERING: "recovering",
    QualityState.LIVE: "",
}
"""The word beside a price. A price without a word is live."""

POPULAR_SYMBOLS = (
    "BTCUSDT",
    "ETHUSDT",
    "BNBUSDT",
    "SOLUSDT",
    "XRPUSDT",
    "DOGEUSDT",
    "ADAUSDT",
    "TRXUSDT",
    "AVAXUSDT",
    "LINKUSDT",
    "LTCUSDT",
    "ETHBTC",
)
"""Symbols offered on an empty page. Only those that the exchange lists are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """The line under the header that says whether the prices below are live."""

    tone: Tone
    head: str = ""
    text: str
    retry_ts: int | None = None
    """When the next attempt is due, ms since the epoch. The browser counts down to it."""
    action: str = ""
    """What a button in the banner does; empty without one."""

    @property
    def is_wrong(self) -> bool:
        """Whether a person should see it. Otherwise the badge in the header says enough."""
        return self.tone in ("stale", "down", "simulated") or self.retry_ts is not None


def label(exchange: str) -> str:
    """Return the name of an exchange as people write it."""
    return EXCHANGE_LABELS.get(exchange, exchange)


def banner_for(asked: ExchangeStatus, *, shown: str, symbol_count: int, stale_count: int) -> Banner:
    """Return what the banner says.

    Args:
        asked: the state of the exchange that the person chose.
        shown: the exchange whose prices the page shows; another than `asked` during a fallback.
        symbol_count: how many symbols the page shows.
        stale_count: of how many of these no prices arrive. The exchange is stale also if that concerns only
            symbols of other readers.
    """
    name = label(asked.exchange)
    reason = f" ({asked.reason})" if asked.reason else ""
    if shown != asked.exchange:
        cause = f"{name} cannot be reached{reason}."
        return Banner(tone="simulated", head="SIMULATED PRICES.", text=cause, retry_ts=asked.retry_ts)
    if asked.exchange == "simulator":
        return Banner(tone="simulated", head="SIMULATED PRICES.", text=_simulator_text(asked))
    is_stale = asked.state is ExchangeState.STALE
    if asked.state is ExchangeState.LIVE or (is_stale and not stale_count):
        return Banner(tone="live", head=f"{name} is live.", text=_count_text(symbol_count))
    match asked.state:
        case ExchangeState.STALE if stale_count < symbol_count:
            text = f"{name} is connected, but no trades arrive for {stale_count} of these symbols."
            return Banner(tone="stale", head="Some prices are old.", text=text, retry_ts=asked.retry_ts)
        case ExchangeState.STALE:
            text = f"Connected, but no data arrives{reason}. The prices below are the last received."
            return Banner(tone="stale", head=f"{name} is silent.", text=text, retry_ts=asked.retry_ts)
        case ExchangeState.DOWN:
            text = "The prices below are the last received."
            head = f"{name} cannot be reached{reason}."
            return Banner(tone="down", head=head, text=text, retry_ts=asked.retry_ts)
        case _ if symbol_count == 0:
            return Banner(tone="quiet", text=f"Choose a symbol to connect to {name}.")
        case _:
            return Banner(tone="quiet", text=f"Connecting to {name}{reason} …", retry_ts=asked.retry_ts)


def _count_text(count: int) -> str:
    if count == 0:
        return "Choose a symbol to see its trades."
    return f"Showing {count} symbol{'' if count == 1 else 's'}."


def _simulator_text(status: ExchangeStatus) -> str:
    text = "They come from the built-in simulator, not from a market."
    if status.state is ExchangeState.DOWN:
        return f"{text} The simulator is down ({status.reason or 'no reason given'})."
    return text
