"""Parses Binance's trades, replies and notices, and encodes requests. No I/O.

Source: Binance spot API documents, `web-socket-streams.md` (sections "General WSS information",
"Live Subscribing/Unsubscribing to streams", "Trade Streams").
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import msgspec

from livemarkets.errors import MalformedMessage
from livemarkets.exchanges.binance.stream_names import is_update_stream
from livemarkets.market.models import ExchangeName, TradeTick

__all__ = [
    "InvalidTrade",
    "OtherEvent",
    "Reply",
    "ServerShutdown",
    "encode_request",
    "parse_frame",
    "plausible",
    "plausible_ms",
    "shortened",
    "trade_times",
]

_SMALLEST = Decimal("1e-20")
_LARGEST = Decimal("1e20")
_ENDLESS = 2**62
"""Upper limit of ids, which are int64 at the exchange."""
_EARLIEST_MS = 1_230_768_000_000
_LATEST_MS = 4_133_980_800_000
"""Times of trades are in the years 2009 to 2100. A time in microseconds is far outside."""
_SHOWN_CHARACTERS = 120


class Reply(msgspec.Struct, frozen=True):
    """The reply to one of our requests."""

    id: int | None
    """The id of the request; `None` when the exchange could not read it."""
    error: str | None
    """The exchange's error text; `None` on success."""
    result: Any = None


class ServerShutdown(msgspec.Struct, frozen=True):
    """The exchange announces that it will close this connection soon (documented since 2026-05-08)."""


class OtherEvent(msgspec.Struct, frozen=True):
    """A well-formed event of another type, such as an update that the caller may know by its stream."""

    name: str
    """Its type; empty for events without one, such as order books."""
    stream: str = ""
    """The exchange's name of its stream; empty in the raw form."""


class InvalidTrade(msgspec.Struct, frozen=True):
    """A trade with impossible values. Its id is the exchange's, so no other trade will have it."""

    symbol: str
    trade_id: int
    problem: str
    """For the log and the metrics."""
    detail: str


class _TradeData(msgspec.Struct, gc=False):
    """`{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":"0.001","q":"100","T":1672515782136,"m":true,…}`."""

    e: Literal["trade"]
    s: str
    t: int
    p: Decimal
    q: Decimal
    T: int
    m: bool


class _TradeFrame(msgspec.Struct, gc=False):
    """`{"stream":"bnbbtc@trade","data":{…}}`: the combined form."""

    data: _TradeData


class _Times(msgspec.Struct, gc=False):
    e: Literal["trade"]
    E: int
    T: int


class _TimesFrame(msgspec.Struct, gc=False):
    data: _Times


_decode_times = msgspec.json.Decoder(_TimesFrame).decode
_decode_trade = msgspec.json.Decoder(_TradeFrame).decode
_decode_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

Frame = TradeTick | InvalidTrade | Reply | ServerShutdown | OtherEvent


def encode_request(
    method: Literal["SUBSCRIBE", "UNSUBSCRIBE"], streams: Iterable[str], request_id: int
) -> bytes:
    """Return a control message, such as `{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}`."""
    return _encode({"method": method, "params": list(streams), "id": request_id})


def plausible(price: Decimal, size: Decimal) -> bool:
    """Return whether price and size are possible for a trade: positive, finite and of printable length."""
    try:
        return _SMALLEST < price < _LARGEST and _SMALLEST < size < _LARGEST
    except InvalidOperation:  # a NaN cannot be compared
        return False


def parse_frame(raw: bytes, exchange: ExchangeName, recv_ts: int) -> Frame:
    """Parse one text frame of the combined stream endpoint.

    Args:
        raw: the frame's payload.
        exchange: the exchange name of the tick.
        recv_ts: when it was read, ms since the epoch.

    Raises:
        MalformedMessage: the frame does not match the exchange's documents. The connection stays usable.

    """
    try:
        data = _decode_trade(raw).data
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, ValueError):
        return _parse_rare(raw)
    if not (0 <= data.t < _ENDLESS and _EARLIEST_MS <= data.T < _LATEST_MS and plausible(data.p, data.q)):
        return _invalid(data, raw)
    # `m`: the buyer was the maker, so the taker sold.
    side: Literal["sell", "buy"] = "sell" if data.m else "buy"
    return TradeTick(exchange, data.s, data.p, data.q, side, data.T, data.t, recv_ts)


def trade_times(raw: bytes) -> tuple[int, int] | None:
    """Return when a trade was matched and when its frame was made, ms since the epoch; `None` for others."""
    if b'"trade"' not in raw:
        return None
    try:
        data = _decode_times(raw).data
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, ValueError):
        return None
    return (data.T, data.E) if plausible_ms(data.T) and plausible_ms(data.E) else None


def plausible_ms(time_ms: int) -> bool:
    """Return whether a time, ms since the epoch, is possible for a trade. The unit is never guessed."""
    return _EARLIEST_MS <= time_ms < _LATEST_MS


def _invalid(data: _TradeData, raw: bytes) -> InvalidTrade:
    if not 0 <= data.t < _ENDLESS:
        raise MalformedMessage("implausible trade", shortened(raw))
    if plausible_ms(data.T):
        return InvalidTrade(data.s, data.t, "implausible trade", shortened(raw))
    unit = "; microseconds? timeUnit must not be set" if plausible_ms(data.T // 1000) else ""
    return InvalidTrade(data.s, data.t, "implausible time", f"T is {data.T}, but must be in ms{unit}")


def _parse_rare(raw: bytes) -> Frame:
    """Parse everything else than a trade. Exact error messages matter more than speed."""
    try:
        message = _decode_any(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, ValueError) as error:
        raise MalformedMessage("not JSON", f"{error}: {shortened(raw)}") from None
    if not isinstance(message, dict):
        raise MalformedMessage("not an object", shortened(raw))
    if "stream" in message:
        return _parse_event(message.get("data"), message["stream"], raw)
    if "e" in message:
        return _parse_event(message, "", raw)
    return _parse_reply(message, raw)


def _parse_event(event: Any, stream: object, raw: bytes) -> Frame:
    name = event.get("e") if isinstance(event, dict) else None
    if name == "serverShutdown":
        return ServerShutdown()
    if name == "trade":
        raise MalformedMessage("malformed trade", shortened(raw))
    if isinstance(name, str):
        return OtherEvent(name[:_SHOWN_CHARACTERS], stream if isinstance(stream, str) else "")
    if isinstance(stream, str) and is_update_stream(stream):
        return OtherEvent("", stream)
    raise MalformedMessage("event without a name", shortened(raw))


def _parse_reply(message: dict[str, Any], raw: bytes) -> Reply:
    """Parse a result or an error. `{"code":…,"msg":…}` is documented; `{"error":{…}}` was observed."""
    request_id = message.get("id")
    if isinstance(request_id, str) and request_id.isascii() and request_id.isdigit():
        request_id = int(request_id[:18])  # ours are numbers, but an exchange may send them back as text
    if not isinstance(request_id, int) or isinstance(request_id, bool):
        request_id = None
    error = message.get("error", message if "code" in message else None)
    if error is not None:
        if not isinstance(error, dict):
            error = {"msg": error}
        return Reply(request_id, f"{error.get('msg')} (code {error.get('code')})"[:_SHOWN_CHARACTERS])
    if "result" not in message:
        raise MalformedMessage("unknown message", shortened(raw))
    return Reply(request_id, None, message["result"])


def shortened(raw: bytes) -> str:
    """Return the beginning of a frame, for the log."""
    return ascii(raw[:_SHOWN_CHARACTERS])[2:-1]
