"""The container: its steps, and its program as an unprivileged user where nothing can be written."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest
import yaml

from tests.support.app import main_environment
from tests.support.container import INSTALLING, Image, copied, let_in, steps
from tests.support.documents import text_of
from tests.support.helpers import PROJECT_ROOT
from tests.support.markets_client import open_client

EXIT_SECONDS = 5.0
NOBODY = 65534


def status_of(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize(
    "installs",
    [
        pytest.param(False, id="in the environment of the tests"),
        pytest.param(True, id="with its own packages", marks=pytest.mark.verify),
    ],
)
async def test_the_image_serves_as_nobody_where_nothing_can_be_written(
    tmp_path: Path, installs: bool
) -> None:
    image = Image(tmp_path)
    image.build(installs=installs)
    port, variables = main_environment()
    del variables["LIVE_HOST"], variables["LIVE_DRAIN_SECONDS"]  # as the image and `.env` have them
    async with image.running(image.command, variables) as process:
        await process.says(f"Live Markets is listening on http://0.0.0.0:{port}")
        status = status_of(process.pid)
        assert status["Uid"].split() == [str(NOBODY)] * 4
        assert (status["NoNewPrivs"], int(status["CapEff"], 16)) == ("1", 0)
        async with image.running(image.healthcheck, variables) as check:
            assert await check.ended() == 0, check.output
        async with open_client(f"ws://127.0.0.1:{port}/ws/markets") as client:
            await client.subscribe("BTCUSDT", exchange="simulator")
            assert await client.trades(1)
        began = time.monotonic()
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
        assert time.monotonic() - began < EXIT_SECONDS
        assert "ERROR" not in process.output
        assert "Traceback" not in process.output
    async with image.running(image.healthcheck, variables) as check:
        assert await check.ended() == 1
        assert check.output == ""


def test_only_what_the_image_needs_reaches_it() -> None:
    assert copied() == let_in()
    assert all((PROJECT_ROOT / name).exists() for name in copied())
    assert not [name for name in copied() if ".env." in name or name.startswith(("tests", ".git"))]


def test_the_packages_are_the_pinned_ones() -> None:
    commands = [rest for word, rest in steps() if word == "RUN"]
    assert [each for each in commands if "-m pip" in each or "-m venv" in each] == [*INSTALLING]


def test_the_compose_file_gives_the_container_no_more_than_it_needs() -> None:
    compose = yaml.safe_load(text_of("deploy/container/compose.yaml"))
    [service] = compose["services"].values()
    folder = PROJECT_ROOT / "deploy" / "container"
    context = folder / service["build"]["context"]
    assert context.resolve() == PROJECT_ROOT
    assert (context / service["build"]["dockerfile"]).is_file()
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "tmpfs" not in service
    assert "volumes" not in service
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    drain_seconds = float(re.findall(r"^LIVE_DRAIN_SECONDS=(.+)$", text_of(".env"), re.MULTILINE)[0])
    assert float(service["stop_grace_period"].removesuffix("s")) > drain_seconds + 4
