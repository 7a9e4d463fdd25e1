"""The manual of `/ws/markets` and of HTTP is true: its examples are what the code says, its clients run."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from livemarkets.protocol.messages import CLIENT_MESSAGE_TYPES, SERVER_MESSAGE_TYPES

from livemarkets.protocol.requests import parse_request
from livemarkets.server.websocket_protocol import PreframedProtocol
from tests.support.app import RunningApp, running_app, running_process, settings_for
from tests.support.helpers import PROJECT_ROOT

MANUAL = (PROJECT_ROOT / "docs" / "ws-markets.md").read_text(encoding="utf-8")
HTTP = (PROJECT_ROOT / "docs" / "http.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


MESSAGES = [line for block in blocks(MANUAL, "json") for line in block.splitlines()]


@pytest.fixture
async def app() -> AsyncIterator[RunningApp]:
    async with running_app(settings_for(None), ws=PreframedProtocol) as app:
        yield app


def test_every_example_is_a_message_and_every_message_has_an_example() -> None:
    types = {json.loads(line)["type"] for line in MESSAGES}
    assert types == {*CLIENT_MESSAGE_TYPES, *SERVER_MESSAGE_TYPES}


def test_every_example_of_a_clients_message_is_accepted() -> None:
    accepted = 0
    for line in MESSAGES:
        if json.loads(line)["type"] in CLIENT_MESSAGE_TYPES:
            parse_request(line, ("binance", "simulator"), snapshot_limit=1000)
            accepted += 1
    assert accepted >= 8


async def test_the_fields_of_the_examples_are_those_on_the_wire(app: RunningApp) -> None:
    client = await app.connect(greet=False)
    examples = {example["type"]: example for example in map(json.loads, MESSAGES)}
    messages = [await client.receive()]
    messages.append(await client.subscribe("BTCUSDT", exchange="simulator", snapshot=10))
    messages += [await client.next(kind) for kind in ("status", "snapshot", "trade")]
    messages += [await client.ask("list"), await client.ask("ping"), await client.ask("nonsense")]
    messages.append(await client.unsubscribe("BTCUSDT", exchange="simulator"))
    for message in messages:
        assert message.keys() == examples[message["type"]].keys(), message["type"]


def with_address(program: str, app: RunningApp) -> str:
    assert "ws://127.0.0.1:8080/" in program
    return program.replace("127.0.0.1:8080", f"127.0.0.1:{app.port}")


async def test_the_python_client_of_the_manual_runs(app: RunningApp) -> None:
    (program,) = blocks(MANUAL, "python")
    async with running_process("-c", with_address(program, app)) as process:
        await process.says("BTCUSDT buy ")
        await process.says("BTCUSDT sell ")


async def test_the_javascript_client_of_the_manual_runs(
    app: RunningApp, node_with_ws: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    (program,) = blocks(MANUAL, "js")
    node, environment = node_with_ws
    script = tmp_path / "client.cjs"
    script.write_text('globalThis.WebSocket ??= require("ws");\n' + with_address(program, app))
    async with running_process(script, environment=environment, program=node) as process:
        await process.says("BTCUSDT buy ")
        await process.says("BTCUSDT sell ")


def test_every_example_of_http_is_json() -> None:
    assert len([json.loads(block) for block in blocks(HTTP, "json")]) == 5
