"""What is said on each connection to the streams: the control messages, in order."""

from __future__ import annotations

from livemarkets.doctor.record import Record
from livemarkets.doctor.shapes import lower_case
from livemarkets.doctor.stream import StreamTap

__all__ = ["follow", "measure_stream_limit", "talk"]

_BATCH = 200
"""Streams of one message, as in the product (`SessionTimings.streams_per_message`)."""
_UNKNOWN_METHOD = "DOCTOR"


async def talk(tap: StreamTap, record: Record) -> None:
    """Subscribe on the main connection, and use each control message that the product depends on.

    Messages are sent without waiting for the replies before them, so that their order can be seen. The list
    of subscriptions is asked for when the others are answered.
    """
    first = lower_case(record.symbols[0])
    record.unknown_stream = "doctornosuchusdt@trade"
    record.passing_stream = f"{first}@aggTrade"
    record.repeated_stream = f"{first}@trade"
    await tap.request("SUBSCRIBE", _streams_of(record), _symbols_of(record))
    await tap.request("SUBSCRIBE", [record.unknown_stream])
    await tap.request("SUBSCRIBE", [record.passing_stream], [record.symbols[0]])
    asked = await tap.request("SUBSCRIBE", [record.repeated_stream])
    limit = record.limits.acknowledgement_seconds
    await tap.wait_for(lambda: tap.channel.has_ended() or len(tap.channel.replies) >= asked.id, limit)
    await tap.request("LIST_SUBSCRIPTIONS")
    await tap.request("UNSUBSCRIBE", [record.passing_stream])
    await tap.request(_UNKNOWN_METHOD)
    await tap.pong()


def _symbols_of(record: Record) -> list[str]:
    chosen = [*record.symbols, record.quiet_symbol, record.utf8_symbol]
    return list(dict.fromkeys(symbol for symbol in chosen if symbol))


def _streams_of(record: Record) -> list[str]:
    kinds = {symbol: ["trade", "ticker", "kline_1s", "kline_1m", "bookTicker"] for symbol in record.symbols}
    kinds[record.symbols[0]].append("depth20@100ms")
    if record.quiet_symbol:
        kinds.setdefault(record.quiet_symbol, ["trade", "ticker", "kline_1s", "kline_1m"])
    if record.utf8_symbol:
        kinds.setdefault(record.utf8_symbol, ["trade", "ticker", "bookTicker"])
    return [f"{lower_case(symbol)}@{kind}" for symbol, names in kinds.items() for kind in names]


async def follow(tap: StreamTap, record: Record) -> None:
    """Subscribe the trades on a further connection, to compare them with those of the main one."""
    await tap.request("SUBSCRIBE", [f"{lower_case(each)}@trade" for each in record.symbols], record.symbols)


async def measure_stream_limit(tap: StreamTap, record: Record) -> None:
    """Subscribe as many streams as a connection may have, and then one more.

    They are `@blockTrade` streams, which say next to nothing, of listed symbols and, where the list is too
    short, of symbols that do not exist. An exchange without block trades is asked for trades of symbols that
    do not exist.
    """
    limit = record.limits.streams_per_connection
    listed = record.listing.trading if record.listing else ()
    measured, channel, seconds = record.stream_limit, tap.channel, record.limits.acknowledgement_seconds
    names = [f"{lower_case(symbol)}@blockTrade" for symbol in listed[:limit]]
    names += [f"doctor{number}usdt@blockTrade" for number in range(limit + 1 - len(names))]
    first = await tap.request("SUBSCRIBE", names[:1])
    await tap.wait_for(lambda: channel.has_ended() or channel.reply_to(first.id), seconds)
    reply = channel.reply_to(first.id)
    if reply is not None and reply.is_error:
        names = [f"doctor{number}usdt@trade" for number in range(limit + 1)]
    batches = [names[at : min(at + _BATCH, limit)] for at in range(0, limit, _BATCH)]
    asked = [await tap.request("SUBSCRIBE", batch) for batch in batches]
    await tap.wait_for(
        lambda: channel.has_ended() or all(map(channel.reply_to, (request.id for request in asked))), seconds
    )
    measured.asked = limit
    for request in asked:
        reply = channel.reply_to(request.id)
        if reply is not None and not reply.is_error:
            measured.accepted += len(request.streams)
    if channel.has_ended():
        measured.beyond, measured.detail = "closed early", channel.failure or ""
        return
    one_more = await tap.request("SUBSCRIBE", names[limit : limit + 1])
    await tap.wait_for(lambda: channel.has_ended() or channel.reply_to(one_more.id), seconds)
    reply = channel.reply_to(one_more.id)
    if reply is not None:
        measured.beyond, measured.detail = ("error", reply.text) if reply.is_error else ("accepted", "")
    elif channel.has_ended():
        measured.beyond, measured.detail = "closed", channel.failure or ""
    else:
        measured.beyond = "silent"
