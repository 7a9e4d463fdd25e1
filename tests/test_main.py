"""`main.py` as the process that a user starts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import shlex
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from dotenv import dotenv_values
from websockets.exceptions import InvalidStatus

from livemarkets import __version__
from livemarkets.simulator import Simulator
from tests.support.app import (
    Process,
    main_environment,
    running_main,
    running_new_main,
    running_process,
)
from tests.support.helpers import PROJECT_ROOT, WITHOUT_TLS, eventually, measured
from tests.support.markets_client import open_client
from tests.support.processes import children_of, is_running

START_SECONDS = 3.0
STOP_SECONDS = 2.0
"""Without a time to drain, which tests have none of."""
DRAIN_SECONDS = dotenv_values(PROJECT_ROOT / ".env").get("LIVE_DRAIN_SECONDS") or ""
EXIT_SECONDS = 5.0
IDLE_BYTES = 200 * 2**20
MEASURED_SECONDS = 3.0
IDLE_SHARE = 0.06
"""Twice what an idle app may take of a core: the machine under test is busy with other things."""

signals = pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.verify)],
    ids=["SIGTERM", "SIGINT"],
)


async def get(port: int, path: str) -> httpx.Response:
    async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False, timeout=5) as client:
        return await client.get(f"http://127.0.0.1:{port}{path}")


@measured
async def test_it_serves_a_page_soon_after_its_start() -> None:
    port, environment = main_environment()

    async def is_served() -> bool:
        try:
            return (await get(port, "/")).status_code == 200
        except httpx.TransportError:
            return False

    began = time.monotonic()
    async with running_process("main.py", environment=environment) as process:
        assert await eventually(is_served, timeout_seconds=15)
        # On a machine that is busy with other things its own time counts, not its wait for a turn.
        assert min(time.monotonic() - began, cpu_seconds(process.pid)) < START_SECONDS


async def test_it_serves_pages_health_and_trades_on_one_port(exchange: Simulator) -> None:
    async with running_new_main(f"127.0.0.1:{exchange.port}") as (process, port):
        for path in ("/", "/labs", "/healthz", "/readyz", "/metrics", "/api/latest"):
            assert (await get(port, path)).status_code == 200, path
        assert "Live Markets" in (await get(port, "/")).text
        async with open_client(f"ws://127.0.0.1:{port}/ws/markets") as client:
            await client.subscribe("BTCUSDT")
            await client.next("status", state="live")
            exchange.faults.burst(symbol="BTCUSDT", trades=10)
            assert len(await client.trades(10)) == 10
        assert "http://127.0.0.1" in process.output
        assert "ERROR" not in process.output


READ_ONLY = """
cut -d" " -f2 /proc/self/mounts | while read -r place; do
  case $place in /proc*|/sys*|/dev*) ;; *) mount -o remount,bind,ro "$place" 2>/dev/null ;; esac
done
if touch "$PWD/written" 2>/dev/null || touch /tmp/written 2>/dev/null; then exit 77; fi
unset HOME
"""
"""For a shell in a mount namespace of its own: no file can be written any more, except in /dev."""


@contextlib.asynccontextmanager
async def running_read_only(*commands: str) -> AsyncIterator[tuple[Process, int]]:
    """Run `main.py` without a home, on a machine where no file can be written."""
    port, environment = main_environment()
    options = ["--mount"] if os.geteuid() == 0 else ["--mount", "--map-root-user"]
    async with running_process(*options, "sh", "-c", READ_ONLY, program="unshare") as trial:
        if await trial.ended():
            pytest.skip(f"file systems cannot be made read-only here: {trial.output}")
    script = "\n".join((READ_ONLY, *commands, f"exec {shlex.quote(sys.executable)} -u main.py"))
    async with running_process(
        *options, "sh", "-c", script, program="unshare", environment=environment
    ) as process:
        yield process, port


@measured
async def test_it_needs_no_home_and_no_place_to_write() -> None:
    async with running_read_only() as (process, port):
        await process.says("Live Markets is listening on")
        for path in ("/", "/labs", "/healthz", "/api/latest"):
            assert (await get(port, path)).status_code == 200, path
        async with open_client(f"ws://127.0.0.1:{port}/ws/markets") as client:
            await client.subscribe("BTCUSDT", exchange="simulator")
            assert await client.trades(1)
        assert "ERROR" not in process.output


@measured
async def test_without_shared_memory_one_line_says_so_and_the_exit_code_is_1() -> None:
    async with running_read_only("mount -o remount,bind,ro /dev/shm || mount -o remount,bind,ro /dev") as (
        process,
        _,
    ):
        assert await process.ended() == 1
        (complaint,) = [line for line in process.lines if "ERROR" in line]
        assert "cannot create a semaphore" in complaint
        assert "/dev/shm" in complaint
        assert "Traceback" not in process.output


@pytest.mark.serial(quiet=True)
@signals
async def test_a_signal_ends_it_at_once_although_clients_are_connected(
    exchange: Simulator, number: signal.Signals
) -> None:
    async with running_new_main(f"127.0.0.1:{exchange.port}") as (process, port):
        url = f"ws://127.0.0.1:{port}/ws/markets"
        async with open_client(url) as client, open_client(url) as frozen:
            for each in (client, frozen):
                await each.subscribe("BTCUSDT")
            await client.next("status", state="live")
            frozen.socket.transport.pause_reading()
            began = time.monotonic()
            process.signal(number)
            assert (await client.closed())[0] == 1012
            assert await process.ended() == 0
            assert time.monotonic() - began < STOP_SECONDS
            frozen.socket.transport.abort()
        assert "Traceback" not in process.output
        assert "ERROR" not in process.output
    await eventually(lambda: not exchange.connections)


@pytest.mark.serial(quiet=True)
async def test_a_stop_is_seen_by_a_balancer_and_told_to_every_client_before_it(exchange: Simulator) -> None:
    """As shipped, with the time to drain that `.env` sets."""
    address = f"127.0.0.1:{exchange.port}"
    async with running_new_main(address, LIVE_DRAIN_SECONDS=DRAIN_SECONDS) as (process, port):
        url = f"ws://127.0.0.1:{port}/ws/markets"
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(open_client(url)) for _ in range(5)]
            await clients[0].subscribe("BTCUSDT")
            await clients[0].next("status", state="live")
            began = time.monotonic()
            process.signal(signal.SIGTERM)

            told = await clients[0].next("status")
            assert (told["state"], told["reason"]) == ("live", "this server is about to stop")
            answer = await get(port, "/readyz")
            assert (answer.status_code, answer.json()["reasons"]) == (503, ["the server is stopping"])
            assert (await get(port, "/healthz")).status_code == 200
            with pytest.raises(InvalidStatus) as refused:
                await stack.enter_async_context(open_client(url))
            assert refused.value.response.status_code == 503
            assert 1 <= int(refused.value.response.headers["Retry-After"]) <= 10
            exchange.faults.burst(symbol="BTCUSDT", trades=10)
            assert len(await clients[0].trades(10)) == 10  # readers go on meanwhile

            closes = [await client.closed() for client in clients]
            assert time.monotonic() - began >= float(DRAIN_SECONDS)
            assert await process.ended() == 0
            assert time.monotonic() - began < EXIT_SECONDS
        reasons = [re.fullmatch(r"restarting: reconnect; retry_after_ms=(\d+)", why) for _, why in closes]
        assert {code for code, _ in closes} == {1012}
        waits = [int(reason[1]) for reason in reasons if reason]
        assert len(waits) == 5
        assert all(100 <= wait <= 10_000 for wait in waits)
        assert len(set(waits)) > 1
        last = process.lines[-1]
        assert "SIGTERM" in last
        assert "5 WebSockets were told to connect again" in last
    await eventually(lambda: not exchange.connections)


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(5))
async def test_a_stop_at_any_moment_ends_in_time(exchange: Simulator, seed: int) -> None:
    """Ten rounds each, with the time to drain that `.env` sets, from the import of the first module on."""
    rng = random.Random(seed)
    for _ in range(10):
        port, environment = main_environment(
            f"127.0.0.1:{exchange.port}", LIVE_DRAIN_SECONDS=rng.choice(["0", DRAIN_SECONDS])
        )
        async with (
            running_process("main.py", environment=environment) as process,
            contextlib.AsyncExitStack() as stack,
        ):
            is_serving = rng.random() < 0.6
            if is_serving:
                await process.says("Live Markets is listening on")
                url = f"ws://127.0.0.1:{port}/ws/markets"
                for _ in range(rng.randint(0, 20)):
                    client = await stack.enter_async_context(open_client(url))
                    await client.subscribe("BTCUSDT")
                    if rng.random() < 0.3:
                        client.socket.transport.pause_reading()
                        stack.callback(client.socket.transport.abort)
            await asyncio.sleep(rng.uniform(0, 1.5))  # the moment is what is tried
            began = time.monotonic()
            process.signal(signal.SIGTERM)
            code = await process.ended()
            assert time.monotonic() - began < EXIT_SECONDS
            # Before there is a handler, the signal has its default effect.
            assert code == 0 or (code == -signal.SIGTERM and not is_serving), process.output
            assert "Traceback" not in process.output


@pytest.mark.serial(quiet=True)
@signals
async def test_a_signal_ends_it_when_nobody_is_there(number: signal.Signals) -> None:
    async with running_new_main() as (process, _):
        began = time.monotonic()
        process.signal(number)
        assert await process.ended() == 0
        assert time.monotonic() - began < STOP_SECONDS
        assert "Traceback" not in process.output


async def test_a_taken_port_is_one_clear_line_and_exit_code_1() -> None:
    port, environment = main_environment()
    with socket.create_server(("127.0.0.1", port)):
        async with running_process("main.py", environment=environment) as process:
            assert await process.ended() == 1
    complaints = [line for line in process.lines if "ERROR" in line]
    assert len(complaints) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in complaints[0]
    assert "Traceback" not in process.output


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LIVE_PORT", "eighty"),
        ("LIVE_BINANCE_WS_URL", "http://example.com"),
        ("LIVE_DEFAULT_SYMBOLS", "BTC+USDT"),
    ],
)
async def test_a_bad_setting_is_one_line_that_names_it_and_exit_code_2(variable: str, value: str) -> None:
    _, environment = main_environment()
    async with running_process("main.py", environment=environment | {variable: value}) as process:
        assert await process.ended() == 2
    (line,) = process.lines
    assert variable in line
    assert value in line


BAD_SETTINGS = {"LIVE_PORT": "eighty", "LIVE_STREAM_ENABLED": "true"}


@pytest.mark.parametrize(
    ("option", "text"), [("--help", "LIVE_PORT"), ("-h", "LIVE_PORT"), ("--version", __version__)]
)
async def test_help_and_version_are_answered_at_once_whatever_the_settings(option: str, text: str) -> None:
    # What a start imports takes longer than this; the interpreter tells what it has imported.
    async with running_process("-X", "importtime", "main.py", option, environment=BAD_SETTINGS) as process:
        assert await process.ended() == 0
    imported = [line for line in process.lines if line.startswith("import time:")]
    said = "\n".join(line for line in process.lines if line not in imported)
    assert text in said
    assert "Traceback" not in said
    names = {line.rpartition("|")[2].strip() for line in imported}
    assert "argparse" in names
    assert names.isdisjoint({"nicegui", "pydantic", "fastapi", "uvicorn", "livemarkets.config.settings"})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--nonsense"], "--nonsense"),
        (["--por", "8080"], "--por"),
        (["start"], "start"),
        (["--port"], "--port"),
        (["--port", "80a"], "LIVE_PORT in the command line is '80a'"),
        (["--port", "0"], "a whole number from 1 to 65535"),
        (["--host", "a b"], "LIVE_HOST in the command line is 'a b'"),
    ],
)
async def test_an_option_that_makes_no_sense_is_one_line_and_exit_code_2(
    arguments: list[str], text: str
) -> None:
    _, environment = main_environment()
    async with running_process("main.py", *arguments, environment=environment) as process:
        assert await process.ended() == 2
    (line,) = process.lines
    assert text in line


async def test_host_and_port_of_the_command_line_go_before_the_settings() -> None:
    port, environment = main_environment()
    settings = environment | {"LIVE_HOST": "no.such.host.example", "LIVE_PORT": "eighty"}
    options = ("--host", "127.0.0.1", f"--port={port}")
    async with running_process("main.py", *options, environment=settings) as process:
        await process.says(f"Live Markets is listening on http://127.0.0.1:{port}")
        assert (await get(port, "/healthz")).status_code == 200


async def test_a_misspelt_variable_is_warned_about() -> None:
    async with running_main(LIVE_PROT="8080") as (process, _):
        assert "WARNING" in await process.says("LIVE_PROT")


async def test_it_runs_without_a_network_and_serves_the_simulator() -> None:
    async with running_new_main() as (process, port):
        async with open_client(f"ws://127.0.0.1:{port}/ws/markets") as client:
            await client.subscribe("BTCUSDT")
            down = await client.next("status", exchange="binance", state="down")
            assert "refused" in down["reason"]
            await client.subscribe("BTCUSDT", exchange="simulator")
            assert (await client.trades(3))[0]["exchange"] == "simulator"
            assert (await get(port, "/readyz?upstream=1")).status_code == 503
            assert (await get(port, "/readyz")).status_code == 200
            assert (await get(port, "/healthz")).status_code == 200
        assert process.process.returncode is None
        assert "Traceback" not in process.output


async def started_simulator(process: Process, port: int) -> int:
    """The process of the embedded exchange, started by a reader of it."""
    async with open_client(f"ws://127.0.0.1:{port}/ws/markets") as client:
        await client.subscribe("BTCUSDT", exchange="simulator")
        await client.next("status", 10, exchange="simulator", state="live")
    (child,) = children_of(process.pid)
    return child


@measured
async def test_a_kill_of_the_app_ends_the_embedded_exchange_too() -> None:
    async with running_new_main() as (process, port):
        child = await started_simulator(process, port)
        assert is_running(child)
        process.signal(signal.SIGKILL)
        await eventually(lambda: not is_running(child), timeout_seconds=1.0)


@measured
@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGTERM, marks=pytest.mark.verify), signal.SIGINT],
    ids=["SIGTERM", "SIGINT"],
)
async def test_a_signal_for_the_whole_group_ends_both_quietly(number: signal.Signals) -> None:
    """As Ctrl-C in a terminal, or the end of a service."""
    async with running_new_main() as (process, port):
        child = await started_simulator(process, port)
        os.kill(child, number)
        process.signal(number)
        assert await process.ended() == 0
        assert not is_running(child)
        assert "Traceback" not in process.output
        assert "the embedded exchange ended" not in process.output


async def test_with_the_flag_off_home_and_health_work_and_nothing_else() -> None:
    async with running_main(LIVE_STREAM_ENABLED="false") as (_, port):
        home = await get(port, "/")
        assert home.status_code == 200
        assert "LIVE_STREAM_ENABLED" in home.text
        assert (await get(port, "/healthz")).status_code == 200
        assert (await get(port, "/api/latest")).status_code == 404
        with pytest.raises(Exception, match=r"40[34]"):
            async with open_client(f"ws://127.0.0.1:{port}/ws/markets"):
                pass


async def test_logs_can_be_json() -> None:

    async with running_main(LIVE_LOG_JSON="true") as (process, _):
        records = [json.loads(line) for line in process.lines]
        assert len(records) >= 2


def cpu_seconds(pid: int) -> float:
    """User and system time of a process (proc(5), fields 14 and 15)."""

    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))


@pytest.mark.serial(quiet=True)
@measured
async def test_idle_it_takes_next_to_nothing() -> None:
    async with running_new_main() as (process, port):
        assert (await get(port, "/")).status_code == 200
        before = cpu_seconds(process.pid)
        await asyncio.sleep(MEASURED_SECONDS)  # the measurement itself
        used = cpu_seconds(process.pid) - before
        assert used < IDLE_SHARE * MEASURED_SECONDS
        assert resident_bytes(process.pid) < IDLE_BYTES
