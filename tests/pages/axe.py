"""The checks of axe-core on a page in a real Chromium: what is hard to use for people with a disability."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.pages.browser import Tab
from tests.support.helpers import PROJECT_ROOT

SCRIPT = PROJECT_ROOT / ".venv" / "node" / "node_modules" / "axe-core" / "axe.min.js"
"""The Makefile installs it, where Node.js is."""

needs_axe = pytest.mark.skipif(not SCRIPT.exists(), reason="axe-core is not installed: no Node.js here")

RUN = """async (rules) => {
    // What follows the size of an element does so with the next frame.
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const options = { preload: false, resultTypes: ["violations"], ...(rules.length && { runOnly: rules }) };
    const { violations } = await axe.run(document, options);
    return violations.flatMap(({ id, impact, help, nodes }) =>
        nodes.map(({ target, any, all, none }) => {
            const [why] = [...any, ...all, ...none].map(({ message }) => message);
            return `${impact} ${id}: ${help}: ${target.join(" ")}: ${why}`;
        }));
}"""


@cache
def _source(path: Path) -> str:
    return path.read_text()


async def findings(shown: Tab, *rules: str) -> list[str]:
    """What axe-core finds on the page as it is now: at any impact, by all its rules or by those named."""
    if await shown.run("typeof axe") == "undefined":
        await shown.run(_source(SCRIPT))
    found: list[Any] = await shown.page.evaluate(RUN, list(rules))
    return [str(each) for each in found]
