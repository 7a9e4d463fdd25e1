"""The form of the console: which fields a message has, as the contract says, and the message made of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from livemarkets.errors import ClientMessageError
from livemarkets.http_api.asyncapi import asyncapi_template
from livemarkets.market.channels import ALL_SYMBOLS, CHANNELS, TRADES
from livemarkets.protocol.messages import CLIENT_MESSAGE_TYPES
from livemarkets.protocol.requests import parse_request
from pages.labs.console.explanations import plain

__all__ = ["Draft", "FormField", "compose", "fault_in", "fields_of", "read_draft"]

_APART = ("type", "exchange", "channel", "symbol")
"""Fields that every form has, or does without: `symbols` takes one symbol too."""
_PAIR = re.compile(r"([^\s,=:]+)\s*[=:]\s*([0-9]+)")
_WITH_CHANNEL = ("subscribe", "unsubscribe")
_MOST_SNAPSHOT = 2**31
"""The page does not know the server's own limit. Beyond it, the server says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One field of a form."""

    name: str
    kind: Literal["choice", "number", "text"]
    meaning: str
    options: tuple[str, ...] = ()
    default: str = ""
    """What holds while the field is empty."""
    least: int | None = None
    most: int | None = None
    is_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is filled in."""

    kind: str
    exchange: str
    channel: str = TRADES
    values: Mapping[str, str] = field(default_factory=dict)
    """By the name of a field, its text."""

    @property
    def has_channel(self) -> bool:
        """Whether this message is about a channel of an exchange."""
        return self.kind in _WITH_CHANNEL


def fields_of(kind: str, channel: str) -> list[FormField]:
    """Return the fields of a message beside its type, exchange and channel."""
    required: Sequence[str] = _shape(kind, channel)["required"]
    needed = {*required, *(["symbols"] if kind in _WITH_CHANNEL else [])}
    if kind == "unsubscribe":
        needed |= {"interval"} if channel == "candles" else set()
    return [
        _field(name, schema, is_required=name in needed)
        for name, schema in _properties(kind, channel)
        if name not in _APART and not (kind == "unsubscribe" and name == "interval" and name not in needed)
    ]


def compose(draft: Draft) -> str:
    """Return the message of a form as JSON. What cannot be right stays in it as it was typed."""
    message: dict[str, Any] = {"type": draft.kind}
    if draft.has_channel:
        message |= {"exchange": draft.exchange, "channel": draft.channel}
    for name, schema in _properties(draft.kind, draft.channel):
        text = draft.values.get(name, "").strip()
        if text and name not in _APART:
            message[name] = _value(name, schema, text)
    return msgspec.json.encode(message).decode()


def read_draft(text: str, exchange: str) -> Draft | None:
    """Return what a message fills in; `None` if it is not one of the client's messages.

    Args:
        text: the message.
        exchange: that of a message without one.

    """
    try:
        message = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind.lower() not in CLIENT_MESSAGE_TYPES:
        return None
    kind, channel = kind.lower(), str(message.get("channel", TRADES)).lower()
    if channel not in CHANNELS:
        return None
    named = message.pop("symbol", None)
    if isinstance(named, str):
        others = message.get("symbols")
        message["symbols"] = [named, *others] if isinstance(others, list) else [named]
    values = {name: _text(message[name]) for name, _ in _properties(kind, channel) if name in message}
    return Draft(
        kind=kind,
        exchange=str(message.get("exchange", exchange)).lower(),
        channel=channel,
        values={name: value for name, value in values.items() if name not in _APART},
    )


def fault_in(text: str, exchanges: Sequence[str]) -> str:
    """Return what the server would say against a message; empty if it would take it."""
    try:
        parse_request(text, exchanges, snapshot_limit=_MOST_SNAPSHOT)
    except ClientMessageError as error:
        return f"{error.code}: {error.message}"
    return ""


def _shape(kind: str, channel: str) -> Mapping[str, Any]:
    """Return the schema of a message."""
    components = asyncapi_template()["components"]
    payload = components["messages"][kind]["payload"]
    shapes = [
        components["schemas"][each["$ref"].rpartition("/")[2]] for each in payload.get("oneOf", [payload])
    ]
    fitting = [shape for shape in shapes if channel in shape["properties"].get("channel", {}).get("enum", ())]
    found: Mapping[str, Any] = (fitting or shapes)[0]
    return found


def _properties(kind: str, channel: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the fields with their schemas: symbols and what is required first, the `id` last."""
    shape = _shape(kind, channel)
    fields = shape["properties"]
    for name in dict.fromkeys(["symbols", *shape["required"], *fields]):
        if name in fields and name != "id":
            yield name, fields[name]
    if "id" in fields:
        yield "id", fields["id"]


def _field(name: str, schema: Mapping[str, Any], *, is_required: bool) -> FormField:
    kinds = {each.get("type") for each in schema.get("anyOf", [schema])}
    meaning = schema.get("description") or " ".join(
        each["description"] for each in schema["anyOf"] if "description" in each
    )
    options: tuple[str, ...] = ()
    if kinds == {"boolean"}:
        options = ("true", "false")
    elif "enum" in schema:
        options = tuple(str(word) for word in schema["enum"])
    return FormField(
        name=name,
        kind="choice" if options else "number" if kinds == {"integer"} else "text",
        meaning=plain(meaning),
        options=options,
        default=str(schema.get("default", "")),
        least=schema.get("minimum"),
        most=schema.get("maximum"),
        is_required=is_required,
    )


def _value(name: str, schema: Mapping[str, Any], text: str) -> Any:
    if name == "symbols":
        return ALL_SYMBOLS if text == ALL_SYMBOLS else re.split(r"[\s,]+", text.strip(" ,"))
    if name == "after":
        pairs = _PAIR.findall(text)
        return {symbol: int(number[:18]) for symbol, number in pairs} if pairs else text
    if schema.get("type") == "boolean" and text in ("true", "false"):
        return text == "true"
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    return int(text) if is_number and schema.get("type") != "string" else text


def _text(value: Any) -> str:
    """Return the value of a field as it would be typed."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(each if isinstance(each, str) else _json(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}={_text(each)}" for name, each in value.items())
    return value if isinstance(value, str) else "" if value is None else _json(value)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
