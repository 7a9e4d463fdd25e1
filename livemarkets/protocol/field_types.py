"""The types of the fields of messages, with what each means. `/asyncapi.json` and `/openapi.json` tell it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from livemarkets.market.channels import CANDLE_INTERVALS, CHANNELS, DEPTH_LEVELS
from livemarkets.market.models import ExchangeState

__all__ = [
    "AnyChannel",
    "Backfilled",
    "BaseSize",
    "Exchange",
    "Interval",
    "Levels",
    "Ms",
    "Price",
    "ReceivedMs",
    "RequestIdField",
    "Symbol",
    "SymbolName",
    "TradeId",
    "channel",
    "told",
    "words",
]


def told(meaning: str, *examples: object) -> Meta:
    """Return what a field means, with examples."""
    return Meta(description=meaning, examples=list(examples) or None)


def words(allowed: Iterable[str], meaning: str) -> Meta:
    """Return what a field with one of some words means."""
    return Meta(description=meaning, extra_json_schema={"enum": [str(word) for word in allowed]})


def channel(name: str) -> Meta:
    """Return the field `channel` of a message about one channel alone."""
    return words((name,), "The channel.")


MOST_ID_CHARACTERS = 64

Exchange = Annotated[
    str, told("Where it comes from, such as `binance` or `simulator`. Simulated data never say `binance`.")
]
AnyChannel = Annotated[str, words(CHANNELS, "The channel.")]
Symbol = Annotated[
    str, told("The exchange's symbol in upper case. It may be of any script.", "BTCUSDT", "币安人生USDT")
]
SymbolName = Annotated[
    str, told("The exchange's symbol, or `*` for all symbols in the channel `tickers`.", "BTCUSDT")
]
Interval = Annotated[
    str,
    words(
        CANDLE_INTERVALS,
        "The length of the candles. Its case counts: `1m` is a minute, `1M` a month. A part of the stream's"
        " name, so only messages about candles have it.",
    ),
]
Levels = Annotated[
    int,
    Meta(
        description="How many price levels of each side. Only messages about `depth` have it.",
        extra_json_schema={"enum": list(DEPTH_LEVELS)},
    ),
]
State = Annotated[str, words(ExchangeState, "The state of the exchange's data.")]
Ms = Annotated[int, Meta(description="ms since the epoch, UTC.", ge=0)]
ReceivedMs = Annotated[int, Meta(description="When this server read it, ms since the epoch.", ge=0)]
TradeId = Annotated[int, told("A trade id of the exchange, consecutive per symbol.", 3735683259)]
Price = Annotated[Decimal, told("Quote asset per base asset, with the exchange's digits.")]
BaseSize = Annotated[Decimal, told("An amount of the base asset, with the exchange's digits.")]
Backfilled = Annotated[
    bool,
    told("`true` if it was fetched over REST instead of read from the exchange's stream; otherwise absent."),
]
RequestIdField = Annotated[
    int | Annotated[str, Meta(max_length=MOST_ID_CHARACTERS)],
    told("The `id` of the client's message, repeated in the answer. Absent if it had none.", 7, "seven"),
]
