"""Holds what the server says against its contract: the documents `/asyncapi.json` and `/openapi.json`.

The schemas are compiled once to functions. To clients they are open: fields that they do not name may come.
Here they are closed, so that a field that was forgotten, or is misspelt, fails the test that sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec

from livemarkets.http_api.asyncapi import asyncapi_template
from livemarkets.http_api.openapi import openapi_template

Check = Callable[[Any], str]
"""Says what is wrong with a value; empty if nothing is."""


class Digits(str):
    """A number with a fraction as it was sent, for clients that compare digits (`parse_float=Digits`)."""


TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),  # a number as `Digits` too, which other clients would notice
    "integer": (int,),
    "number": (int, float, Decimal, Digits),
    "boolean": (bool,),
    "null": (type(None),),
}
TOLD = {"title", "description", "examples", "default", "format", "deprecated"}
"""Keywords that only tell something."""


class Contract:
    """Schemas that refer to each other, compiled when they are first needed."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas
        self._checks: dict[str, Check] = {}

    def check(self, name: str) -> Check:
        """The check of a schema by its name."""
        if name not in self._checks:
            self._checks[name] = lambda value: self._checks[name](value)  # it may refer to itself
            self._checks[name] = self.compiled(self._schemas[name])
        return self._checks[name]

    def compiled(self, schema: Any, *, is_part: bool = False) -> Check:
        """The check of a schema.

        Args:
            schema: it.
            is_part: it is a condition on an object whose fields another schema names, so it is open.

        """
        if isinstance(schema, bool):
            return lambda _: "" if schema else "it must be absent"
        rest = {word: value for word, value in schema.items() if word not in TOLD and word[:2] != "x-"}
        if "$ref" in rest:
            return self.check(rest["$ref"].rpartition("/")[2])
        checks: list[Check] = []
        if "type" in rest:
            checks.append(_of_type(rest.pop("type")))
        if "properties" in rest or "required" in rest:
            checks.append(self._object(rest, is_part=is_part))
        elif isinstance(values := rest.pop("additionalProperties", None), dict):
            check_value = self.compiled(values)
            checks.append(lambda value: _first(check_value, value.values()))
        if "items" in rest:
            check_item = self.compiled(rest.pop("items"))
            checks.append(lambda value: _first(check_item, value))
        for word in ("anyOf", "oneOf"):
            if word in rest:
                checks.append(self._any(rest.pop(word), is_part="properties" in schema or is_part))
        for each in rest.pop("allOf", ()):
            checks.append(self.compiled(each, is_part=True))
        if "if" in rest:
            checks.append(self._condition(rest))
        if "not" in rest:
            refused = self.compiled(rest.pop("not"), is_part=True)
            checks.append(lambda value: "" if refused(value) else "it has what it must not have")
        checks += _bounds(rest)
        assert not rest, f"this validator does not know {', '.join(rest)}"
        return checks[0] if len(checks) == 1 else lambda value: _all(checks, value)

    def _object(self, rest: dict[str, Any], *, is_part: bool) -> Check:
        required = rest.pop("required", [])
        inner = {name: self.compiled(each) for name, each in rest.pop("properties", {}).items()}

        def check(value: Any) -> str:
            for name in required:
                if name not in value:
                    return f"{name} is missing"
            for name, each in value.items():
                field = inner.get(name)
                if field is None:
                    if not is_part:
                        return f"{name} is not in the contract"
                elif wrong := field(each):
                    return f"{name}: {wrong}"
            return ""

        return check

    def _any(self, schemas: list[Any], *, is_part: bool) -> Check:
        checks = [self.compiled(each, is_part=is_part) for each in schemas]

        def check(value: Any) -> str:
            wrongs = []
            for each in checks:
                if not (wrong := each(value)):
                    return ""
                wrongs.append(wrong)
            return " and ".join(wrongs)

        return check

    def _condition(self, rest: dict[str, Any]) -> Check:
        condition, then, otherwise = (
            self.compiled(rest.pop(word, True), is_part=True) for word in ("if", "then", "else")
        )
        return lambda value: otherwise(value) if condition(value) else then(value)


def _of_type(names: str | list[str]) -> Check:
    kinds = tuple(kind for name in ([names] if isinstance(names, str) else names) for kind in TYPES[name])
    takes_flags = bool in kinds

    def check(value: Any) -> str:
        if isinstance(value, kinds) and (takes_flags or (value is not True and value is not False)):
            return ""
        return f"{value!r:.60} is no {names}"

    return check


def _bounds(rest: dict[str, Any]) -> list[Check]:
    checks: list[Check] = []
    if "enum" in rest or "const" in rest:
        allowed = rest.pop("enum", None) or [rest.pop("const")]
        checks.append(lambda value: "" if value in allowed else f"{value!r:.60} is none of {allowed}")
    for word, is_kept in (
        ("minimum", lambda value, bound: value >= bound),
        ("maximum", lambda value, bound: value <= bound),
        ("minLength", lambda value, bound: len(value) >= bound),
        ("maxLength", lambda value, bound: len(value) <= bound),
        ("minItems", lambda value, bound: len(value) >= bound),
        ("maxItems", lambda value, bound: len(value) <= bound),
        ("pattern", lambda value, bound: re.search(bound, value) is not None),
    ):
        if word in rest:
            checks.append(_bound(word, is_kept, rest.pop(word)))
    return checks


def _bound(word: str, is_kept: Callable[[Any, Any], bool], bound: Any) -> Check:
    return lambda value: "" if is_kept(value, bound) else f"{value!r:.60} is beyond {word} {bound}"


def _first(check: Check, values: Any) -> str:
    return next((wrong for value in values if (wrong := check(value))), "")


def _all(checks: list[Check], value: Any) -> str:
    return next((wrong for check in checks if (wrong := check(value))), "")


# --- /ws/markets -----------------------------------------------------------------------------------------


@cache
def message_checks() -> dict[str, Check]:
    """The check of each message of `/asyncapi.json` by its type."""
    components = asyncapi_template()["components"]
    contract = Contract(components["schemas"])
    return {name: contract.compiled(message["payload"]) for name, message in components["messages"].items()}


def what_is_wrong(message: Any) -> str:
    """What the contract says against a message of either side; empty if nothing."""
    if not isinstance(message, dict):
        return "it is no object"
    check = message_checks().get(str(message.get("type")))
    return f"there is no message {message.get('type')!r}" if check is None else check(message)


def hold_to_contract(message: dict[str, Any]) -> None:
    """Fail if a message of the server is not as the contract says."""
    wrong = what_is_wrong(message)
    assert not wrong, f"the contract (/asyncapi.json) does not allow this message: {wrong}; it is {message}"


# --- HTTP ------------------------------------------------------------------------------------------------

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


@cache
def answer_checks() -> tuple[dict[str, Any], dict[tuple[str, str], Check]]:
    """The paths of `/openapi.json`, and the check of each JSON answer by its path and status."""
    document = openapi_template(is_enabled=True)
    contract = Contract(document["components"]["schemas"])
    checks = {}
    for path, methods in document["paths"].items():
        for status, answer in methods["get"]["responses"].items():
            told = answer.get("content", {}).get("application/json")
            if told is not None:
                checks[path, status] = contract.compiled(told["schema"])
    return document["paths"], checks


def hold_answer_to_contract(
    path: str, status: int, media_type: str, body: bytes, *, is_enabled: bool = True
) -> None:
    """Fail if an answer to a GET of a path in the contract is not as the contract says.

    Args:
        path: the path.
        status: of the answer.
        media_type: of the answer.
        body: of the answer.
        is_enabled: whether the server has the feature on, since else it has few of the paths.

    """
    if path not in openapi_template(is_enabled=is_enabled)["paths"]:
        return
    paths, checks = answer_checks()
    told = paths[path]["get"]["responses"].get(str(status))
    if told is None:
        # Whatever the path is, it may be refused before a route is asked.
        assert status in (401, 403, 404, 429, 503), f"the contract (/openapi.json) has no {status} of {path}"
        return
    kind = media_type.partition(";")[0]
    if kind == "application/json":
        wrong = checks[path, str(status)](_decode(body))
        assert not wrong, f"the contract (/openapi.json) does not allow {body[:500]!r} of {path}: {wrong}"
    elif kind == "text/csv":
        columns = told["content"][kind]["x-columns"]
        assert body.decode().partition("\n")[0].split(",") in columns, f"other columns of {path}: {columns}"
