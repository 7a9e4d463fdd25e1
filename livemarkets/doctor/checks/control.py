"""Control messages and their replies, pings, and the limits of a connection."""

from __future__ import annotations

import itertools

from livemarkets.doctor.record import Channel, Record, Reply, Request
from livemarkets.doctor.values import Check, Finding, failed, median, not_seen, passed

__all__ = ["CHECKS"]

_NO_CONNECTION = "no connection was opened"
_MESSAGES_PER_SECOND = 5


def _subscribed(channel: Channel) -> list[Request]:
    return [request for request in channel.requests if request.method in ("SUBSCRIBE", "UNSUBSCRIBE")]


def _request(record: Record, *streams: str, method: str = "SUBSCRIBE") -> tuple[Channel, Request] | None:
    main = record.channel("main")
    for request in main.requests if main else ():
        if request.method == method and request.streams == streams and main is not None:
            return main, request
    return None


def _acknowledged(record: Record) -> Finding:
    main = record.channel("main")
    if main is None or not main.requests:
        return not_seen(_NO_CONNECTION)
    limit = record.limits.acknowledgement_seconds
    asked = [request for request in _subscribed(main) if request.streams != (record.unknown_stream,)]
    # Requests near the end of the observation had no time to be answered.
    asked = [
        request for request in asked if request.sent_at + limit < record.ended_at or main.reply_to(request.id)
    ]
    waits, bad = [], 0
    for request in asked:
        reply = main.reply_to(request.id)
        if reply is None or reply.is_error or reply.result is not None:
            bad += 1
        else:
            waits.append(reply.at - request.sent_at)
    if not asked:
        return not_seen("the observation ended before a reply could come")
    slowest = round(max(waits, default=0.0), 3)
    bad += sum(wait > limit for wait in waits)
    seen = f"{len(asked) - bad} of {len(asked)} requests were acknowledged; at worst in {slowest} s"
    return (failed if bad else passed)(seen, requests=len(asked), bad=bad, slowest_seconds=slowest)


def _ids(record: Record) -> Finding:
    replies = [reply for channel in record.channels for reply in channel.replies]
    if not replies:
        return not_seen("no reply came")
    odd = sum(type(reply.id) is not int for reply in replies if not reply.is_error)
    return (failed if odd else passed)(
        f"{odd} of {len(replies)} replies do not have the id of their request as a number",
        replies=len(replies),
        odd=odd,
    )


def _order(record: Record) -> Finding:
    main = record.channel("main")
    ids = [int(reply.id) for reply in main.replies if str(reply.id).isdecimal()] if main else []
    if len(ids) < 2:
        return not_seen("fewer than two replies came")
    swapped = sum(later <= earlier for earlier, later in itertools.pairwise(ids))
    return (failed if swapped else passed)(
        f"{swapped} of {len(ids)} replies came out of order", replies=len(ids), swapped=swapped
    )


def _unknown_symbol(record: Record) -> Finding:
    found = _request(record, record.unknown_stream)
    reply = found[0].reply_to(found[1].id) if found else None
    if reply is None:
        return not_seen("no reply came")
    if reply.is_error:
        return failed(f"it is refused: {reply.text}")
    return passed("it is acknowledged, and nothing says that there is no such symbol")


def _again(record: Record) -> Finding:
    found = _request(record, record.repeated_stream)
    reply = found[0].reply_to(found[1].id) if found else None
    if found is None or reply is None:
        return not_seen("no reply came")
    if reply.is_error:
        return failed(f"it is refused: {reply.text}")
    trades = found[0].trades.get(record.symbols[0], [])
    after = [trade.id for trade in trades if trade.at > reply.at]
    repeated = len(after) - len(set(after))
    if not after:
        return not_seen("it is acknowledged, and no trade came afterwards")
    seen = f"it is acknowledged; {repeated} of {len(after)} trades afterwards came twice"
    return (failed if repeated > len(after) // 4 else passed)(seen, trades=len(after), repeated=repeated)


def _listed(record: Record) -> Finding:
    found = _request(record, method="LIST_SUBSCRIPTIONS")
    reply = found[0].reply_to(found[1].id) if found else None
    if found is None or reply is None:
        return not_seen("no reply came")
    if reply.is_error or not isinstance(reply.result, list):
        return failed(reply.text or "the result is not a list")
    wanted = {
        stream
        for request in found[0].requests
        if request.method == "SUBSCRIBE" and request.id < found[1].id
        for stream in request.streams
    }
    listed = {str(stream) for stream in reply.result}
    seen = f"{len(listed & wanted)} of {len(wanted)} streams are listed, and {len(listed - wanted)} others"
    missing = wanted - listed - {record.unknown_stream}
    return (failed if missing or listed - wanted else passed)(
        seen, wanted=len(wanted), missing=len(wanted - listed), others=len(listed - wanted)
    )


def _unknown_method(record: Record) -> Finding:
    main = record.channel("main")
    request = next((each for each in main.requests if each.method == "DOCTOR"), None) if main else None
    if main is None or request is None:
        return not_seen("it was not asked")
    errors = [reply for reply in main.replies if reply.at >= request.sent_at and reply.is_error]
    if not errors and main.failure is None:
        if record.ended_at - request.sent_at < record.limits.acknowledgement_seconds:
            return not_seen("the observation ended before a reply could come")
        return failed("no error came")
    # The pong is sent next, if the connection is still open.
    if not errors or (main.failure is not None and main.pong_sent_at is None):
        return failed(f"the connection ended: {main.failure}")
    id_text = "the id of the request" if _has_id(errors[0], request) else "no id"
    return passed(f"an error with {id_text}: {errors[0].text}")


def _has_id(reply: Reply, request: Request) -> bool:
    return str(reply.id) == str(request.id)


def _unsubscribed(record: Record) -> Finding:
    found = _request(record, record.passing_stream, method="UNSUBSCRIBE")
    reply = found[0].reply_to(found[1].id) if found else None
    if found is None or reply is None:
        return not_seen("no reply came")
    came_at = found[0].last_event_at.get(record.passing_stream)
    if came_at is None:
        return not_seen("the stream brought nothing before it was unsubscribed")
    late = came_at - reply.at
    if late <= 0:
        return passed("nothing came after the reply", seconds=0)
    seen = f"the last event came {late:.2f} s after the reply"
    return (failed if late > record.limits.settle_seconds else passed)(seen, seconds=round(late, 3))


def _stream_limit(record: Record) -> Finding:
    measured = record.stream_limit
    if not measured.asked:
        return not_seen("it was not tried, or not finished")
    detail = f" ({measured.detail})" if measured.detail else ""
    seen = (
        f"{measured.accepted} of {measured.asked} streams were accepted; one more: {measured.beyond}{detail}"
    )
    is_right = measured.accepted >= record.limits.streams_per_connection
    return (passed if is_right else failed)(
        seen, accepted=measured.accepted, asked=measured.asked, beyond=measured.beyond
    )


def _messages(record: Record) -> Finding:
    channels = [each for each in record.channels if each.opened_at is not None and each.sent_at]
    if not channels:
        return not_seen(_NO_CONNECTION)
    most = max(_most_in_a_second(channel.sent_at) for channel in channels)
    refused = [each for each in channels if each.close_code == 1008 and each.name != "limit"]
    seen = (
        f"at most {most} messages in one second, pongs included; {len(refused)} connections closed with 1008"
    )
    bad = most > _MESSAGES_PER_SECOND or refused
    return (failed if bad else passed)(seen, most=most, closed=len(refused))


def _most_in_a_second(times: list[float]) -> int:
    ordered = sorted(times)
    return max(sum(begin <= at < begin + 1.0 for at in ordered) for begin in ordered)


def _stays_open(record: Record) -> Finding:
    channels = [each for each in record.channels if each.opened_at is not None and each.name != "limit"]
    if not channels:
        return not_seen(_NO_CONNECTION)
    lost = [each for each in channels if each.failure is not None]
    seen = f"{len(lost)} of {len(channels)} connections ended before we closed them"
    if lost:
        first = lost[0]
        lived = (first.ended_at or 0.0) - (first.opened_at or 0.0)
        seen += f"; the first after {lived:.1f} s: {first.failure}"
    return (failed if lost else passed)(seen, connections=len(channels), lost=len(lost))


def _pings(record: Record) -> Finding:
    usual = record.limits.ping_seconds
    gaps: list[float] = []
    silent = 0.0
    for channel in record.channels:
        if channel.opened_at is not None:
            times = channel.pings_at
            gaps += [later - earlier for earlier, later in itertools.pairwise(times)]
            if not times:
                silent = max(silent, (channel.ended_at or record.ended_at) - channel.opened_at)
    if not gaps:
        if silent > 3 * usual:
            return failed(f"no ping came in {silent:.0f} s")
        return not_seen("the connections were too short for two pings")
    payloads = sorted({size for channel in record.channels for size in channel.ping_payloads})
    interval = median(gaps)
    seen = f"{len(gaps) + 1} pings, {interval:.1f} s apart, with payloads of {payloads} bytes, were answered"
    bad = abs(interval - usual) > record.limits.pace_tolerance * usual
    return (failed if bad else passed)(seen, interval_seconds=round(interval, 2), pings=len(gaps) + 1)


def _pong(record: Record) -> Finding:
    main = record.channel("main")
    if main is None or main.pong_sent_at is None:
        return not_seen("none was sent")
    lived = (main.ended_at or record.ended_at) - main.pong_sent_at
    if main.failure is not None and lived < 2.0:
        return failed(f"the connection ended {lived:.2f} s later: {main.failure}")
    if lived < 1.0:
        return not_seen("the observation ended right afterwards")
    return passed(f"the connection lived {lived:.0f} s longer", seconds=round(lived, 1))


_SESSION = "exchanges/binance/session.py"
_CONNECTION = "exchanges/binance/connection.py"

CHECKS = (
    Check(
        "control.acknowledged",
        "SUBSCRIBE and UNSUBSCRIBE are acknowledged within 5 s, with the result null.",
        _SESSION,
        _acknowledged,
    ),
    Check("control.ids", "A reply has the id of its request, as a number.", _SESSION, _ids),
    Check("control.order", "Replies come in the order of the requests.", _SESSION, _order),
    Check(
        "control.unknown_symbol",
        "A stream of a symbol that does not exist is acknowledged like any other.",
        "feed/symbol_list.py",
        _unknown_symbol,
    ),
    Check(
        "control.again",
        "A stream that is subscribed twice is acknowledged, and its events come once.",
        _SESSION,
        _again,
    ),
    Check(
        "control.listed",
        "LIST_SUBSCRIPTIONS lists what is subscribed on the connection.",
        _SESSION,
        _listed,
    ),
    Check(
        "control.unknown_method",
        "An invalid request is answered with an error, and the connection lives on.",
        "exchanges/binance/messages.py",
        _unknown_method,
    ),
    Check(
        "control.unsubscribed",
        "After UNSUBSCRIBE is acknowledged, events of that stream stop.",
        _SESSION,
        _unsubscribed,
    ),
    Check(
        "control.stream_limit",
        "A connection takes 1,024 streams.",
        "exchanges/binance/client.py",
        _stream_limit,
    ),
    Check(
        "control.messages",
        "A connection that sends at most 5 messages a second is not closed for it.",
        _SESSION,
        _messages,
    ),
    Check("control.stays_open", "A connection is not closed within minutes.", _CONNECTION, _stays_open),
    Check("control.pings", "The exchange sends a ping every 20 s.", _CONNECTION, _pings),
    Check("control.pong", "A pong that nobody asked for does no harm.", _CONNECTION, _pong),
)
