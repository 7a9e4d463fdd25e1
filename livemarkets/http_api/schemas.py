"""JSON Schemas of the typed messages and answers, as `/asyncapi.json` and `/openapi.json` hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

__all__ = ["SCHEMAS", "schemas_of"]

SCHEMAS = "#/components/schemas/"


def schemas_of(types: Iterable[Any], rules: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Return the schema of each type, and of each type inside it, by name.

    Objects are open: a client must ignore fields that it does not know, since the protocol grows that way.

    Args:
        types: structs.
        rules: by the name of a struct, what its types cannot say, such as which fields belong together.

    """
    _, schemas = msgspec.json.schema_components(types, ref_template=SCHEMAS + "{name}")
    return {name: _plain(schema) | dict((rules or {}).get(name, {})) for name, schema in schemas.items()}


def _plain(schema: Any) -> Any:
    """Return a schema in which decimals are what is sent: numbers, with the exchange's digits."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _plain(value) for name, value in schema.items()}
    if plain.get("format") == "decimal":
        plain["type"] = "number"
    if "prefixItems" in plain:  # unknown to JSON Schema draft 7, which AsyncAPI follows
        plain["items"] = {"anyOf": plain.pop("prefixItems")}
    if isinstance(plain.get("description"), str):
        plain["description"] = " ".join(plain["description"].split())
    return plain
