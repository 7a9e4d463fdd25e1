"""`make compat`: real clients on the simulator, at once, over a minute's border; then a table."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import ssl
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from livemarkets.simulator import SimulatedMarket, Simulator
from livemarkets.simulator.server.certificate import Certificate
from tests.compat.comparison import KINDS, Outcome, outcome_of
from tests.compat.truth import Truth

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".venv-compat"
CLIENTS = Path(__file__).parent / "clients"
_STREAMS_ONLY = tuple(kind for kind in KINDS if kind != "history")
_LEAD_SECONDS = 25.0
"""Clients load for some seconds before they listen; the border of a minute has to come after that."""
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Client:
    """A client: its name, the program in `clients/`, and what it has to report."""

    name: str
    program: str
    expected: Sequence[str] = KINDS

    def command(self) -> list[str]:
        """Return the command that starts it."""
        if self.program.endswith(".mjs"):
            return ["node", str(ENVIRONMENT / "node" / self.program)]
        return [str(ENVIRONMENT / "bin" / "python"), "-m", f"tests.compat.clients.{self.program}"]


ALL = (
    Client("ccxt.pro (Python)", "ccxt_pro"),
    Client("ccxt (Node)", "ccxt.mjs"),
    Client("binance-sdk-spot", "binance_sdk_spot"),
    Client("python-binance", "python_binance"),
    Client("unicorn-binance-websocket-api", "unicorn", _STREAMS_ONLY),
    Client("binance (npm)", "binance.mjs"),
)


async def campaign(clients: Sequence[Client], seconds: float, folder: Path) -> list[Outcome]:
    """Run the clients at the same time. Return what came out for each."""
    certificate = Certificate(folder, "127.0.0.1")
    simulator = Simulator(SimulatedMarket(seed=11), tls=certificate.context)
    await simulator.start()
    trusting = ssl.create_default_context(cafile=certificate.authority)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "COMPAT_WS_URL": simulator.ws_url,
        "COMPAT_REST_URL": simulator.rest_url,
        "COMPAT_AUTHORITY": str(certificate.authority),
        "COMPAT_SECONDS": str(seconds),
        # How users make their clients trust an authority: OpenSSL's, requests' and Node's own settings.
        "SSL_CERT_FILE": str(certificate.authority),
        "REQUESTS_CA_BUNDLE": str(certificate.authority),
        "NODE_EXTRA_CA_CERTS": str(certificate.authority),
    }
    truth = Truth()
    try:
        async with httpx.AsyncClient(trust_env=False, verify=trusting, base_url=simulator.rest_url) as rest:
            async with truth.listening(simulator.ws_url, rest, trusting):
                await truth.add_history(rest)
                reports = await asyncio.gather(
                    *(run(client, environment, folder, seconds) for client in clients)
                )
            await truth.add_history(rest)
    finally:
        await simulator.aclose()
    outcomes = [
        outcome_of(client.name, lines, truth, client.expected)
        for client, lines in zip(clients, reports, strict=True)
    ]
    for outcome in outcomes:
        outcome.problems += truth.errors
    return outcomes


async def run(client: Client, environment: dict[str, str], folder: Path, seconds: float) -> list[bytes]:
    """Run one client until it ends. Return its lines; what it says besides goes to a file."""
    log = folder / f"{client.program}.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *client.command(), cwd=ROOT, env=environment, stdout=PIPE, stderr=errors, limit=2**20
        )
        try:
            async with asyncio.timeout(seconds + _PATIENCE_SECONDS):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            return [b'{"kind":"error","where":"end","text":"it did not end by itself"}']
    if process.returncode:
        said = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        sys.stderr.write(f"{client.name} ended with {process.returncode} and said: {said[0]}\n")
    return output.splitlines()


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the results as a table of Markdown: how many values of each kind were compared and equal."""
    lines = [f"| client | {' | '.join(KINDS)} | |", "|---|" + "---:|" * len(KINDS) + "---|"]
    for outcome in outcomes:
        cells = " | ".join(outcome.cell(kind) for kind in KINDS)
        lines.append(f"| {outcome.client} | {cells} | {'fails' if outcome.problems else 'passes'} |")
    return "\n".join(lines)


def main() -> int:
    """Run the campaign. Return 1 if a client failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.compat", description=__doc__)
    parser.add_argument("--only", help="names of programs, such as ccxt_pro,binance.mjs")
    parser.add_argument("--seconds", type=float, default=45.0, help="how long each client listens")
    options = parser.parse_args()
    chosen = [one for one in ALL if options.only is None or one.program in options.only.split(",")]
    if shutil.which("node") is None:
        sys.stdout.write("No Node.js here: its clients are left out\n")
        chosen = [one for one in chosen if not one.program.endswith(".mjs")]
    for script in CLIENTS.glob("*.mjs"):  # Node looks for packages beside the program
        shutil.copy(script, ENVIRONMENT / "node")
    # The border of a minute should be well inside, so that a candle of a minute ends.
    until_border = 60.0 - time.time() % 60.0
    if not _LEAD_SECONDS <= until_border <= options.seconds - 5.0:
        wait_seconds = (until_border - options.seconds + 5.0) % 60.0
        sys.stdout.write(f"waiting {wait_seconds:.0f} s for a minute's border\n")
        sys.stdout.flush()
        time.sleep(wait_seconds)
    with tempfile.TemporaryDirectory(prefix="compat-") as folder:
        outcomes = asyncio.run(campaign(chosen, options.seconds, Path(folder)))
    sys.stdout.write(table(outcomes) + "\n")
    for outcome in outcomes:
        for problem in outcome.problems[:10]:
            sys.stdout.write(f"{outcome.client}: {problem}\n")
    return 1 if any(outcome.problems for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
