"""The app is no package: whoever tries to install it is told so."""

import pytest

from tests.support.app import running_process
from tests.support.helpers import PROJECT_ROOT


@pytest.mark.parametrize("options", [(), ("--editable",)], ids=["as a wheel", "editable"])
async def test_an_installer_says_in_one_line_that_there_is_nothing_to_install(
    options: tuple[str, ...],
) -> None:
    arguments = ("-m", "pip", "install", "--no-index", "--no-deps", "--dry-run", *options, str(PROJECT_ROOT))
    async with running_process(*arguments) as pip:
        assert await pip.ended() == 1
    said = [line.strip() for line in pip.lines if "Live Markets" in line]
    assert said == ["Live Markets is not an installable package: run it from its checkout with `make run`."]
