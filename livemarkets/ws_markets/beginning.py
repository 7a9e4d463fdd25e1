"""What a client is sent before the live stream of trades. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from livemarkets.delivery.arrival import Ids, subtract
from livemarkets.feed.ledger import Released
from livemarkets.feed.resume import ResumePart
from livemarkets.market.models import Gap, StreamKey, TradeTick
from livemarkets.protocol.encoding import encode_released, encode_snapshots

__all__ = ["encode_part", "with_gaps", "without"]


def with_gaps(ticks: Sequence[TradeTick], gaps: Iterable[Gap], complete_to: int) -> list[Released]:
    """Return trades in order of ids, with the gaps between them and after them.

    Args:
        ticks: trades of one numbering, at least one.
        gaps: the gaps of the stream, oldest first. An older gap that is not among them counts as `upstream`.
        complete_to: the id before the next one of the stream.

    """
    parts: list[Released] = []
    known: list[Gap] = []
    for gap in gaps:
        known = [] if gap.to_id < gap.from_id else [*known, gap]  # the others are of an older numbering
    next_id = ticks[0].id
    for tick in ticks:
        parts += _declared((next_id, tick.id - 1), tick, known)
        parts.append(tick)
        next_id = tick.id + 1
    return parts + _declared((next_id, complete_to), ticks[-1], known)


def _declared(missing: Ids, tick: TradeTick, known: Iterable[Gap]) -> list[Released]:
    first, last = missing
    if last < first:
        return []
    key = StreamKey.trades(tick.exchange, tick.symbol)
    inside = [
        Gap(key, max(first, gap.from_id), min(last, gap.to_id), gap.cause)
        for gap in known
        if gap.from_id <= last and gap.to_id >= first
    ]
    rest = subtract([missing], [(gap.from_id, gap.to_id) for gap in inside])
    inside += [Gap(key, low, high, "upstream") for low, high in rest]
    return [*sorted(inside, key=lambda gap: gap.from_id)]


def without(parts: Iterable[Released], told: set[int]) -> list[Released]:
    """Return the trades and gaps of a resumption without the trades that were sent before."""
    if not told:
        return list(parts)
    left: list[Released] = []
    for part in parts:
        if isinstance(part, TradeTick):
            left += [] if part.id in told else [part]
            continue
        if part.to_id < part.from_id:  # the same ids occur again, in a new numbering
            told.clear()
            left.append(part)
            continue
        sent = [(trade_id, trade_id) for trade_id in sorted(told) if part.from_id <= trade_id <= part.to_id]
        for first, last in subtract([(part.from_id, part.to_id)], sent):
            left.append(Gap(part.key, first, last, part.cause))
    return left


def encode_part(
    key: StreamKey,
    part: ResumePart,
    told: set[int],
    waiting: Sequence[TradeTick] = (),
) -> Sequence[bytes]:
    """Encode a part of a resumption without what was told, and the trades that wait behind a hole."""
    if told or waiting:
        return encode_released(key, [*without(part.items, told), *waiting])
    if part.payloads is None:  # the same part may go to many readers
        part.payloads = encode_snapshots(key, ()) if part.has_everything else encode_released(key, part.items)
    return part.payloads
