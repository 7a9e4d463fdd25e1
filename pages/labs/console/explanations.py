"""What the fields of each message mean, as the contract says, as the console's script reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from livemarkets.http_api.asyncapi import asyncapi_template

__all__ = ["explanations", "plain"]

_REFERENCE = re.compile(r"'#/components/schemas/(\w+)'")


@cache
def explanations() -> dict[str, Any]:
    """Return the meanings of messages, error codes and close codes.

    `messages` has, by type, or by type and channel where a type has several shapes, the `summary` and the
    `fields`: by path, such as `data.price`, their meanings.
    """
    template = asyncapi_template()
    components, channel = template["components"], template["channels"]["markets"]
    messages: dict[str, Any] = {}
    for name, message in components["messages"].items():
        payload = message["payload"]
        for each in payload.get("oneOf", [payload]):
            shape = components["schemas"][each["$ref"].rpartition("/")[2]]
            channels = shape["properties"].get("channel", {}).get("enum", ())
            key = f"{name} {channels[0]}" if len(channels) == 1 else name
            known = messages.setdefault(key, {"summary": plain(shape["description"]), "fields": {}})
            known["fields"] |= dict(_meanings(shape, components["schemas"]))
    return {
        "messages": messages,
        "errors": {each["code"]: _advice(each) for each in channel["x-error-codes"]},
        "closes": {str(each["code"]): _advice(each) for each in channel["x-close-codes"]},
    }


def _advice(code: Mapping[str, Any]) -> str:
    return plain(f"{code['meaning']}. What to do: {code['advice']}.")


def plain(text: str) -> str:
    """Return a text of the contract without the backquotes around code."""
    return text.replace("`", "")


def _meanings(
    shape: Mapping[str, Any], schemas: Mapping[str, Any], above: str = ""
) -> Iterator[tuple[str, str]]:
    for name, schema in shape["properties"].items():
        if name != "type":
            yield above + name, _meaning(schema)
        for reference in _REFERENCE.findall(str(schema)):
            yield from _meanings(schemas[reference], schemas, f"{above}{name}.")


def _meaning(schema: Mapping[str, Any]) -> str:
    """Return what a field means; of one that may be null, what it means otherwise."""
    parts = [schema, *schema.get("anyOf", ())]
    return plain(next((each["description"] for each in parts if "description" in each), ""))
