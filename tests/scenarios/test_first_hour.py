"""The programs of `docs/first-hour.md` do what the document says."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import sysconfig
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from livemarkets.simulator import Simulator
from tests.scenarios.test_tables import python_with_both
from tests.support.app import (
    Process,
    RunningApp,
    quiet_market,
    running_app,
    running_exchange,
    running_process,
    settings_for,
)
from tests.support.container import without_rights_to_the_rest
from tests.support.documents import blocks
from tests.support.helpers import PROJECT_ROOT, eventually

TRADES, ALERT, HISTORY = blocks("docs/first-hour.md", "python")
NGINX, ASKING = blocks("docs/first-hour.md", "sh")[-2:]
SYMBOL = "BTCUSDT"
LONG_AGO = 20_000
"""Trades that are available at most."""


@contextlib.asynccontextmanager
async def running(
    text: str, app: RunningApp, folder: Path, *arguments: str, python: str | Path | None = None
) -> AsyncIterator[Process]:
    """Run a program of the document against this app, whose Binance is the exchange of the test."""
    program = folder / f"{abs(hash(text))}.py"
    address = f"127.0.0.1:{app.port}"
    assert "127.0.0.1:8080" in text
    text = text.replace("127.0.0.1:8080", address).replace('exchange="simulator"', 'exchange="binance"')
    program.write_text(text, encoding="utf-8")
    # The Python of the tables has nothing but those libraries.
    places = (str(PROJECT_ROOT / "clients" / "python"), sysconfig.get_path("purelib"))
    environment = {"PYTHONPATH": os.pathsep.join(places)}
    other = None if python is None else str(python)
    async with running_process(program, *arguments, environment=environment, program=other) as process:
        yield process


def newest(exchange: Simulator) -> int:
    return exchange.source.history(SYMBOL, exchange.now_ms()).recent(1)[0].id


async def test_the_client_prints_trades_and_the_alert_tells_of_a_crossing(tmp_path: Path) -> None:
    async with (
        running_exchange(quiet_market(SYMBOL, "ETHUSDT")) as exchange,
        running_app(settings_for(exchange, simulator_enabled=False)) as app,
    ):
        reader = await app.connect()
        await reader.subscribe(SYMBOL)
        await eventually(lambda: f"{SYMBOL.lower()}@trade" in exchange.subscriptions(), 20)
        exchange.faults.burst(symbol=SYMBOL, trades=1)
        await reader.trades(1)
        async with running(TRADES, app, tmp_path) as client:
            for _ in range(10):  # a price may go away from any level for long
                if await is_crossed(exchange, app, tmp_path):
                    break
            else:
                pytest.fail("no crossing was told")
            await client.says(f"{SYMBOL} {newest(exchange)} ", 60)


async def is_crossed(exchange: Simulator, app: RunningApp, folder: Path) -> bool:
    """Whether the alert tells that the price went below what it is now, within some trades."""
    level = Decimal(exchange.source.history(SYMBOL, exchange.now_ms()).recent(1)[0].price).scaleb(-8)
    async with running(ALERT, app, folder, "binance", SYMBOL, str(level)) as alert:
        await alert.says(f"{SYMBOL} is at {level}", 60)

        def is_told() -> bool:
            exchange.faults.burst(symbol=SYMBOL, trades=50)
            return f"{SYMBOL} went below {level}: " in alert.output

        with contextlib.suppress(AssertionError):
            return bool(await eventually(is_told, 10, interval_seconds=0.1))
    return False


@pytest.mark.verify
async def test_the_table_has_everything_that_is_available(tmp_path: Path) -> None:
    python = python_with_both()
    if python is None:
        pytest.skip("no pandas here: `make verify` installs it in .venv-tables")
    async with (
        running_exchange(quiet_market(SYMBOL)) as exchange,
        running_app(settings_for(exchange, simulator_enabled=False)) as app,
    ):
        exchange.source.history(SYMBOL, exchange.now_ms())
        for _ in range(5):
            exchange.faults.burst(symbol=SYMBOL, trades=5_000)
        async with running(HISTORY, app, tmp_path, "binance", SYMBOL, python=python) as process:
            await eventually(lambda: f"{SYMBOL.lower()}@trade" in exchange.subscriptions(), 60)

            def is_done() -> bool:
                exchange.faults.burst(symbol=SYMBOL, trades=1)
                return "rows x 4 columns" in process.output

            await eventually(is_done, 120, interval_seconds=0.2, because="the table")
    rows = int(process.output.partition("[")[2].split()[0])
    assert rows >= LONG_AGO


ON_A_MACHINE_WITH_NGINX = f"""
set -e
ip link set lo up
for folder in /run /var/log/nginx /var/lib/nginx /etc/ssl/private; do mount -t tmpfs tmpfs $folder; done
mkdir -p /etc/nginx/sites-enabled
cd /opt/livemarkets
{NGINX.replace("systemctl reload nginx", "nginx")}
.venv/bin/python main.py > /run/log 2>&1 &
timeout 100 sh -c "until grep -q 'is listening' /run/log; do sleep 0.1; done"
{ASKING}
echo
code=$(curl --silent --cacert /etc/ssl/certs/markets.example.pem --resolve markets.example:443:127.0.0.1 \\
  --output /dev/null --write-out "%{{http_code}}" https://markets.example/api/symbols)
echo "without the header: $code"
"""


def missing_for_nginx(path: str) -> list[str]:
    programs = ("nginx", "openssl", "curl", "ip", "unshare")
    missing = [name for name in programs if shutil.which(name, path=path) is None]
    return missing if Path("/etc/nginx/nginx.conf").is_file() else [*missing, "/etc/nginx/nginx.conf"]


@pytest.mark.verify
async def test_the_commands_for_nginx_work_where_nothing_else_is_running(tmp_path: Path) -> None:
    """In namespaces of their own: nobody else sees `/etc`, the processes and the ports."""
    assert "systemctl reload nginx" in NGINX
    path = os.pathsep.join((os.environ["PATH"], "/usr/sbin"))
    if missing := missing_for_nginx(path):
        pytest.skip(f"no {missing[0]} found")
    copy = tmp_path / "project"
    shutil.copytree(PROJECT_ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    shutil.copy(PROJECT_ROOT / ".env", copy)
    (copy / ".venv").symlink_to(sys.prefix)
    (copy / "script").write_text(ON_A_MACHINE_WITH_NGINX)
    alone = "exec unshare --net --pid --fork --mount-proc --kill-child sh /opt/livemarkets/script"
    async with without_rights_to_the_rest(copy, alone, {"PATH": path}) as process:
        assert await process.ended(200) == 0, process.output
    assert '"symbols":[{"symbol":' in process.output
    assert process.lines[-1] == "without the header: 401"
