"""An exchange for tests that speaks Binance's public protocol and shares nothing with the product.

It was written from Binance's documents alone, with other libraries (`wsproto`, `h11`, streams of asyncio)
and other habits than `livemarkets/simulator`. So a mistake that both sides of the product share shows here.

    async with foreign_exchange() as exchange:
        settings_for(None, binance_ws_url=exchange.ws_url, binance_rest_url=exchange.rest_url)
        exchange.market.trade("BTCUSDT", count=5)    # trades happen, and its streams bring them
        exchange.faults.withhold("BTCUSDT")          # they happen, and only REST has them
        exchange.faults.cut("reset")                 # see `Faults`: one method per fault; `clear()` ends all
        exchange.truth.trades("BTCUSDT")             # what really happened, by id
        exchange.truth.brought("BTCUSDT", first, last, since=moment)  # what a stream brought
        exchange.rules.violations                    # how its user broke the rules of the exchange
        exchange.carried                             # the streams that are subscribed

Nothing trades by itself: a test lets it, or calls `exchange.trade_by_itself(per_second=20)`.

`world.py` runs the app on it, with readers that hold every message against the truth (`reader.py`).
"""

from tests.support.foreign.exchange import ForeignExchange, foreign_exchange
from tests.support.foreign.faults import BAN_FORMS, REFUSALS, REST_MANNERS, SICKNESSES, Faults
from tests.support.foreign.frames import CUTS, FRAMINGS, TEXTS
from tests.support.foreign.market import SYMBOLS, Market, Trade, Truth
from tests.support.foreign.rules import Rules
from tests.support.foreign.streams import ACKS

__all__ = [
    "ACKS",
    "BAN_FORMS",
    "CUTS",
    "FRAMINGS",
    "REFUSALS",
    "REST_MANNERS",
    "SICKNESSES",
    "SYMBOLS",
    "TEXTS",
    "Faults",
    "ForeignExchange",
    "Market",
    "Rules",
    "Trade",
    "Truth",
    "foreign_exchange",
]
