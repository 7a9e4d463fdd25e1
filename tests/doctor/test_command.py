"""The command line: its report, its exit codes, Ctrl-C. And `python -m livemarkets`, which starts it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from livemarkets import __main__ as programs
from livemarkets import __version__
from livemarkets.doctor import command
from livemarkets.doctor.checks import CHECKS
from livemarkets.simulator import SimulatedMarket, Simulator
from tests.doctor.bent import RULES
from tests.support.helpers import PROJECT_ROOT, eventually

PRICE = re.compile(rb"\b[56]\d\d\.\d{2}\b")
"""What the prices of the observed symbols look like."""


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    market = Simulator(SimulatedMarket(5, rules=RULES))
    await market.start()
    yield market
    await market.aclose()


async def start(simulator: Simulator, *options: str) -> asyncio.subprocess.Process:
    """Start `python -m livemarkets doctor` at a simulator."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIVE_")}
    words = ("-m", "livemarkets", "doctor", "--ws-url", simulator.ws_url, "--rest-url", simulator.rest_url)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        *options,
        cwd=PROJECT_ROOT,
        env=inherited,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.long
async def test_it_passes_at_the_simulator_and_writes_what_it_saw(
    simulator: Simulator, tmp_path: Path
) -> None:
    file = tmp_path / "report.json"
    process = await start(simulator, "--seconds", "5", "--json", str(file))
    out, progress = await process.communicate()
    assert process.returncode == 0, out.decode()
    assert b"0 fail" in out.splitlines()[-1]
    assert b"\x1b" not in out
    assert progress.splitlines() == [b"doctor: observing BTCUSDT, ETHUSDT for 5 s; Ctrl-C ends it"]
    report = msgspec.json.decode(file.read_bytes())
    assert list(report) == documented_fields()
    assert report["version"] == __version__
    assert [each["id"] for each in report["checks"]] == [check.id for check in CHECKS]
    assert sum(report["summary"].values()) == len(CHECKS)
    assert report["summary"]["fail"] == 0
    # No price of the observed market is anywhere in the report.
    assert not PRICE.search(out)
    assert not PRICE.search(file.read_bytes())


def documented_fields() -> list[str]:
    """The fields of the report in their order, from the manual."""
    manual = (PROJECT_ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    table = manual.partition("| field |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


async def test_ctrl_c_tells_what_is_known_so_far(simulator: Simulator) -> None:
    process = await start(simulator, "--seconds", "600", "--json", "-")
    sent = simulator.stats
    await eventually(lambda: sum(sent()["trades_sent"].values()) > 40, timeout_seconds=20)
    process.send_signal(signal.SIGINT)
    out, told = await process.communicate()
    report = msgspec.json.decode(out)
    # A machine that is busy with other things may hold up the exchange: the doctor is right to say so.
    assert process.returncode == (1 if report["summary"]["fail"] else 130), told.decode()
    assert report["end"] == "it was interrupted"
    results = {each["id"]: each["result"] for each in report["checks"]}
    assert results["trades.consecutive"] == results["rest.exchange_info"] == "pass"
    assert b"the observation ended early: it was interrupted" in told
    assert b"Traceback" not in told


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Run the command in this process; return its exit code and what it wrote to stderr."""
    try:
        code = command.main(words)
    except SystemExit as error:
        code = int(error.code or 0)
    return code, capsys.readouterr().err


NOWHERE = ("--ws-url", "ws://127.0.0.1:9", "--rest-url", "http://127.0.0.1:9")


def test_without_any_address_it_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, "--seconds", "1", *NOWHERE)
    assert code == 2
    assert said.splitlines()[-1] == "doctor: no address of the exchange can be reached: connection refused"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--seconds", "0"), "'0' is not a number from 1 to 3600"),
        (("--colour",), "unrecognized arguments: --colour"),
        (("--ws-url", "http://127.0.0.1"), "LIVE_BINANCE_WS_URL"),
        (("--symbols", "BTC+USDT"), "LIVE_DEFAULT_SYMBOLS"),
        (("--symbols", ",".join(f"A{n}USDT" for n in range(11)), *NOWHERE), "more than 10 symbols"),
        (("--json", "/nowhere/at/all.json", *NOWHERE), "No such file"),
    ],
)
def test_what_it_cannot_run_with_is_one_line(
    words: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(capsys, *words)
    assert code == 2
    assert len(said.splitlines()) == 1
    assert reason in said


def test_the_programs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        programs.main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert re.search(r"^  doctor +\w", said, re.MULTILINE)
    assert re.search(r"^  simulator +\w", said, re.MULTILINE)


@pytest.mark.parametrize("words", [[], ["surgeon"], ["--verbose"]])
def test_an_unknown_program_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        programs.main(words)
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("program", ["doctor", "simulator"])
def test_a_program_gets_the_words_after_its_name(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        programs.main([program, "--help"])
    assert ended.value.code == 0
    assert program in capsys.readouterr().out.splitlines()[0]
