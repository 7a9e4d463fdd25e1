"""One broken rule for each check, and which of them can be broken together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from tests.doctor.bent import Answer, Bend, Message, Wire

MAIN, SECOND = 1, 2
FAR = 10**6


# --- what goes to the client -----------------------------------------------------------------------------


def kind_of(message: Message) -> str:
    """The kind of an event, such as `trade`; empty for a reply."""
    return str(message.get("stream", "")).partition("@")[2]


def changing(
    kind: str, change: Callable[[Wire, Any], object]
) -> Callable[[Wire, Message], Iterable[Message]]:
    """Change the data of every event of a kind."""

    def frame(wire: Wire, message: Message) -> Iterable[Message]:
        if kind_of(message).startswith(kind):
            change(wire, message["data"])
        return [message]

    return frame


def adding(kind: str, change: Callable[[Any], object]) -> Callable[[Wire, Message], Iterable[Message]]:
    """Send every event of a kind again, changed."""

    def frame(wire: Wire, message: Message) -> Iterable[Message]:
        if not kind_of(message).startswith(kind):
            return [message]
        data = {
            name: dict(value) if isinstance(value, dict) else value for name, value in message["data"].items()
        }
        change(data)
        return [message, message | {"data": data}]

    return frame


def replying(
    change: Callable[[Wire, Message], Iterable[Message]],
) -> Callable[[Wire, Message], Iterable[Message]]:
    """Change the replies on the main connection."""

    def frame(wire: Wire, message: Message) -> Iterable[Message]:
        if wire.number == MAIN and "stream" not in message:
            return change(wire, message)
        return [message]

    return frame


def swap_replies(wire: Wire, message: Message) -> Iterable[Message]:
    if str(message.get("id")) == "1":
        wire.memory["held"] = message
        return []
    held = wire.memory.pop("held", None)
    return [message, held] if held else [message]


def refuse_unknown(wire: Wire, message: Message) -> Iterable[Message]:
    return [{"code": 4, "msg": "No such symbol", "id": 2}] if str(message.get("id")) == "2" else [message]


def shorten_list(wire: Wire, message: Message) -> Iterable[Message]:
    if isinstance(message.get("result"), list):
        message["result"] = message["result"][1:]
    return [message]


def drop_errors(wire: Wire, message: Message) -> Iterable[Message]:
    return [] if message.get("code") == 2 else [message]


def lose_trades(wire: Wire, message: Message) -> Iterable[Message]:
    return [] if kind_of(message) == "trade" and message["data"]["t"] % 20 == 7 else [message]


def swap_trades(wire: Wire, message: Message) -> Iterable[Message]:
    if kind_of(message) != "trade" or message["data"]["s"] != "BTCUSDT":
        return [message]
    held = wire.memory.get("swapped")
    if held is None and message["data"]["t"] % 20 == 11:
        wire.memory["swapped"] = message
        return []
    if held is None or held["data"]["t"] == message["data"]["t"]:
        return [message]
    del wire.memory["swapped"]
    return [message, held]


def repeat_trades(wire: Wire, message: Message) -> Iterable[Message]:
    return [message, message] if message.get("stream") == "btcusdt@trade" else [message]


def with_exponent(wire: Wire, data: Any) -> None:
    if data["t"] % 10 == 3:
        data["p"] = f"{Decimal(data['p']):E}"


def other_text_on_second(wire: Wire, data: Any) -> None:
    if wire.number == SECOND:
        data["q"] += "0"


def flip(data: Any, name: str) -> None:
    data[name] = not data[name]


def flip_in_rest(answer: Answer) -> None:
    for row in answer.body if answer.call in ("trades", "historicalTrades") and answer.status == 200 else ():
        flip(row, "isBuyerMaker")


def misspell(wire: Wire, message: Message) -> Iterable[Message]:
    data = message.get("data")
    if isinstance(data, dict) and not str(data.get("s", "")).isascii():
        data["s"] = data["s"].encode().decode("latin-1")
    return [message]


def strange_frame(wire: Wire, message: Message) -> Iterable[Message]:
    wire.seen["frames"] += 1
    return [message, {"hello": "world"}] if wire.seen["frames"] == 5 else [message]


def third_of_tickers(wire: Wire, message: Message) -> Iterable[Message]:
    if kind_of(message) != "ticker":
        return [message]
    wire.seen[message["stream"]] += 1
    return [message] if wire.seen[message["stream"]] % 3 == 1 else []


def more_candles(wire: Wire, message: Message) -> Iterable[Message]:
    if kind_of(message) == "kline_1m":
        for number in range(1, 7):
            wire.later(0.3 * number, message)
    return [message]


def depth(*levels: tuple[str, str]) -> Callable[[Wire, Message], Iterable[Message]]:
    """Send an order book with these bids with every ticker."""

    def frame(wire: Wire, message: Message) -> Iterable[Message]:
        if kind_of(message) != "ticker":
            return [message]
        book = {"lastUpdateId": 160, "bids": levels, "asks": [("612.41", "1.5"), ("612.42", "2")]}
        return [message, {"stream": "btcusdt@depth20@100ms", "data": book}]

    return frame


GOOD_DEPTH = Bend("", frame=depth(("612.40", "1"), ("612.39", "2")))
"""No bend: the simulator has no order books, so one is made up."""


def never_closed(wire: Wire, data: Any) -> None:
    data["k"]["x"] = False


def more_volume(wire: Wire, data: Any) -> None:
    if data["k"]["x"] and data["k"]["n"]:
        data["k"]["v"] = "1" + data["k"]["v"]


def later_begin(wire: Wire, data: Any) -> None:
    if data["k"]["x"] and data["k"]["f"] >= 0:
        data["k"]["f"] += 1


def zero_ids(wire: Wire, data: Any) -> None:
    if data["k"]["n"] == 0:
        data["k"]["f"] = data["k"]["L"] = 0


def every_other_quiet(wire: Wire, message: Message) -> Iterable[Message]:
    if message.get("stream") != "muteusdt@kline_1s":
        return [message]
    return [message] if message["data"]["k"]["t"] // 1000 % 2 else []


# --- what the client asks --------------------------------------------------------------------------------


def keep_streams(wire: Wire, message: Message) -> Iterable[Message]:
    if message["method"] != "UNSUBSCRIBE":
        return [message]
    wire.send_soon({"result": None, "id": message["id"]})
    return []


def few_streams(wire: Wire, message: Message) -> Iterable[Message]:
    if not any(name.startswith("doctor") for name in message.get("params", ())):
        return [message]
    wire.seen["streams"] += len(message["params"])
    if wire.seen["streams"] <= 500:
        return [message]
    wire.send_soon({"code": 2, "msg": "Too many streams", "id": message["id"]})
    return []


def close_second(code: int) -> Callable[[Wire, Message], Iterable[Message]]:
    def request(wire: Wire, message: Message) -> Iterable[Message]:
        if wire.number == SECOND:
            wire.socket.protocol.send_close(code)
            wire.socket.send_data()
        return [message]

    return request


def close_on_pong(wire: Wire) -> None:
    if wire.number == MAIN:
        wire.socket.protocol.send_close(1001)
        wire.socket.send_data()


# --- what REST tells -------------------------------------------------------------------------------------


def rows_of(call: str, change: Callable[[Any], object], **query: str) -> Callable[[Answer], None]:
    """Change every row of the answers of a call with these parameters."""

    def answer(told: Answer) -> None:
        if told.call == call and told.status == 200 and query.items() <= told.query.items():
            for row in told.body if isinstance(told.body, list) else (told.body,):
                change(row)

    return answer


def body_of(call: str, change: Callable[[Answer], object], **query: str) -> Callable[[Answer], None]:
    """Change the answers of a call with these parameters."""

    def answer(told: Answer) -> None:
        if told.call == call and query.items() <= told.query.items():
            change(told)

    return answer


def add(row: Any, name: Any, number: int) -> None:
    row[name] += number


def double_weight(answer: Answer) -> None:
    name = "X-MBX-USED-WEIGHT-1M"
    if name in answer.headers:
        answer.headers[name] = str(2 * int(answer.headers[name]))


def answer_unlisted(answer: Answer) -> None:
    if answer.status == 400:
        answer.status, answer.body = 200, []


def beyond_newest(answer: Answer) -> None:
    if answer.body == []:
        answer.body = [{"id": 1, "price": "1", "qty": "1", "time": 1, "isBuyerMaker": True}]


def newest_for_oldest(answer: Answer) -> None:
    for row in answer.body:
        row["id"] += 10**9


def reverse_page(answer: Answer) -> None:
    if answer.query.get("fromId", "1") != "1":
        answer.body.reverse()


def odd_entry(change: Callable[[Any], object]) -> Callable[[Answer], None]:
    """Change the entry of a symbol that nobody observes."""

    def answer(told: Answer) -> None:
        for entry in told.body["symbols"]:
            if entry["symbol"].startswith("SPARE"):
                change(entry)

    return body_of("exchangeInfo", answer)


def no_weight(answer: Answer) -> None:
    answer.body["rateLimits"][0]["limit"] = 5999


def empty_day(row: Any) -> None:
    if row["count"] == 0:
        row["lastId"] = 0


def lower(row: Any) -> None:
    add(row, "id", -FAR)


def refusing(status: int, code: int = -1000, **headers: str) -> Callable[[Answer], object]:
    return lambda told: told.refuse(status, code, **headers)


def follows(*names: str) -> frozenset[str]:
    return frozenset(names)


CLOSED = "control.stays_open"
LATE_IDS = follows("tickers.stream_ids", "tickers.day_ids")
"""A trade that is lost or late is named by a ticker before the stream brings it."""
ONE = '["BTCUSDT"]'

GROUPS: dict[str, tuple[Bend, ...]] = {
    "answers of the wrong shape": (
        Bend("rest.trades", answer=rows_of("trades", lambda row: row.pop("isBuyerMaker"), limit="1000")),
        Bend("rest.aggregate_trades", answer=rows_of("aggTrades", lambda row: row.pop("f"))),
        Bend("rest.day_tickers", answer=rows_of("ticker/24hr", lambda row: row.pop("closeTime", None))),
        Bend("rest.klines", answer=body_of("klines", lambda told: told.body.reverse())),
        Bend("rest.weights", answer=double_weight),
        Bend("rest.unlisted_symbol", answer=body_of("ticker/24hr", answer_unlisted)),
        Bend("rest.trades_page", answer=body_of("trades", lambda told: told.body.pop(3), limit="1000")),
        Bend("rest.announced_weight", answer=body_of("exchangeInfo", no_weight)),
        Bend("history.order", answer=body_of("historicalTrades", reverse_page, limit="50")),
        Bend("history.beyond_newest", answer=body_of("historicalTrades", beyond_newest)),
        Bend("history.before_oldest", answer=body_of("historicalTrades", newest_for_oldest, fromId="1")),
        Bend("history.empty_day", answer=rows_of("ticker/24hr", empty_day)),
        Bend("symbols.entries", answer=odd_entry(lambda entry: entry.pop("baseAsset"))),
        Bend(CLOSED, request=close_second(1001), follows=follows("network.stream_addresses")),
    ),
    "answers that are late or untrue": (
        Bend("network.clock", answer=rows_of("time", lambda row: add(row, "serverTime", 5000))),
        Bend(
            "rest.last_bar",
            answer=body_of("klines", lambda told: told.body.pop()),
            follows=follows("lag.klines"),
        ),
        Bend("symbols.statuses", answer=odd_entry(lambda entry: entry.update(status="NEVER_HEARD_OF"))),
        Bend("lag.trades", answer=rows_of("trades", lower, limit="10")),
        Bend(
            "lag.ticker_24hr",
            answer=rows_of("ticker/24hr", lambda row: add(row, "lastId", -FAR), symbols=ONE),
        ),
        Bend("lag.historicalTrades", answer=rows_of("historicalTrades", lower, limit="10")),
        Bend("lag.aggTrades", answer=rows_of("aggTrades", lambda row: add(row, "l", -FAR))),
        Bend("tickers.stream_ids", frame=changing("ticker", lambda wire, data: add(data, "L", FAR))),
    ),
    "prices that differ": (  # apart from answers with other ids, whose trades cannot be compared
        Bend("rest.same_trades", answer=rows_of("trades", lambda row: row.update(price="1" + row["price"]))),
    ),
    "replies": (
        Bend(
            "control.acknowledged", frame=replying(lambda wire, m: [m | {"result": m.get("result") or "ok"}])
        ),
        Bend("control.ids", frame=replying(lambda wire, m: [m | {"id": str(m.get("id"))}])),
        Bend("control.order", frame=replying(swap_replies)),
        Bend("control.unknown_symbol", frame=replying(refuse_unknown)),
        Bend("control.listed", frame=replying(shorten_list)),
        Bend("control.unsubscribed", request=keep_streams),
        Bend("control.stream_limit", request=few_streams),
        Bend("control.pings", pings=False),
        Bend("rest.historical_trades", answer=body_of("historicalTrades", refusing(401, -2015))),
        Bend(
            "tickers.day_ids", answer=rows_of("ticker/24hr", lambda row: add(row, "lastId", FAR), symbols=ONE)
        ),
        Bend("symbols.names", answer=odd_entry(lambda entry: entry.update(symbol="SPARE-USDT"))),
    ),
    "trades": (
        Bend("trades.fields", frame=adding("trade", lambda data: data.update(E=str(data["E"])))),
        Bend("trades.decimals", frame=changing("trade", with_exponent)),
        Bend("trades.consecutive", frame=lose_trades, follows=LATE_IDS),
        Bend("trades.once_in_order", frame=swap_trades, follows=LATE_IDS),
        Bend("trades.two_connections", frame=changing("trade", other_text_on_second)),
        Bend("trades.side", frame=changing("trade", lambda wire, data: flip(data, "m")), answer=flip_in_rest),
        Bend("trades.parser", frame=strange_frame),
        Bend("candles.closes", frame=changing("kline", never_closed)),
        Bend("control.unknown_method", frame=replying(drop_errors)),
        Bend("lag.klines", answer=rows_of("klines", lambda row: add(row, 8, -FAR))),
        Bend("depth.fields", frame=depth(("612.39", "2"), ("612.40", "1"))),
    ),
    "candles and tickers": (
        Bend("tickers.pace", frame=third_of_tickers),
        Bend("tickers.fields", frame=adding("ticker", lambda data: data.update(L=str(data["L"])))),
        Bend("book.fields", frame=adding("bookTicker", lambda data: data.pop("B"))),
        Bend("candles.pace", frame=more_candles),
        Bend("candles.agree", frame=changing("kline", more_volume)),
        Bend("candles.quiet", frame=changing("kline", zero_ids)),
        Bend("candles.quiet_runs", frame=every_other_quiet),
        Bend("control.again", frame=repeat_trades, follows=follows("trades.once_in_order")),
        Bend(
            "control.messages",
            request=close_second(1008),
            follows=follows(CLOSED, "network.stream_addresses"),
        ),
        Bend("candles.fields", frame=adding("kline", lambda data: data["k"].pop("n"))),
    ),
    "units and letters": (
        Bend(
            "trades.milliseconds",
            frame=changing("trade", lambda wire, data: data.update(E=data["E"] * 1000)),
            follows=follows("trades.parser"),
        ),
        Bend(
            "symbols.other_scripts",
            frame=misspell,
            follows=follows("trades.fields", "tickers.fields", "book.fields"),
        ),
        Bend("candles.follow_on", frame=changing("kline", later_begin), follows=follows("candles.agree")),
        Bend(
            "rest.retry_after",
            answer=body_of(
                "klines", refusing(429, -1003, **{"Retry-After": "Thu, 26 Nov 2026 03:00:00 GMT"})
            ),
            follows=follows("rest.klines"),
        ),
    ),
    "an early end": (
        Bend("control.pong", on_pong=close_on_pong, follows=follows(CLOSED)),
        Bend("rest.exchange_info", answer=body_of("exchangeInfo", refusing(400, -1104))),
    ),
}
"""Bends that do not hide each other. Those of the network are in the test itself."""
