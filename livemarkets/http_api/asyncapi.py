"""`/asyncapi.json`: the contract of `/ws/markets` (AsyncAPI 3.0), made from the typed messages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from livemarkets import __version__
from livemarkets.http_api.schemas import SCHEMAS, schemas_of
from livemarkets.market.channels import CANDLES, DEPTH, TRADES
from livemarkets.protocol.candle_messages import CandleGapMessage, CandlesLagged, CandleSnapshot
from livemarkets.protocol.client_messages import CLIENT_MESSAGES, SUBSCRIBE_MESSAGES
from livemarkets.protocol.codes import CLOSE_ADVICE, ERROR_ADVICE
from livemarkets.protocol.messages import CLOSE_CODES, ERROR_CODES, PROTOCOL, SERVER_MESSAGES, SUBPROTOCOL
from livemarkets.protocol.update_messages import (
    BookSnapshot,
    DepthSnapshot,
    TickerSnapshot,
    TickersSnapshot,
)
from livemarkets.security.middleware import MARKETS_PATH

__all__ = ["CLIENT_TYPES", "SERVER_TYPES", "asyncapi", "asyncapi_template", "read_examples"]

CLIENT_TYPES = CLIENT_MESSAGES
SERVER_TYPES = (
    *SERVER_MESSAGES,
    *(TickersSnapshot, TickerSnapshot, BookSnapshot, DepthSnapshot, CandleSnapshot),
    *(CandleGapMessage, CandlesLagged),
)
"""Every shape of a message. Those of one `type` are told apart by `channel`, and tickers by `symbol`."""

_REPLIES = {
    "subscribe": ("subscribed", "error"),
    "unsubscribe": ("unsubscribed", "error"),
    "list": ("subscriptions", "error"),
    "ping": ("pong", "error"),
}
_DELIVERY = ("snapshot", "mode", "interval_ms", "order", "levels", "after")


def _has(channel: str, field: str, *, is_required: bool = True) -> dict[str, Any]:
    """Return the rule that messages about one channel have a field, and no others."""
    return {
        "if": {"properties": {"channel": {"const": channel}}},
        "then": {"required": [field]} if is_required else {},
        "else": {"properties": {field: False}},
    }


_NAMED = [{"required": ["symbol"]}, {"required": ["symbols"]}]
_QUALITY_ALONE = {
    "required": ["quality"],
    "not": {"anyOf": [{"required": [field]} for field in _DELIVERY]},
}
_RULES: dict[str, dict[str, Any]] = {
    **{message.__name__: {"anyOf": [*_NAMED, _QUALITY_ALONE]} for message in SUBSCRIBE_MESSAGES},
    "Unsubscribe": {"anyOf": _NAMED, "allOf": [_has(CANDLES, "interval")]},
    "Subscribed": {"allOf": [_has(CANDLES, "interval")]},
    "Unsubscribed": {"allOf": [_has(CANDLES, "interval")]},
    "QualityMessage": {"allOf": [_has(CANDLES, "interval")]},
    "Subscription": {
        "required": ["exchange", "channel", "symbol", "mode", "last_id", "complete_to"],  # `order`: trades
        "allOf": [_has(CANDLES, "interval"), _has(TRADES, "order"), _has(DEPTH, "levels")],
    },
    "SymbolResult": {
        "if": {"properties": {"ok": {"const": True}}},
        "then": {"properties": {"code": False, "message": False, "did_you_mean": False}},
        "else": {"required": ["code", "message"]},
    },
}
"""What the types do not say: fields that one channel has, and fields that belong together."""


def asyncapi(address: str, *, has_token: bool) -> dict[str, Any]:
    """Return the document.

    Args:
        address: where `/ws/markets` is reached: scheme, host and prefix, such as `ws://127.0.0.1:8080`.
        has_token: whether this server requires an access token.

    """
    scheme, _, rest = address.partition("://")
    host, slash, prefix = rest.partition("/")
    server: dict[str, Any] = {"host": host, "protocol": scheme, "description": "This server."}
    if prefix:
        server["pathname"] = slash + prefix
    if has_token:
        server["security"] = [{"$ref": "#/components/securitySchemes/token"}]
    return asyncapi_template() | {"servers": {"this": server}}


@cache
def asyncapi_template() -> dict[str, Any]:
    """Return what is the same in every document. To make it takes 40 ms; nobody changes it."""
    examples = read_examples("message_examples.jsonl")
    client, server = _messages(CLIENT_TYPES, examples), _messages(SERVER_TYPES, examples)
    codes = [
        {"code": code, "meaning": meaning, "advice": ERROR_ADVICE[code]}
        for code, meaning in ERROR_CODES.items()
    ]
    close_codes = [
        {"code": code, "reason": reason, "meaning": CLOSE_ADVICE[code][0], "advice": CLOSE_ADVICE[code][1]}
        for code, reason in CLOSE_CODES.items()
    ]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Live Markets: /ws/markets",
            "version": f"{PROTOCOL}.0.0",
            "description": _DESCRIPTION,
            "license": {"name": "MIT"},
            "x-server-version": __version__,
        },
        "defaultContentType": "application/json",
        "servers": {},
        "channels": {
            "markets": {
                "address": MARKETS_PATH,
                "title": "Market data",
                "description": "One JSON object in each text frame, in both directions.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in (*client, *server)},
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
                "x-subprotocol": SUBPROTOCOL,
                "x-error-codes": codes,
                "x-close-codes": close_codes,
            }
        },
        "operations": _operations(client, server),
        "components": {
            "messages": client | server,
            "schemas": schemas_of((*CLIENT_TYPES, *SERVER_TYPES), _RULES),
            "securitySchemes": {"token": _TOKEN},
        },
    }


def read_examples(name: str) -> list[Any]:
    """Return the examples in a file beside this module. The manuals have the same."""
    decode = msgspec.json.Decoder(float_hook=Decimal).decode
    return [decode(line) for line in Path(__file__).with_name(name).read_bytes().splitlines()]


def _messages(types: Iterable[Any], examples: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """Return the messages by their `type`. One with several shapes has them as `oneOf`."""
    shapes: defaultdict[str, list[Any]] = defaultdict(list)
    for each in types:
        shapes[str(each.__struct_config__.tag)].append(each)
    return {name: _message(name, kinds, examples) for name, kinds in shapes.items()}


def _message(name: str, shapes: list[Any], examples: Iterable[Any]) -> dict[str, Any]:
    refs = [{"$ref": f"{SCHEMAS}{shape.__name__}"} for shape in shapes]
    return {
        "name": name,
        "title": name,
        "summary": " ".join((shapes[0].__doc__ or "").partition("\n\n")[0].split()),
        "payload": refs[0] if len(refs) == 1 else {"oneOf": refs},
        "examples": [{"payload": example} for example in examples if example["type"] == name],
    }


def _operations(client: Mapping[str, Any], server: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this server does: it receives each client message and replies, and it sends the others."""

    def refs(names: Iterable[str]) -> list[dict[str, str]]:
        return [{"$ref": f"#/channels/markets/messages/{name}"} for name in names]

    channel = {"$ref": "#/channels/markets"}
    replies = {name for several in _REPLIES.values() for name in several}
    operations: dict[str, Any] = {
        name: {
            "action": "receive",
            "channel": channel,
            "summary": client[name]["summary"],
            "messages": refs([name]),
            "reply": {"channel": channel, "messages": refs(_REPLIES[name])},
        }
        for name in client
    }
    operations["stream"] = {
        "action": "send",
        "channel": channel,
        "summary": "What comes by itself: data, what is missing of them, and states.",
        "messages": refs(name for name in server if name not in replies or name == "error"),
    }
    return operations


_DESCRIPTION = """\
Live market data of every exchange that this server offers, over one WebSocket.

- Prices and sizes are JSON numbers with the exchange's own digits: read them with a decimal type where digits
  matter. Times are ms since the epoch, UTC.
- A client must ignore fields and message types that it does not know: the protocol grows that way.
- `type`, `exchange`, `channel`, `mode` and `order` are accepted in any case, symbols too.
- A message that is wrong gets an `error`, and the connection stays open. The extension `x-error-codes` of the
  channel has the codes, `x-close-codes` those with which a connection is closed.
- The manual is docs/ws-markets.md."""

_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "`Authorization: Bearer TOKEN`. A browser sends the token as a subprotocol beside"
    f" `{SUBPROTOCOL}`: `bearer.` and the token in base64url without padding. A page of this server needs"
    " neither: the session of its login is accepted.",
}
