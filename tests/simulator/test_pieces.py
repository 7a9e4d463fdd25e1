"""Much work at once is cut into pieces, and what comes of it is the same as if it were not."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from livemarkets.simulator import SimulatedMarket
from livemarkets.simulator.market.candles import Candles
from livemarkets.simulator.market.pieces import FIRST, Pieces
from livemarkets.simulator.market.traded_symbol import TradedSymbol

pytestmark = pytest.mark.long

NOW_MS = 1_700_000_000_300.0
MOST = 6
"""Symbols that may be used first in one turn: some in a change of the subscriptions, some in a look."""


class Watched(SimulatedMarket):
    """A market that writes down which symbols are new to it in a turn: made, or their klines asked for."""

    def __init__(self) -> None:
        super().__init__(seed=7)
        self.made = self.most_made = self.most_asked = 0
        self.asked: set[str] = set()
        self.asked_before: set[str] = set()

    def _make(self, name: str, since_ms: float) -> TradedSymbol:
        self.made += 1
        return super()._make(name, since_ms)

    def candles_of(self, symbol: str, now_ms: float) -> Candles:
        self.asked.add(symbol)
        return super().candles_of(symbol, now_ms)

    def end_turn(self) -> None:
        self.most_made, self.made = max(self.most_made, self.made), 0
        self.most_asked = max(self.most_asked, len(self.asked - self.asked_before))
        self.asked_before |= self.asked
        self.asked = set()


def play(market: SimulatedMarket, seconds: float) -> list[tuple[str, Any]]:
    """The events until a time, in as many turns as the market wants, a millisecond apart."""
    now_ms, events = NOW_MS, []
    while now_ms < NOW_MS + 1000 * seconds:
        next_ms = market.next_ms()
        now_ms = max(now_ms + 1, NOW_MS if next_ms is None else next_ms)
        events += [(event.stream, msgspec.json.decode(event.raw())) for event in market.advance(now_ms)]
        if isinstance(market, Watched):
            market.end_turn()
    return events


def every(market: SimulatedMarket, kind: str) -> set[str]:
    return {f"{symbol.lower()}@{kind}" for symbol in market.rules}


def traded(market: SimulatedMarket) -> list[str]:
    """The symbols that had a trade until the first update of the tickers."""
    return [
        symbol
        for symbol in market.rules
        if any(trade.time_ms < NOW_MS + 1000 for trade in market.history(symbol, NOW_MS).trades)
    ]


@pytest.mark.parametrize(
    "kind",
    [
        "trade",
        "ticker",
        pytest.param("depth@100ms", marks=pytest.mark.verify),
        pytest.param("kline_1m", marks=pytest.mark.verify),
    ],
)
def test_a_subscription_to_every_symbol_is_cut_into_pieces(kind: str) -> None:
    market = Watched()
    market.want(every(market, kind), NOW_MS)
    market.end_turn()
    came = {stream for stream, _ in play(market, 4)}
    assert 0 < market.most_made <= MOST
    assert market.most_asked <= MOST
    if kind in ("kline_1m", "ticker"):
        assert came == every(market, kind)


@pytest.mark.parametrize(
    "stream", ["!miniTicker@arr", pytest.param("!ticker_1d@arr", marks=pytest.mark.verify)]
)
def test_a_stream_of_all_symbols_is_cut_into_pieces_and_comes_whole(stream: str) -> None:
    market = Watched()
    market.want({stream}, NOW_MS)
    market.end_turn()
    first, *later = [rows for _, rows in play(market, 4)]
    assert [row["s"] for row in first] == traded(market)
    assert later
    assert all(0 < len(rows) < len(first) for rows in later)
    assert 0 < market.most_made <= MOST
    assert 0 < market.most_asked <= MOST


def test_pieces_cost_nobody_a_trade() -> None:
    """The trades of every symbol come from the moment of the subscription on, whenever its turn comes."""
    market = SimulatedMarket(7, trades_per_second=20.0)
    market.want(every(market, "trade"), NOW_MS)
    ids: dict[str, list[int]] = {}
    first_ms: dict[str, int] = {}
    for _, trade in play(market, 2):
        ids.setdefault(trade["s"], []).append(trade["t"])
        first_ms.setdefault(trade["s"], trade["T"])
    assert set(ids) == set(market.rules)
    assert all(later == earlier + 1 for some in ids.values() for earlier, later in pairwise(some))
    for symbol in list(ids)[::40]:
        alone = SimulatedMarket(7, trades_per_second=20.0)
        alone.want({f"{symbol.lower()}@trade"}, NOW_MS)
        expected = [trade["t"] for _, trade in play(alone, 2)]
        assert ids[symbol][:20] == expected[:20]
        assert first_ms[symbol] >= int(NOW_MS)


def test_a_subscription_that_ends_before_its_turn_leaves_nothing_behind() -> None:
    market = Watched()
    market.want(every(market, "trade"), NOW_MS)
    market.want({"btcusdt@trade"}, NOW_MS)
    market.end_turn()
    assert {stream for stream, _ in play(market, 2)} == {"btcusdt@trade"}
    assert market.most_made <= 2 * MOST
    assert market.next_ms() is not None
    market.want(set(), NOW_MS + 2000)
    assert play(market, 3) == []
    assert market.next_ms() is None


def test_a_symbol_that_is_delisted_before_its_turn_is_left_out() -> None:
    market = SimulatedMarket(7)
    market.want({*every(market, "trade"), "!miniTicker@arr"}, NOW_MS)
    gone = list(market.rules)[-1]
    market.listing.delist(gone)
    events = play(market, 3)
    rows = next(rows for stream, rows in events if stream.startswith("!"))
    assert len(rows) > 200
    assert gone not in {row["s"] for row in rows}
    assert f"{gone.lower()}@trade" not in {stream for stream, _ in events}


def test_pieces_end_by_their_cost() -> None:
    pieces: Pieces[int] = Pieces()
    done: list[int] = []

    def do(item: int) -> int:
        done.append(item)
        return FIRST if item < 8 else 1

    pieces.begin(range(100))
    pieces.do_some(do)
    assert done == [0, 1, 2, 3]
    pieces.keep(lambda item: item % 2 == 0)
    pieces.do_some(do)
    assert done[4:6] == [4, 6]
    assert len(done) == 4 + 2 + 32
    while pieces:
        pieces.do_some(do)
    assert done[4:] == list(range(4, 100, 2))
