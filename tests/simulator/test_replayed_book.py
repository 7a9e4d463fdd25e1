"""A recording with order books and klines: byte for byte on the streams, and in REST what has been played."""

import gzip
from collections import Counter, defaultdict
from typing import Any

import msgspec
import pytest

from livemarkets.simulator import Replay
from livemarkets.simulator.market.symbols import from_units, to_units
from tests.simulator.local_book import LocalBook
from tests.support.recordings import recording

NOW_MS = 1_800_000_000_000.0
ALTS = "spot_alts_20211012_agg_book_kline_depth.jsonl.gz"
US = "binanceus_alts_20211012_agg_book_kline_depth.jsonl.gz"
BOOK = "spot_btc_eth_20240808_trade_book.jsonl.gz"


def frames_of(name: str) -> list[tuple[bytes, dict[str, Any]]]:
    with gzip.open(recording(name)) as lines:
        texts = [text.split(b'"frame":', 1)[1].rstrip()[:-1] for text in lines]
    return [(text, msgspec.json.decode(text)) for text in texts]


@pytest.mark.parametrize("speed", [0.5, 1.0, 60.0, 10_000.0])
@pytest.mark.parametrize("name", [ALTS, US, pytest.param(BOOK, marks=pytest.mark.verify)])
def test_every_frame_is_played_byte_for_byte_at_any_speed(name: str, speed: float) -> None:
    frames = frames_of(name)
    replay = Replay(recording(name), speed)
    streams = {frame["stream"] for _, frame in frames}
    replay.want(streams, NOW_MS)
    now_ms, played = NOW_MS, []
    while not replay.finished:
        next_ms = replay.next_ms()
        assert next_ms is not None
        now_ms = max(now_ms + 1.0, next_ms)
        played += [event.combined for event in replay.advance(now_ms)]
        if len(played) % 50 == 0:
            # REST reads meanwhile; it must not disturb the streams.
            for symbol in replay.rules:
                replay.depth(symbol, 20, now_ms)
                replay.candles(symbol, "1m", None, None, 10, now_ms)
    assert played == [text for text, _ in frames]


@pytest.mark.parametrize("name", [ALTS, US])
def test_a_client_that_comes_late_builds_the_same_book_as_one_from_the_start(name: str) -> None:
    frames = frames_of(name)
    replay = Replay(recording(name))
    depths = {frame["stream"] for _, frame in frames if "@depth" in frame["stream"]}
    replay.want(depths, NOW_MS)
    books: defaultdict[str, list[LocalBook]] = defaultdict(list)
    compared: Counter[str] = Counter()
    for step in range(320):
        now_ms = NOW_MS + 100 * step
        for event in replay.advance(now_ms):
            data = msgspec.json.decode(event.raw())
            for book in books[data["s"]]:
                book.take(data)
        for symbol, own in books.items():
            depth = replay.depth(symbol, 5000, now_ms)
            shown = [
                [[from_units(price), from_units(size)] for price, size in side]
                for side in (depth.bids, depth.asks)
            ]
            snapshot = {"lastUpdateId": depth.update_id, "bids": shown[0], "asks": shown[1]}
            for book in own:
                if not book.has_begun:
                    book.begin(snapshot)
                assert book.update_id == depth.update_id
                # A copy may keep a level that was never told to be gone.
                for level in shown[0]:
                    assert book.bids[level[0]] == level[1]
                for level in shown[1]:
                    assert book.asks[level[0]] == level[1]
                compared[symbol] += 1
            if depth.bids and depth.asks:
                assert depth.bids[0][0] < depth.asks[0][0]
            if step % 40 == 0:
                own.append(LocalBook())
        if not books:
            books |= {stream.partition("@")[0].upper(): [] for stream in depths}
    assert compared.keys() == {stream.partition("@")[0].upper() for stream in depths}


@pytest.mark.parametrize("name", [ALTS, US, pytest.param(BOOK, marks=pytest.mark.verify)])
def test_best_bid_and_ask_are_the_last_recorded(name: str) -> None:
    last = {
        frame["data"]["s"]: frame["data"] for _, frame in frames_of(name) if "@bookTicker" in frame["stream"]
    }
    replay = Replay(recording(name), 1000.0)
    replay.want({f"{next(iter(last)).lower()}@bookTicker"}, NOW_MS)
    replay.advance(NOW_MS + 1000)
    for symbol, data in last.items():
        quote = replay.quote(symbol)
        amounts = (quote.bid, quote.bid_size, quote.ask, quote.ask_size)
        assert amounts == tuple(to_units(data[name]) for name in "bBaA")
        assert quote.update_id == data["u"]


def test_klines_are_those_recorded_and_else_those_of_the_trades() -> None:
    frames = frames_of(US)
    replay = Replay(recording(US), 1000.0)
    replay.want({"omgbusd@kline_1m"}, NOW_MS)
    replay.advance(NOW_MS + 1000)
    klines = {
        frame["data"]["k"]["t"]: frame["data"]["k"] for _, frame in frames if "@kline" in frame["stream"]
    }
    rows = replay.candles("OMGBUSD", "1m", None, None, 1000, NOW_MS)
    assert len(klines) >= 2
    assert [(row.open_ms, from_units(row.volume), row.count, row.first_id) for row in rows] == [
        (k["t"], k["v"], k["n"], k["f"]) for _, k in sorted(klines.items())
    ]
    trades = [frame["data"] for _, frame in frames if frame["stream"] == "omgbusd@aggTrade"]
    (hour,) = replay.candles("OMGBUSD", "1h", None, None, 1000, NOW_MS)
    assert hour.volume == sum(to_units(trade["q"]) for trade in trades)
    assert hour.count == trades[-1]["l"] - trades[0]["f"] + 1
    day = replay.summary("OMGBUSD", int(NOW_MS) - 86_400_000, NOW_MS)
    assert day is not None
    assert (day.volume, from_units(day.close)) == (hour.volume, trades[-1]["p"])


def test_nothing_is_known_before_the_first_frame() -> None:
    replay = Replay(recording(ALTS))
    assert replay.depth("NKNUSDT", 5, NOW_MS).bids == []
    assert replay.candles("NKNUSDT", "1m", None, None, 5, NOW_MS) == []
    assert replay.summary("NKNUSDT", int(NOW_MS) - 1000, NOW_MS) is None
