"""Many open pages without a browser. It says `open` when all of them read."""

from __future__ import annotations

import argparse
import asyncio
import contextlib

from benchmarks.clients.page_client import open_page
from benchmarks.servers.contract import say


async def run(port: int, path: str, count: int) -> None:
    """Open so many pages, and read until the end."""
    async with contextlib.AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(open_page(port, path)) for _ in range(count)]
        say("open")
        await asyncio.gather(*(page.read() for page in pages))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--count", type=int, required=True)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.port, arguments.path, arguments.count))
