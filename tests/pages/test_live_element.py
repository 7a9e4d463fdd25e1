"""How the server calls the scripts of a page's elements."""

from __future__ import annotations

from typing import Any

from nicegui import Client, ui
from nicegui.testing import User

from pages.elements.trade_tape import TradeTape
from tests.pages.local import LocalServices
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
