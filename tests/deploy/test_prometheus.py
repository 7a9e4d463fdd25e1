"""Alerts and dashboard, against the metrics of the code and by Prometheus' own tool."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from livemarkets.http_api.collectors import collectors
from livemarkets.simulator import Simulator
from tests.support.app import RunningApp, running_app, settings_for
from tests.support.documents import text_of
from tests.support.promtool import FOLDER, RULES, promtool, rules, what_differs

RULE_TESTS = FOLDER / "livemarkets.rules.test.yml"
OF_PROMETHEUS = {"up": {"job", "instance"}}
SCRAPED = {"job", "instance", "le"}
"""Labels that come from the scrape, or belong to every histogram."""
BUSY = "LiveMarketsLoopHeld"
"""The alert that says something about the machine of the test."""


def panels() -> Iterator[tuple[str, str]]:
    """Each title and expression of the dashboard."""
    for panel in json.loads(text_of("deploy/grafana/livemarkets.json"))["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".+")


EXPRESSIONS = [*((rule["alert"], rule["expr"]) for rule in rules()), *panels()]


@pytest.fixture
async def app(exchange: Simulator) -> AsyncIterator[RunningApp]:
    async with running_app(settings_for(exchange)) as app:
        yield app


def labels_by_name(app: RunningApp) -> dict[str, set[str]]:
    """The labels of every series that the code can tell."""
    labels = dict(OF_PROMETHEUS)
    for collector in collectors(app.services):
        for metric in collector.collect():
            ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(metric.type, [""])
            names = getattr(metric, "_labelnames", ())
            labels |= {f"{metric.name}{end}": {*names, *SCRAPED} for end in ends}
    return labels


SELECTOR = re.compile(r"\b(livemarkets_\w+|process_\w+|up)\b(?:\{([^}]*)\})?")


def unknown_to(labels: dict[str, set[str]], expression: str) -> list[str]:
    """The metrics and labels of an expression that the code does not have."""
    unknown = []
    for name, matchers in SELECTOR.findall(expression):
        if name not in labels:
            unknown.append(name)
            continue
        used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        unknown += [f"{name}{{{label}}}" for label in sorted(used - labels[name])]
    return unknown


async def test_alerts_and_dashboard_name_only_metrics_and_labels_that_the_code_has(app: RunningApp) -> None:
    labels = labels_by_name(app)
    assert len(EXPRESSIONS) > 40
    assert {title: found for title, text in EXPRESSIONS if (found := unknown_to(labels, text))} == {}


async def test_a_metric_or_label_that_the_code_does_not_have_is_found(app: RunningApp) -> None:
    text = 'rate(livemarkets_lost_total[5m]) + livemarkets_limit{limit="x", kind="y"} + livemarkets_clients'
    assert unknown_to(labels_by_name(app), text) == ["livemarkets_lost_total", "livemarkets_limit{kind}"]


def test_prometheus_understands_the_rules_and_the_configuration() -> None:
    checked = promtool("check", "rules", RULES)
    assert (checked.returncode, f"SUCCESS: {len(rules())} rules found" in checked.stdout) == (0, True), (
        checked
    )
    configured = promtool("check", "config", "prometheus.yml")
    assert configured.returncode == 0, configured.stdout + configured.stderr


def test_every_alert_fires_when_it_should_and_none_on_a_quiet_night() -> None:
    tested = promtool("test", "rules", RULE_TESTS)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert [rule["alert"] for rule in rules() if rule["alert"] not in RULE_TESTS.read_text()] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{exchange!="simulator", state=~"connecting|stale|down"}', '{state=~"connecting|stale|down"}'),
        ("> 1.25e9", "> 1.75e9"),
        *(
            pytest.param(*mutation, marks=pytest.mark.verify)
            for mutation in (
                ("max by (job, instance, exchange)", "max by (job, instance, exchange, state)"),
                ('{reason!="stopping"}', ""),
                ('{job="livemarkets"}[15m]) > 2', '{job="livemarkets"}[15m]) > 0'),
                ("    for: 5m\n        labels: {severity: ticket}\n", "    labels: {severity: ticket}\n"),
                ("[5m]))) > 1\n        for: 10m", "[5m]))) > 1\n        for: 1m"),
            )
        ),
    ],
)
def test_a_false_alarm_and_a_silent_alert_are_found(tmp_path: Path, old: str, new: str) -> None:
    text = RULES.read_text()
    assert old in text
    (tmp_path / RULES.name).write_text(text.replace(old, new))
    shutil.copy(RULE_TESTS, tmp_path)
    assert promtool("test", "rules", RULE_TESTS.name, folder=tmp_path).returncode == 1


# with what a running app tells


async def recorded(app: RunningApp) -> list[dict[str, str]]:
    """What the app tells now, as series that stay so for half an hour."""
    families = text_string_to_metric_families((await app.get("/metrics")).text)
    series = [{"series": 'up{job="livemarkets",instance="a"}', "values": "1x30"}]
    for sample in (sample for family in families for sample in family.samples):
        labels = {"job": "livemarkets", "instance": "a", **sample.labels}
        written = ",".join(f'{name}="{value}"' for name, value in labels.items())
        series.append({"series": f"{sample.name}{{{written}}}", "values": f"{sample.value!r}x30"})
    return series


def firing(series: list[dict[str, str]], alerts: list[str], shown: list[str], folder: Path) -> str:
    """What promtool says when exactly these alerts fire, and each of the expressions has a value."""
    expected = [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in alerts]
    wanted = f'count by (alertname) (ALERTS{{alertstate="firing",alertname!="{BUSY}"}})'
    checks = [{"expr": wanted, "eval_time": "20m", "exp_samples": expected}] + [
        {"expr": f"count({each}) > bool 0", "eval_time": "20m", "exp_samples": [{"labels": "{}", "value": 1}]}
        for each in shown
    ]
    return what_differs(series, checks, folder)


async def test_a_running_app_gives_no_alarm_and_every_panel_has_something_to_show(
    app: RunningApp, exchange: Simulator, tmp_path: Path
) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT")
    await client.next("status", state="live")
    exchange.faults.burst(symbol="BTCUSDT", trades=10)
    await client.trades(10)
    shown = [text for title, text in panels() if title not in {"Refused", "Streams by state"}]
    assert firing(await recorded(app), [], shown, tmp_path) == ""


async def test_an_app_without_its_exchange_alarms(tmp_path: Path) -> None:
    async with running_app(settings_for(None)) as app:
        client = await app.connect()
        await client.subscribe("BTCUSDT")
        await client.next("status", state="down")
        series = await recorded(app)
    assert firing(series, ["LiveMarketsExchangeNotLive"], [], tmp_path) == ""
