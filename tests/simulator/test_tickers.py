"""The periodic streams of one symbol and of all: their fields, their windows, and what they leave out."""

from typing import Any

import msgspec
import pytest

from livemarkets.simulator import SimulatedMarket

START_MS = 1_700_000_000_300
MINUTE_MS = 60_000


def events(market: SimulatedMarket, *streams: str, seconds: int = 3) -> dict[str, list[Any]]:
    """The events of each stream, as they came."""
    market.want(set(streams), START_MS)
    found: dict[str, list[Any]] = {stream: [] for stream in streams}
    for number in range(1, seconds + 1):
        for event in market.advance(START_MS + number * 1000):
            found[event.stream].append(msgspec.json.decode(event.raw()))
    return found


def market(*symbols: str) -> SimulatedMarket:
    return SimulatedMarket(seed=3, symbols=symbols or ("BTCUSDT", "ETHUSDT"), trades_per_second=20.0)


@pytest.mark.parametrize("size", ["1h", "4h", "1d"])
def test_a_window_has_the_documented_fields_and_begins_on_a_minute(size: str) -> None:
    (first, *_) = events(market(), f"btcusdt@ticker_{size}")[f"btcusdt@ticker_{size}"]
    assert list(first) == list("eEspPohlcwvqOCFLn")
    assert first["e"] == f"{size}Ticker"
    assert first["O"] % MINUTE_MS == 0
    assert first["C"] == first["E"]


def test_an_average_price_is_that_of_rest() -> None:
    source = market()
    stream = "btcusdt@avgPrice"
    last = events(source, stream)[stream][-1]
    assert list(last) == list("eEsiwT")
    now_ms = START_MS + 3000
    summary = source.summary("BTCUSDT", now_ms - 300_000, now_ms)
    assert summary is not None
    assert last["w"] == f"{summary.average // 10**8}.{summary.average % 10**8:08}"
    assert last["T"] == source.history("BTCUSDT", now_ms).trades[-1].time_ms


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("!miniTicker@arr", "miniTicker"),
        ("!miniTicker@arr@3000ms", "miniTicker"),
        ("!ticker_1h@arr", "ticker_1h"),
        ("!ticker_1d@arr", "ticker_1d"),
    ],
)
def test_the_stream_of_all_has_what_those_of_one_have(name: str, kind: str) -> None:
    found = events(market(), name, f"btcusdt@{kind}", f"ethusdt@{kind}")
    assert len(found[name]) == 3
    for number, rows in enumerate(found[name]):
        assert rows == [found[f"btcusdt@{kind}"][number], found[f"ethusdt@{kind}"][number]]


def test_only_symbols_that_changed_are_in_the_stream_of_all() -> None:
    source = SimulatedMarket(seed=3, symbols=("BTCUSDT", "LRCETH"), rate=1.0)
    rows = events(source, "!miniTicker@arr", seconds=20)["!miniTicker@arr"]
    assert len(rows) > 10
    assert sum(row["s"] == "LRCETH" for row in rows[1:] for row in row) <= 1
    source.listing.set_status("BTCUSDT", "HALT")
    source.advance(START_MS + 21_000)
    later = [event for number in range(22, 40) for event in source.advance(START_MS + number * 1000)]
    assert len(later) <= 1
