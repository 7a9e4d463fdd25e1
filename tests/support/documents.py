"""What the documents show."""

from __future__ import annotations

import re

from tests.support.helpers import PROJECT_ROOT


def text_of(name: str) -> str:
    """A file of the project, by its path below the root."""
    return (PROJECT_ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The blocks of code of a document in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(name), re.MULTILINE | re.DOTALL)
