"""The app behind Caddy, with the sites that `docs/proxies.md` shows."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.pages.browser import browser
from tests.pages.through_a_proxy import visit
from tests.support.app import Process, running_exchange, running_main, running_process
from tests.support.certificates import make_certificate
from tests.support.documents import blocks
from tests.support.helpers import eventually, free_port
from tests.support.nginx import replaced

TOKEN = "open-Sesame_42?>+/~"
GLOBAL = """{
    admin off
    auto_https disable_redirects
}
"""


@pytest.mark.verify
@pytest.mark.parametrize("prefix", ["", "/markets"])
async def test_a_browser_is_served_whole(tmp_path: Path, chromium: str, prefix: str) -> None:
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("no caddy found")
    certificate = make_certificate(tmp_path, "IP:127.0.0.1")
    port, name = free_port(), "example.com {" if prefix else "markets.example {"
    own = f"https://127.0.0.1:{port} {{\n    tls {certificate.file} {certificate.key}"
    async with running_exchange() as exchange:
        address = exchange.ws_url.removeprefix("ws://")
        async with running_main(address, LIVE_ROOT_PATH=prefix, LIVE_ACCESS_TOKEN=TOKEN) as (_, app):
            [shown] = [block for block in blocks("docs/proxies.md", "caddy") if block.startswith(name)]
            site = replaced(shown, name, own)
            (tmp_path / "Caddyfile").write_text(GLOBAL + replaced(site, "127.0.0.1:8080", f"127.0.0.1:{app}"))
            arguments = ("run", "--adapter", "caddyfile", "--config", tmp_path / "Caddyfile")
            home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
            async with (
                running_process(*arguments, program=program, environment=home) as process,
                browser(chromium, trusting=certificate) as chrome,
            ):
                await eventually(lambda: is_open(process, port), 10)
                await visit(chrome, f"https://127.0.0.1:{port}", prefix, token=TOKEN)


async def is_open(process: Process, port: int) -> bool:
    assert process.process.returncode is None, process.output
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
