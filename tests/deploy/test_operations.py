"""`docs/operations.md` and `docs/deployment.md`: alerts, log lines and commands are those that there are."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.app import running_new_main
from tests.support.container import without_rights_to_the_rest
from tests.support.documents import blocks, text_of
from tests.support.helpers import PROJECT_ROOT

MANUAL, DEPLOYMENT = "docs/operations.md", "docs/deployment.md"
RULES = "deploy/prometheus/livemarkets.rules.yml"
TOKEN = "open-Sesame_42_and_more"


# alerts


def test_each_alert_has_a_section_that_says_how_urgent_it_is() -> None:
    [group] = yaml.safe_load(text_of(RULES))["groups"]
    rules = {rule["alert"]: rule for rule in group["rules"]}
    sections = dict(re.findall(r"^### (\w+)\n\n`(\w+)`\. ", text_of(MANUAL), re.MULTILINE))
    assert sections == {name: rule["labels"]["severity"] for name, rule in rules.items()}
    runbooks = {name: rule["annotations"]["runbook"] for name, rule in rules.items()}
    assert runbooks == {name: f"{MANUAL}#{name.lower()}" for name in rules}


def anchors(name: str) -> set[str]:
    """The anchors of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", text_of(name), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_link_with_a_heading_leads_to_it() -> None:
    documents = [path.relative_to(PROJECT_ROOT).as_posix() for path in (PROJECT_ROOT / "docs").glob("*.md")]
    files = [
        path.relative_to(PROJECT_ROOT).as_posix()
        for path in (PROJECT_ROOT / "deploy").rglob("*")
        if path.is_file()
    ]
    into = [
        (name, target, anchor)
        for name in ("README.md", *files)
        for target, anchor in re.findall(r"(docs/[\w-]+\.md)#([\w-]+)", text_of(name))
    ]
    into += [
        (name, f"docs/{target}" if target else name, anchor)
        for name in documents
        for target, anchor in re.findall(r"\]\(([\w.-]*)#([\w-]+)\)", text_of(name))
    ]
    assert len(into) > 100
    assert [link for link in into if link[2] not in anchors(link[1])] == []


# log lines


def templates() -> Iterator[tuple[str, str]]:
    """What the app logs from WARNING on, and how an outage is told: where it stands, and the text."""
    for path in sorted((PROJECT_ROOT / "livemarkets").rglob("*.py")):
        name = path.relative_to(PROJECT_ROOT).as_posix()
        if "/simulator/" in name or "/doctor/" in name:  # programs of their own
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Name(id="logger"), attr="warning" | "error" | "exception" | "critical"
                    ),
                    args=[ast.Constant(value=str(text)), *_],
                ):
                    yield name, text


def literals(template: str) -> list[str]:
    """The parts of a template between its values."""
    return re.split(r"\{[^}]*\}", template)


def makes(template: str, line: str, *, after: bool = False) -> bool:
    """Whether a template, with some values, makes this line, or the end of it after something else."""
    first, *rest = literals(template)
    if not rest:
        return line.endswith(first) if after else line == first
    if not (first in line if after else line.startswith(first)):
        return False
    at = line.find(first) + len(first)
    for part in rest[:-1]:
        found = line.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return line.endswith(rest[-1]) and len(line) - len(rest[-1]) >= at


def shown_lines() -> list[str]:
    table = text_of(MANUAL).partition("\n## Log lines\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)


def is_empty(template: str) -> bool:
    """Whether a template has no words of its own: what it is given is a line."""
    return not re.search(r"\w", "".join(literals(template)))


def test_each_line_that_is_a_warning_or_worse_is_explained() -> None:
    shown = shown_lines()
    unexplained = [
        f"{name}: {template}"
        for name, template in templates()
        if not is_empty(template) and not any(makes(template, line) for line in shown)
    ]
    assert unexplained == []


def test_each_line_that_is_explained_is_one_that_the_app_writes() -> None:
    sources = [PROJECT_ROOT / "main.py", *(PROJECT_ROOT / "livemarkets").rglob("*.py")]
    texts = set()
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
                texts.add("".join(map(str, parts)))
    known = [text for text in texts if len(re.sub(r"\W", "", "".join(literals(text)))) > 8]
    # The name of the exchange may stand before it.
    assert [line for line in shown_lines() if not any(makes(text, line, after=True) for text in known)] == []


def test_a_line_that_no_template_makes_is_found() -> None:
    template = "{}: gap from {} to {} ({}){}"
    assert makes(template, "binance/trades/BTCUSDT: gap from 11 to 42 (upstream)")
    assert not makes(template, "binance/trades/BTCUSDT: gap from 11 until 42 (upstream)")
    assert makes("no REST call for {:.0f} s", "binance: no REST call for 12 s", after=True)
    assert not makes("no REST call for {:.0f} s", "binance: no REST call for 12 s")


# commands

NOT_HERE = {"systemctl", "journalctl", "docker", "podman"}
"""They need a running systemd, or a container engine: only the files that they name are looked for."""
INSTALLING = re.compile(r"python3 -m venv|-m pip install")
"""They need an index of packages, and what they make is there."""


def commands(text: str) -> list[str]:
    """The lines of a block."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def is_run(command: str) -> bool:
    return not INSTALLING.search(command) and shlex.split(command)[0] not in NOT_HERE


COMMANDS = [
    command
    for manual in (DEPLOYMENT, MANUAL)
    for block in blocks(manual, "sh")
    for command in commands(block)
]


def test_files_that_commands_name_are_there() -> None:
    first_hour = [command for block in blocks("docs/first-hour.md", "sh") for command in commands(block)]
    named = {
        word for command in (*COMMANDS, *first_hour) for word in command.split() if word.startswith("deploy/")
    }
    assert len(named) > 4
    assert [name for name in named if not (PROJECT_ROOT / name).is_file()] == []


def programs() -> set[str]:
    return {shlex.split(command)[0] for command in COMMANDS if is_run(command)}


async def test_the_commands_work_on_a_machine_that_has_the_project_where_they_say(tmp_path: Path) -> None:
    """Every block in order, as root, with `/opt` and `/etc` that nobody else sees."""
    places = (os.environ["PATH"], str(PROJECT_ROOT / ".venv/promtool/usr/bin"), "/usr/sbin")
    path = os.pathsep.join(places)
    lines = [command for command in COMMANDS if is_run(command)]
    missing = {name for name in programs() if not name.startswith(".") and not is_a_program(name, path)}
    missing |= {"nginx"}  # the sites name certificates that are nobody's; tests/scenarios/ run them
    lines = [line for line in lines if shlex.split(line)[0] not in missing]
    assert len(lines) > 12
    async with running_new_main(LIVE_ACCESS_TOKEN=TOKEN) as (_, port):
        script = "\n".join(f"{line} || exit" for line in lines).replace("127.0.0.1:8080", f"127.0.0.1:{port}")
        copy = tmp_path / "project"
        shutil.copytree(PROJECT_ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        shutil.copy(PROJECT_ROOT / ".env", copy)
        (copy / ".venv").symlink_to(sys.prefix)
        script = script.replace("$(openssl rand -hex 16)", TOKEN) + "\n" + FINALLY
        async with without_rights_to_the_rest(copy, script, {"PATH": path}) as process:
            assert await process.ended(60) == 0, process.output
    assert process.lines[-3:] == [
        f"LIVE_ACCESS_TOKEN={TOKEN}",
        "600 /etc/livemarkets.env",
        "644 /etc/systemd/system/livemarkets.service",
    ]
    assert "livemarkets_build_info" in process.output
    assert '{"ready":true,"reasons":[],"not_traded":[]}' in process.output


FINALLY = """
tail -n 1 /etc/livemarkets.env
stat -c "%a %n" /etc/livemarkets.env /etc/systemd/system/livemarkets.service
"""


def is_a_program(name: str, path: str) -> bool:
    return name in {"cd", "export", "echo"} or shutil.which(name, path=path) is not None


@pytest.mark.parametrize("command", ["systemctl status livemarkets", "python3 -m venv .venv"])
def test_what_is_not_run_is_known(command: str) -> None:
    assert command in COMMANDS
    assert not is_run(command)
