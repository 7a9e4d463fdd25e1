"""`exchangeInfo`: odd entries cost the others nothing, and a long list does not hold the event loop."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.errors import MalformedMessage
from livemarkets.exchanges.base import ListedSymbols
from livemarkets.exchanges.binance.exchange_info import decode_exchange_info


def entry(symbol: str, status: Any = "TRADING", **fields: Any) -> dict[str, Any]:
    """One entry, with the fields of Binance's documents."""
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000.0", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.1", "maxQty": "900.0", "stepSize": "0.10000000"},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
    ]
    usual = {
        "symbol": symbol,
        "status": status,
        "baseAsset": symbol[:-4],
        "quoteAsset": symbol[-4:],
        "orderTypes": ["LIMIT", "MARKET"],
        "filters": filters,
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN", "TRD_GRP_004"]],
    }
    return {name: value for name, value in (usual | fields).items() if value is not ...}


def answer(*entries: Any, **fields: Any) -> bytes:
    head = {"timezone": "UTC", "serverTime": 1, "rateLimits": [], "exchangeFilters": []}
    text = json.dumps(head | fields | {"symbols": list(entries), "sors": [{"symbols": ["X"]}]})
    return text.encode()


async def listed(*entries: Any) -> ListedSymbols:
    return (await decode_exchange_info(answer(*entries))).listed


async def names(*entries: Any) -> list[str]:
    return [info.symbol for info in (await listed(*entries)).symbols]


@pytest.mark.parametrize(
    "odd",
    [
        entry("BADUSDT", baseAsset=...),
        entry("BADUSDT", baseAsset=None),
        entry("BADUSDT", baseAsset=""),
        entry("BADUSDT", baseAsset="\ud800"),
        entry("BADUSDT", quoteAsset=7),
        entry("BADUSDT", ...),
        entry("BADUSDT", status="x" * 100),
        entry("BADUSDT", filters=[{"filterType": "PRICE_FILTER", "tickSize": None}]),
        entry("BADUSDT", filters=[{"filterType": "PRICE_FILTER", "tickSize": "a bit"}]),
        entry("BADUSDT", filters=[{"filterType": "PRICE_FILTER", "tickSize": "NaN"}]),
        entry("BADUSDT", filters=[{"filterType": "PRICE_FILTER", "tickSize": "-1"}]),
        entry("BADUSDT", filters=[{"filterType": "PRICE_FILTER", "tickSize": "1e999999"}]),
        entry("BADUSDT", filters="none"),
        entry("X" * 65_536),
        entry("BTCUSDT"),
        entry("BTC/USDT"),
        entry("\u202eUSDT"),
        entry("", baseAsset="BTC", quoteAsset="USDT"),
        {},
        [],
        None,
        "BADUSDT",
        12,
    ],
)
async def test_an_odd_entry_is_skipped_and_counted_and_costs_the_others_nothing(odd: object) -> None:
    found = await listed(entry("BTCUSDT"), odd, entry("ETHUSDT"))
    assert [info.symbol for info in found.symbols] == ["BTCUSDT", "ETHUSDT"]
    assert found.skipped == 1
    assert len(found.faults) == 1
    assert len(found.faults[0]) < 400


DEEP = r'[{"a":"]}\\\"]","b":' + "[" * 2000 + f'"{"]" * 2500}",{{"c":1}}' + "]" * 2000 + "}]"
"""Nested so deeply that no decoder reads it, with brackets in texts."""
LONG = "9" * 5000
"""A number that Python does not convert."""


def with_text(text: str, *entries: Any, **fields: Any) -> bytes:
    """An answer in which a text stands in the place of every `HERE`."""
    body = answer(*entries, **fields).decode()
    return body.replace('"HERE"', text).encode()


@pytest.mark.parametrize("text", [DEEP, LONG, f"-{LONG}"])
@pytest.mark.parametrize("padding", [0, 60_000, *range(58_000, 65_000, 500), 130_000])
async def test_an_entry_that_no_decoder_reads_costs_the_others_nothing(text: str, padding: int) -> None:
    first = {"padding": "x" * padding} | entry("BTCUSDT")
    found = (await decode_exchange_info(with_text(text, first, "HERE", entry("ETHUSDT")))).listed
    assert [info.symbol for info in found.symbols] == ["BTCUSDT", "ETHUSDT"]
    assert found.skipped == 1
    assert len(found.faults[0]) < 400


async def test_a_value_that_no_decoder_reads_costs_its_entry_at_most() -> None:
    deep = entry("DEEPUSDT", surprise={"x": "HERE"})
    nested = "[" * 2000 + "]" * 2000
    found = (await decode_exchange_info(with_text(nested, entry("BTCUSDT"), deep, entry("ETHUSDT")))).listed
    assert [info.symbol for info in found.symbols] == ["BTCUSDT", "ETHUSDT"]
    long = entry("LONGUSDT", surprise={"x": "HERE"})
    found = (await decode_exchange_info(with_text(LONG, entry("BTCUSDT"), long))).listed
    assert [info.symbol for info in found.symbols] == ["BTCUSDT", "LONGUSDT"], "nobody needs the number"


@pytest.mark.parametrize("text", ["[" * 2000 + "]" * 2000, LONG])
async def test_a_value_before_the_list_costs_only_itself(text: str) -> None:
    limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}
    limits = [{**limit, "limit": "HERE"}] if text is LONG else [limit]
    body = with_text(text, entry("BTCUSDT"), serverTime="HERE", rateLimits=[*limits, limit])
    found = await decode_exchange_info(body)
    assert [info.symbol for info in found.listed.symbols] == ["BTCUSDT"]
    assert found.weight_per_minute == 6000


async def test_a_list_with_a_byte_order_mark_is_read() -> None:
    body = b"\xef\xbb\xbf" + answer(entry("BTCUSDT"))
    assert [info.symbol for info in (await decode_exchange_info(body)).listed.symbols] == ["BTCUSDT"]


async def test_a_long_entry_that_is_nested_too_deeply_is_the_reason() -> None:
    with pytest.raises(MalformedMessage, match="nested too deeply"):
        await decode_exchange_info(with_text("[" * 50_000 + "]" * 50_000, entry("BTCUSDT"), "HERE"))


async def test_thousands_of_odd_entries_are_counted_and_the_first_are_named() -> None:
    found = await listed(entry("BTCUSDT"), *({"symbol": f"X{at}"} for at in range(5000)))
    assert (len(found.symbols), found.skipped, len(found.faults)) == (1, 5000, 3)


async def test_every_status_and_new_fields_are_accepted_and_only_trading_trades() -> None:
    found = await listed(
        entry("AUSDT"),
        entry("BUSDT", "BREAK"),
        entry("CUSDT", "HALT"),
        entry("DUSDT", "CANCEL_ONLY"),
        entry("EUSDT", "END_OF_DAY"),
        entry("FUSDT", "SLEEPWALKING", surprise={"nested": [1, {"symbols": []}]}, permissions=...),
        entry("GUSDT", filters=[{"filterType": "UNHEARD_OF", "depth": {"x": 1}}, {"noType": True}]),
        entry("HUSDT", filters=...),
    )
    assert found.skipped == 0
    assert [info.symbol for info in found.symbols if info.is_trading] == ["AUSDT", "GUSDT", "HUSDT"]
    assert [info.status for info in found.symbols][1:6] == [
        *("BREAK", "HALT", "CANCEL_ONLY", "END_OF_DAY", "SLEEPWALKING")
    ]


async def test_base_and_quote_come_from_the_exchange_and_never_from_the_name() -> None:
    pairs = [
        *(
            ("T", "USDT"),
            ("W", "USDT"),
            ("S", "USDT"),
            ("A", "USDT"),
            ("1INCH", "USDT"),
            ("1000SATS", "USDT"),
        ),
        *(("1MBABYDOGE", "USDT"), ("USDT", "TRY"), ("USDC", "USDT"), ("BTC", "FDUSD"), ("币安人生", "USDT")),
    ]
    found = await listed(*(entry(base + quote, baseAsset=base, quoteAsset=quote) for base, quote in pairs))
    assert [(info.base_asset, info.quote_asset) for info in found.symbols] == pairs


async def test_the_steps_are_without_trailing_zeros() -> None:
    (info,) = (await listed(entry("BTCUSDT"))).symbols
    assert (str(info.tick_size), str(info.step_size)) == ("0.01", "0.1")
    (info,) = (await listed(entry("BTCUSDT", filters=[]))).symbols
    assert (info.tick_size, info.step_size) == (Decimal(0), Decimal(0))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html>Welcome to our Wi-Fi</html>",
        b'{"timezone":"UTC"}',
        b'{"symbols":{}}',
        b'{"symbols":[{"symbol":"BTCUSDT"',
        b'{"symbols":[{"symbol":"BTCUSDT"}{}]}',
        b'{"symbols":[{}]}',
        b'{"symbols":[,]}',
        b'{"symbols":["\xff"]}',
        b'{"symbols":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
        b'{"symbols":[' + b"1," * 50_000 + b"1",
        b'{"rateLimits":"' + b"x" * 3_000_000 + b'","symbols":[]}',
    ],
)
async def test_what_is_no_list_of_symbols_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedMessage) as caught:
        await decode_exchange_info(body)
    assert len(str(caught.value)) < 400


async def test_an_empty_list_is_a_list() -> None:
    assert await listed() == ListedSymbols([])


@given(
    st.lists(st.integers(0, 30_000), max_size=12),
    st.sampled_from([None, 1, "\t"]),
    st.booleans(),
)
def test_the_entries_are_the_same_wherever_the_slices_end(
    paddings: list[int], indent: int | str | None, is_ascii: bool
) -> None:
    """Blanks, the order of the fields and letters of several bytes may be anywhere."""
    entries = [{"padding": "币" * padding} | entry(f"X{at}币USDT") for at, padding in enumerate(paddings)]
    whole = {"rateLimits": [{"padding": "é" * 100}], "symbols": entries, "sors": []}
    body = json.dumps(whole, indent=indent, ensure_ascii=is_ascii).encode()
    found = asyncio.run(decode_exchange_info(body)).listed
    assert [info.symbol for info in found.symbols] == [f"X{at}币USDT" for at in range(len(paddings))]
    assert found.skipped == 0


async def test_the_event_loop_runs_while_a_long_list_is_decoded() -> None:
    """It is handed over at least once for each 64 KB: no slice of the work is longer."""
    groups = [f"TRD_GRP_{number:03}" for number in range(180)]
    body = answer(*(entry(f"X{at}USDT", permissionSets=[groups]) for at in range(1000)))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counter = asyncio.create_task(count())
    await decode_exchange_info(body)
    counter.cancel()
    assert turns >= len(body) // 65_536


@pytest.mark.parametrize(
    ("limits", "weight"),
    [
        ([{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}], 6000),
        ([{"rateLimitType": "REQUEST_WEIGHT", "interval": "DAY", "intervalNum": 1, "limit": 9}], None),
        ([{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 0}], None),
        (
            [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": "many"}],
            None,
        ),
        ([7, None], None),
        ("none", None),
    ],
)
async def test_the_announced_weight_is_read(limits: object, weight: int | None) -> None:
    assert (await decode_exchange_info(answer(rateLimits=limits))).weight_per_minute == weight
