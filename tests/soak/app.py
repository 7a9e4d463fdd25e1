"""The plan of a campaign, and the shipped app in a process of its own, with shorter waits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import msgspec

from livemarkets.app import Tuning
from livemarkets.exchanges.binance.attempts import AttemptTimings
from livemarkets.exchanges.binance.client import ClientTimings
from livemarkets.exchanges.binance.connection import ConnectionTimings
from livemarkets.exchanges.binance.session import SessionTimings
from livemarkets.exchanges.binance.shard import ShardTimings
from livemarkets.feed.candle_limits import CandleLimits
from livemarkets.feed.exchange_feed import FeedLimits
from livemarkets.feed.ledger import LedgerLimits
from tests.soak.exchanges import CampaignExchange
from tests.support.helpers import PROJECT_ROOT, WITHOUT_TLS, free_port

__all__ = ["Plan", "metrics", "resident_kb", "running_app"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a campaign does."""

    exchange: str = "simulator"
    """One of `campaign.EXCHANGES`."""
    seed: int = 1
    faults: int = 1000
    seconds: float = 600.0
    clients: int = 5
    has_ledger: bool = True
    """Off to prove that the campaign can fail."""
    settle_seconds: float = 60.0
    """How long every client may take, once the faults have ended, to have all that was traded."""
    log: Path | None = None
    """Where the app's log goes; `None` throws it away."""


_STREAMS_PER_CONNECTION = {"simulator": 9, "foreign": 3}
"""So few that there are several connections, and so many that the limit of dials is never reached."""


def _tuning(plan: Plan) -> Tuning:
    """Shorter waits than a real exchange deserves, so that much happens in little time."""
    return Tuning(
        client=ClientTimings(
            streams_per_connection=_STREAMS_PER_CONNECTION[plan.exchange],
            shard=ShardTimings(
                connection=ConnectionTimings(
                    open_seconds=3.0,
                    ping_seconds=2.0,
                    pong_seconds=2.0,
                    session=SessionTimings(ack_timeout_seconds=2.0, rejection_seconds=2.0),
                ),
                lifetime_seconds=60.0,
                takeover_seconds=3.0,
                attempts=AttemptTimings(
                    backoff_initial_seconds=0.1, backoff_cap_seconds=2.0, good_life_seconds=0.5
                ),
            ),
        ),
        feed=FeedLimits(
            candles=CandleLimits(patience_seconds=20.0, absent_seconds=2.0, retry_most_seconds=2.0),
            ledger=LedgerLimits(patience_seconds=45.0, proof_seconds=0.2),
            has_ledger=plan.has_ledger,
        ),
    )


@contextlib.asynccontextmanager
async def running_app(
    plan: Plan, exchange: CampaignExchange
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVE_")} | {
        "LIVE_STREAM_ENABLED": "true",
        "LIVE_PORT": str(port),
        "LIVE_LINGER_SECONDS": "1",
        "LIVE_BINANCE_WS_URL": exchange.ws_url,
        "LIVE_BINANCE_REST_URL": exchange.rest_url,
        "SOAK_TUNING": msgspec.json.encode(_tuning(plan)).decode(),
    }
    with _log_file(plan) as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.soak.serve",
            cwd=PROJECT_ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            await _until_alive(port)
            yield process, port
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()


def _log_file(plan: Plan) -> IO[str]:
    return open(plan.log or os.devnull, "w", encoding="utf-8")


async def _until_alive(port: int) -> None:
    async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False) as http, asyncio.timeout(20):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await http.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


def resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


async def metrics(port: int) -> dict[str, float]:
    async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False) as http:
        text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if not line.startswith("#") and 'exchange="simulator"' not in line:
            name, _, value = line.rpartition(" ")
            found[name.partition("{")[0]] += float(value)  # type: ignore[assignment]
    return dict(found)
