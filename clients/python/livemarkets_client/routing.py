"""To which stream a message belongs, and what its account makes of it. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from livemarkets_client.continuity import Account, Item
from livemarkets_client.messages import (
    UPDATES,
    GapMessage,
    LaggedMessage,
    Snapshot,
    Tickers,
    Update,
    decode_list,
)
from livemarkets_client.models import Candle, Quality, Ticker
from livemarkets_client.requests import StreamName

__all__ = ["DATA", "Data", "stream_of", "take"]

Data = Update | Snapshot | Tickers | GapMessage | LaggedMessage
"""The messages that belong to a stream."""
DATA: tuple[type[Data], ...] = Data.__args__
_CHANNELS = {update: channel for channel, update in UPDATES.items()}


def stream_of(message: Data | Quality) -> StreamName:
    """Return the name of the stream."""
    match message:
        case Snapshot() | GapMessage() | LaggedMessage() | Quality():
            return StreamName(message.exchange, message.channel, message.symbol, message.interval)
        case Tickers():
            return StreamName(message.exchange, "tickers", "*")
        case Candle():
            return StreamName(message.exchange, "candles", message.symbol, message.interval)
    return StreamName(message.exchange, _CHANNELS[type(message)], message.symbol)


def take(account: Account, message: Data) -> Sequence[Item]:
    """Return what is new for the reader of the stream.

    Raises:
        msgspec.DecodeError: the data of a snapshot are something else.

    """
    match message:
        case Snapshot():
            update = UPDATES.get(message.channel)
            rows = [] if update is None else decode_list(update, message.data)
            return [item for row in rows for item in account.take(_of(message.exchange, row))]
        case Tickers():
            return [item for row in message.data for item in account.take(_of(message.exchange, row))]
        case GapMessage():
            return account.take_gap(message)
        case LaggedMessage():
            return account.take_lagged(message)
    return account.take(message)


def _of(exchange: str, update: Update) -> Update:
    """Return the update with its exchange, which the rows of all tickers do not repeat."""
    return replace(update, exchange=exchange) if isinstance(update, Ticker) else update
