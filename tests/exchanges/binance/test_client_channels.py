"""The client and streams of every channel: the exchange has what is wanted, and what comes is passed on."""

import json
from random import Random

import pytest

from livemarkets.exchanges.base import Evidence, StreamState
from livemarkets.exchanges.binance.client import ClientTimings
from livemarkets.exchanges.binance.stream_names import stream_name
from livemarkets.market.candles import Candle
from livemarkets.market.channels import ALL_SYMBOLS, BOOK, CANDLES, DEPTH, TICKERS, TRADES
from livemarkets.market.models import StreamKey
from livemarkets.market.updates import BookUpdate, DepthUpdate, TickersDelta, TickerUpdate
from tests.exchanges.binance.test_klines import KLINE
from tests.exchanges.binance.test_updates import BOOK_DATA, DEPTH_DATA, ROW_DATA, TICKER_DATA
from tests.support.helpers import eventually
from tests.support.scripted_exchange import scripted_exchange
from tests.support.upstream import SYMBOLS, Recorder, client, exchange, key, quick

BOOK_KEY = StreamKey("simulator", BOOK, "BTCUSDT")
DEPTH_KEY = StreamKey("simulator", DEPTH, "BTCUSDT")
TICKER_KEY = StreamKey("simulator", TICKERS, "BTCUSDT")
ALL_KEY = StreamKey("simulator", TICKERS, ALL_SYMBOLS)
KEYS = (BOOK_KEY, DEPTH_KEY, TICKER_KEY, ALL_KEY)
TRADE_DATA = {
    "e": "trade",
    "E": 1_723_161_255_343,
    "s": "BTCUSDT",
    "t": 7,
    "p": "61837.63000000",
    "q": "0.02000000",
    "T": 1_723_161_255_342,
    "m": True,
}


async def subscribed(recorder: Recorder, *keys: StreamKey) -> None:
    for each in keys:
        recorder.client.want(each)
    await eventually(
        lambda: all(recorder.client.state_of(each) is StreamState.ACKNOWLEDGED for each in keys),
        because="acknowledged",
    )


async def test_streams_of_every_channel_come_over_one_connection_and_end_by_name() -> None:
    async with scripted_exchange() as venue, client(venue.ws_url) as recorder:
        await subscribed(recorder, *KEYS, key("BTCUSDT"))
        assert venue.subscriptions() == {
            "btcusdt@trade",
            "btcusdt@bookTicker",
            "btcusdt@depth20@100ms",
            "btcusdt@ticker",
            "!ticker_1d@arr",
        }
        assert len(venue.connections) == 1
        await venue.send("btcusdt@bookTicker", BOOK_DATA | {"s": "BTCUSDT"})
        await venue.send("btcusdt@depth20@100ms", DEPTH_DATA)
        await venue.send("btcusdt@ticker", TICKER_DATA | {"s": "BTCUSDT"})
        await venue.send("!ticker_1d@arr", [ROW_DATA])
        await venue.send("btcusdt@trade", TRADE_DATA)
        await eventually(lambda: recorder.ids("BTCUSDT") == [7])
        kinds = {each: [type(update) for update in recorder.updates[each]] for each in KEYS}
        assert kinds == {
            BOOK_KEY: [BookUpdate],
            DEPTH_KEY: [DepthUpdate],
            TICKER_KEY: [TickerUpdate],
            ALL_KEY: [TickersDelta],
        }
        for each in KEYS:
            recorder.client.unwant(each)
        await eventually(lambda: venue.subscriptions() == {"btcusdt@trade"})
        assert recorder.client.statistics().complaints == {}


async def test_candles_go_to_the_stream_of_their_interval() -> None:
    minute, month = (StreamKey("simulator", CANDLES, "BNBBTC", each) for each in ("1m", "1M"))
    async with scripted_exchange() as venue, client(venue.ws_url) as recorder:
        await subscribed(recorder, minute, month)
        assert venue.subscriptions() == {"bnbbtc@kline_1m", "bnbbtc@kline_1M"}
        for interval in ("1M", "1m", "3m"):
            event = {"e": "kline", "E": KLINE["t"], "s": "BNBBTC", "k": KLINE | {"i": interval}}
            await venue.send("bnbbtc@kline_1m" if interval == "3m" else f"bnbbtc@kline_{interval}", event)
        await eventually(lambda: recorder.client.statistics().complaints == {"malformed candle": 1})
        for name in (minute, month):
            (candle,) = recorder.updates[name]
            assert isinstance(candle, Candle)
            assert candle.interval == name.parameter


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
async def test_a_proxy_may_write_the_json_anew(separators: tuple[str, str]) -> None:
    name = StreamKey("simulator", BOOK, "币安人生USDT")
    async with scripted_exchange() as venue, client(venue.ws_url) as recorder:
        await subscribed(recorder, name)
        frame = {"data": BOOK_DATA | {"s": name.symbol}, "stream": stream_name(name)}
        text = json.dumps(frame, separators=separators)  # with \u escapes
        await venue.send_text(text, stream_name(name))
        await eventually(lambda: name in recorder.updates)
        assert recorder.client.statistics().complaints == {}


async def test_what_is_under_way_after_the_unsubscription_is_no_fault() -> None:
    async with scripted_exchange() as venue, client(venue.ws_url) as recorder:
        await subscribed(recorder, *KEYS, key("BTCUSDT"))
        for each in KEYS:
            recorder.client.unwant(each)
        await venue.send("btcusdt@bookTicker", BOOK_DATA | {"s": "BTCUSDT"})
        await venue.send("btcusdt@depth20@100ms", DEPTH_DATA)
        await venue.send("!ticker_1d@arr", [ROW_DATA])
        await venue.send("btcusdt@trade", TRADE_DATA)
        await eventually(lambda: recorder.ids("BTCUSDT") == [7])
        assert recorder.updates == {}
        assert recorder.client.statistics().complaints == {}


async def test_what_makes_no_sense_is_counted_and_costs_nothing_else() -> None:
    async with scripted_exchange() as venue, client(venue.ws_url) as recorder:
        await subscribed(recorder, *KEYS)
        await venue.send("btcusdt@bookTicker", BOOK_DATA)  # of BNBUSDT
        await venue.send("btcusdt@depth20@100ms", {"bids": [], "asks": []})
        await venue.send("btcusdt@ticker", [])
        await venue.send("!ticker_1d@arr", [ROW_DATA | {"l": "0"}, ROW_DATA])
        await venue.send("btcusdt@bookTicker", BOOK_DATA | {"s": "BTCUSDT"})
        await eventually(lambda: BOOK_KEY in recorder.updates)
        assert recorder.client.statistics().complaints == {
            "malformed book": 1,
            "malformed depth": 1,
            "malformed ticker": 2,
        }
        (delta,) = recorder.updates[ALL_KEY]
        assert isinstance(delta, TickersDelta)
        assert len(delta.rows) == 1
        assert recorder.states == ["connecting", "live"]


async def test_streams_of_all_channels_count_toward_the_limit_of_a_connection() -> None:
    timings = ClientTimings(shard=quick().shard, streams_per_connection=3)
    async with scripted_exchange() as venue, client(venue.ws_url, timings=timings) as recorder:
        names = [StreamKey("simulator", channel, symbol) for symbol in SYMBOLS for channel in (TRADES, BOOK)]
        await subscribed(recorder, *names, ALL_KEY)
        assert venue.counts() == [1, 3, 3]
        assert venue.subscriptions() == {stream_name(each) for each in (*names, ALL_KEY)}


@pytest.mark.parametrize("seed", range(3))
async def test_the_exchange_has_what_is_wanted_over_all_channels_in_the_end(seed: int) -> None:
    random = Random(seed)
    names = [
        StreamKey("simulator", channel, symbol)
        for symbol in SYMBOLS
        for channel in (TRADES, BOOK, DEPTH, TICKERS)
    ] + [ALL_KEY]
    names += [StreamKey("simulator", CANDLES, symbol, each) for symbol in SYMBOLS for each in ("1m", "1M")]
    wanted: set[StreamKey] = set()
    timings = ClientTimings(shard=quick().shard, streams_per_connection=4)
    async with scripted_exchange() as venue, client(venue.ws_url, timings=timings) as recorder:
        for turn in range(40):
            each = random.choice(names)
            if random.random() < 0.6:
                recorder.client.want(each)
                wanted.add(each)
            else:
                recorder.client.unwant(each)
                wanted.discard(each)
            if turn == 20:
                await venue.drop()
            if turn % 8 == 0:
                await eventually(lambda: venue.subscriptions() == {stream_name(one) for one in wanted}, 10)
        await eventually(lambda: venue.subscriptions() == {stream_name(one) for one in wanted}, 10)
        assert max(venue.counts(), default=0) <= 4
        for each in names:
            recorder.client.unwant(each)
        await eventually(lambda: venue.connections == {})


async def test_a_rotation_waits_for_updates_too_and_loses_none() -> None:
    timings = quick(takeover_seconds=30.0)
    async with exchange() as venue, client(venue, want=["BTCUSDT"], timings=timings) as recorder:
        await subscribed(recorder, BOOK_KEY)
        await recorder.more_trades()
        recorder.rotate()
        await eventually(lambda: recorder.rotations == 1, 10, because="a rotation")
        count = len(recorder.updates[BOOK_KEY])
        await eventually(lambda: len(recorder.updates[BOOK_KEY]) > count)


async def test_a_mute_stream_is_subscribed_again() -> None:
    async with scripted_exchange() as venue, client(venue.ws_url) as recorder:
        await subscribed(recorder, ALL_KEY)
        venue.requests.clear()
        recorder.client.suspect(ALL_KEY, Evidence.BEHIND)
        await eventually(lambda: venue.requests == [("SUBSCRIBE", ["!ticker_1d@arr"])])
