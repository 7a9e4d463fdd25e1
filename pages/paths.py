"""The address of a path of this app, as the browser has to request it."""

from __future__ import annotations

from nicegui import Client, context

__all__ = ["markets_url", "prefix_of", "prefixed"]


def prefix_of(client: Client) -> str:
    """Return the path prefix under which a proxy serves the app, such as `/markets`; empty for none."""
    return str(client.request.scope.get("root_path", ""))


def prefixed(path: str) -> str:
    """Return a path with the prefix of the page that is being built."""
    return prefix_of(context.client) + path


def markets_url(client: Client) -> str:
    """Return the address of `/ws/markets` on the host that the page was requested from."""
    url = client.request.url
    scheme = "wss" if url.scheme == "https" else "ws"
    return f"{scheme}://{url.netloc}{prefix_of(client)}/ws/markets"
