"""How the server calls the scripts of a page's elements."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from nicegui import Client, ui
from nicegui.testing import User

from pages.elements.live_element import LiveElement, embed_calls
from pages.elements.trade_tape import TradeTape
from tests.pages.local import LocalServices
from tests.pages.visiting import in_simulated_time as in_simulated_time
from tests.pages.visiting import only, opened
from tests.support.helpers import eventually


def scripts(client: Client) -> list[dict[str, Any]]:
    """What waits to be sent to run in the browser."""
    return [data for _, kind, data in client.outbox.messages if kind == "run_javascript"]


async def test_what_changed_with_a_flush_is_one_message(visitor: User, services: LocalServices) -> None:
    """Each message is a system call here, and an event there."""
    await opened(visitor, services)
    timer, client = only(visitor, ui.timer), visitor.client
    assert client is not None
    assert timer.callback is not None
    await eventually(lambda: not client.outbox.messages)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        services.put(symbol, "101.50")
    await timer.callback()
    [script] = scripts(client)
    assert script["code"].count("runMethod(") >= 3, "of the grid, the head and the tape"


async def test_calls_come_in_their_order_and_not_after_they_were_sent(
    visitor: User, services: LocalServices
) -> None:
    grid = await opened(visitor, services)
    tape, client = only(visitor, TradeTape), visitor.client
    assert client is not None
    await eventually(lambda: not client.outbox.messages)
    grid.call("first", 1, {"a": 'b"'})
    tape.call("second")
    client.run_javascript("of the framework").fire_and_forget()
    grid.call("third")
    calls, framework, further = scripts(client)
    ids = grid.id, tape.id
    caught = "catch(e){reportError(e)}"
    assert calls["code"] == (
        f'try{{runMethod({ids[0]},"first",[1,{{"a":"b\\""}}])}}{caught}'
        f'try{{runMethod({ids[1]},"second",[])}}{caught}'
    )
    assert framework["code"] == "of the framework"
    assert further["code"] == f'try{{runMethod({ids[0]},"third",[])}}{caught}'
    await eventually(lambda: not client.outbox.messages)
    grid.call("fourth")
    assert "fourth" not in further["code"]
    assert len(scripts(client)) == 1


async def test_a_page_that_is_gone_is_told_nothing(visitor: User, services: LocalServices) -> None:
    grid = await opened(visitor, services)
    assert visitor.client is not None
    visitor.client.delete()
    waiting = len(visitor.client.outbox.messages)
    grid.call("late")
    assert len(visitor.client.outbox.messages) == waiting


@pytest.mark.parametrize(
    ("path", "value"),
    [("/labs?symbols=BTCUSDT,ETHUSDT", '["BTCUSDT","61837.63"'), ("/labs/overview", '"61500"')],
)
async def test_the_first_values_are_in_the_page_itself(
    visitor: User, services: LocalServices, path: str, value: str
) -> None:
    """They are painted before the socket is open."""
    services.put("BTCUSDT", "61837.63")
    services.put_tickers({"BTCUSDT": "61500.00"})
    before = set(Client.instances)
    page = (await visitor.http_client.get(path)).text
    first = page.partition("addEventListener('DOMContentLoaded'")[2].partition("</script>")[0]
    assert value in first
    [client] = (Client.instances[new] for new in Client.instances.keys() - before)
    assert not [script for script in scripts(client) if "runMethod" in script["code"]], "nothing comes twice"


async def test_no_text_ends_the_script_in_a_page(visitor: User) -> None:
    await visitor.open("/")
    text = "</script><script>alert('1')</script><!--"
    with Client(ui.page("/other")) as client:
        element = LiveElement()
        element.call("show", text)
        embed_calls(client)
    script = re.fullmatch(r"<script>(.*)</script>\n?", client.body_html)
    assert script is not None
    assert "<" not in script[1]
    called = script[1].partition('"show",')[2].partition(")}catch")[0]
    assert json.loads(called) == [text]
    embed_calls(client)
    assert client.body_html.count("<script>") == 1, "nothing is embedded twice"
    client.delete()
