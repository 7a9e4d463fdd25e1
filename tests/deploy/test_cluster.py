"""`deploy/cluster/`: settings, bus, units, compose file and balancers fit together."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from livemarkets.config.settings import Settings, load
from tests.deploy.test_operations import commands, is_run
from tests.deploy.test_systemd import PLACE, UNIT, analyze
from tests.support.bus import NOT_INSTALLED, nats_program
from tests.support.certificates import make_certificate
from tests.support.cluster.balancer import CONFIGURATION, haproxy_program
from tests.support.cluster.balancer import NOT_INSTALLED as NO_HAPROXY
from tests.support.container import without_rights_to_the_rest
from tests.support.documents import blocks, text_of
from tests.support.helpers import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "deploy" / "cluster"
NODES = ("ingest-a", "ingest-b", "edge-a", "edge-b")
PASSWORDS = {f"BUS_{name}_PASSWORD": f"k{name.lower()}" for name in ("INGEST", "EDGE", "ROUTE")}


def variables(node: str) -> dict[str, str]:
    """What the file of a node says."""
    text = (FOLDER / "env" / f"{node}.env").read_text(encoding="utf-8")
    return dict(re.findall(r"^(LIVE_\w+)=(.*)$", text, re.MULTILINE))


def settings_of(node: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a node, as its process reads them."""
    with monkeypatch.context() as patch:
        for name, value in {**variables(node), "LIVE_BUS_PASSWORD": "secret"}.items():
            patch.setenv(name, value)
        settings = load(PROJECT_ROOT)
    assert not settings.warnings
    return settings


def test_each_node_has_settings_that_fit_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = {node: settings_of(node, monkeypatch) for node in NODES}
    for node, settings in nodes.items():
        assert settings.stream_enabled
        assert node.startswith(settings.role)
        assert settings.bus_user == settings.role
        assert settings.bus_url == ("nats://127.0.0.1:4222",)
        assert not settings.simulator_enabled
    assert len({settings.port for settings in nodes.values()}) == len(NODES)
    balanced = re.findall(r"\$\{EDGE_\w-127\.0\.0\.1:(\d+)\}", CONFIGURATION.read_text())
    edges = [str(settings.port) for settings in nodes.values() if settings.role == "edge"]
    assert balanced == 2 * edges
    assert (
        re.findall(r"server 127\.0\.0\.1:(\d+) ", text_of("deploy/cluster/nginx/cluster.conf")) == 2 * edges
    )


def test_an_edge_is_drained_for_longer_than_the_balancer_needs_to_see_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drain_seconds = settings_of("edge-a", monkeypatch).drain_seconds
    seconds = int(re.findall(r" inter (\d+)s ", CONFIGURATION.read_text())[0])
    assert drain_seconds > 2 * seconds
    drop_in = (FOLDER / "systemd" / "livemarkets@.service.d" / "cluster.conf").read_text()
    assert float(re.findall(r"^TimeoutStopSec=(\d+)", drop_in, re.MULTILINE)[0]) > drain_seconds + 4


# the bus


@pytest.mark.parametrize("name", ["nats.conf", "three.conf"])
def test_the_bus_understands_its_configuration(name: str) -> None:
    program = nats_program()
    if program is None:
        pytest.skip(NOT_INSTALLED)
    outcome = subprocess.run(
        [program, "-t", "-c", FOLDER / "nats" / name],
        env=PASSWORDS,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr


# HAProxy


def test_haproxy_understands_its_configuration_with_tls_and_without(tmp_path: Path) -> None:
    program = haproxy_program()
    if program is None:
        pytest.skip(NO_HAPROXY)
    certificate = make_certificate(tmp_path, "IP:127.0.0.1")
    pem = tmp_path / "markets.pem"
    pem.write_text(Path(certificate.file).read_text() + Path(certificate.key).read_text())
    file = tmp_path / "haproxy.cfg"
    file.write_text(CONFIGURATION.read_text().replace("/etc/haproxy/markets.example.pem", str(pem)))
    for environment in ({}, {"MARKETS_CLEAR": "127.0.0.1:8080"}):
        outcome = subprocess.run(
            [program, "-c", "-f", file],
            env={"PATH": "/usr/bin:/bin", **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (outcome.returncode, "WARNING" in outcome.stderr) == (0, False), outcome.stderr


# systemd


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A folder of units as the manual installs them, with programs that are here."""
    service = (
        text_of(UNIT).replace(f"{PLACE}/.venv/bin/python", "/bin/true").replace(PLACE, str(PROJECT_ROOT))
    )
    (tmp_path / "livemarkets@.service").write_text(service)
    shutil.copytree(FOLDER / "systemd" / "livemarkets@.service.d", tmp_path / "livemarkets@.service.d")
    bus = (FOLDER / "systemd" / "livemarkets-bus.service").read_text()
    (tmp_path / "livemarkets-bus.service").write_text(bus.replace("/usr/bin/nats-server", "/bin/true"))
    return tmp_path


@pytest.mark.parametrize("unit", ["livemarkets@.service", "livemarkets-bus.service"])
def test_systemd_understands_the_units(units: Path, unit: str) -> None:
    assert analyze("verify", units / unit) == (0, "")


def test_a_node_reads_its_own_files_and_no_others(units: Path) -> None:
    drop_in = (units / "livemarkets@.service.d" / "cluster.conf").read_text()
    files = re.findall(r"^EnvironmentFile=(.*)$", drop_in, re.MULTILINE)
    assert files == ["", "/etc/livemarkets/%i.env", "/etc/livemarkets/%i.secret"]


def test_the_bus_may_do_little(units: Path) -> None:
    code, said = analyze("security", "--offline=yes", "--no-pager", units / "livemarkets-bus.service")
    if "unrecognized option" in said:
        pytest.skip("this systemd-analyze grades running services only")
    grade = re.search(r"Overall exposure level for livemarkets-bus.service: (\d+\.\d+)", said)
    assert grade, said
    assert (code, float(grade[1]) < 1.5) == (0, True), said


# compose


def test_the_compose_file_starts_a_whole_cluster_and_gives_nobody_more_than_is_needed() -> None:
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    services = compose["services"]
    assert services.keys() == {"bus", "balancer", *NODES}
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"], name
        for volume in service.get("volumes", ()):
            source, _, mode = volume.split(":")
            assert mode == "ro"
            assert (FOLDER / source).is_file(), source
    for name in NODES:
        build = services[name]["build"]
        context = (FOLDER / build["context"]).resolve()
        assert context == PROJECT_ROOT
        assert (context / build["dockerfile"]).is_file()
        assert services[name]["environment"]["LIVE_ROLE"] == name.partition("-")[0]
        known = {field.upper() for field in Settings.model_fields}
        named = {variable.removeprefix("LIVE_") for variable in services[name]["environment"]}
        assert named <= known, named - known
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert published == ["127.0.0.1:8080:8080"], "of all of them, the balancer alone"
    reach_out = {name for name, service in services.items() if "outside" in service["networks"]}
    assert reach_out == {"ingest-a", "ingest-b", "balancer"}
    edges = [services[name]["networks"]["inside"]["ipv4_address"] + ":8080" for name in ("edge-a", "edge-b")]
    balancer = services["balancer"]["environment"]
    assert [balancer["EDGE_A"], balancer["EDGE_B"]] == edges


def test_the_nodes_and_the_balancer_of_the_compose_file_can_use_what_it_tells_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    image = dict(re.findall(r"(LIVE_\w+)=(\S+)", text_of("deploy/container/Dockerfile")))
    for name in NODES:
        said = {key: _filled(value) for key, value in services[name]["environment"].items()}
        with monkeypatch.context() as patch:
            for key, value in {**image, **said}.items():
                patch.setenv(key, value)
            settings = load(PROJECT_ROOT)
        assert not settings.warnings
        assert settings.bus_url == ("nats://bus:4222",)
        assert (settings.host, settings.port) == ("0.0.0.0", 8080)
        grace_seconds = float(services[name]["stop_grace_period"].removesuffix("s"))
        assert grace_seconds > settings.drain_seconds + 4
        if settings.role == "edge":
            assert services["balancer"]["environment"][f"EDGE_{name[-1].upper()}"].endswith(
                f":{settings.port}"
            )
    assert "4222" in re.findall(
        r"^listen: .*:(\d+)", (FOLDER / "nats" / "nats.conf").read_text(), re.MULTILINE
    )
    for name, text in (("balancer", CONFIGURATION.read_text()), ("bus", _uncommented("nats/nats.conf"))):
        needed = set(re.findall(r"\$\{?([A-Z_]+)\}?(?=[^-A-Z_])", text))
        assert needed <= services[name]["environment"].keys()


def _filled(text: str) -> str:
    """A value of a compose file, with a secret for what it takes from outside."""
    return re.sub(r"\$\{\w+:[?-]\}", "a-secret-of-some-length", text)


def _uncommented(file: str) -> str:
    return re.sub(r"#.*", "", (FOLDER / file).read_text())


# the manual

MANUAL = "docs/scaling.md"
COMMANDS = [command for block in blocks(MANUAL, "sh") for command in commands(block)]


def test_the_manual_names_only_what_there_is() -> None:
    text = text_of(MANUAL)
    files = set(re.findall(r"deploy/[\w./@-]+\w", text))
    assert len(files) > 8
    assert [file for file in sorted(files) if not (PROJECT_ROOT / file).exists()] == []
    metrics = set(re.findall(r"`(livemarkets_\w+)`", text))
    assert len(metrics) > 4
    listed = text_of("docs/metrics.md")
    assert [metric for metric in sorted(metrics) if f"`{metric}`" not in listed] == []
    shown = dict(re.findall(r"^\| `(\w+)` (\d+ \w+)", text, re.MULTILINE))
    bus = (FOLDER / "nats" / "nats.conf").read_text()
    assert {name: value.replace(" ", "") for name, value in shown.items()} == {
        name: re.findall(rf'^{name}: "?(\d+\w+)"?$', bus, re.MULTILINE)[0] for name in shown
    }
    assert shown.keys() == {"max_pending", "write_deadline", "max_payload", "ping_interval"}


async def test_the_commands_install_every_file_where_the_units_look_for_it(tmp_path: Path) -> None:
    lines = [command for command in COMMANDS if is_run(command) and not command.startswith("make ")]
    assert len(lines) > 9
    copy = tmp_path / "project"
    shutil.copytree(FOLDER, copy / "deploy" / "cluster")
    shutil.copytree(PROJECT_ROOT / "deploy" / "systemd", copy / "deploy" / "systemd")
    script = "\n".join(f"{line} || exit" for line in lines)
    script = script.replace("$(openssl rand -hex 16)", "0123456789abcdef")
    names = "livemarkets/* systemd/system/livemarkets*/* systemd/system/livemarkets*.service"
    script += f'\ncd /etc && stat -c "%a %n" {names}'
    async with without_rights_to_the_rest(copy, script, {}) as process:
        assert await process.ended(60) == 0, process.output
    assert sorted(process.lines) == [
        "600 livemarkets/bus.secret",
        "600 livemarkets/edge-a.secret",
        "644 livemarkets/edge-a.env",
        "644 livemarkets/nats.conf",
        "644 systemd/system/livemarkets-bus.service",
        "644 systemd/system/livemarkets@.service",
        "644 systemd/system/livemarkets@.service.d/cluster.conf",
    ]
