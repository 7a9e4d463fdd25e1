"""The rules of the code's shape that tools can see."""

import ast
import functools
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import livemarkets
from tests.support.helpers import PROJECT_ROOT

SOURCES = sorted([*(PROJECT_ROOT / "livemarkets").rglob("*.py"), *(PROJECT_ROOT / "pages").rglob("*.py")])
LINES_AT_MOST = 300


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT_ROOT).as_posix()


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_the_import_contracts_are_kept() -> None:
    outcome = lint_imports(PROJECT_ROOT)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


PLANTED = [
    ("livemarkets/market/stores.py", "import livemarkets.feed.exchange_feed", "Layers"),
    ("livemarkets/delivery/fanout.py", "import websockets", "Pure modules"),
    ("livemarkets/ws_markets/hub.py", "import nicegui", "NiceGUI is known"),
    ("pages/home.py", "import livemarkets.exchanges.binance.client", "Pages never"),
    (
        "livemarkets/simulator/market/simulated_market.py",
        "import livemarkets.exchanges.binance.messages",
        "do not know each other",
    ),
    ("livemarkets/newcomer.py", "", "newcomer"),
]
"""A module, a line that is added to it, and the contract that it breaks."""


@pytest.fixture(scope="module")
def found_planted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is said of a copy with all violations: each is in a module of its own."""
    copy = tmp_path_factory.mktemp("planted")
    for folder in ("livemarkets", "pages"):
        shutil.copytree(PROJECT_ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT_ROOT / "pyproject.toml", copy)
    for module, line, _ in PLANTED:
        with (copy / module).open("a") as file:
            file.write(f"\n{line}\n")
    outcome = lint_imports(copy)
    assert outcome.returncode != 0
    return outcome.stdout


@pytest.mark.parametrize(("module", "line", "contract"), PLANTED)
def test_a_planted_violation_is_found(module: str, line: str, contract: str, found_planted: str) -> None:
    said = [text for text in found_planted.splitlines() if contract in text]
    assert any("BROKEN" in text for text in said) or (not line and said), found_planted
    importer = module.removesuffix(".py").replace("/", ".")
    chain = f"{importer} -> {line.removeprefix('import ')}"
    assert not line or chain in " ".join(found_planted.split()), found_planted


def test_the_map_in_the_package_shows_every_package_on_its_layer() -> None:
    tools = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]
    contract = next(each for each in tools["importlinter"]["contracts"] if each["id"] == "layers")
    layers = [[name.strip(" ()") for name in layer.split("|")] for layer in contract["layers"]]
    shown = re.findall(r"^    (\w+)/?  +\S", livemarkets.__doc__ or "", re.MULTILINE)
    position = {name: number for number, layer in enumerate(layers) for name in layer}
    assert sorted(shown) == sorted(position)
    assert shown == sorted(shown, key=position.__getitem__)


def test_a_module_is_one_idea_that_fits_a_few_screens() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in lengths.items() if lines > LINES_AT_MOST} == {}


@functools.cache
def uses(path: Path) -> tuple[tuple[str, str, int], ...]:
    """Each `name.attribute` in a module, with its line."""
    return tuple(
        (node.value.id, node.attr, node.lineno)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    )


def test_only_settings_reads_the_environment() -> None:
    readers = {
        name_of(path)
        for path in SOURCES
        for name, attribute, _ in uses(path)
        if name == "os" and "env" in attribute
    }
    # The exchange is a program of its own, with a secret that belongs on no command line; the other module
    # hands the environment on to it.
    apart = {"livemarkets/simulator/__main__.py", "livemarkets/embedded/exchange.py"}
    assert readers - apart == {"livemarkets/config/settings.py"}


def test_only_log_configures_loguru() -> None:
    configuring = {"add", "remove", "configure"}
    found = {
        name_of(path)
        for path in SOURCES
        for name, attribute, _ in uses(path)
        if name == "logger" and attribute in configuring
    }
    # The standalone exchange is a program of its own, below the floor of `log`.
    assert found - {"livemarkets/simulator/__main__.py"} == {"livemarkets/config/log.py"}


def test_nothing_stops_the_event_loop_to_wait() -> None:
    found = [
        f"{name_of(path)}:{line}"
        for path in SOURCES
        for name, attribute, line in uses(path)
        if (name, attribute) == ("time", "sleep")
    ]
    assert found == []
