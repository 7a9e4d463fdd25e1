"""README and docs show pictures that exist, and `make screenshots` makes them all: of every page."""

from __future__ import annotations

import re
import zlib
from urllib.parse import urlsplit

from tests.pages.screenshots import FOLDER, MOST_BYTES, SHOTS, names, png
from tests.support.helpers import PROJECT_ROOT

DOCUMENTS = [PROJECT_ROOT / "README.md", *(PROJECT_ROOT / "docs").glob("*.md")]
IMAGE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")
ROUTE = re.compile(r'@ui\.page\("([^"]+)"')


def test_every_page_is_taken() -> None:
    sources = (PROJECT_ROOT / "pages").rglob("*.py")
    routes = {route for source in sources for route in ROUTE.findall(source.read_text())}
    assert len(routes) > 5

    assert {urlsplit(shot.path).path for shot in SHOTS.values()} == routes
    assert {urlsplit(shot.recorded or "/").path for shot in SHOTS.values()} <= routes


def test_documents_show_pictures_that_exist_and_no_other_lies_there() -> None:
    shown = {
        (document.parent / name).resolve().relative_to(PROJECT_ROOT)
        for document in DOCUMENTS
        for name in IMAGE.findall(document.read_text())
    }
    assert len(shown) >= len(SHOTS)
    there = {path.relative_to(PROJECT_ROOT) for path in FOLDER.iterdir()}

    assert shown <= there
    assert {path.name for path in there} == set(names())


def test_pictures_are_small() -> None:
    large = {path.name for path in FOLDER.iterdir() if path.stat().st_size > MOST_BYTES}

    assert large == set()


def test_a_picture_is_written_with_its_colours() -> None:
    written = png(2, 2, [0x102030, 0xFFFFFF], b"\0\1\1\0")

    assert written.startswith(b"\x89PNG\r\n\x1a\n")
    assert b"PLTE\x10\x20\x30\xff\xff\xff" in written
    data = written[written.index(b"IDAT") + 4 : written.index(b"IEND") - 8]
    assert zlib.decompress(data) == b"\0\0\1\0\1\0"
