"""The panel of the selected symbol in a real Chromium: nothing that it shows contradicts the rest of it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser

from tests.pages.browser import has_price, local_pages, tab

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What the panel shows at each frame, for some seconds: last, high and low as a person reads them, and the
# extremes and the end of the course that is drawn.
SAMPLE = """(seconds) => new Promise((done) => {
    const number = (text) => Number(text.replaceAll(',', ''));
    const figure = (name) => number([...document.querySelectorAll('.panel-figures > div')]
        .find((one) => one.querySelector('dt').textContent === name).querySelector('dd').textContent);
    const panel = getElement(Number(document.querySelector('.symbol-panel').id.slice(1)));
    const samples = [];
    const until = performance.now() + 1000 * seconds;
    const sample = () => {
        const prices = panel.points.map(([, price]) => price);
        samples.push({
            last: number(document.querySelector('.panel-last').textContent),
            high: figure('High'), low: figure('Low'),
            drawn: [Math.min(...prices), Math.max(...prices), prices[prices.length - 1]],
        });
        if (performance.now() < until) requestAnimationFrame(sample);
        else done(samples);
    };
    requestAnimationFrame(sample);
})"""


async def test_last_high_low_and_chart_agree_at_every_moment(module_chrome: Browser) -> None:
    """In a market that is fast, with a feed that keeps a second of it."""
    fast, short = ("--trades-per-second", "200"), {"LIVE_FEED_LENGTH": "200"}
    async with (
        local_pages(*fast, environment=short) as (_, address),
        tab(module_chrome, address) as shown,
    ):
        await shown.goto("/labs?symbols=BTCUSDT")
        await has_price(shown, "BTCUSDT")
        samples: list[dict[str, Any]] = await shown.page.evaluate(SAMPLE, 4)
        lasts = {sample["last"] for sample in samples}
        assert len(lasts) > 8, "the market moves"
        wrong = [sample for sample in samples if not sample["low"] <= sample["last"] <= sample["high"]]
        assert wrong == []
        apart = [one for one in samples if one["drawn"] != [one["low"], one["high"], one["last"]]]
        assert apart == []
