"""The faults of the foreign exchange: what a test may do to whoever is connected to it."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.support.foreign.frames import CUTS, FRAMINGS, TEXTS
from tests.support.foreign.market import Trade
from tests.support.foreign.streams import ACKS

if TYPE_CHECKING:
    from tests.support.foreign.exchange import ForeignExchange

REST_MANNERS = (
    "honest",
    "html",
    "html with 403",
    "503",
    "timeout -1007",
    "hang",
    "trickle",
    "reset",
    "moved",
    "truncated gzip",
    "wrong type",
    "other shape",
    "empty list",
    "short pages",
)
"""What REST does with every answer. `wrong type` and `short pages` are right in themselves."""

SICKNESSES = ("hangs", "answers nothing", "accepts and closes")
"""What one address for streams does to whoever dials it."""

BAN_FORMS = ("seconds", "date", "body")
REFUSALS = (403, 404, 418, 429, 451, 500, 503)


class Faults:
    """Every method does one thing to the exchange at once; `clear` makes it honest and prompt again.

    What is done to the numbers of the market (`skip`, `invalid`, `withhold`) cannot be taken back.
    """

    def __init__(self, exchange: ForeignExchange) -> None:
        self._exchange = exchange
        self.injected: Counter[str] = Counter()
        """How often each method was called."""
        self.is_database_honest = True
        """Whether the database never lagged, forgot or lacked anything."""
        self.rest = "honest"
        self.rest_address: int | None = None
        """Which address the REST fault is about; `None` means both."""
        self._trouble_until = 0.0
        self.clear()

    def clear(self) -> None:
        """End every fault that lasts."""
        self._note_end_of_trouble()
        self.framing = "plain"
        self.text = "plain"
        self.rest = "honest"
        self.rest_symbols: frozenset[str] | None = None
        """Which symbols the REST fault is about; `None` means every call."""
        self.rest_address = None
        self.sick_addresses: dict[int, str] = {}
        self.lag_seconds = 0.0
        self.late_seconds = 0.0
        self.oldest_served: dict[str, int] = {}
        self.lacking: dict[str, range] = {}
        self.refusals: list[int] = []
        self.accepted_and_closed = 0
        self._acks: list[str] = []
        self._exchange.rules.rest_ban.end()
        self._exchange.rules.dial_ban.end()

    @property
    def trouble_until(self) -> float:
        """Until when (monotonic) no call could be trusted to be answered; infinite while it cannot."""
        return float("inf") if self._is_broken else self._trouble_until

    @property
    def _is_broken(self) -> bool:
        takes_time = self.rest in ("hang", "trickle")  # longer than the patience of a short case
        return self.rest != "honest" and (self.rest_address is None or takes_time)

    def _note_end_of_trouble(self) -> None:
        if self._is_broken:
            self._trouble_until = max(self._trouble_until, time.monotonic())

    # the stream

    def withhold(self, *symbols: str, count: int = 1) -> None:
        """Trades happen, and no stream brings them: REST alone has them."""
        self.injected["withhold"] += 1
        market = self._exchange.market
        for symbol in symbols:
            for _ in range(count):
                market.execute(symbol)
            market.listings[symbol].is_newest_withheld = True

    def repeat(self, symbol: str, count: int = 3) -> None:
        """Send the newest trades again, oldest first."""
        self.injected["repeat"] += 1
        self._exchange.push([(symbol, trade) for trade in self._newest_sent(symbol, count)])

    def reorder(self, symbol: str, count: int = 3) -> None:
        """Trades happen, and are sent newest first."""
        self.injected["reorder"] += 1
        happened = [self._exchange.market.execute(symbol) for _ in range(count)]
        self._exchange.push([(symbol, trade) for trade in reversed(happened)])

    def skip(self, symbol: str, count: int = 1) -> None:
        """Ids are used up that no trade has; a trade follows."""
        self.injected["skip"] += 1
        self._exchange.market.skip(symbol, count)
        self._exchange.market.trade(symbol)

    def invalid(self, symbol: str) -> None:
        """A trade at the price 0 happens, between two good ones."""
        self.injected["invalid"] += 1
        market = self._exchange.market
        happened = [
            market.execute(symbol),
            market.execute(symbol, price="0.00000000"),
            market.execute(symbol),
        ]
        self._exchange.push([(symbol, trade) for trade in happened])

    def cut(self, manner: str) -> None:
        """End every stream connection, in one of `CUTS`."""
        assert manner in CUTS
        self.injected[f"cut {manner}"] += 1
        for connection in self._exchange.connections:
            if connection.is_open:
                connection.cut(manner)

    def shutdown(self) -> None:
        """Announce `serverShutdown`; the caller cuts later."""
        self.injected["shutdown"] += 1
        for connection in self._exchange.connections:
            connection.announce_shutdown()

    def garbage(self, text: str) -> None:
        """Send a text that is no event to every connection."""
        self.injected["garbage"] += 1
        for connection in self._exchange.connections:
            connection.send_raw(text)

    def refuse(self, *statuses: int) -> None:
        """Refuse the next dials, with these HTTP statuses in turn."""
        self.injected["refuse"] += 1
        self.refusals += statuses

    def accept_and_close(self, count: int = 1) -> None:
        """Accept the next dials, and close them at once."""
        self.injected["accept and close"] += 1
        self.accepted_and_closed += count

    def sicken(self, address: int, sickness: str) -> None:
        """From now on, whoever dials this address for streams meets one of `SICKNESSES`."""
        assert sickness in SICKNESSES
        self.injected[f"address {sickness}"] += 1
        self.sick_addresses[address] = sickness

    def acks(self, *manners: str, late_seconds: float = 1.0) -> None:
        """Answer the next control messages in these manners of `ACKS`; then promptly again."""
        assert set(manners) <= set(ACKS)
        self.injected["acks"] += 1
        self._acks += manners
        self.late_seconds = late_seconds

    def take_ack(self) -> str:
        """The manner of the next acknowledgement."""
        return self._acks.pop(0) if self._acks else "prompt"

    def frames(self, framing: str) -> None:
        """Write every event in this manner of `FRAMINGS`."""
        assert framing in FRAMINGS
        self.injected[f"frames {framing}"] += 1
        self.framing = framing

    def texts(self, manner: str) -> None:
        """Write the JSON of every event in this manner of `TEXTS`."""
        assert manner in TEXTS
        self.injected[f"texts {manner}"] += 1
        self.text = manner

    # REST

    def lag(self, seconds: float) -> None:
        """Let the database (`historicalTrades`, `aggTrades`, `klines`) lag."""
        self.injected["lag"] += 1
        self.is_database_honest = False
        self.lag_seconds = seconds

    def break_rest(self, manner: str, *symbols: str, address: int | None = None) -> None:
        """Spoil every answer of REST, or those about these symbols or of one address (`REST_MANNERS`)."""
        assert manner in REST_MANNERS
        self.injected[f"rest {manner}"] += 1
        self._note_end_of_trouble()
        self.rest, self.rest_symbols, self.rest_address = manner, frozenset(symbols) or None, address

    def forget(self, symbol: str, before_id: int) -> None:
        """Serve nothing older; who asks for older trades gets the oldest still served."""
        self.injected["forget"] += 1
        self.is_database_honest = False
        self.oldest_served[symbol] = before_id

    def lack(self, symbol: str, first: int, last: int) -> None:
        """The replica behind the database calls has lost these."""
        self.injected["lack"] += 1
        self.is_database_honest = False
        self.lacking[symbol] = range(first, last + 1)

    def ban(self, seconds: float, form: str = "seconds") -> None:
        """Ban the address from REST; streams go on."""
        assert form in BAN_FORMS
        self.injected[f"ban {form}"] += 1
        self._trouble_until = max(self._trouble_until, time.monotonic() + seconds + 1)
        self._exchange.rules.rest_ban.begin(seconds, form)

    def ban_dials(self, seconds: float, form: str = "seconds") -> None:
        """Ban the address from opening streams; open connections and REST go on."""
        assert form in BAN_FORMS
        self.injected[f"ban dials {form}"] += 1
        self._exchange.rules.dial_ban.begin(seconds, form)

    # the list

    def set_status(self, symbol: str, status: str) -> None:
        """Give a symbol another trading status."""
        self.injected["status"] += 1
        self._exchange.market.listings[symbol].status = status

    def delist(self, symbol: str) -> None:
        """Take a symbol off the list: it trades no more, and its streams are silent."""
        self.injected["delist"] += 1
        self._exchange.market.listings[symbol].is_listed = False

    def relist(self, symbol: str) -> None:
        """Put it back; its ids go on."""
        self.injected["relist"] += 1
        self._exchange.market.listings[symbol].is_listed = True

    def odd_entries(self) -> None:
        """Put entries into `exchangeInfo` that no reader can use."""
        self.injected["odd entries"] += 1
        self._exchange.market.odd_entries = [
            {"symbol": "NOBASEUSDT", "status": "TRADING"},
            {
                "symbol": "NULLUSDT",
                "status": "AFTER_DINNER",
                "baseAsset": "NULL",
                "quoteAsset": "USDT",
                "filters": [{"filterType": "PRICE_FILTER", "tickSize": None}],
            },
            {"symbol": "N" * 65536, "status": "TRADING", "baseAsset": "N", "quoteAsset": "N", "filters": []},
            {"symbol": "TUSDT", "status": "BREAK", "baseAsset": "T", "quoteAsset": "USDT"},
            None,
            17,
        ]

    def _newest_sent(self, symbol: str, count: int) -> list[Trade]:
        listing = self._exchange.market.listings[symbol]
        sent = [trade for trade in listing.trades.values() if trade.id in listing.sent_at]
        return sent[-count:]
