"""A reader in a process of its own, so that what an attacker costs the tests is not held against the app.

It writes a line for each trade: its id, its age in ms, and the milliseconds since the trade before it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from tests.support.markets_client import open_client

SYMBOL = "BTCUSDT"


async def main(url: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with open_client(url, additional_headers=headers) as client:
        await client.subscribe(SYMBOL)
        before_ms = 0.0
        while True:
            trade = await client.next("trade", 60)
            now_ms = time.time() * 1000
            pause_ms = now_ms - before_ms if before_ms else 0.0
            before_ms = now_ms
            sys.stdout.write(f"trade {trade['id']} {now_ms - trade['ts']:.0f} {pause_ms:.0f}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], os.environ.get("WITNESS_TOKEN", "")))
