"""The look is held to its own rules: contrast, sizes, nothing from elsewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pages

FOLDER = Path(pages.__file__).parent
LEAST_CONTRAST = 4.5
LEAST_CONTRAST_OF_EDGES = 3.0

PAIRS = [
    *(
        (ink, ground)
        for ink in ("text", "muted", "accent", "up", "down", "warn")
        for ground in ("ground", "surface")
    ),
    *((ink, ground) for ink in ("text", "muted", "up", "down", "warn") for ground in ("raised", "selected")),
    ("warn-ink", "warn-ground"),
    ("ground", "accent"),
]
"""Every ink on every ground that it is used on."""


def tokens(theme: str) -> dict[str, str]:
    css = (FOLDER / "style" / "tokens.css").read_text()
    block = re.search(rf'\[data-theme="{theme}"\] {{(.*?)}}', css, re.DOTALL)
    assert block is not None
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block.group(1)))


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.2."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def mixed(colour: str, ground: str, share: float) -> str:
    parts = [
        round(int(colour[start : start + 2], 16) * share + int(ground[start : start + 2], 16) * (1 - share))
        for start in (1, 3, 5)
    ]
    return "#" + "".join(f"{part:02x}" for part in parts)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_every_text_can_be_read_on_its_ground(theme: str, ink: str, ground: str) -> None:
    values = tokens(theme)

    assert contrast(values[ink], values[ground]) >= LEAST_CONTRAST


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("flash", ["up", "down"])
@pytest.mark.parametrize("ground", ["surface", "selected"])
def test_a_price_can_be_read_while_it_flashes(theme: str, flash: str, ground: str) -> None:
    values = tokens(theme)

    assert contrast(values["text"], mixed(values[flash], values[ground], 0.18)) >= LEAST_CONTRAST


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_edges_of_controls_can_be_seen(theme: str) -> None:
    values = tokens(theme)

    assert contrast(values["edge"], values["surface"]) >= LEAST_CONTRAST_OF_EDGES
    assert contrast(values["edge"], values["ground"]) >= LEAST_CONTRAST_OF_EDGES


def test_both_themes_have_the_same_tokens() -> None:
    assert tokens("dark").keys() == tokens("light").keys()


def sources() -> Iterator[Path]:
    yield from (path for path in FOLDER.rglob("*") if path.suffix in {".css", ".js", ".py"})


def test_nothing_is_fetched_from_elsewhere() -> None:
    # A name of SVG, and an address in a program that a person copies.
    allowed = ("http://www.w3.org/2000/svg", "http://127.0.0.1:8080/client.js")
    for path in sources():
        for address in re.findall(r"https?://[^\s\"'`)]+", path.read_text()):
            assert address.startswith(allowed), f"{path.name} names {address}"


def test_only_the_sizes_and_weights_of_the_look_are_used() -> None:
    for sheet in (FOLDER / "style").glob("*.css"):
        css = sheet.read_text()
        sizes = set(re.findall(r"font(?:-size)?:[^;]*?(\d+)px", css))
        assert sizes <= {"12", "13", "14", "16", "18", "20", "28"}, sheet.name
        assert set(re.findall(r"font-weight: (\d+)", css)) <= {"400", "600"}, sheet.name


def test_colours_stand_in_the_tokens_alone() -> None:
    for sheet in (FOLDER / "style").glob("*.css"):
        if sheet.name != "tokens.css":
            assert not re.search(r"#[0-9a-f]{3,8}\b|rgb\(", sheet.read_text()), sheet.name
