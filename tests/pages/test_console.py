"""Labs › Console without a browser: the form, what the address says, the programs, the meanings."""

from __future__ import annotations

import gc
import json
import shlex
import weakref
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nicegui import Client
from nicegui.testing import User

from livemarkets.config.settings import Settings
from livemarkets.http_api.asyncapi import read_examples
from livemarkets.market.channels import CHANNELS
from livemarkets.protocol.messages import CLIENT_MESSAGE_TYPES
from pages.elements.copy_button import CopyButton
from pages.labs.console.console_panel import ConsolePanel
from pages.labs.console.explanations import explanations
from pages.labs.console.message_form import Draft, compose, fault_in, fields_of, read_draft
from pages.labs.console.programs import programs
from pages.labs.console.url import ConsoleUrl
from tests.pages.local import LocalServices
from tests.pages.visiting import in_simulated_time as in_simulated_time
from tests.pages.visiting import only
from tests.support.contract import what_is_wrong

EXCHANGES = ("binance", "simulator")
OF_CLIENTS = [
    each for each in read_examples("message_examples.jsonl") if each["type"] in CLIENT_MESSAGE_TYPES
]
URL = "ws://127.0.0.1:8080/ws/markets"


# the form


@pytest.mark.parametrize("example", OF_CLIENTS, ids=lambda example: example["type"])
def test_each_example_fills_in_the_form_and_comes_out_of_it_again(example: dict[str, Any]) -> None:
    draft = read_draft(json.dumps(example), "binance")
    assert draft is not None
    message = json.loads(compose(draft))
    if "symbol" in example:
        example = {name: value for name, value in example.items() if name != "symbol"}
        example["symbols"] = [*message["symbols"]]
    assert message == example
    assert fault_in(compose(draft), EXCHANGES) == ""


@pytest.mark.parametrize("kind", CLIENT_MESSAGE_TYPES)
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_filled_form_is_a_message_of_the_contract(kind: str, channel: str) -> None:
    right = {"symbols": "btcusdt, ETHUSDT", "after": "BTCUSDT=5, ETHUSDT = 0", "id": "seven"}
    values = {
        field.name: right.get(field.name) or (field.options or (str(field.least),))[-1]
        for field in fields_of(kind, channel)
    }
    message = compose(Draft(kind=kind, exchange="simulator", channel=channel, values=values))
    said = json.loads(message)
    assert what_is_wrong(said) == ""
    assert fault_in(message, EXCHANGES) == ""
    assert said["id"] == "seven"
    assert set(values) == said.keys() - {"type", "exchange", "channel"}


def test_what_cannot_be_right_stays_as_it_was_typed_and_is_told() -> None:
    for name, typed, told in (
        ("interval_ms", "soon", "interval_ms must be a whole number from 20 to 60000"),
        ("after", "everything", "after must be an object"),
        ("snapshot", "9" * 40, "snapshot must be a whole number"),
        ("symbols", "", "symbol or symbols is missing"),
    ):
        draft = Draft(kind="subscribe", exchange="binance", values={"symbols": "BTCUSDT", name: typed})
        message = compose(draft)
        assert told in fault_in(message, EXCHANGES)
        assert json.loads(message).get(name, "") == typed


@given(
    st.text(max_size=40) | st.sampled_from(OF_CLIENTS).map(json.dumps).flatmap(st.permutations).map("".join)
)
@example('{"type": "\ud800"}')  # half a character, as a browser may send it
def test_no_text_breaks_the_form(text: str) -> None:
    draft = read_draft(text, "binance")
    assert isinstance(fault_in(text, EXCHANGES), str)
    assert draft is None or json.loads(compose(draft))["type"] == draft.kind


# the address


@given(
    st.text(st.characters(codec="utf-8"), max_size=300), st.text(st.characters(codec="utf-8"), max_size=64)
)
def test_the_address_keeps_message_and_filter(message: str, words: str) -> None:
    query = parse_qs(urlsplit(ConsoleUrl(message=message, filter=words).url).query, keep_blank_values=True)
    assert query["message"] == [message]
    assert query.get("show", [""]) == [words]


def test_a_message_too_long_for_an_address_is_left_out() -> None:
    assert ConsoleUrl(message="x" * 3000, filter="gap").url == "/labs/console?show=gap"


# programs

AWKWARD = '{"type":"ping","id":"it\'s \\"quoted\\" $HOME `id` \\u2028 </script> 币安人生"}'


@pytest.mark.parametrize("message", ['{"type":"ping"}', AWKWARD, "not JSON \\ ' \""])
@pytest.mark.parametrize("has_token", [False, True])
def test_a_program_sends_exactly_the_message(message: str, has_token: bool) -> None:
    found = programs(message, URL, has_token=has_token)
    python: dict[str, Any] = {}
    lines = [line for line in found["Python"].splitlines() if line.startswith(("URL = ", "MESSAGE = "))]
    exec("\n".join(lines), python)
    assert (python["URL"], python["MESSAGE"]) == (URL, message)
    compile(found["Python"], "program", "exec")
    [sent] = [line for line in found["JavaScript"].splitlines() if "socket.send(" in line]
    assert json.loads(sent.partition("socket.send(")[2].removesuffix(");")) == message
    arguments = shlex.split(found["wscat"])
    assert arguments[0] == "wscat"
    assert arguments[arguments.index("--connect") + 1] == URL
    assert arguments[arguments.index("--execute") + 1] == message
    for program in found.values():
        assert ("LIVE_ACCESS_TOKEN" in program) == has_token


# the meanings


def paths_of(value: dict[str, Any], above: str = "") -> list[str]:
    """The fields of a message as the console's script names them."""
    found = []
    for name, each in value.items():
        if above or name != "type":
            found.append(above + name)
        if isinstance(each, list) and each and isinstance(each[0], dict):
            found += paths_of(each[0], f"{above}{name}.")
    return found


@pytest.mark.parametrize(
    "example", read_examples("message_examples.jsonl"), ids=lambda example: example["type"]
)
def test_each_field_of_each_message_has_a_meaning(example: dict[str, Any]) -> None:
    messages = explanations()["messages"]
    about = messages.get(f"{example['type']} {example.get('channel')}") or messages[example["type"]]
    assert about["summary"]
    assert [path for path in paths_of(example) if not about["fields"].get(path)] == []


# the page


async def opened(visitor: User, **parameters: str) -> ConsolePanel:
    query = f"?{urlencode(parameters)}" if parameters else ""
    await visitor.open(f"/labs/console{query}")
    return only(visitor, ConsolePanel)


async def test_the_page_begins_with_a_right_message_and_wants_nothing(
    visitor: User, services: LocalServices
) -> None:
    panel = await opened(visitor)
    assert what_is_wrong(json.loads(panel.message)) == ""
    assert panel.fault == ""
    assert services.manager.counts() == (0, 0, 0)
    programs = {each._props["label"]: each._props["text"] for each in visitor.find(CopyButton).elements}
    assert panel.message in programs["wscat"]
    assert "ws://test/ws/markets" in programs["Python"]


@pytest.mark.parametrize(
    "message", ["", "nonsense", "[" * 5000, '{"type":7}', '{"type":"list"}', "\x00", "x" * 9000]
)
async def test_any_address_gives_a_page(visitor: User, message: str) -> None:
    panel = await opened(visitor, message=message, show="a" * 500)
    assert panel.message == (message or panel.message)
    assert bool(panel.fault) == (message not in ("", '{"type":"list"}'))
    assert len(panel._props["words"]) == 64


async def test_the_form_follows_the_text_and_the_text_the_form(visitor: User) -> None:
    panel = await opened(visitor, message='{"type":"ping","id":1}')
    await visitor.should_not_see("Channel")
    example = {
        "type": "subscribe",
        "exchange": "simulator",
        "channel": "depth",
        "symbol": "btcusdt",
        "levels": 5,
    }
    visitor.find(ConsolePanel).trigger("edit", json.dumps(example))
    await visitor.should_see("Channel")
    await visitor.should_see("levels")
    assert panel.fault == ""
    visitor.find(ConsolePanel).trigger("edit", '{"type":"subscribe"}')
    assert panel.fault.startswith("invalid_message: exchange is missing")


async def test_a_closed_page_is_freed(visitor: User) -> None:
    panel = weakref.ref(await opened(visitor))
    for client in list(Client.instances.values()):
        client.delete()
    gc.collect()
    assert panel() is None


class TestSwitchedOff:
    @pytest.fixture
    def services(self) -> LocalServices:
        return LocalServices(Settings(stream_enabled="false"))

    async def test_console_and_reference_do_not_exist(self, visitor: User) -> None:
        for path in ("/labs/console", "/labs/reference"):
            assert (await visitor.http_client.get(path)).status_code == 404
        await visitor.open("/")
        await visitor.should_not_see("Console")
