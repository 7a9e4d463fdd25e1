"""The documents say what the code does: settings, messages, metrics, commands. They name no machine."""

import ast
import re
import subprocess
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from prometheus_client import Metric

from livemarkets import __version__, app
from livemarkets.config.settings import Settings, readable, variable
from livemarkets.http_api.collectors import collectors
from livemarkets.http_api.routes import http_router
from livemarkets.protocol import messages as protocol
from livemarkets.simulator import SimulatedMarket
from livemarkets.simulator.faults.catalogue import Faults
from livemarkets.simulator.faults.commands import describe_commands
from livemarkets.simulator.market.streams import is_well_formed
from livemarkets.simulator.protocol.rest import NOT_SERVED, RestApi
from tests.support.helpers import PROJECT_ROOT

VARIABLES = [variable(name) for name in Settings.model_fields]
DOCUMENTS = [
    document
    for folder in (".", "docs", "clients/python")
    for document in (PROJECT_ROOT / folder).glob("*.md")
]


def text_of(name: str) -> str:
    return (PROJECT_ROOT / name).read_text(encoding="utf-8")


def missing(wanted: Iterable[str], text: str) -> list[str]:
    """Those of `wanted` that do not stand in backquotes in `text`."""
    return [each for each in wanted if f"`{each}`" not in text]


def settings_row(name: str) -> str:
    """The line of docs/settings.md for a field, made from the field."""
    field = Settings.model_fields[name]
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    value = readable(field.default).replace(",", ", ")
    default = "empty" if value == "(empty)" else f"`{value}`"
    return f"| `{variable(name)}` | {default} | {extra['allowed']} | {field.description} |"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_is_described_as_the_code_has_it(name: str) -> None:
    assert settings_row(name) in text_of("docs/settings.md").splitlines()


def test_docs_and_env_file_name_the_settings_and_no_others() -> None:
    for document in ("docs/settings.md", "README.md", ".env"):
        named = set(re.findall(r"\bLIVE_[A-Z_]+\b", text_of(document)))
        assert named == set(VARIABLES), document


def test_the_env_file_sets_every_variable() -> None:
    assert re.findall(r"^(LIVE_\w+)=", text_of(".env"), re.MULTILINE) == VARIABLES


def test_every_message_type_and_code_is_in_the_manual_of_the_route() -> None:
    manual = text_of("docs/ws-markets.md")
    types = [*protocol.CLIENT_MESSAGE_TYPES, *protocol.SERVER_MESSAGE_TYPES]
    assert missing([*types, *protocol.ERROR_CODES], manual) == []
    rows = [f"| `{code}` | `{reason}` |" for code, reason in protocol.CLOSE_CODES.items()]
    assert [row for row in rows if row not in manual] == []


def metric_row(metric: Metric) -> str:
    """The line of docs/metrics.md for a metric, under the name that `/metrics` gives it."""
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    return f"| `{name}` | {metric.type} | {metric.documentation} |"


async def test_every_metric_is_in_the_list_of_metrics() -> None:
    services = app.build(Settings(stream_enabled=True))
    rows = [metric_row(metric) for collector in collectors(services) for metric in collector.collect()]
    await services.stop()
    lines = text_of("docs/metrics.md").splitlines()
    assert [row for row in rows if row not in lines] == []
    assert [
        line for line in lines if line.startswith(("| `livemarkets_", "| `process_")) and line not in rows
    ] == []


async def test_every_route_is_in_the_manual_of_http() -> None:
    services = app.build(Settings(stream_enabled=True))
    paths = [route.path for route in http_router(services).routes if isinstance(route, APIRoute)]
    await services.stop()
    assert len(paths) > 7
    manual = text_of("docs/http.md")
    assert missing(paths, manual) == []
    assert [path for path in paths if f"\n## `{path}" not in manual and path != "/metrics"] == []


def test_every_command_is_explained() -> None:
    makefile = text_of("Makefile")
    targets = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    assert re.findall(r"^\.PHONY: (.+)", makefile, re.MULTILINE) == [" ".join(targets)]
    guides = text_of("README.md") + text_of("CONTRIBUTING.md")
    assert [target for target in targets if f"`make {target}`" not in guides] == []


INTERVALS = [
    "1s",
    "1m",
    "3m",
    "5m",
    "15m",
    "30m",
    "1h",
    "2h",
    "4h",
    "6h",
    "8h",
    "12h",
    "1d",
    "3d",
    "1w",
    "1M",
]
KINDS = (
    *("trade", "aggTrade", "blockTrade", "bookTicker", "miniTicker", "avgPrice", "referencePrice", "ticker"),
    *("ticker_1h", "ticker_4h", "ticker_1d", "depth", "depth5", "depth10", "depth20"),
    *(f"kline_{interval}" for interval in INTERVALS),
    *("!miniTicker@arr", "!ticker_1h@arr", "!ticker_4h@arr", "!ticker_1d@arr", "!ticker@arr", "!bookTicker"),
)
"""Every kind of stream in Binance's documents, and the two that ended lately."""


def part_of_the_manual(title: str) -> str:
    """A section of the manual of the simulator."""
    return text_of("docs/simulator.md").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def kinds_in(text: str) -> set[str]:
    """The kinds of streams that a text names in backquotes."""
    return set(re.findall(r"`(?:<symbol>@|@)?(!?[\w]+(?:@arr)?)`", text)) & set(KINDS)


def streams_until(market: SimulatedMarket, *times_ms: float) -> set[str]:
    """The streams that have events at these times, in as many turns as the market wants."""
    come = set()
    for now_ms in times_ms:
        come |= {event.stream for event in market.advance(now_ms)}
        while (next_ms := market.next_ms()) is not None and next_ms <= now_ms:
            come |= {event.stream for event in market.advance(now_ms)}
    return come


def test_the_manual_of_the_simulator_names_the_streams_that_come_and_those_that_are_refused() -> None:
    names = {kind: kind if kind.startswith("!") else f"btcusdt@{kind}" for kind in KINDS}
    assert all(is_well_formed(name) for name in names.values())
    market = SimulatedMarket(symbols=("BTCUSDT",), trades_per_second=100.0)
    market.want(set(names.values()), 0.0)
    # Twice, since some come every other second only.
    come = streams_until(market, 1000.0, 2000.0, 3000.0)
    served = {kind for kind, name in names.items() if name in come}
    assert kinds_in(part_of_the_manual("What it serves")) == served
    assert kinds_in(part_of_the_manual("What it refuses").partition("\nTwo things")[0]) == {
        kind for kind, name in names.items() if not market.serves(name)
    }
    assert served == {kind for kind, name in names.items() if market.serves(name)}
    suffixed = {f"btcusdt@{kind}@+08:00" for kind in KINDS if kind.startswith("kline")}
    suffixed |= {f"btcusdt@{kind}@100ms" for kind in KINDS if kind.startswith("depth")}
    market.want(suffixed, 3000.0)
    assert streams_until(market, 4000.0, 5000.0) == suffixed


def test_the_manual_of_the_simulator_names_the_calls_that_are_answered_and_those_that_are_refused() -> None:
    table = part_of_the_manual("What it serves").partition("| REST, ")[2].partition("\n\n")[0]
    api = RestApi(SimulatedMarket())
    assert {f"/api/v3/{name}" for name in re.findall(r"`([\w/]+)`", table)} == set(api.paths)
    refused = set(re.findall(r"`([a-z][\w/]+)`", part_of_the_manual("What it refuses")))
    documented = {name for name in refused if api.answer(f"/api/v3/{name}", 0.0).status == 400}
    assert documented == {*NOT_SERVED, "referencePrice", "referencePrice/calculation"}


def test_the_manual_of_the_simulator_has_every_fault_with_its_arguments() -> None:
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|", part_of_the_manual("Faults"), re.MULTILINE)
    told = {fault: set(re.findall(r"`(\w+)`", arguments)) for fault, arguments in rows}
    faults = {
        name: set(re.findall(r"\[(\w+)", description))
        for name, description in describe_commands(Faults).items()
    }
    assert told == faults


@cache
def names_in_the_code() -> tuple[dict[str, set[str]], set[str]]:
    """Each class with its members, and the path of each file below its top folder."""
    classes: defaultdict[str, set[str]] = defaultdict(set)
    files: set[str] = set()
    for folder in (PROJECT_ROOT / "livemarkets", PROJECT_ROOT / "pages", PROJECT_ROOT / "clients"):
        for path in folder.rglob("*.py"):
            files |= {path.relative_to(folder).as_posix(), path.relative_to(PROJECT_ROOT).as_posix()}
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in tree.body:
                if isinstance(node, ast.Assign):  # the name of a type, such as ExchangeName
                    classes.update((each.id, set()) for each in node.targets if isinstance(each, ast.Name))
                elif isinstance(node, ast.ClassDef):
                    classes[node.name] |= set(members(node))
    return classes, files


def members(node: ast.ClassDef) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            yield inner.name
        elif isinstance(inner, ast.Attribute):
            yield inner.attr
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id


def unknown_names(text: str) -> list[str]:
    """The classes, members and files in backquotes that the code does not have."""
    classes, files = names_in_the_code()
    elsewhere = {"Decimal", "Protocol"}
    unknown = []
    for name in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if re.fullmatch(r"[\w/]+\.py", name):
            is_known = name in files or (PROJECT_ROOT / name).exists()
        elif found := re.fullmatch(r"([A-Z]\w*[a-z]\w*)(?:\.(\w+))?", name):
            owner, member = found.groups()
            is_known = owner in elsewhere or (owner in classes and (not member or member in classes[owner]))
        else:
            continue
        if not is_known:
            unknown.append(name)
    return unknown


def test_the_guides_name_only_what_the_code_has() -> None:
    guides = ("docs/architecture.md", "docs/vocabulary.md", "docs/performance.md", "README.md")
    assert {guide: unknown for guide in guides if (unknown := unknown_names(text_of(guide)))} == {}


def test_a_name_that_the_code_does_not_have_is_found() -> None:
    text = "`Shard.run` `Shard.fly` `Ledger` `Lodger` `feed/ledger.py` `feed/lodger.py` `main.py` `idle`"
    assert unknown_names(text) == ["Shard.fly", "Lodger", "feed/lodger.py"]


def test_every_dependency_has_its_reason_in_the_architecture() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    wanted = [
        *project["dependencies"],
        *(each for group in project["optional-dependencies"].values() for each in group),
    ]
    names = {re.split(r"[\[<>=;\s]", each)[0] for each in wanted}
    table = text_of("docs/architecture.md").partition("## Dependencies")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?:\*\w+:\* )?([\w, -]+) \|", table, re.MULTILINE)
    assert {name for row in rows for name in row.split(", ")} - {"package", "---"} == names


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{document.name}: {target}"
        for document in DOCUMENTS
        for target in re.findall(r"\]\(([^)#\s]+)", document.read_text())
        if "://" not in target and not (document.parent / target).exists()
    ]
    assert broken == []


def anchor_of(heading: str) -> str:
    """The anchor that a heading gets on the web."""
    words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w -]", "", words).replace(" ", "-")


def without_code(document: Path) -> str:
    return re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_links_into_documents_lead_to_a_heading() -> None:
    anchors = {
        document.resolve(): set(map(anchor_of, re.findall(r"^#+ (.+)", without_code(document), re.MULTILINE)))
        for document in DOCUMENTS
    }
    broken = [
        f"{document.name}: {name}#{anchor}"
        for document in DOCUMENTS
        for name, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", without_code(document))
        if "://" not in name
        and anchor not in anchors[(document.parent / name if name else document).resolve()]
    ]
    assert broken == []


def test_the_rows_of_a_table_have_the_cells_of_its_head() -> None:
    uneven = []
    for document in DOCUMENTS:
        cells = 0
        for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
            found = len(re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", line))) if line.startswith("|") else 0
            if found and cells and found != cells:
                uneven.append(f"{document.name}, line {number}")
            cells = found
    assert uneven == []


def test_the_changelog_knows_this_version() -> None:
    assert re.search(rf"^## \[{re.escape(__version__)}\] ", text_of("CHANGELOG.md"), re.MULTILINE)


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout, so nothing says which files belong to the project")
    files = [PROJECT_ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in files if path.is_file()]


def test_no_file_names_a_machine_or_a_package_index() -> None:
    # Written in halves, so that this file does not find itself.
    hosts = ("py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "npm" + "mirror")
    machine = re.compile(r"(?<![\w.:/-])/(?:ho" + r"me|ro" + r"ot|wo" + r"rk|Us" + r"ers)/\w|file://" + r"/")
    found = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", "ignore")
        found += [f"{path.name}: {host}" for host in hosts if host in text]
        if path.suffix not in {".png", ".js"}:
            found += [f"{path.name}: {match.group()}" for match in machine.finditer(text)]
    assert found == []


LOCKS = ("requirements.lock", "requirements-bus.lock", "requirements-dev.lock")


def test_locks_have_a_hash_for_everything_and_no_index() -> None:
    for name in LOCKS:
        entries = re.split(r"\n(?=[a-z])", text_of(name))
        assert all("==" in entry and "--hash=sha256:" in entry for entry in entries), name
        assert "://" not in text_of(name)
        assert "index-url" not in text_of(name)


def test_all_locks_pin_the_same_versions() -> None:
    runtime, with_bus, development = (
        dict(re.findall(r"^([a-z0-9.-]+)==([^\s;\\]+)", text_of(name), re.MULTILINE)) for name in LOCKS
    )
    assert runtime
    assert runtime.items() < with_bus.items() < development.items()
