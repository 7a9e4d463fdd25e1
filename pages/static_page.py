"""Static pages: plain HTML in the style of the app, without the framework."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from pages.style import favicon_url, head_html

__all__ = ["not_found", "plain_page"]


def plain_page(title: str, content: str) -> str:
    """Return a page with `content`, which is HTML."""
    return f"""<!doctype html>
<html lang="en-US">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title} · Live Markets</title>
<link rel="icon" href="{favicon_url()}">
{head_html()}
</head>
<body>
<main class="plain">
<span class="shell-mark">Live Markets</span>
{content}
</main>
</body>
</html>
"""


async def not_found(request: Request, _: Exception) -> Response:
    """Answer 404: a page for browsers, JSON for programs that ask for it, one line of text for others.

    The framework would build a live page for each wrong address, keep it for a minute, and log the address
    with its query.
    """
    accepted = request.headers.get("accept", "")
    if "text/html" not in accepted:
        if "application/json" in accepted:
            return Response('{"error":"not found"}', 404, media_type="application/json")
        return PlainTextResponse("not found\n", 404)
    return HTMLResponse(_not_found_page(request.scope.get("root_path", "")), 404)


def _not_found_page(prefix: str) -> str:
    return plain_page(
        "Not found",
        f"""<div class="card">
<h1>There is no such page</h1>
<p>The address may be mistyped, or the page may be switched off.</p>
<a class="primary" href="{prefix}/">Home</a>
</div>""",
    )
