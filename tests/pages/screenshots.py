"""Pictures of every page for README and docs: `make screenshots`.

The selected market is of a genuine recording where one lies beside the project; elsewhere it is simulated.
The recording has trades of two symbols and no price levels, so the other pages are taken on the simulator in
any case.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import struct
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

from playwright.async_api import Browser, Page, ViewportSize

from tests.pages.browser import browser
from tests.support.app import running_main, running_warm
from tests.support.helpers import PROJECT_ROOT, chromium_path, free_port
from tests.support.recordings import BITCOIN_AND_ETHER, find_recording

__all__ = ["FOLDER", "MOST_BYTES", "SHOTS", "names"]

FOLDER = PROJECT_ROOT / "docs" / "images"
MOST_BYTES = 150_000
SCREENS: dict[str, ViewportSize] = {
    "laptop": {"width": 1366, "height": 768},
    "phone": {"width": 390, "height": 844},
}
THEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")
WAIT_SECONDS = 60.0
SPEED = 4
PLAYED_SECONDS = 40.0
FORGOTTEN_SECONDS = 10.0
"""After that, the stream of candles is wanted no more, and may be silent anew."""

WATCHED = "BTCUSDT,ETHUSDT,SOLUSDT,BNBUSDT,XRPUSDT,DOGEUSDT,ADAUSDT,SHIBUSDT,TRXUSDT,LINKUSDT,LTCUSDT,ETHBTC"


def console(exchange: str) -> str:
    """The address of a console page with a request for trades."""
    message = {
        "type": "subscribe",
        "exchange": exchange,
        "channel": "trades",
        "symbols": ["BTCUSDT", "ETHUSDT"],
    }
    return "/labs/console?" + urlencode({"message": json.dumps(message)})


@dataclass(frozen=True, slots=True)
class Shot:
    """A page to take."""

    path: str
    """Its address."""
    ready: str
    """What is there when it can be taken."""
    recorded: str = ""
    """Its address on a recording; empty where a recording does not have what it shows."""
    screens: tuple[str, ...] = tuple(SCREENS)
    press: str = ""
    """The name of a button to press first."""
    settle_seconds: float = 4.0
    """How long it is left alone, so that it has something to show."""


SHOTS = {
    "home": Shot("/", ".cards .card"),
    "live": Shot(f"/labs?exchange=simulator&symbols={WATCHED}", ".price:not(:empty)", settle_seconds=12),
    "market": Shot(
        f"/labs?exchange=simulator&symbols={WATCHED}&selected=BTCUSDT",
        ".tape-line",
        recorded="/labs?symbols=BTCUSDT,ETHUSDT&selected=BTCUSDT&interval=1s",
        settle_seconds=1.5,  # a recording without candles is soon found to be silent
    ),
    "overview": Shot("/labs/overview?exchange=simulator", ".price:not(:empty)", settle_seconds=10),
    "status": Shot("/labs/status", "tr[data-row=State] td", settle_seconds=10),
    "console": Shot(console("simulator"), ".console-message", press="Send"),
    "reference": Shot("/labs/reference", "main h2"),
}

# Each pixel as one of 256 colours: those that most pixels have, and for every other one the nearest of them.
REDUCE = """async (source) => {
    const image = new Image();
    image.src = `data:image/png;base64,${source}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    const pixels = new Uint32Array(data.length / 4);
    const counts = new Map();
    for (let at = 0; at < pixels.length; at++) {
        const colour = (data[4 * at] << 16) | (data[4 * at + 1] << 8) | data[4 * at + 2];
        pixels[at] = colour;
        counts.set(colour, (counts.get(colour) ?? 0) + 1);
    }
    const parts = (colour) => [colour >> 16, (colour >> 8) & 255, colour & 255];
    const far = (one, other) => {
        const [a, b] = [parts(one), parts(other)];
        return a.reduce((sum, value, at) => sum + (value - b[at]) ** 2, 0);
    };
    // Frequent colours first; one that is close to a chosen one is left to that.
    const palette = [];
    const waiting = [...counts.keys()].sort((one, other) => counts.get(other) - counts.get(one));
    for (const apart of [48, 12, 0]) {
        for (const colour of waiting) {
            if (palette.length === 256) break;
            if (!palette.some((chosen) => far(chosen, colour) <= apart)) palette.push(colour);
        }
    }
    const nearest = new Map();
    for (const colour of waiting) {
        let best = 0;
        palette.forEach((chosen, at) => { if (far(chosen, colour) < far(palette[best], colour)) best = at; });
        nearest.set(colour, best);
    }
    let text = "";
    pixels.forEach((colour) => { text += String.fromCharCode(nearest.get(colour)); });
    return { width: image.width, height: image.height, palette, indexes: btoa(text) };
}"""


def names() -> list[str]:
    """The files that are made."""
    return [
        f"{name}-{theme}-{screen}.png"
        for name, shot in SHOTS.items()
        for screen in shot.screens
        for theme in THEMES
    ]


def png(width: int, height: int, palette: list[int], indexes: bytes) -> bytes:
    """Return a picture in the format PNG, with one byte for each pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    colours = b"".join(colour.to_bytes(3, "big") for colour in palette)
    lines = b"".join(b"\0" + indexes[at : at + width] for at in range(0, width * height, width))
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"PLTE", colours), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks)


async def reduced(blank: Page, picture: bytes) -> bytes:
    """Return the picture with 256 colours, for which a page without content security is used."""
    found: Any = await blank.evaluate(REDUCE, base64.b64encode(picture).decode())
    indexes = base64.b64decode(found["indexes"])
    return png(found["width"], found["height"], found["palette"], indexes)


@contextlib.asynccontextmanager
async def served(recording: Path | None) -> AsyncIterator[str]:
    """The shipped application; if there is a recording, with that in Binance's place."""
    async with contextlib.AsyncExitStack() as stack:
        exchange = None
        if recording is not None:
            port = free_port()
            exchange = f"127.0.0.1:{port}"
            options = ("--port", str(port), "--replay", str(recording), "--speed", str(SPEED))
            await stack.enter_async_context(running_warm("-m", "livemarkets.simulator", *options))
        _, port = await stack.enter_async_context(running_main(exchange, LIVE_LINGER_SECONDS="0.5"))
        yield f"http://127.0.0.1:{port}"


async def take(opened: Browser, base: str, name: str, *, is_recorded: bool, folder: Path) -> None:
    """Take one page on all its screens, in both themes."""
    shot = SHOTS[name]
    blank = await opened.new_page()
    for screen in shot.screens:
        size = SCREENS[screen]
        context = await opened.new_context(viewport=size, has_touch=screen == "phone", color_scheme="dark")
        page = await context.new_page()
        await page.goto(base + (shot.recorded if is_recorded and shot.recorded else shot.path))
        await page.locator(shot.ready).first.wait_for(timeout=WAIT_SECONDS * 1000)
        if shot.press:
            await page.get_by_role("button", name=shot.press, exact=True).click()
        await asyncio.sleep(shot.settle_seconds)
        for theme in THEMES:
            await page.emulate_media(color_scheme=theme)
            await page.locator(f"html[data-theme={theme}]").wait_for()
            await asyncio.sleep(1)  # the chart is drawn twice a second
            path = folder / f"{name}-{theme}-{screen}.png"
            path.write_bytes(await reduced(blank, await page.screenshot()))
            print(f"{path.name}: {path.stat().st_size // 1000} kB")  # noqa: T201 (a program)
        await context.close()
        if is_recorded and shot.recorded:
            await asyncio.sleep(FORGOTTEN_SECONDS)
    await blank.close()


@contextlib.asynccontextmanager
async def played(opened: Browser, base: str) -> AsyncIterator[None]:
    """Have the recording be played for some minutes of its time. Its candles are made of what was played."""
    page = await opened.new_page()
    await page.goto(base + console("binance"))
    await page.get_by_role("button", name="Send", exact=True).click()
    await asyncio.sleep(PLAYED_SECONDS)
    yield
    await page.close()


async def make(folder: Path, chosen: list[str]) -> None:
    """Take the chosen pages."""
    chromium = chromium_path()
    if chromium is None:
        raise SystemExit("There is no Chromium. `make test` installs one.")
    recording = find_recording(BITCOIN_AND_ETHER)
    async with contextlib.AsyncExitStack() as stack:
        opened = await stack.enter_async_context(browser(chromium))
        base = await stack.enter_async_context(served(recording))
        if recording is not None and any(SHOTS[name].recorded for name in chosen):
            await stack.enter_async_context(played(opened, base))
        for name in sorted(chosen, key=lambda name: not SHOTS[name].recorded):
            await take(opened, base, name, is_recorded=recording is not None, folder=folder)


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of every page, into docs/images.")
    parser.add_argument("pages", nargs="*", choices=[*SHOTS, []], help="only these; default: all")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to put them")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(make(options.folder, options.pages or list(SHOTS)))


if __name__ == "__main__":
    main()
