"""Prices and statistics over REST: the documented fields, parameters, weights and errors."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from livemarkets.simulator import SimulatedMarket
from livemarkets.simulator.protocol.rest import NOT_SERVED, RestApi

NOW_MS = 1_723_161_255_123.0
MINUTE_MS = 60_000
FULL = (
    *(
        "symbol",
        "priceChange",
        "priceChangePercent",
        "weightedAvgPrice",
        "openPrice",
        "highPrice",
        "lowPrice",
    ),
    *("lastPrice", "volume", "quoteVolume", "openTime", "closeTime", "firstId", "lastId", "count"),
)
MINI = tuple(name for name in FULL if name not in ("priceChange", "priceChangePercent", "weightedAvgPrice"))
DAY = (
    *("symbol", "priceChange", "priceChangePercent", "weightedAvgPrice", "prevClosePrice", "lastPrice"),
    *("lastQty", "bidPrice", "bidQty", "askPrice", "askQty", "openPrice", "highPrice", "lowPrice", "volume"),
    *("quoteVolume", "openTime", "closeTime", "firstId", "lastId", "count"),
)
NAMES = [f"A{number}" for number in range(101)]
MANY = msgspec.json.encode(NAMES).decode()


@pytest.fixture(scope="module")
def api() -> RestApi:
    market = SimulatedMarket(1, ["BTCUSDT", "ETHUSDT", "SHIBUSDT"], history_seconds=300.0)
    for name in NAMES:
        market.listing.enlist(name, "SHIBUSDT")
    market.listing.set_status("ETHUSDT", "HALT")
    return RestApi(market)


def ask(api: RestApi, target: str, status: int = 200) -> Any:
    answer = api.answer("/api/v3/" + target, NOW_MS)
    assert answer.status == status, answer.body
    return msgspec.json.decode(answer.body)


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("ticker/24hr?symbol=BTCUSDT", DAY),
        ("ticker/24hr?symbol=BTCUSDT&type=MINI", MINI),
        ("ticker?symbol=BTCUSDT", FULL),
        ("ticker?symbol=BTCUSDT&type=MINI&windowSize=2h", MINI),
        ("ticker/tradingDay?symbol=BTCUSDT&timeZone=-1:30", FULL),
        ("ticker/tradingDay?symbol=BTCUSDT&type=MINI", MINI),
        ("ticker/price?symbol=BTCUSDT", ("symbol", "price")),
        ("ticker/bookTicker?symbol=BTCUSDT", ("symbol", "bidPrice", "bidQty", "askPrice", "askQty")),
        ("avgPrice?symbol=BTCUSDT", ("mins", "price", "closeTime")),
        ("depth?symbol=BTCUSDT", ("lastUpdateId", "bids", "asks")),
    ],
)
def test_the_fields_are_the_documented_ones(api: RestApi, target: str, fields: tuple[str, ...]) -> None:
    assert tuple(ask(api, target)) == fields


def test_a_window_begins_on_a_minute_and_ends_now(api: RestApi) -> None:
    window = ask(api, "ticker?symbol=BTCUSDT&windowSize=2m")
    assert window["openTime"] % MINUTE_MS == 0
    assert 2 * MINUTE_MS <= window["closeTime"] - window["openTime"] < 3 * MINUTE_MS
    assert window["closeTime"] == int(NOW_MS)


def test_windows_agree_with_the_trades(api: RestApi) -> None:
    trades = ask(api, "trades?symbol=SHIBUSDT&limit=1000")
    window = ask(api, "ticker?symbol=SHIBUSDT&windowSize=2m")
    inside = [trade for trade in trades if trade["time"] >= window["openTime"]]
    assert 0 < len(inside) < len(trades)
    assert (window["firstId"], window["lastId"]) == (inside[0]["id"], inside[-1]["id"])
    assert window["count"] == len(inside)
    assert Decimal(window["quoteVolume"]) == sum(Decimal(trade["quoteQty"]) for trade in inside)
    assert (window["openPrice"], window["lastPrice"]) == (inside[0]["price"], inside[-1]["price"])
    average = ask(api, "avgPrice?symbol=SHIBUSDT")
    assert (average["mins"], average["closeTime"]) == (5, trades[-1]["time"])
    assert ask(api, "ticker/price?symbol=SHIBUSDT")["price"] == trades[-1]["price"]


def test_a_trading_day_is_a_day_of_its_time_zone(api: RestApi) -> None:
    day = ask(api, "ticker/tradingDay?symbol=BTCUSDT&timeZone=8")
    assert (day["openTime"] + 8 * 60 * MINUTE_MS) % (24 * 60 * MINUTE_MS) == 0
    assert day["closeTime"] - day["openTime"] == 24 * 60 * MINUTE_MS - 1
    assert day["openTime"] <= NOW_MS <= day["closeTime"]


def test_all_that_show_a_quote_show_the_same(api: RestApi) -> None:
    day, best = ask(api, "ticker/24hr?symbol=BTCUSDT"), ask(api, "ticker/bookTicker?symbol=BTCUSDT")
    book = ask(api, "depth?symbol=BTCUSDT&limit=1")
    assert best.items() <= day.items()
    assert book["bids"] == [[best["bidPrice"], best["bidQty"]]]
    assert book["asks"] == [[best["askPrice"], best["askQty"]]]


@pytest.mark.parametrize("call", ["ticker/24hr", "ticker/price", "ticker/bookTicker"])
def test_one_some_and_all_symbols(api: RestApi, call: str) -> None:
    assert ask(api, f"{call}?symbol=BTCUSDT")["symbol"] == "BTCUSDT"
    some = ask(api, f'{call}?symbols=["SHIBUSDT","ETHUSDT"]')
    assert [item["symbol"] for item in some] == ["SHIBUSDT", "ETHUSDT"]
    assert len(ask(api, call)) == 104


@pytest.mark.parametrize("call", ["ticker/24hr", "ticker/price", "ticker/bookTicker", "ticker"])
def test_a_status_leaves_out_other_symbols_and_refuses_one(api: RestApi, call: str) -> None:
    some = ask(api, f'{call}?symbols=["BTCUSDT","ETHUSDT"]&symbolStatus=HALT')
    assert [item["symbol"] for item in some] == ["ETHUSDT"]
    assert ask(api, f"{call}?symbol=BTCUSDT&symbolStatus=HALT", 400) == {
        "code": -1220,
        "msg": "The symbol's status does not match the requested symbolStatus.",
    }


@pytest.mark.parametrize(
    ("target", "weight"),
    [
        ("avgPrice?symbol=BTCUSDT", 2),
        ("uiKlines?symbol=BTCUSDT&interval=1m", 2),
        ("depth?symbol=BTCUSDT", 5),
        ("depth?symbol=BTCUSDT&limit=101", 25),
        ("depth?symbol=BTCUSDT&limit=501", 50),
        ("depth?symbol=BTCUSDT&limit=9999", 250),
        ("ticker/price?symbol=BTCUSDT", 2),
        ('ticker/price?symbols=["BTCUSDT"]', 4),
        ("ticker/price", 4),
        ("ticker/bookTicker?symbol=BTCUSDT", 2),
        ("ticker/bookTicker", 4),
        (f"ticker/24hr?symbols={msgspec.json.encode(NAMES[:21]).decode()}", 40),
        (f"ticker/24hr?symbols={MANY}", 80),
        ("ticker?symbol=BTCUSDT", 4),
        ('ticker?symbols=["BTCUSDT","ETHUSDT"]', 8),
        ('ticker?symbols=["BTCUSDT","ETHUSDT"]&symbolStatus=HALT', 8),
        (f"ticker/tradingDay?symbols={msgspec.json.encode(NAMES[:60]).decode()}", 200),
    ],
)
def test_weights_are_the_documented_ones(api: RestApi, target: str, weight: int) -> None:
    assert api.answer("/api/v3/" + target, NOW_MS).weight == weight


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("ticker", -1102),
        ("ticker/tradingDay", -1102),
        ('ticker?symbol=BTCUSDT&symbols=["BTCUSDT"]', -1128),
        ("ticker?symbol=BTCUSDT&windowSize=60m", -1130),
        ("ticker?symbol=BTCUSDT&windowSize=1d2h", -1130),
        ("ticker?symbol=BTCUSDT&windowSize=0m", -1130),
        (f"ticker?symbols={MANY}", -1101),
        ('ticker/price?symbols=["BTCUSDT","BTCUSDT"]', -1151),
        ("ticker/price?symbols=[]", -1105),
        ("ticker/price?symbol=NOPE", -1121),
        ("ticker/price?symbolStatus=AUCTION", -1122),
        ("ticker/24hr?symbol=BTCUSDT&type=BOGUS", -1139),
        ("ticker/tradingDay?symbol=BTCUSDT&timeZone=15", -1130),
        ("klines?symbol=BTCUSDT&interval=1h&timeZone=-12:01", -1130),
        ("klines?symbol=BTCUSDT&interval=1h&timeZone=east", -1130),
        ("depth", -1102),
        ("depth?symbol=BTCUSDT&limit=0", -1130),
        ("depth?symbol=BTCUSDT&symbolStatus=BREAK", -1220),
        ("avgPrice?symbol=btcusdt", -1100),
        ("exchangeInfo?symbolStatus=BOGUS", -1122),
        ("exchangeInfo?symbol=BTCUSDT&symbolStatus=TRADING", -1128),
        ("exchangeInfo?symbol=BTCUSDT&permissions=SPOT", -1128),
        ("exchangeInfo?permissions=NOBODY", -1130),
        ("exchangeInfo?showPermissionSets=maybe", -1130),
    ],
)
def test_bad_calls_get_the_documented_errors(api: RestApi, target: str, code: int) -> None:
    assert ask(api, target, 400)["code"] == code


def test_klines_of_a_time_zone_begin_there(api: RestApi) -> None:
    for zone, hours in (("8", 8), ("-1:00", -1), ("0", 0)):
        bar = ask(api, f"klines?symbol=BTCUSDT&interval=1d&timeZone={zone}")[-1]
        assert (bar[0] + hours * 3_600_000) % 86_400_000 == 0
    plain = ask(api, "klines?symbol=BTCUSDT&interval=1m&limit=3")
    assert ask(api, "uiKlines?symbol=BTCUSDT&interval=1m&limit=3") == plain
    micro = f"startTime={plain[1][0]}000&endTime={plain[1][0]}999"
    assert ask(api, f"klines?symbol=BTCUSDT&interval=1m&{micro}") == [plain[1]]


def test_exchange_info_has_every_documented_field_and_filter(api: RestApi) -> None:
    info = ask(api, "exchangeInfo?symbol=BTCUSDT")
    assert {limit["rateLimitType"] for limit in info["rateLimits"]} == {
        *("REQUEST_WEIGHT", "ORDERS", "RAW_REQUESTS"),
    }
    (symbol,) = info["symbols"]
    assert {name for name in symbol if name.endswith("Allowed") or name.startswith("allow")} == {
        *("icebergAllowed", "ocoAllowed", "otoAllowed", "opoAllowed", "quoteOrderQtyMarketAllowed"),
        *("allowTrailingStop", "cancelReplaceAllowed", "amendAllowed", "pegInstructionsAllowed"),
        *("isSpotTradingAllowed", "isMarginTradingAllowed", "allowedSelfTradePreventionModes"),
    }
    assert {rule["filterType"] for rule in symbol["filters"]} >= {
        *("PRICE_FILTER", "LOT_SIZE", "ICEBERG_PARTS", "MARKET_LOT_SIZE", "TRAILING_DELTA", "NOTIONAL"),
        *("PERCENT_PRICE_BY_SIDE", "MAX_NUM_ORDERS", "MAX_NUM_ORDER_LISTS", "MAX_NUM_ALGO_ORDERS"),
    }


def test_exchange_info_chooses_by_status_and_permission(api: RestApi) -> None:
    def names(query: str) -> list[str]:
        return [symbol["symbol"] for symbol in ask(api, f"exchangeInfo?{query}")["symbols"]]

    assert names("symbolStatus=HALT") == ["ETHUSDT"]
    assert len(names("permissions=SPOT")) == 104
    assert names("permissions=MARGIN") == []
    assert len(names('permissions=["MARGIN","SPOT"]')) == 104
    assert (
        ask(api, "exchangeInfo?symbol=BTCUSDT&showPermissionSets=false")["symbols"][0]["permissionSets"] == []
    )


def test_no_call_is_both_served_and_refused(api: RestApi) -> None:
    assert not {f"/api/v3/{name}" for name in NOT_SERVED} & set(api.paths)
