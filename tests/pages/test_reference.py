"""Labs › Reference: the whole contract, for people."""

from __future__ import annotations

import re
from html import escape

from nicegui.testing import User

from livemarkets.http_api.asyncapi import asyncapi_template
from livemarkets.http_api.openapi import openapi_template
from livemarkets.protocol.messages import CLOSE_CODES, ERROR_CODES
from pages.labs.reference.render import render_http, render_websocket
from tests.pages.local import LocalServices
from tests.pages.visiting import in_simulated_time as in_simulated_time


def test_every_message_with_every_field_and_code_is_there() -> None:
    document = asyncapi_template()
    html = render_websocket(document)
    for name, message in document["components"]["messages"].items():
        [section] = re.findall(rf'<section class="card" id="message-{name}">(.*?)</section>', html, re.DOTALL)
        for shape in re.findall(r"'#/components/schemas/(\w+)'", str(message["payload"])):
            schema = document["components"]["schemas"][shape]
            assert all(
                f'<th scope="row"><code>{field}</code></th>' in section
                for field in schema["properties"]
                if field != "type"
            )
        assert section.count("<pre") == 1
    for code in (*ERROR_CODES, *CLOSE_CODES):
        assert f'<th scope="row"><code>{code}</code></th>' in html


def test_every_path_with_its_parameters_and_columns_is_there() -> None:
    document = openapi_template(is_enabled=True)
    html = render_http(document)
    for path, methods in document["paths"].items():
        assert f"<h4><code>GET {path}</code></h4>" in html
        assert all(each["name"] in html for each in methods["get"].get("parameters", ()))
    assert "CSV: <code>exchange,symbol,price,size,side,ts,id,recv_ts</code>" in html


def test_text_of_the_contract_is_no_markup() -> None:
    document = asyncapi_template()
    hostile = '<script>alert("1")</script>'
    messages = {
        "welcome": document["components"]["messages"]["welcome"] | {"examples": [{"payload": hostile}]}
    }
    components = document["components"] | {"messages": messages}
    html = render_websocket(
        document | {"components": components, "info": {"description": f"{hostile}\n\n- a"}}
    )
    assert "<script" not in html
    assert html.count(escape("<script>")) == 2


async def test_the_page_is_served_and_subscribes_nothing(visitor: User, services: LocalServices) -> None:
    await visitor.open("/labs/reference")
    await visitor.should_see("Reference")
    await visitor.should_see("/asyncapi.json")
    assert services.manager.counts() == (0, 0, 0)
