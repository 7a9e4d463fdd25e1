"""An element whose script the server calls, without an answer."""

from __future__ import annotations

from typing import Any

from nicegui import Client, json, ui

__all__ = ["LiveElement", "embed_calls"]


class LiveElement(ui.element):
    """An element whose script has methods for the server to call.

    The framework has a task and a message for each call, and each message costs a system call. Here, calls
    that wait for the same sending make up one message.
    """

    def call(self, method: str, *arguments: Any) -> None:
        """Call a method of the script. Calls of a page arrive in their order, after changed properties."""
        if not self._is_safe_to_interact():
            return
        # An error in one call is told to the console, and does not keep the next one from being made.
        made = f"runMethod({self.id},{json.dumps(method)},{json.dumps(arguments)})"
        code = f"try{{{made}}}catch(e){{reportError(e)}}"
        client = self.client
        waiting = client.outbox.messages
        if waiting and isinstance(calls := waiting[-1][2], _Calls):
            calls["code"] += code
        else:
            client.outbox.enqueue_message("run_javascript", _Calls(code=code), client.id)


class _Calls(dict[str, Any]):
    """A message with calls. The framework adds its number when it is sent."""


def embed_calls(client: Client) -> None:
    """Put the calls that wait for the socket of a new page into its HTML.

    They are made when the elements are there, and so the first paint has data. The socket opens after it.
    """
    waiting = client.outbox.messages
    embedded = [message for message in waiting if isinstance(message[2], _Calls)]
    for message in embedded:
        waiting.remove(message)
    if embedded:
        code = "".join(calls["code"] for _, _, calls in embedded).replace("<", r"\u003c")  # only within texts
        with client:
            ui.add_body_html(f"<script>addEventListener('DOMContentLoaded',()=>{{{code}}})</script>")
