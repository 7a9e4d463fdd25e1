"""`/openapi.json`: the contract of the HTTP routes (OpenAPI 3.1), made from the typed answers."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import chain
from typing import Any

from livemarkets import __version__
from livemarkets.exchanges import latency
from livemarkets.http_api import status as status_api
from livemarkets.http_api.answer_types import ErrorAnswer, columns_of
from livemarkets.http_api.asyncapi import read_examples
from livemarkets.http_api.field_docs import field_docs
from livemarkets.http_api.operations import OPERATIONS, PLAIN_OPERATIONS, Operation, Parameter
from livemarkets.http_api.schemas import SCHEMAS, schemas_of
from livemarkets.security.middleware import MARKETS_PATH
from livemarkets.status import bus_report, exchange_report, report

__all__ = ["openapi", "openapi_template"]

_ERROR = {"application/json": {"schema": {"$ref": f"{SCHEMAS}ErrorAnswer"}}}
_RETRY = {
    "Retry-After": {"description": "When to try again.", "schema": {"type": "integer"}, "required": True}
}
_SOURCE = {
    "Livemarkets-Source": {
        "description": "Where the values come from.",
        "schema": {"type": "string", "enum": ["memory", "exchange", "both"]},
    }
}
_UPGRADE = {
    "get": {
        "summary": "The WebSocket with all market data: its contract is `/asyncapi.json`.",
        "operationId": "ws_markets",
        "responses": {
            "101": {"description": "The WebSocket is open; the first message is `welcome`."},
            "403": {"description": "A browser page of another origin."},
            "426": {"description": "The request asked for no WebSocket; the text says how to begin."},
            "503": {"description": "No more clients are taken at present.", "headers": _RETRY},
        },
    }
}
_ASYNCAPI = Operation(path="/asyncapi.json", summary=f"The contract of `{MARKETS_PATH}` (AsyncAPI 3.0).")


def openapi(address: str, *, has_token: bool, is_enabled: bool) -> dict[str, Any]:
    """Return the document.

    Args:
        address: where the routes are reached: scheme, host and prefix, such as `http://127.0.0.1:8080`.
        has_token: whether this server requires an access token.
        is_enabled: whether market data are served.

    """
    template = openapi_template(is_enabled=is_enabled)
    return template | {"servers": [{"url": address}], "security": [{"token": []}] if has_token else []}


@cache
def openapi_template(*, is_enabled: bool) -> dict[str, Any]:
    """Return what is the same in every document. Nobody changes it."""
    served = (*PLAIN_OPERATIONS, *((_ASYNCAPI, *OPERATIONS) if is_enabled else ()))
    examples = {
        path: answer for line in read_examples("answer_examples.jsonl") for path, answer in line.items()
    }
    paths = {each.path: {"get": _operation(each, examples.get(each.path))} for each in served}
    types = [ErrorAnswer, *(answer for each in served for answer in each.answers)]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Live Markets: HTTP",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [],
        "security": [],
        "paths": paths | ({MARKETS_PATH: _UPGRADE} if is_enabled else {}),
        "components": {
            "schemas": _schemas(types),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(types: Iterable[Any]) -> dict[str, Any]:
    """Return the schemas of the answers. The fields of the report are told by the docstrings under them."""
    schemas = schemas_of(types)
    told = (field_docs(module) for module in (report, exchange_report, bus_report, latency, status_api))
    for name, docs in chain.from_iterable(each.items() for each in told):
        for field, text in docs.items():
            if name in schemas:
                schemas[name]["properties"][field]["description"] = text
    return schemas


def _operation(operation: Operation, example: Any) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": operation.path.strip("/").replace("/", "_").replace(".", "_"),
        "parameters": [_parameter(each) for each in operation.parameters],
        "responses": _responses(operation, example),
    }
    if not operation.is_guarded:
        described["security"] = []
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": "query",
        "description": parameter.meaning,
        "required": parameter.is_required,
        "schema": parameter.schema,
    }
    if parameter.example is not None:
        described["example"] = parameter.example
    return described


def _responses(operation: Operation, example: Any) -> dict[str, Any]:
    good: dict[str, Any] = {"description": operation.summary, "content": _content(operation, example)}
    if operation.may_ask:
        good["headers"] = _SOURCE
    responses: dict[str, Any] = {"200": good}
    if operation.parameters:
        responses["400"] = {"description": "The query is malformed.", "content": _ERROR}
    if operation.is_guarded:
        responses["401"] = {"description": "The access token is missing or wrong, where one is set."}
    if operation.has_one_symbol:
        responses["404"] = {"description": "The exchange does not list the one symbol.", "content": _ERROR}
    if operation.may_ask:
        told = {"content": _ERROR, "headers": _RETRY}
        responses["403"] = {"description": "A web page of another origin.", "content": _ERROR}
        responses["429"] = {"description": "What may be asked of the exchange is used up."} | told
        responses["503"] = {"description": "The exchange gives no usable answer."} | told
    for status, meaning in operation.statuses:
        responses[str(status)] = {"description": meaning, "content": good["content"]}
    return responses


def _content(operation: Operation, example: Any) -> dict[str, Any]:
    refs = [{"$ref": f"{SCHEMAS}{answer.__name__}"} for answer in operation.answers]
    if not refs:
        is_text = operation.media_type.startswith("text/")
        return {operation.media_type: {"schema": {"type": "string" if is_text else "object"}}}
    json: dict[str, Any] = {"schema": refs[0] if len(refs) == 1 else {"anyOf": refs}}
    if example is not None:
        json["example"] = example
    content = {operation.media_type: json}
    if operation.is_list:
        columns = [list(columns_of(answer)) for answer in operation.answers]
        content["text/csv"] = {
            "schema": {
                "type": "string",
                "description": "The first line has the columns: " + ", or ".join(map(",".join, columns)),
            },
            "x-columns": columns,
        }
        content["application/x-ndjson"] = {
            "schema": {"type": "string", "description": "An entry of the list on each line."}
        }
    return content


_DESCRIPTION = """\
Everything is read-only: a request subscribes to nothing.

- Prices and sizes are JSON numbers with the exchange's own digits. Times are ms since the epoch, UTC.
- `HEAD` works like `GET`. A slash at the end of a path changes nothing.
- The manual is docs/http.md."""
