"""The order book: what is published is what the next order meets, and a client's copy never diverges."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from itertools import groupby
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.simulator import ExchangeLimits, SimulatedMarket, Simulator
from livemarkets.simulator.market.order_book import Depth, OrderBook
from livemarkets.simulator.market.streams import StreamEvent
from livemarkets.simulator.market.symbols import DEFAULT_RULES, from_units
from tests.simulator.conftest import Client, Started, quick_market
from tests.simulator.local_book import LocalBook, MissedEventsError

NOW_MS = 1_723_161_255_000.0
Dial = Callable[..., Awaitable[Client]]
Rest = Callable[..., Awaitable[httpx.Response]]


def data_of(event: StreamEvent) -> dict[str, Any]:
    return dict(msgspec.json.decode(event.raw()))


def shown(depth: Depth) -> tuple[list[list[str]], list[list[str]]]:
    """Levels as they are published."""
    bids, asks = (
        [[from_units(part) for part in level] for level in side] for side in (depth.bids, depth.asks)
    )
    return bids, asks


def snapshot_of(market: SimulatedMarket, symbol: str, now_ms: float) -> dict[str, Any]:
    depth = market.depth(symbol, 5000, now_ms)
    bids, asks = shown(depth)
    return {"lastUpdateId": depth.update_id, "bids": bids, "asks": asks}


@pytest.mark.parametrize("symbol", ["BTCUSDT", "PEPEUSDT", "LRCETH", "BTTCUSDT", "币安人生USDT"])
def test_every_order_meets_the_best_bid_and_ask_that_were_published(symbol: str) -> None:
    market = SimulatedMarket(4, symbols=[symbol], trades_per_second=40.0)
    name = symbol.lower()
    market.want({f"{name}@trade", f"{name}@bookTicker"}, NOW_MS)
    quote = market.quote(symbol)
    best = {"b": from_units(quote.bid), "B": from_units(quote.bid_size)}
    best |= {"a": from_units(quote.ask), "A": from_units(quote.ask_size)}
    orders = 0
    for second in range(60):
        events = [data_of(event) for event in market.advance(NOW_MS + 1000 * second)]
        for is_trade, group in groupby(events, key=lambda data: data.get("e") == "trade"):
            first, *others = group
            if not is_trade:
                best = others[-1] if others else first
                assert float(best["b"]) < float(best["a"])
                continue
            orders += 1
            price, size = (best["b"], best["B"]) if first["m"] else (best["a"], best["A"])
            assert first["p"] == price
            at_best = sum(float(trade["q"]) for trade in [first, *others] if trade["p"] == price)
            assert at_best <= float(size) * (1 + 1e-12)
    assert orders > 500


def test_an_order_takes_what_was_there_level_by_level() -> None:
    market = SimulatedMarket(4, symbols=["BTCUSDT"], trades_per_second=1.0)
    before = market.depth("BTCUSDT", 5000, NOW_MS)
    market.want({"btcusdt@trade"}, NOW_MS)
    state = market._symbols["BTCUSDT"]
    for _ in range(300):
        before = state.book.depth(5000)
        trades = state.book.take(40, 0)
        resting = dict(before.bids if trades[0].buyer_is_maker else before.asks)
        taken: defaultdict[int, int] = defaultdict(int)
        for trade in trades:
            taken[trade.price] += trade.size
        *through, last = taken
        assert all(taken[price] == resting[price] for price in through)
        assert taken[last] <= resting[last]
        assert list(taken) == list(resting)[: len(taken)]


@pytest.mark.parametrize("rules", DEFAULT_RULES[::80], ids=lambda rules: rules.symbol)
def test_a_book_is_deep_sorted_and_keeps_to_the_rules(rules: Any) -> None:
    market = SimulatedMarket(4, rules=[rules], trades_per_second=300.0)
    for second in range(0, 60, 10):
        depth = market.depth(rules.symbol, 5000, NOW_MS + 1000 * second)
        bids, asks = [price for price, _ in depth.bids], [price for price, _ in depth.asks]
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert 0 < bids[-1] <= bids[0] < asks[0]
        assert len(asks) >= 100
        assert len(bids) >= min(100, bids[0] // rules.tick)
        assert all(price % rules.tick == 0 for price in [*bids, *asks])
        assert all(size > 0 and size % rules.lot == 0 for _, size in [*depth.bids, *depth.asks])


@pytest.mark.parametrize("speed", ["", "@100ms"])
def test_events_join_and_a_local_book_equals_the_exchanges(speed: str) -> None:
    market = SimulatedMarket(4, symbols=["ETHUSDT"], trades_per_second=100.0)
    stream = f"ethusdt@depth{speed}"
    partials = {f"ethusdt@depth{levels}{speed}" for levels in (5, 10, 20)}
    market.want({stream, "ethusdt@bookTicker", *partials}, NOW_MS)
    market.burst("ETHUSDT", 3000, NOW_MS)
    book, last_id = LocalBook(), None
    best: dict[str, Any] = {}
    for step in range(600):
        now_ms = NOW_MS + 50 * step
        for event in market.advance(now_ms):
            data = data_of(event)
            if event.stream == stream:
                assert last_id is None or data["U"] == last_id + 1
                last_id = data["u"]
                assert data["E"] == int(now_ms)
                book.take(data)
                if best and best["u"] == book.update_id:
                    assert book.top(1) == ([[best["b"], best["B"]]], [[best["a"], best["A"]]])
            elif event.stream in partials:
                levels = int(event.stream.removeprefix("ethusdt@depth").partition("@")[0])
                if data["lastUpdateId"] == book.update_id:
                    assert (data["bids"], data["asks"]) == book.top(levels)
            else:
                best = data
        snapshot = snapshot_of(market, "ETHUSDT", now_ms)
        if not book.has_begun and step > 40 and not book.needs_newer(snapshot):
            book.begin(snapshot)
        if book.update_id == snapshot["lastUpdateId"]:
            assert book.top(5000) == (snapshot["bids"], snapshot["asks"])
    assert book.has_begun


def test_a_book_that_nobody_follows_records_nothing() -> None:
    market = SimulatedMarket(4, symbols=["ETHUSDT"], trades_per_second=100.0)
    market.want({"ethusdt@depth", "ethusdt@depth@100ms", "ethusdt@depth5"}, NOW_MS)
    orders = market.book_of("ETHUSDT", NOW_MS).orders
    assert len(orders._followers) == 2
    market.want({"ethusdt@depth@100ms"}, NOW_MS + 500)
    assert len(orders._followers) == 1
    market.want(set(), NOW_MS + 700)
    assert orders._followers == []
    market.advance(NOW_MS + 700)
    assert market.next_ms() is None


@given(
    st.lists(st.tuples(st.sampled_from([-1, 1]), st.integers(1, 9), st.integers(0, 5)), max_size=60),
    st.sets(st.integers(0, 59)),
)
def test_changes_are_all_that_a_copy_needs(puts: list[tuple[int, int, int]], looks: set[int]) -> None:
    book = OrderBook(7)
    changes = book.follow()
    copy: dict[int, int] = {}
    until = 7
    for at, (sign, price, size) in enumerate(puts):
        book.put(book.bids if sign > 0 else book.asks, sign * price, size)
        if at not in looks or (taken := book.take(changes)) is None:
            continue
        first_id, last_id, depth = taken
        assert (first_id, last_id) == (until + 1, book.update_id)
        until = last_id
        copy |= {price: size for price, size in depth.bids} | {-price: size for price, size in depth.asks}
        sides = (book.bids, book.asks)
        levels = {key: size for side in sides for key, size in zip(side.keys, side.sizes, strict=True)}
        assert {key: size for key, size in copy.items() if size} == levels


@pytest.mark.parametrize("reconnects", [3, pytest.param(60, marks=pytest.mark.verify)])
async def test_a_local_book_never_diverges_through_reconnects(
    start: Started, dial: Dial, rest: Rest, reconnects: int
) -> None:
    """By the documented procedure, over connections that end in every way, with snapshots over REST."""
    limits = ExchangeLimits(messages_per_second=1000, rest_weight_per_minute=1_000_000)
    simulator = await start(quick_market(trades_per_second=300.0), limits=limits)
    ends = [simulator.faults.drop, simulator.faults.close, simulator.faults.half_open]
    for turn in range(reconnects):
        client = await dial(simulator, "/ws/btcusdt@depth@100ms")
        book = LocalBook()
        for _ in range(1 + turn % 3):
            book.take(await client.receive())
        while not book.has_begun:
            snapshot = (await rest(simulator, "depth", symbol="BTCUSDT", limit=5000)).json()
            if book.needs_newer(snapshot):
                book.take(await client.receive())
            else:
                book.begin(snapshot)
        await equals_the_exchanges(simulator, client, book, 4)
        simulator.faults.burst(symbol="BTCUSDT", trades=500)
        await equals_the_exchanges(simulator, client, book, 3)
        ends[turn % len(ends)]()
        if turn % len(ends) == 2:
            client.socket.transport.abort()
        else:
            await client.closed()


async def equals_the_exchanges(simulator: Simulator, client: Client, book: LocalBook, events: int) -> None:
    """Follow the stream, and compare whenever the exchange's book stands at the same update."""
    equal = False
    while events > 0 or not equal:
        book.take(await client.receive())
        events -= 1
        now = simulator.source.depth("BTCUSDT", 5000, simulator.now_ms())
        if now.update_id == book.update_id:
            assert book.top(5000) == shown(now)
            equal = True


async def test_a_book_that_missed_an_event_is_begun_anew_and_equals_the_exchanges(
    start: Started, dial: Dial, rest: Rest
) -> None:
    simulator = await start(quick_market(trades_per_second=300.0))
    client = await dial(simulator, "/ws/btcusdt@depth@100ms")
    for _ in range(2):
        book = LocalBook()
        book.take(await client.receive())
        snapshot = (await rest(simulator, "depth", symbol="BTCUSDT", limit=5000)).json()
        while book.needs_newer(snapshot):
            snapshot = (await rest(simulator, "depth", symbol="BTCUSDT", limit=5000)).json()
        book.begin(snapshot)
        await equals_the_exchanges(simulator, client, book, 3)
        simulator.faults.lose(stream="btcusdt@depth@100ms", count=1)
        with pytest.raises(MissedEventsError):
            await equals_the_exchanges(simulator, client, book, 50)


def test_a_client_that_missed_an_event_is_told_by_the_numbers() -> None:
    market = SimulatedMarket(4, symbols=["ETHUSDT"], trades_per_second=100.0)
    market.want({"ethusdt@depth@100ms"}, NOW_MS)
    events = [data_of(event) for step in range(30) for event in market.advance(NOW_MS + 100 * step)]
    book = LocalBook()
    book.take(events[0])
    book.begin({"lastUpdateId": events[0]["u"], "bids": [], "asks": []})
    with pytest.raises(MissedEventsError):
        book.take(events[2])
