"""The types of messages about trades, and of their data in a snapshot. No I/O."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from livemarkets.market.channels import TRADES
from livemarkets.market.models import GapCause, Side
from livemarkets.protocol.field_types import (
    Backfilled,
    BaseSize,
    Exchange,
    Ms,
    Price,
    ReceivedMs,
    Symbol,
    TradeId,
    channel,
    told,
    words,
)

__all__ = ["GapMessage", "Lagged", "Snapshot", "Tick", "Trade"]

# A field that is `UNSET` is left out of the message; `None` is encoded as `null`.


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """One trade."""

    exchange: Exchange
    symbol: Symbol
    price: Price
    size: BaseSize
    side: Annotated[Side, told("The taker's side.")]
    ts: Annotated[Ms, told("When the exchange matched it, ms since the epoch.")]
    id: TradeId
    recv_ts: ReceivedMs
    backfilled: Backfilled | UnsetType = UNSET


class Trade(Tick, frozen=True, kw_only=True, tag_field="type", tag="trade"):
    """A live trade."""

    skipped: (
        Annotated[
            int,
            told("In mode `latest`: how many trades were left out before this one. Absent if none was."),
        ]
        | UnsetType
    ) = UNSET


class Snapshot(msgspec.Struct, frozen=True, tag_field="type", tag="snapshot"):
    """Recent or resumed trades, oldest first. More than 500 come in several messages."""

    exchange: Exchange
    channel: Annotated[str, channel(TRADES)]
    symbol: Symbol
    data: Annotated[list[Tick], told("The trades; none if none are known.")]


class GapMessage(msgspec.Struct, frozen=True, tag_field="type", tag="gap"):
    """These trades will not come.

    A `to_id` below `from_id` means that the exchange restarted its trade ids: the next one is `to_id` + 1.
    """

    exchange: Exchange
    channel: Annotated[str, channel(TRADES)]
    symbol: Symbol
    from_id: Annotated[int, told("The first id that is missing.")]
    to_id: Annotated[int, told("The last id that is missing.")]
    cause: Annotated[
        GapCause,
        told(
            "`upstream`: this server lost them. `venue`: the exchange has no such ids. `invalid`: it sent"
            " impossible values. `history`: too old. `pending`: they may still come (order of arrival only)."
        ),
    ]
    complete_to: Annotated[
        int,
        told("The id up to which nothing is open for this client: the only one to give as `after`."),
    ]


class Lagged(msgspec.Struct, frozen=True, tag_field="type", tag="lagged"):
    """The trades that were skipped because this client reads too slowly. The newest trade follows."""

    exchange: Exchange
    channel: Annotated[str, channel(TRADES)]
    symbol: Symbol
    skipped: Annotated[int, told("How many trades are among these ids.")]
    from_id: Annotated[int, told("The first id that was not sent.")]
    to_id: Annotated[int, told("The last id that was not sent.")]
    mode: Annotated[str, words(("latest",), "Always `latest`.")] = "latest"
