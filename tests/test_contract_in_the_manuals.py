"""The manuals say what the contract says: messages, fields, codes, parameters, columns, examples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from livemarkets.http_api.answer_types import columns_of
from livemarkets.http_api.asyncapi import asyncapi_template
from livemarkets.http_api.openapi import openapi_template
from livemarkets.http_api.operations import OPERATIONS, Operation
from livemarkets.protocol.codes import CLOSE_ADVICE, ERROR_ADVICE
from livemarkets.protocol.messages import CLOSE_CODES, ERROR_CODES
from tests.support.contract import answer_checks
from tests.support.helpers import PROJECT_ROOT

EXAMPLES = PROJECT_ROOT / "livemarkets" / "http_api"


@cache
def manual(name: str) -> str:
    return (PROJECT_ROOT / "docs" / name).read_text(encoding="utf-8")


def examples_in(text: str) -> list[str]:
    """The lines of JSON in a document."""
    blocks = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def section(text: str, heading: str) -> str:
    """A section with its heading, down to the next one of the same rank or of a higher one."""
    rank = heading.partition(" ")[0]
    found = re.search(rf"^{re.escape(heading)}.*?(?=^#{{2,{len(rank)}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[0]


def rows(text: str) -> list[list[str]]:
    """The cells of each row of the tables in a text, without heads."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("|---")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


# docs/ws-markets.md


def test_the_examples_of_the_contract_are_those_of_the_manual() -> None:
    kept = (EXAMPLES / "message_examples.jsonl").read_text(encoding="utf-8").splitlines()
    assert kept == list(dict.fromkeys(examples_in(manual("ws-markets.md"))))


def sections_of(kind: str) -> Iterator[str]:
    """The sections of the manual that describe a message."""
    text = manual("ws-markets.md")
    for heading in re.findall(r"^(### .*)$", text, re.MULTILINE):
        if f"`{kind}`" in heading:
            yield section(text, heading)
    if kind in ("snapshot", "gap", "lagged", "quality", "subscribed", "unsubscribed", "subscriptions"):
        yield section(text, "## Candles")
        yield section(text, "## The other channels")


def fields_of(schema: dict[str, Any]) -> Iterator[str]:
    """The fields of a schema, and of what is in it."""
    schemas = asyncapi_template()["components"]["schemas"]
    for name, each in schema.get("properties", {}).items():
        yield name
        for reference in re.findall(r"'#/components/schemas/(\w+)'", str(each)):
            yield from fields_of(schemas[reference])


def shapes_of(kind: str) -> list[dict[str, Any]]:
    components = asyncapi_template()["components"]
    payload = components["messages"][kind]["payload"]
    return [
        components["schemas"][each["$ref"].rpartition("/")[2]] for each in payload.get("oneOf", [payload])
    ]


KINDS = list(asyncapi_template()["components"]["messages"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_message_has_a_section_with_all_its_fields(kind: str) -> None:
    """A field stands in the text of the section, or in an example there and in a text elsewhere."""
    text = "\n".join(sections_of(kind))
    assert text.startswith("### ")
    explained = set(re.findall(r"`([a-z_]+)`", text))
    shown = set(re.findall(r'"([a-z_]+)":', text))
    elsewhere = set(re.findall(r"`([a-z_]+)`", manual("ws-markets.md")))
    told = explained | (shown & elsewhere)
    assert {field for shape in shapes_of(kind) for field in fields_of(shape)} - told == set()


def words_in(value: Any) -> Iterator[str]:
    """The words that fields of a schema may have."""
    if isinstance(value, dict):
        yield from (word for word in value.get("enum", ()) if isinstance(word, str))
        for each in value.values():
            yield from words_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from words_in(each)


@pytest.mark.parametrize("kind", KINDS)
def test_the_tables_of_a_message_name_only_what_it_has(kind: str) -> None:
    shapes = shapes_of(kind)
    known = {field for shape in shapes for field in fields_of(shape)} | set(words_in(shapes))
    text = next(sections_of(kind))
    named = {name for row in rows(text) for name in re.findall(r"`([a-z_]+)`", row[0])}
    assert named - known == set()


def test_every_error_code_and_close_code_has_its_row_and_its_advice() -> None:
    text = manual("ws-markets.md")
    errors = [row[0].strip("`") for row in rows(section(text, "### `error`"))[1:]]
    assert errors == list(ERROR_CODES) == list(ERROR_ADVICE)
    closes = [row[0].strip("`") for row in rows(section(text, "## Close codes"))[1:]]
    assert closes == [*map(str, CLOSE_CODES), "1006"]
    assert list(CLOSE_ADVICE) == list(CLOSE_CODES)


# docs/http.md


def test_the_examples_of_answers_are_those_of_the_manual() -> None:
    lines = (EXAMPLES / "answer_examples.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [re.sub(r'^\{"/[^"]+":(.*)\}$', r"\1", line) for line in lines]
    report = '{"ts":'  # a part of what `/api/status` answers
    others = (report, '{"error"')
    told = [line for line in examples_in(manual("http.md")) if not line.startswith(others)]
    assert kept == told
    _, checks = answer_checks()
    for line in examples_in(manual("http.md")):
        if line.startswith('{"error"'):
            assert checks["/api/trades", "400"](json.loads(line)) == ""


def test_every_path_is_in_the_table_of_paths() -> None:
    table = manual("http.md").partition("\n## ")[0]
    named = set(re.findall(r"`(/[^`?]*)`", table))
    assert set(openapi_template(is_enabled=True)["paths"]) - named == set()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.path)
def test_the_section_of_a_path_has_its_parameters_and_columns(operation: Operation) -> None:
    heading = re.search(rf"^## `{operation.path}(?:\?([^`]*))?`$", manual("http.md"), re.MULTILINE)
    assert heading, operation.path
    parameters = {each.name: each for each in operation.parameters if each.name != "format"}
    assert (heading[1] or "") == "&".join(f"{name}=" for name in parameters)
    text = section(manual("http.md"), heading[0])
    for name, default, *_ in [row for row in rows(text) if row[0].strip("`") in parameters]:
        parameter = parameters[name.strip("`")]
        if parameter.is_required:
            assert default == "required", name
        elif parameter.schema.get("default"):
            assert default.strip("`") == str(parameter.schema["default"]), name
    told = set(re.findall(r"`([a-z_]+)`", text)) | {row[0].strip("`") for row in rows(text)}
    assert {name for name in parameters if name != "exchange"} - told == set()
    if not operation.is_list:
        return
    answer = json.loads(next(iter(examples_in(text))))
    entries = next(reversed(answer.values()))
    assert list(entries[0]) == list(columns_of(operation.answers[0]))


def test_the_columns_of_csv_are_told() -> None:
    trades = next(each for each in OPERATIONS if each.path == "/api/trades")
    assert f"`{','.join(columns_of(trades.answers[0]))}`" in section(manual("http.md"), "## Formats")
