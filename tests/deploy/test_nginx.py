"""`docs/proxies.md` shows what `deploy/nginx/` has. The tests of `tests/scenarios/` run those files."""

from __future__ import annotations

import re

import pytest

from tests.support.documents import blocks, text_of
from tests.support.helpers import PROJECT_ROOT

MANUAL = "docs/proxies.md"
FILES = sorted(
    path.relative_to(PROJECT_ROOT).as_posix() for path in (PROJECT_ROOT / "deploy/nginx").rglob("*.conf")
)


def bare(text: str) -> str:
    """A configuration without comments and empty lines."""
    lines = [re.sub(r"\s+#.*", "", line.rstrip()) for line in text.splitlines()]
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))


def shown() -> dict[str, str]:
    """By the file that the manual names before it, each block of nginx that it shows."""
    named = r"`(deploy/nginx/[\w/.]+)`[^\n]*\n\n```nginx\n(.*?)^```$"
    return dict(re.findall(named, text_of(MANUAL), re.MULTILINE | re.DOTALL))


def test_the_manual_shows_every_file_and_nothing_else() -> None:
    assert sorted(shown()) == FILES
    assert len(blocks(MANUAL, "nginx")) == len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_block_of_the_manual_is_what_the_file_has(name: str) -> None:
    assert bare(shown()[name]) in bare(text_of(name))


def test_what_is_left_out_of_a_site_is_told_with_another_one() -> None:
    """The map that every site needs once is shown in the first one."""
    told = bare(shown()["deploy/nginx/sites/root.conf"])
    assert told == bare(text_of("deploy/nginx/sites/root.conf"))
    map_of_all, _, _ = told.partition("server {")
    rest = bare(text_of("deploy/nginx/sites/instances.conf")).removeprefix(map_of_all)
    assert rest == bare(shown()["deploy/nginx/sites/instances.conf"])
    assert bare(text_of("deploy/nginx/snippets/livemarkets.conf")) == bare(
        shown()["deploy/nginx/snippets/livemarkets.conf"]
    )


def test_another_line_would_be_found() -> None:
    name = "deploy/nginx/snippets/livemarkets.conf"
    assert bare(shown()[name].replace("60s", "600s")) not in bare(text_of(name))
