"""REST answers: documented shapes, errors, and every trade that the exchange has made."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.simulator import ExchangeLimits, SimulatedMarket
from livemarkets.simulator.protocol.http_wire import Answer
from livemarkets.simulator.protocol.limits import WeightMeter
from livemarkets.simulator.protocol.rest import RestApi

NOW_MS = 1_723_161_255_000.0


@pytest.fixture(scope="module")
def api() -> RestApi:
    symbols = ["BTCUSDT", "ETHUSDT", "SHIBUSDT", "LRCETH"]
    return RestApi(SimulatedMarket(1, symbols, history_seconds=300.0))


def ask(api: RestApi, target: str, status: int = 200) -> Any:
    answer = api.answer("/api/v3/" + target, NOW_MS)
    assert answer.status == status, answer.body
    return msgspec.json.decode(answer.body)


def test_ping_and_time(api: RestApi) -> None:
    assert ask(api, "ping") == {}
    assert ask(api, "time") == {"serverTime": int(NOW_MS)}


def test_exchange_info_lists_the_rules(api: RestApi) -> None:
    info = ask(api, "exchangeInfo")
    assert [symbol["symbol"] for symbol in info["symbols"]] == ["BTCUSDT", "ETHUSDT", "SHIBUSDT", "LRCETH"]
    shib = info["symbols"][2]
    assert (shib["status"], shib["baseAsset"], shib["quoteAsset"]) == ("TRADING", "SHIB", "USDT")
    assert shib["baseAssetPrecision"] == shib["quoteAssetPrecision"] == 8
    filters = {item["filterType"]: item for item in shib["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.00000001"
    assert filters["LOT_SIZE"]["stepSize"] == "1.00000000"
    assert info["rateLimits"][0]["limit"] == 6000


@pytest.mark.parametrize("query", ["symbol=ETHUSDT", 'symbols=["ETHUSDT"]', "symbols=%5B%22ETHUSDT%22%5D"])
def test_exchange_info_of_some_symbols(api: RestApi, query: str) -> None:
    assert [symbol["symbol"] for symbol in ask(api, f"exchangeInfo?{query}")["symbols"]] == ["ETHUSDT"]


def test_trades_look_as_documented(api: RestApi) -> None:
    trades = ask(api, "trades?symbol=BTCUSDT&limit=5")
    assert len(trades) == 5
    assert list(trades[0]) == ["id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"]
    assert isinstance(trades[0]["price"], str)
    assert len(trades[0]["price"].partition(".")[2]) == 8


def test_limits_default_to_500_and_end_at_1000(api: RestApi) -> None:
    assert len(ask(api, "trades?symbol=BTCUSDT")) == 500
    assert len(ask(api, "trades?symbol=BTCUSDT&limit=5000")) == 1000


def test_historical_trades_page_through_everything_by_id(api: RestApi) -> None:
    recent = ask(api, "historicalTrades?symbol=BTCUSDT&limit=1000")
    at, found = recent[0]["id"], []
    while at <= recent[-1]["id"]:
        page = ask(api, f"historicalTrades?symbol=BTCUSDT&limit=77&fromId={at}")
        found += page
        at = page[-1]["id"] + 1
    assert found == recent


def test_aggregates_cover_the_raw_trades(api: RestApi) -> None:
    trades = {trade["id"]: trade for trade in ask(api, "trades?symbol=BTCUSDT&limit=1000")}
    aggregates = ask(api, "aggTrades?symbol=BTCUSDT&limit=1000")
    assert list(aggregates[0]) == ["a", "p", "q", "f", "l", "T", "m", "M"]
    first_id = min(trades)
    covered = [i for item in aggregates for i in range(item["f"], item["l"] + 1) if i >= first_id]
    assert covered == list(trades)
    for item in aggregates:
        for trade_id in range(max(item["f"], first_id), item["l"] + 1):
            trade = trades[trade_id]
            assert (trade["price"], trade["time"], trade["isBuyerMaker"]) == (item["p"], item["T"], item["m"])


def test_aggregates_by_id_and_by_time(api: RestApi) -> None:
    everything = ask(api, "aggTrades?symbol=BTCUSDT&limit=50")
    third = everything[2]
    assert ask(api, f"aggTrades?symbol=BTCUSDT&fromId={third['a']}&limit=2") == everything[2:4]
    start, end = everything[10]["T"], everything[20]["T"]
    span = ask(api, f"aggTrades?symbol=BTCUSDT&startTime={start}&endTime={end}")
    assert span == [item for item in everything if start <= item["T"] <= end]


def test_klines_and_day_ticker_agree(api: RestApi) -> None:
    day = ask(api, "ticker/24hr?symbol=ETHUSDT")
    start = f"startTime={day['openTime']}"
    bars = ask(api, f"klines?symbol=ETHUSDT&interval=1m&limit=1000&{start}")
    bars += ask(api, f"klines?symbol=ETHUSDT&interval=1m&limit=1000&startTime={bars[-1][6] + 1}")
    assert len(bars[0]) == 12
    assert bars[0][0] == day["openTime"]
    assert sum(bar[8] for bar in bars) == day["count"] == day["lastId"] - day["firstId"] + 1
    assert (bars[0][1], bars[-1][4]) == (day["openPrice"], day["lastPrice"])
    assert max(bar[2] for bar in bars) == day["highPrice"]
    assert ask(api, f"klines?symbol=ETHUSDT&interval=1m&startTime={bars[2][0]}&limit=1") == [bars[2]]


def test_day_tickers_of_some_and_of_all_symbols(api: RestApi) -> None:
    assert len(ask(api, "ticker/24hr")) == 4
    assert [item["symbol"] for item in ask(api, 'ticker/24hr?symbols=["BTCUSDT"]')] == ["BTCUSDT"]


@pytest.mark.parametrize(
    ("target", "weight"),
    [
        ("ping", 1),
        ("time", 1),
        ("exchangeInfo", 20),
        ("trades?symbol=BTCUSDT", 25),
        ("klines?symbol=BTCUSDT&interval=1m", 2),
        ("historicalTrades?symbol=BTCUSDT", 25),
        ("aggTrades?symbol=BTCUSDT", 4),
        ("ticker/24hr?symbol=BTCUSDT", 2),
        ('ticker/24hr?symbols=["BTCUSDT"]', 2),
        ("ticker/24hr", 80),
    ],
)
def test_weights_are_the_documented_ones(api: RestApi, target: str, weight: int) -> None:
    assert api.answer("/api/v3/" + target, NOW_MS).weight == weight


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        ("trades", -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        ("trades?symbol=NOPE", -1121, "Invalid symbol."),
        (
            "trades?symbol=btcusdt",
            -1100,
            "Illegal characters found in parameter 'symbol'; legal range is '^[\\w\\-._&&[^a-z]]{1,50}$'.",
        ),
        ("trades?symbol=", -1105, "Parameter 'symbol' was empty."),
        (
            "trades?symbol=BTCUSDT&limit=ten",
            -1100,
            "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.",
        ),
        ("trades?symbol=BTCUSDT&limit=0", -1130, "Data sent for parameter 'limit' is not valid."),
        (
            "trades?symbol=BTCUSDT&fromId=1",
            -1104,
            "Not all sent parameters were read; read '1' parameter(s) but was sent '2'.",
        ),
        ("trades?symbol=BTCUSDT&symbol=ETHUSDT", -1101, "Duplicate values for a parameter detected."),
        (
            "historicalTrades?symbol=BTCUSDT&fromId=-1",
            -1130,
            "Data sent for parameter 'fromId' is not valid.",
        ),
        (
            "aggTrades?symbol=BTCUSDT&fromId=1&startTime=1",
            -1128,
            "Combination of optional parameters invalid.",
        ),
        (
            "klines?symbol=BTCUSDT",
            -1102,
            "Mandatory parameter 'interval' was not sent, was empty/null, or malformed.",
        ),
        ("klines?symbol=BTCUSDT&interval=7m", -1120, "Invalid interval."),
        ("exchangeInfo?symbol=NOPE", -1121, "Invalid symbol."),
        (
            'exchangeInfo?symbol=BTCUSDT&symbols=["BTCUSDT"]',
            -1128,
            "Combination of optional parameters invalid.",
        ),
        ("exchangeInfo?symbols=BTCUSDT", -1100, "Illegal characters found in parameter 'symbols'."),
    ],
)
def test_bad_calls_get_the_exchanges_own_errors(api: RestApi, target: str, code: int, message: str) -> None:
    assert ask(api, target, status=400) == {"code": code, "msg": message}


def test_unknown_paths_are_404(api: RestApi) -> None:
    assert api.answer("/api/v3/nothing", NOW_MS).status == 404
    assert api.answer("/", NOW_MS).status == 404


CALLS = [
    "trades",
    "historicalTrades",
    "aggTrades",
    "klines",
    "ticker/24hr",
    "exchangeInfo",
    "time",
    "nothing",
]
WORDS = st.sampled_from(
    ["BTCUSDT", "1", "1m", "", "[", '["BTCUSDT"]', "9" * 30, "%ff", "NaN", "-1"]
) | st.text(max_size=5)
NAMES = st.sampled_from(
    ["symbol", "symbols", "limit", "fromId", "startTime", "endTime", "interval"]
) | st.text(max_size=5)


@given(st.sampled_from(CALLS), st.lists(st.tuples(NAMES, WORDS), max_size=5))
def test_whatever_is_asked_has_an_answer(api: RestApi, call: str, query: list[tuple[str, str]]) -> None:
    target = f"/api/v3/{call}?" + "&".join(f"{name}={value}" for name, value in query)
    answer = api.answer(target, NOW_MS)
    assert isinstance(answer, Answer)
    assert answer.status in (200, 400, 404)
    msgspec.json.decode(answer.body)


def test_a_mini_ticker_has_the_ids_and_less_of_the_rest(api: RestApi) -> None:
    (full,) = ask(api, 'ticker/24hr?symbols=["BTCUSDT"]')
    (mini,) = ask(api, 'ticker/24hr?symbols=["BTCUSDT"]&type=MINI')
    assert list(mini) == [
        *("symbol", "openPrice", "highPrice", "lowPrice", "lastPrice", "volume", "quoteVolume"),
        *("openTime", "closeTime", "firstId", "lastId", "count"),
    ]
    assert mini.items() <= full.items()
    assert ask(api, "ticker/24hr?symbol=BTCUSDT&type=TINY", 400)["code"] == -1139


def test_who_goes_on_after_refusals_is_banned_for_a_time() -> None:
    meter = WeightMeter(ExchangeLimits(rest_weight_per_minute=10, refusals_before_ban=3, ban_seconds=120.0))
    assert meter.use(10, NOW_MS)
    assert not any(meter.use(1, NOW_MS) for _ in range(4))
    assert meter.banned_until_ms == NOW_MS + 120_000
    assert not meter.use(1, NOW_MS + 119_000), "a new minute does not end it"
    assert meter.use(1, NOW_MS + 120_000)
