"""Recordings: every frame as it was, in order, however late; clear words about files that are none."""

import gzip
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from loguru import logger

from livemarkets.simulator import Replay, SimulatorError
from livemarkets.simulator.market.streams import StreamEvent
from livemarkets.simulator.market.symbols import from_units
from livemarkets.simulator.protocol.rest import RestApi
from tests.support.recordings import recording

NOW_MS = 1_800_000_000_000.0
BOTH = {"btcusdt@trade", "ethusdt@trade"}


def line(
    recv_ms: float, trade_id: int, symbol: str = "BTCUSDT", price: str = "10.50000000", time_ms: int = 5
) -> str:
    data = (
        f'{{"e":"trade","E":{time_ms + 1},"s":"{symbol}","t":{trade_id},"p":"{price}","q":"2.00000000",'
        f'"T":{time_ms},"m":true,"M":true}}'
    )
    return f'{{"recv_ms":{recv_ms},"frame":{{"stream":"{symbol.lower()}@trade","data":{data}}}}}\n'


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str | bytes, name: str = "recording.jsonl") -> Path:
        path = tmp_path / name
        path.write_bytes(b"".join(text.encode() if isinstance(text, str) else text for text in lines))
        return path

    return write


def frames_of(path: Path) -> list[tuple[float, bytes]]:
    with gzip.open(path) as lines:
        return [
            (msgspec.json.decode(text)["recv_ms"], text.split(b'"frame":', 1)[1].rstrip()[:-1])
            for text in lines
        ]


def ids(emissions: list[StreamEvent]) -> list[int]:
    return [msgspec.json.decode(emission.raw())["t"] for emission in emissions]


@pytest.mark.parametrize(
    "name", ["spot_btc_eth_20240808_trade.jsonl.gz", "spot_alts_20211012_agg_book_kline_depth.jsonl.gz"]
)
def test_a_genuine_recording_is_played_byte_for_byte(name: str) -> None:
    path = recording(name)
    expected = [frame for _, frame in frames_of(path)]
    replay = Replay(path)
    replay.want({msgspec.json.decode(frame)["stream"] for frame in expected}, NOW_MS)
    played = []
    for seconds in range(0, 400, 7):
        played += replay.advance(NOW_MS + 1000 * seconds)
    assert [emission.combined for emission in played] == expected
    for emission in played[:200]:
        parts = msgspec.json.decode(emission.combined, type=dict[str, msgspec.Raw])
        assert emission.raw() == bytes(parts["data"])
    assert replay.finished
    assert replay.next_ms() is None


@pytest.mark.parametrize("speed", [1.0, 20.0])
def test_the_spacing_is_the_recordings_divided_by_the_speed(speed: float) -> None:
    path = recording("spot_btc_eth_20240808_trade.jsonl.gz")
    times_ms = [recv_ms for recv_ms, _ in frames_of(path)][:500]
    replay = Replay(path, speed)
    replay.want(BOTH, NOW_MS)
    due: list[float] = []
    while len(due) < 500:
        next_ms = replay.next_ms()
        assert next_ms is not None
        due += [next_ms] * len(replay.advance(next_ms + 0.001))
    for recv_ms, due_ms in zip(times_ms, due, strict=False):
        assert due_ms - NOW_MS == pytest.approx((recv_ms - times_ms[0]) / speed, abs=0.01)


def test_the_clock_starts_at_the_first_subscription_to_something_recorded(
    written: Callable[..., Path],
) -> None:
    replay = Replay(written(line(1000, 1), line(1100, 2)))
    assert replay.next_ms() is None
    replay.want({"nobody@trade"}, NOW_MS)
    assert replay.advance(NOW_MS + 9999) == []
    replay.want({"btcusdt@trade"}, NOW_MS + 10_000)
    assert ids(replay.advance(NOW_MS + 10_050)) == [1]
    assert ids(replay.advance(NOW_MS + 10_100)) == [2]


def test_a_lead_in_delays_the_first_frame(written: Callable[..., Path]) -> None:
    replay = Replay(written(line(1000, 1)), lead_in_seconds=2)
    replay.want(BOTH, NOW_MS)
    assert replay.advance(NOW_MS + 1999) == []
    assert ids(replay.advance(NOW_MS + 2000)) == [1]


def test_what_nobody_wants_is_not_sent_but_has_happened(written: Callable[..., Path]) -> None:
    replay = Replay(written(line(0, 1), line(0, 7, "ETHUSDT"), line(0, 2)))
    replay.want({"ethusdt@trade"}, NOW_MS)
    assert ids(replay.advance(NOW_MS)) == [7]
    assert [trade.id for trade in replay.history("BTCUSDT", NOW_MS).trades] == [1, 2]


def test_a_clock_of_the_recorder_that_went_back_keeps_the_order(written: Callable[..., Path]) -> None:
    replay = Replay(written(line(100, 1), line(50, 2), line(150, 3)))
    replay.want(BOTH, NOW_MS)
    assert ids(replay.advance(NOW_MS)) == [1, 2]
    assert ids(replay.advance(NOW_MS + 50)) == [3]


def test_frames_in_another_layout_are_kept_as_they_are(written: Callable[..., Path]) -> None:
    frame = '{ "data" : {"e":"x", "s" : "BTCUSDT"} , "stream":"btcusdt@depth" }'
    replay = Replay(written(f'{{"frame":{frame},"recv_ms":1}}\n\n'))
    replay.want({"btcusdt@depth"}, NOW_MS)
    (emission,) = replay.advance(NOW_MS)
    assert emission.combined == frame.encode()
    assert emission.raw() == b'{"e":"x", "s" : "BTCUSDT"}'


def test_rest_serves_what_has_been_played(written: Callable[..., Path]) -> None:
    replay = Replay(written(line(0, 1), line(10, 2), line(20, 3, price="10.75000000", time_ms=6)))
    api = RestApi(replay)
    replay.want(BOTH, NOW_MS)
    replay.advance(NOW_MS + 10)

    def ask(target: str) -> Any:
        return msgspec.json.decode(api.answer("/api/v3/" + target, NOW_MS).body)

    assert [trade["id"] for trade in ask("trades?symbol=BTCUSDT")] == [1, 2]
    replay.advance(NOW_MS + 1000)
    assert [trade["id"] for trade in ask("historicalTrades?symbol=BTCUSDT&fromId=2")] == [2, 3]
    assert [(item["f"], item["l"]) for item in ask("aggTrades?symbol=BTCUSDT")] == [(1, 2), (3, 3)]
    (symbol,) = ask("exchangeInfo")["symbols"]
    assert (symbol["baseAsset"], symbol["quoteAsset"]) == ("BTC", "USDT")
    assert symbol["filters"][0]["tickSize"] == "0.01000000"
    assert symbol["filters"][1]["stepSize"] == "1.00000000"
    assert ask("ticker/24hr?symbol=BTCUSDT")["lastPrice"] == "10.75000000"


def test_the_genuine_recordings_rules_and_aggregates() -> None:
    replay = Replay(recording("spot_btc_eth_20240808_trade.jsonl.gz"))
    assert {symbol: from_units(rules.tick) for symbol, rules in replay.rules.items()} == {
        "BTCUSDT": "0.01000000",
        "ETHUSDT": "0.01000000",
    }
    replay.want(BOTH, NOW_MS)
    replay.advance(NOW_MS + 400_000)
    history = replay.history("BTCUSDT", NOW_MS)
    assert len(history.trades) == 9757
    assert all(later.first_id == earlier.last_id + 1 for earlier, later in pairwise(history.aggregates))
    assert (history.aggregates[0].first_id, history.aggregates[-1].last_id) == (
        history.trades[0].id,
        history.trades[-1].id,
    )


def test_recorded_aggregates_are_served_where_trades_were_not_recorded() -> None:
    replay = Replay(recording("spot_alts_20211012_agg_book_kline_depth.jsonl.gz"))
    replay.want({"nknusdt@bookTicker"}, NOW_MS)
    replay.advance(NOW_MS + 60_000)
    assert {"NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR"} == set(replay.rules)
    assert replay.rules["RUNEEUR"].quote == "EUR"
    assert any(replay.history(symbol, NOW_MS).aggregates for symbol in replay.rules)


def test_a_hole_is_in_neither_stream_nor_rest(written: Callable[..., Path]) -> None:
    replay = Replay(written(*(line(10 * number, number) for number in range(1, 6))))
    replay.want(BOTH, NOW_MS)
    replay.advance(NOW_MS)
    replay.skip_ids("BTCUSDT", 2)
    assert ids(replay.advance(NOW_MS + 1000)) == [4, 5]
    history = replay.history("BTCUSDT", NOW_MS)
    assert [trade.id for trade in history.trades] == [1, 4, 5]
    assert history.aggregates == []


def test_a_burst_plays_ahead_and_goes_on_from_there(written: Callable[..., Path]) -> None:
    replay = Replay(written(*(line(1000 * number, number) for number in range(10))))
    replay.want(BOTH, NOW_MS)
    replay.burst("BTCUSDT", 4, NOW_MS)
    assert ids(replay.advance(NOW_MS)) == [0, 1, 2, 3]
    assert ids(replay.advance(NOW_MS + 1000)) == [4]


@pytest.mark.parametrize(
    ("lines", "where", "what"),
    [
        (["nonsense\n"], "line 1", "not a recorded frame"),
        (
            [line(1, 1), "\n", '{"recv_ms":null,"frame":{"stream":"a@trade","data":{}}}\n'],
            "line 3",
            "not a recorded frame",
        ),
        ([line(1, 1), '{"recv_ms":1,"frame":{"result":null,"id":1}}\n'], "line 2", "not a recorded frame"),
        (
            [line(1, 1), '{"recv_ms":1,"frame":{"stream":"a@trade","data":{"e":"trade"}}}\n'],
            "line 2",
            "not a recorded frame",
        ),
        ([line(1, 1).replace("10.50000000", "ten")], "line 1", "not a recorded frame"),
        ([line(1, 1), b"\xff\xfe\n"], "line 2", "not a recorded frame"),
        (
            [b'{"recv_ms":1,"frame":{"type":"trade","channel":"trades","symbol":"\xff"}}\n'],
            "recording.jsonl",
            "not a recorded frame",
        ),
        ([gzip.compress(line(1, 1).encode() * 500)[:-40]], "recording.jsonl", "cannot read the recording"),
        ([b"\x1f\x8b\x00\x00garbage"], "recording.jsonl", "cannot read the recording"),
        ([""], "recording.jsonl", "the recording is empty"),
    ],
)
def test_a_file_that_is_no_recording_is_named_with_its_line(
    written: Callable[..., Path], lines: list[str | bytes], where: str, what: str
) -> None:
    path = written(*lines)
    with pytest.raises(SimulatorError) as caught:
        Replay(path)
    text = str(caught.value)
    assert str(path) in text
    assert where in text
    assert what in text
    assert "\n" not in text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match=r"nowhere\.gz: cannot read the recording: No such file"):
        Replay(tmp_path / "nowhere.gz")


def test_gzip_is_told_by_its_content_not_by_its_name(written: Callable[..., Path]) -> None:
    packed = written(gzip.compress(line(1, 1).encode()), name="plain-looking.jsonl")
    plain = written(line(1, 1), name="packed-looking.gz")
    assert Replay(packed).rules.keys() == Replay(plain).rules.keys() == {"BTCUSDT"}


@pytest.mark.parametrize("options", [{"speed": 0.0}, {"speed": -1.0}, {"lead_in_seconds": -1.0}])
def test_a_speed_that_makes_no_sense_is_refused(
    written: Callable[..., Path], options: dict[str, float]
) -> None:
    with pytest.raises(SimulatorError):
        Replay(written(line(1, 1)), **options)


def test_a_stream_that_the_recording_does_not_have_is_told_once(written: Callable[..., Path]) -> None:
    replay = Replay(written(line(1, 0)))
    said: list[str] = []
    sink = logger.add(lambda message: said.append(message.record["message"]), level="WARNING")
    try:
        replay.want({"btcusdt@trade", "btcusdt@depth"}, 0.0)
        replay.want({"btcusdt@trade"}, 0.0)
        replay.want({"btcusdt@depth", "btcusdt@kline_1m"}, 0.0)
    finally:
        logger.remove(sink)
    assert [text.partition(" does not have ")[2] for text in said] == [
        "btcusdt@depth, which stays silent",
        "btcusdt@kline_1m, which stays silent",
    ]


def test_streams_that_are_told_of_are_bounded(written: Callable[..., Path]) -> None:
    replay = Replay(written(line(1, 0)))
    said: list[str] = []
    sink = logger.add(lambda message: said.append(message.record["message"]), level="WARNING")
    try:
        for first in range(0, 3000, 500):
            replay.want({f"x{number}usdt@trade" for number in range(first, first + 500)}, 0.0)
    finally:
        logger.remove(sink)
    assert len(said) == 1001
    assert said[-1] == "simulator: further streams without a recording are not told"


def test_a_recording_cannot_be_relisted(written: Callable[..., Path]) -> None:
    with pytest.raises(SimulatorError):
        Replay(written(line(1, 1))).relist("BTCUSDT", 1)


def test_a_recording_in_microseconds_is_played_in_milliseconds(written: Callable[..., Path]) -> None:
    """The first time of the recording decides, not each frame (binance-public-data#386)."""
    micro, milli = 1_736_000_000_123_456, 1_736_000_000_123
    replay = Replay(written(line(0, 1, time_ms=micro), line(1, 2, time_ms=micro)))
    replay.want(BOTH, NOW_MS)
    for event in replay.advance(NOW_MS + 10_000):
        data = msgspec.json.decode(event.raw())
        assert (data["T"], data["E"]) == (milli, milli)
        assert msgspec.json.decode(event.combined)["data"] == data
    assert [trade.time_ms for trade in replay.history("BTCUSDT", NOW_MS).trades] == [milli, milli]
    mixed = Replay(written(line(0, 1, time_ms=milli), line(1, 2, time_ms=micro)))
    mixed.want(BOTH, NOW_MS)
    assert [msgspec.json.decode(event.raw())["T"] for event in mixed.advance(NOW_MS + 10_000)] == [
        milli,
        micro,
    ]
