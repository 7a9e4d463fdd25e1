"""The page framework does as before, with less work."""

from __future__ import annotations

import functools
import gc
import inspect
import json
import re
import string
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from nicegui import client, helpers
from nicegui.props import Props
from nicegui.testing import User

SIGNATURES = 30
"""Of functions that a page looks at, where there were 212."""


class _Listener:
    def nothing(self) -> None: ...

    def event(self, event: object) -> None: ...

    def perhaps(self, event: object = None) -> None: ...

    def any_number(*events: object) -> None: ...

    @staticmethod
    def of_nobody(event: object) -> None: ...

    @classmethod
    def of_all(cls, event: object) -> None: ...

    def __call__(self, event: object) -> None: ...


def _named(*, event: object) -> None: ...


def _perhaps_named(*, event: object = None) -> None: ...


@functools.wraps(_named)
def _like_named() -> None: ...


listener = _Listener()


@pytest.mark.usefixtures("visitor")
@pytest.mark.parametrize(
    ("function", "expects"),
    [
        (listener.nothing, False),
        (listener.event, True),
        (listener.perhaps, False),
        (listener.any_number, False),
        (listener.of_nobody, True),
        (listener.of_all, True),
        (listener, True),
        (_named, True),
        (_perhaps_named, False),
        (_like_named, True),
        (functools.partial(listener.event, None), False),
        (lambda: None, False),
        (lambda event: event, True),
        (lambda event=None: event, False),
        (lambda *events, **named: (events, named), False),
    ],
)
def test_a_listener_gets_an_event_if_it_expects_one(function: Callable[..., Any], expects: bool) -> None:
    assert helpers.expects_arguments(function) is expects


@pytest.mark.usefixtures("visitor")
def test_properties_leave_no_garbage_and_are_nobody_elses() -> None:
    text = 'aria-label="Watch list" disable rows=3 options=[1,2]'
    Props.parse("aria-label='Once'")
    gc.collect()
    for _ in range(3):
        assert Props.parse("aria-label='Once'") == {"aria-label": "Once"}
    assert gc.collect() == 0
    first, second = Props.parse(text), Props.parse(text)
    assert first == {"aria-label": "Watch list", "disable": True, "rows": "3", "options": [1, 2]}
    first["options"].append(3)
    assert second["options"] == [1, 2]
    Props.parse("a=b")["c"] = "d"
    assert Props.parse("a=b") == {"a": "b"}


@pytest.mark.usefixtures("visitor")
def test_markup_in_a_page_is_escaped() -> None:
    escaped = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "&#96;", "$": "&#36;"}
    text = string.printable + "‹Über›\0"
    expected = "".join(escaped.get(letter, letter) for letter in text)
    assert text.translate(client.HTML_ESCAPE_TABLE) == expected
    assert set(range(128)) <= client.HTML_ESCAPE_TABLE.keys(), "a letter without entry costs an error"


async def test_a_page_needs_few_signatures(visitor: User) -> None:
    """Each takes as long as ten elements, and the framework looked at four for each element."""
    await visitor.open("/labs?symbols=BTCUSDT")  # the first one costs what is loaded once
    made = 0

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal made
        made += event == "call" and frame.f_code is inspect.signature.__code__

    sys.setprofile(count)
    try:
        await visitor.open("/labs?symbols=BTCUSDT")
    finally:
        sys.setprofile(None)
    assert made < SIGNATURES


@pytest.mark.parametrize("path", ["/labs?symbols=BTCUSDT", "/labs/overview", "/labs/status"])
async def test_a_browser_is_told_at_once_of_all_modules(visitor: User, path: str) -> None:
    """Otherwise it finds the imports of a module in its text only, then theirs, one journey after another."""
    page = (await visitor.http_client.get(path)).text
    found = re.search(r'<script type="importmap">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    modules: dict[str, str] = json.loads(found[1])["imports"]
    preloaded = re.findall(r'<link rel="modulepreload" href="([^"]+)"', page)
    assert len(preloaded) == len(set(preloaded)) > 10
    texts = [page, *[(await visitor.http_client.get(address)).text for address in preloaded]]
    imported = {
        modules.get(name, name)
        for text in texts
        for name in re.findall(r'^\s*import .*?from "([^"]+)"', text, re.MULTILINE)
    }
    assert imported == set(preloaded)
