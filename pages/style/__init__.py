"""Style sheets and the scripts for the head of every page: the theme, and what a refused page says."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from urllib.parse import quote

__all__ = ["FAVICON", "favicon_url", "head_html", "sheet_html"]

_FOLDER = Path(__file__).parent
_SHEETS = ("tokens", "base", "shell", "home", "labs", "overview", "status", "grid", "market", "tape", "plain")
_SCRIPTS = ("theme", "refusals")

FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<rect width="32" height="32" rx="7" fill="#161b22"/>'
    '<path d="M5 20l6-7 5 5 5-9 6 5" fill="none" stroke="#5b9dff" stroke-width="3" stroke-linecap="round"'
    ' stroke-linejoin="round"/><circle cx="21" cy="9" r="3" fill="#e6eaf0"/></svg>'
)
"""The logo, as the icon of the browser's tab."""


def favicon_url() -> str:
    """Return the logo as a `data:` URL, which needs no request."""
    return f"data:image/svg+xml,{quote(FAVICON)}"


@cache
def head_html() -> str:
    """Return the style sheets and the scripts as HTML for the head.

    They are inline, so that the first paint has its styles and its theme without a second request. The
    scripts run before the framework's.
    """
    sheets = "\n".join((_FOLDER / f"{name}.css").read_text(encoding="utf-8") for name in _SHEETS)
    scripts = "\n".join((_FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)
    return f"<style>{sheets}</style><script>{scripts}</script>"


@cache
def sheet_html(name: str) -> str:
    """Return a style sheet that only one page has, as HTML for its head."""
    return f"<style>{(_FOLDER / f'{name}.css').read_text(encoding='utf-8')}</style>"
