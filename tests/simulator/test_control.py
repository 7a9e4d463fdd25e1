"""The control API and the command line."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from livemarkets.simulator import Simulator
from livemarkets.simulator.__main__ import main
from tests.simulator.conftest import SECRET, Client, Started
from tests.simulator.test_replay import line
from tests.support.helpers import PROJECT_ROOT

Dial = Callable[..., Awaitable[Client]]
Run = Callable[..., Awaitable[Process]]
VARIABLE = "SIMULATOR_CONTROL_SECRET"


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def control(simulator: Simulator, *requests: Any) -> list[Any]:
    """Send requests to the control API and return the replies."""
    async with connect(
        simulator.ws_url + "/simulator/control", proxy=None, additional_headers=bearer(SECRET)
    ) as socket:
        replies = []
        for request in requests:
            text = request if isinstance(request, str | bytes) else msgspec.json.encode(request).decode()
            await socket.send(text)
            replies.append(msgspec.json.decode(await socket.recv()))
        return replies


async def test_faults_and_questions(start: Started, dial: Dial) -> None:
    simulator = await start()
    client = await dial(simulator, "/ws/btcusdt@trade")
    replies = await control(
        simulator,
        {"query": "subscriptions"},
        {"query": "connections"},
        {"query": "faults"},
        {"fault": "lose", "stream": "btcusdt@trade", "count": 2},
        {"fault": "drop"},
        {"query": "stats"},
        {"fault": "clear"},
    )
    assert all(reply["ok"] for reply in replies)
    assert replies[0]["result"] == ["btcusdt@trade"]
    assert replies[1]["result"][0]["streams"] == ["btcusdt@trade"]
    assert "half_open" in replies[2]["result"]
    assert replies[4]["result"] == {"fault": "drop", "injected": 1}
    assert replies[5]["result"]["faults"] == {"lose": 1, "drop": 1}
    assert (await client.closed())[0] == 1006


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ("nonsense", "not a JSON object"),
        (b"\xff", "not a JSON object"),
        ([], "not a JSON object"),
        ({}, 'send {"fault"'),
        ({"fault": 7}, 'send {"fault"'),
        ({"query": "weather"}, 'send {"fault"'),
        ({"fault": "earthquake"}, "unknown fault 'earthquake'; known faults: "),
        ({"fault": "half-opn"}, "unknown fault 'half-opn'; did you mean half_open? known faults: "),
        ({"fault": "bind"}, "unknown fault 'bind'"),
        ({"fault": "_begin"}, "unknown fault '_begin'"),
        ({"fault": "drop", "self": 1}, "drop has no argument 'self'"),
        ({"fault": "drop", "colour": 1}, "drop has no argument 'colour'; its arguments: connection"),
        (
            {"fault": "half_open", "second": 1},
            "half_open has no argument 'second'; did you mean seconds? its arguments: connection, seconds",
        ),
        ({"fault": "clear", "all": 1}, "clear has no argument 'all'; it has none"),
        ({"fault": "half_open", "connection": 99}, "half_open: there is no open connection 99"),
        ({"fault": "drop", "connection": "x"}, "drop: connection: "),
        ({"fault": "mute"}, "mute requires the argument 'stream'"),
        ({"fault": "hole", "symbol": "NOPE"}, "hole: the exchange does not list NOPE"),
        ({"fault": "garbage", "kind": "old"}, "unknown kind 'old'"),
        ({"fault": "error_shape", "shape": "round"}, "error_shape: shape: "),
        (
            {"fault": "hole", "symbol": "BTCUSDT", "count": 10**18},
            "hole: count must be a number from 1 to 1000000",
        ),
        (
            {"fault": "hole", "symbol": "BTCUSDT", "count": 0},
            "hole: count must be a number from 1 to 1000000",
        ),
        ({"fault": "refuse", "count": 10**9}, "refuse: count must be a number from 1 to 100000"),
        ({"fault": "refuse", "seconds": "nan"}, "refuse: seconds must be a number from 0 to 86400"),
        ({"fault": "refuse", "status": 101}, "refuse: status must be a number from 400 to 599"),
        ({"fault": "burst", "factor": 1e9}, "burst: factor must be a number from 0 to 10000"),
        ({"fault": "burst", "trades": 10**6}, "burst: trades must be a number from 1 to 50000"),
        ({"fault": "garbage", "count": 10**6}, "garbage: count must be a number from 1 to 1000"),
        ({"fault": "skew", "ms": 10**30}, "skew: ms must be a number from -31536000000 to 31536000000"),
        ({"fault": "close", "code": 1006}, "close: 1006 is not a valid close code"),
        ({"fault": "accept_close", "code": 5000}, "accept_close: 5000 is not a valid close code"),
        ({"fault": "close", "reason": "é" * 62}, "close: reason must have at most 123 bytes"),
    ],
)
async def test_what_makes_no_sense_is_said(start: Started, request_: Any, error: str) -> None:
    bad, good = await control(await start(), request_, {"query": "stats"})
    assert bad["ok"] is False
    assert error in bad["error"]
    assert good["ok"] is True


async def test_what_is_just_within_bounds_is_done(start: Started) -> None:
    replies = await control(
        await start(),
        {"fault": "lose", "count": 100_000},
        {"fault": "accept_close", "code": 0},
        {"fault": "rest_down", "status": 0, "count": 1},
        {"fault": "close", "code": 4999, "reason": "e" * 123},
        {"fault": "burst", "trades": None},
    )
    assert [reply["ok"] for reply in replies] == [True] * 5, replies


async def refusal(simulator: Simulator, path: str, **options: Any) -> tuple[int, str]:
    """Status and text with which a handshake is refused; (101, "") when it is not."""
    try:
        async with connect(simulator.ws_url + path, proxy=None, **options):
            return 101, ""
    except InvalidStatus as error:
        return error.response.status_code, error.response.body.decode()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer(SECRET[:-1]),
        bearer(SECRET + "x"),
        {"Authorization": SECRET},
        {"Authorization": f"Basic {SECRET}"},
        [*bearer(SECRET).items(), *bearer("another").items()],
    ],
    ids=["none", "empty", "shorter", "longer", "bare", "basic", "two"],
)
async def test_the_control_needs_the_secret(start: Started, headers: Any) -> None:
    simulator = await start()
    status, text = await refusal(simulator, "/simulator/control", additional_headers=headers)
    assert status == 401
    assert "Authorization: Bearer" in text
    assert (await refusal(simulator, f"/simulator/control?token={SECRET}"))[0] == 401


async def test_an_exchange_without_a_secret_has_no_control(start: Started) -> None:
    simulator = await start(control_secret="")
    for headers in ({}, bearer(""), bearer(SECRET)):
        assert (await refusal(simulator, "/simulator/control", additional_headers=headers))[0] == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1"])
async def test_no_web_page_has_the_control_even_with_the_secret(start: Started, origin: str) -> None:
    simulator = await start()
    status, text = await refusal(
        simulator, "/simulator/control", additional_headers=bearer(SECRET), origin=origin
    )
    assert (status, "Origin" in text) == (403, True)
    own = f"http://127.0.0.1:{simulator.port}"
    assert (await refusal(simulator, "/simulator/control", origin=own))[0] == 403


PAGES = {
    "a page": {"Origin": "https://evil.example"},
    "an image": {"Sec-Fetch-Site": "cross-site"},
    "a name that is made to point here": {"Host": "evil.example:9443"},
    "two names": [("Host", "127.0.0.1"), ("Host", "evil.example")],
}


@pytest.mark.parametrize("headers", PAGES.values(), ids=PAGES.keys())
async def test_an_exchange_that_is_for_its_app_alone_serves_no_browser(start: Started, headers: Any) -> None:
    shut, open_ = await start(serves_browsers=False), await start()
    pairs = [*(headers.items() if isinstance(headers, dict) else headers)]
    assert (await asked(shut, *pairs)).startswith("HTTP/1.1 403 ")
    assert (await asked(shut, *pairs, ("Upgrade", "websocket"), path="/ws")).startswith("HTTP/1.1 403 ")
    assert shut.stats()["rest_calls"] == {}
    assert shut.stats()["attempts"] == 0
    assert (await asked(open_, *pairs)).startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.0.0.1:1"])
async def test_an_exchange_that_is_for_its_app_alone_serves_programs(start: Started, host: str) -> None:
    shut = await start(serves_browsers=False)
    assert (await asked(shut, ("Host", host))).startswith("HTTP/1.1 200 ")
    assert (await refusal(shut, "/ws"))[0] == 101


async def asked(simulator: Simulator, *headers: tuple[str, str], path: str = "/api/v3/time") -> str:
    """The answer to a request with exactly these headers; a `Host` is added if there is none."""
    host = [] if any(name == "Host" for name, _ in headers) else [("Host", "127.0.0.1")]
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in [*host, *headers])]
    lines += ["Connection: close", "", ""]
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    writer.write("\r\n".join(lines).encode())
    try:
        return (await asyncio.wait_for(reader.read(), 5)).decode()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Run the program; whatever is left is ended."""
    processes: list[Process] = []

    async def run_one(
        *arguments: str, secret: str = "", stdin: int | None = None, stderr: int = PIPE
    ) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "livemarkets.simulator",
            *arguments,
            stdin=stdin,
            stdout=PIPE,
            stderr=stderr,
            cwd=PROJECT_ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", VARIABLE: secret},
        )
        processes.append(process)
        return process

    yield run_one
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def serving(process: Process) -> int:
    """Wait for the line with the addresses and return the port."""
    assert process.stderr is not None
    text = (await asyncio.wait_for(process.stderr.readline(), 20)).decode()
    found = re.search(
        r"LIVE_BINANCE_WS_URL=wss?://127\.0\.0\.1:(\d+) LIVE_BINANCE_REST_URL=https?://127\.0\.0\.1:\1$",
        text.strip(),
    )
    assert found, text
    return int(found[1])


async def done(process: Process) -> tuple[int | None, str, str]:
    out, err = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_program_serves_until_a_signal(run: Run, number: signal.Signals) -> None:
    process = await run("--port", "0", "--symbols", "btcusdt, ETHUSDT", "--trades-per-second", "50")
    port = await serving(process)
    async with connect(f"ws://127.0.0.1:{port}/ws/btcusdt@trade", proxy=None) as socket:
        assert msgspec.json.decode(await socket.recv())["s"] == "BTCUSDT"
        process.send_signal(number)
        code, _, errors = await done(process)
    assert code == 0
    assert "Traceback" not in errors


async def test_faults_from_the_command_line(run: Run) -> None:
    exchange = await run("--port", "0", secret=SECRET)
    faults = ("faults", "--port", port := str(await serving(exchange)))
    code, out, _ = await done(await run(*faults, "lose", "stream=btcusdt@trade", "count=5", secret=SECRET))
    assert (code, msgspec.json.decode(out)) == (0, {"fault": "lose", "injected": 1})
    code, out, _ = await done(await run(*faults, "stats", secret=SECRET))
    assert msgspec.json.decode(out)["faults"] == {"lose": 1}
    code, _, errors = await done(await run(*faults, "earthquake", secret=SECRET))
    assert code == 1
    assert "unknown fault" in errors
    code, out, errors = await done(await run(*faults, "drop", secret="another-secret-of-these"))
    assert (code, out, len(errors.splitlines())) == (1, "", 1)
    assert "HTTP 401" in errors
    code, _, errors = await done(await run("--port", port))
    assert code == 1
    assert f"port {port} on 127.0.0.1 is already in use" in errors
    assert len(errors.splitlines()) == 1
    exchange.send_signal(signal.SIGINT)
    assert SECRET not in "".join(await said(exchange)), "who gave the secret knows it"


async def test_the_program_makes_a_secret_and_says_it_once(run: Run) -> None:
    exchange = await run("--port", "0")
    port = str(await serving(exchange))
    assert exchange.stderr is not None
    line_ = (await asyncio.wait_for(exchange.stderr.readline(), 20)).decode()
    found = re.search(rf"{VARIABLE}=([\w-]{{32}})$", line_.strip())
    assert found, line_
    assert (await done(await run("faults", "--port", port, "drop", secret=found[1])))[0] == 0


async def test_faults_of_an_exchange_with_tls(run: Run, tmp_path: Path) -> None:
    exchange = await run("--port", "0", "--tls", str(tmp_path), secret=SECRET)
    faults = ("faults", "--port", str(await serving(exchange)))
    code, out, _ = await done(await run(*faults, "--tls", str(tmp_path), "stats", secret=SECRET))
    assert (code, msgspec.json.decode(out)["faults"]) == (0, {})
    code, _, errors = await done(await run(*faults, "--tls", str(tmp_path / "none"), "stats", secret=SECRET))
    assert (code, len(errors.splitlines())) == (1, 1)
    assert "cannot read a certificate in" in errors


async def said(process: Process) -> list[str]:
    return list((await done(process))[1:])


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("", f"{VARIABLE} is not set"),
        ("fifteen-letters", "16 visible ASCII"),
        ("a blank in the middle", "no spaces"),
    ],
)
async def test_a_secret_that_will_not_do_is_one_line(run: Run, secret: str, text: str) -> None:
    code, _, errors = await done(await run("faults", "--port", "9", "drop", secret=secret))
    assert (code, len(errors.splitlines())) == (1, 1)
    assert text in errors


async def test_a_recording_from_the_command_line(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text(line(0, 1) + line(50, 2))
    port = await serving(await run("--port", "0", "--replay", str(path), "--speed", "10"))
    async with connect(f"ws://127.0.0.1:{port}/stream?streams=btcusdt@trade", proxy=None) as socket:
        received = [await socket.recv(decode=False) for _ in range(2)]
    assert received == [text.split(b'"frame":')[1][:-1] for text in path.read_bytes().splitlines()]


def test_the_list_of_faults_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faults", "--list"]) == 0
    assert "half_open" in capsys.readouterr().out


def test_a_fault_without_an_exchange_is_one_line(
    capsys: pytest.CaptureFixture[str], unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)
    assert main(["faults", "--port", str(unused_tcp_port), "drop"]) == 1
    errors = capsys.readouterr().err
    assert "cannot reach a simulator" in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--speed", "0"],
        ["--rate", "x"],
        ["--port", "x"],
        ["--nonsense"],
        ["faults"],
        ["faults", "drop", "now"],
    ],
)
def test_usage_errors_end_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(arguments)
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    assert code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(["--replay", "/nowhere/at.all"], "No such file"), (["--symbols", "NOPE"], "does not know NOPE")],
)
def test_what_cannot_be_served_is_one_line(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    errors = capsys.readouterr().err
    assert text in errors
    assert len(errors.splitlines()) == 1


async def test_a_child_of_the_app_tells_its_address_and_ends_with_standard_input(run: Run) -> None:
    process = await run("--embedded", "--port", "0", secret=SECRET, stdin=PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    addresses = msgspec.json.decode(await asyncio.wait_for(process.stdout.readline(), 20))
    assert addresses.keys() == {"ws_url", "rest_url"}
    assert await asyncio.wait_for(process.stdout.readline(), 5) == b"\n", "a sign of life"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process.send_signal(number)
    async with connect(f"{addresses['ws_url']}/ws", proxy=None) as socket:
        await socket.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
        assert b'"id":1' in await socket.recv(decode=False)
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 5) == 0
    assert process.stderr is not None
    assert await process.stderr.read() == b""


async def test_a_child_of_the_app_goes_on_when_nobody_reads_its_log(run: Run) -> None:
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, b"x" * 65536):
            pass
    process = await run(
        "--embedded", "--port", "0", "--max-messages", "1", secret=SECRET, stdin=PIPE, stderr=writer
    )
    assert process.stdout is not None
    addresses = msgspec.json.decode(await asyncio.wait_for(process.stdout.readline(), 20))

    async def exceeds_a_limit() -> None:
        async with connect(f"{addresses['ws_url']}/ws", proxy=None) as socket:
            with contextlib.suppress(ConnectionClosed):
                for _ in range(10):
                    await socket.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
                    await socket.recv()

    for _ in range(3):
        await exceeds_a_limit()
    read = os.read(reader, 2**20)
    while b"were left out: the pipe was full" not in read:
        await exceeds_a_limit()
        with contextlib.suppress(BlockingIOError):
            read += os.read(reader, 2**20)
    os.close(reader)
    os.close(writer)
