"""Renders the contract as HTML. All text of it is escaped. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

import msgspec

__all__ = ["render_http", "render_websocket"]

_encode = msgspec.json.Encoder(decimal_format="number").encode
_CODE = re.compile(r"`([^`]+)`")
_MOST_WORDS = 20


def render_websocket(document: Mapping[str, Any]) -> str:
    """Return the messages and codes of an AsyncAPI document."""
    components, channel = document["components"], document["channels"]["markets"]
    sent = {
        each["$ref"].rpartition("/")[2]
        for operation in document["operations"].values()
        if operation["action"] == "receive"
        for each in operation["messages"]
    }
    parts = [f'<h2 id="websocket"><code>{escape(channel["address"])}</code></h2>']
    parts.append(_paragraphs(document["info"]["description"]))
    for title, is_sent in (("What a client sends", True), ("What the server sends", False)):
        parts.append(f"<h3>{title}</h3>")
        for name, message in components["messages"].items():
            if (name in sent) == is_sent:
                parts.append(_message(name, message, components["schemas"]))
    parts.append(
        _codes("error-codes", "Error codes", ("code", "meaning", "advice"), channel["x-error-codes"])
    )
    columns = ("code", "reason", "meaning", "advice")
    parts.append(_codes("close-codes", "Close codes", columns, channel["x-close-codes"]))
    return "".join(parts)


def render_http(document: Mapping[str, Any]) -> str:
    """Return the paths of an OpenAPI document."""
    parts = ['<h2 id="http">HTTP</h2>', _paragraphs(document["info"]["description"]), "<h3>Paths</h3>"]
    for path, methods in document["paths"].items():
        parts.append(_path(path, methods["get"], document["components"]["schemas"]))
    return "".join(parts)


def _message(name: str, message: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    payload = message["payload"]
    shapes = [_resolved(each, schemas) for each in payload.get("oneOf", [payload])]
    parts = [f'<section class="card" id="message-{escape(name)}"><h4><code>{escape(name)}</code></h4>']
    for shape in shapes:
        if len(shapes) > 1:
            parts.append(f"<h5>{_told(_shape_title(shape))}</h5>")
        parts.append(f"<p>{_told(shape['description'])}</p>{_fields(shape, schemas)}")
    return "".join([*parts, _examples(each["payload"] for each in message["examples"]), "</section>"])


def _shape_title(shape: Mapping[str, Any]) -> str:
    channel = shape["properties"].get("channel", {}).get("enum", ["?"])[0]
    is_of_all = any(shape["properties"].get(name, {}).get("enum") == ["*"] for name in ("symbol", "symbols"))
    return f"`{channel}`" + (" of all symbols, `*`" if is_of_all else "")


def _path(path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    name = path.strip("/").replace("/", "-")
    parts = [f'<section class="card" id="path-{escape(name)}"><h4><code>GET {escape(path)}</code></h4>']
    parts.append(f"<p>{_told(operation['summary'])}</p>")
    if operation.get("parameters"):
        rows = [
            (f"`{each['name']}`", _parameter_kind(each), each["description"])
            for each in operation["parameters"]
        ]
        parts.append(_table(("Parameter", "Value", "Meaning"), rows))
    content = operation["responses"].get("200", {}).get("content", {})
    json = content.get("application/json", {})
    for each in json.get("schema", {}).get("anyOf", [json.get("schema", {})]):
        if "$ref" in each:
            answer = _resolved(each, schemas)
            parts.append(f"<p>{_told(answer['description'])}</p>{_fields(answer, schemas)}")
    for columns in content.get("text/csv", {}).get("x-columns", ()):
        parts.append(f"<p>CSV: {_told('`' + ','.join(columns) + '`')}</p>")
    parts.append(_examples([json["example"]] if "example" in json else []))
    statuses = [(status, each["description"]) for status, each in operation["responses"].items()]
    return "".join([*parts, _table(("Status", "Meaning"), statuses), "</section>"])


def _parameter_kind(parameter: Mapping[str, Any]) -> str:
    kind = _kind(parameter["schema"])
    default = parameter["schema"].get("default")
    if parameter["required"]:
        return f"{kind}; required"
    return kind if default in (None, "") else f"{kind}; `{default}` by default"


def _fields(shape: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    rows = [
        (f"`{path}`", _kind(schema) + ("" if is_required else "; may be absent"), meaning)
        for path, schema, is_required, meaning in _fields_in(shape, schemas)
    ]
    return _table(("Field", "Value", "Meaning"), rows) if rows else ""


def _fields_in(
    shape: Mapping[str, Any], schemas: Mapping[str, Any], above: str = ""
) -> Iterator[tuple[str, Mapping[str, Any], bool, str]]:
    """Yield the fields, and after a list of objects those of an entry: path, schema, required, meaning."""
    needed: Sequence[str] = shape.get("required", ())
    for name, schema in shape["properties"].items():
        if name != "type":
            parts = [schema, *schema.get("anyOf", ())]
            meaning = next((each["description"] for each in parts if "description" in each), "")
            yield above + name, schema, name in needed, meaning
        entry = schema.get("items", {})
        if "$ref" in entry:
            yield from _fields_in(_resolved(entry, schemas), schemas, f"{above}{name}[].")


def _kind(schema: Mapping[str, Any]) -> str:
    """Return the values of a schema in words."""
    if "enum" in schema:
        words = [f"`{each}`" for each in schema["enum"]]
        return ", ".join(words) if len(words) <= _MOST_WORDS else f"{len(words)} words"
    if "$ref" in schema:
        return "object"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(_kind, schema["anyOf"])))
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_kind(schema['items'])}"
    if kind == "integer" and ("minimum" in schema or "maximum" in schema):
        least, most = schema.get("minimum"), schema.get("maximum")
        return f"integer from {least}" + ("" if most is None else f" to {most}")
    return kind


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schemas[schema["$ref"].rpartition("/")[2]]
    return found


def _codes(anchor: str, title: str, columns: Sequence[str], codes: Iterable[Mapping[str, Any]]) -> str:
    rows = [[f"`{each['code']}`", *(str(each[name]) for name in columns[1:])] for each in codes]
    heads = [name.capitalize() for name in columns]
    return f'<section class="card" id="{anchor}"><h4>{title}</h4>{_table(heads, rows)}</section>'


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "".join(map(_row, rows))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="reference-table">{table}</div>'


def _row(cells: Sequence[str]) -> str:
    first, *rest = map(_told, cells)
    return f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{each}</td>" for each in rest) + "</tr>"


def _examples(examples: Iterable[Any]) -> str:
    lines = "\n".join(escape(_encode(each).decode()) for each in examples)
    return f'<pre tabindex="0" aria-label="Examples">{lines}</pre>' if lines else ""


def _paragraphs(text: str) -> str:
    """Return a text with an introduction and a list."""
    first, _, points = text.partition("\n\n")
    entries = [" ".join(each.split()) for each in points.removeprefix("- ").split("\n- ")]
    return f"<p>{_told(first)}</p><ul>{''.join(f'<li>{_told(each)}</li>' for each in entries)}</ul>"


def _told(text: str) -> str:
    """Return a text as HTML, with code where it has backquotes."""
    return _CODE.sub(r"<code>\1</code>", escape(text))
