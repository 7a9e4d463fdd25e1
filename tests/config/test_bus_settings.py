"""Role, address and credentials of the bus belong together, and a secret is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from livemarkets.config import bus_settings
from livemarkets.config.settings import load
from livemarkets.errors import SettingsError

NOWHERE = Path("/nonexistent")
URL = {"LIVE_BUS_URL": "nats://bus.example:4222"}
EDGE = {"LIVE_ROLE": "Edge", **URL}


def problem(variables: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load(NOWHERE, variables)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"LIVE_ROLE": "edge"}, "LIVE_ROLE is edge, which needs LIVE_BUS_URL"),
        ({"LIVE_ROLE": "reader"}, "one of all, ingest, edge"),
        (URL, "LIVE_ROLE is all, which uses no bus"),
        ({**EDGE, "LIVE_BUS_URL": "http://bus.example"}, "nats:// or tls://"),
        ({**EDGE, "LIVE_BUS_URL": "nats://a,tls://b"}, "mixed"),
        ({**EDGE, "LIVE_BUS_USER": "gate"}, "LIVE_BUS_USER is set without LIVE_BUS_PASSWORD"),
        ({**EDGE, "LIVE_BUS_PASSWORD": "s3cret"}, "LIVE_BUS_PASSWORD is set without LIVE_BUS_USER"),
        (
            {**EDGE, "LIVE_BUS_USER": "gate", "LIVE_BUS_PASSWORD": "s3cret", "LIVE_BUS_TOKEN": "t0ken"},
            "only one of LIVE_BUS_USER and LIVE_BUS_TOKEN",
        ),
        ({**EDGE, "LIVE_BUS_NKEY_FILE": "/nonexistent/seed"}, "LIVE_BUS_NKEY_FILE"),
        ({**EDGE, "LIVE_BUS_TLS_CA": __file__}, "no address of LIVE_BUS_URL begins with tls://"),
    ],
)
def test_what_does_not_belong_together_stops_the_start(variables: dict[str, str], words: str) -> None:
    text = problem(variables)
    assert words in text
    assert "s3cret" not in text
    assert "t0ken" not in text


def test_an_address_with_a_password_is_refused_and_the_password_not_shown() -> None:
    text = problem({**EDGE, "LIVE_BUS_URL": "nats://gate:s3cret@bus.example"})
    assert "must not contain a user name or a password" in text
    assert "s3cret" not in text


def test_a_role_is_read_in_any_case_and_its_secrets_are_not_described(tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    seed.write_text("SUAxyz")
    settings = load(NOWHERE, {**EDGE, "LIVE_BUS_TOKEN": "t0ken"})
    assert (settings.role, settings.bus_url) == ("edge", ("nats://bus.example:4222",))
    assert "t0ken" not in settings.describe()
    with_seed = load(NOWHERE, {**EDGE, "LIVE_BUS_NKEY_FILE": str(seed)})
    assert "SUAxyz" not in with_seed.describe()


def test_without_the_package_a_role_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_settings, "find_spec", lambda name: None)
    assert "pip install 'nats-py[nkeys]'" in problem(EDGE)
    assert load(NOWHERE, {}).role == "all"
