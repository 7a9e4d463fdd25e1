"""An embedded exchange that speaks Binance spot's own protocol, for demonstrations, development and tests.

`docs/simulator.md` says which part of it.

* `market` (with `arrivals`, `book`, `symbols`, `tickers`) invents trades from a seed, `replay` (with
  `recording`) plays recordings; both are a `source`, and `history` and `statistics` remember what they did.
* `streams`, `protocol`, `rest` and `rest_views` are the exchange's language, without any I/O.
* `connection`, `fanout`, `desk`, `gate` and `server` are its sockets.
* `faults` (with `venue`, `verbs`, `bounds`, `standing`, `disturbances`, `garbage`) lets things go wrong;
  `control` and `__main__` bring that to other programs and to the command line; `trust` says to whom.

It is an independent implementation of the documents at https://github.com/binance/binance-spot-api-docs and
shares no code with the client in `livemarkets.exchanges`.
"""

from livemarkets.simulator.faults.catalogue import Faults
from livemarkets.simulator.market.replay import Replay
from livemarkets.simulator.market.simulated_market import SimulatedMarket
from livemarkets.simulator.market.source import SimulatorError
from livemarkets.simulator.protocol.limits import ExchangeLimits
from livemarkets.simulator.server.simulator import Simulator

__all__ = ["ExchangeLimits", "Faults", "Replay", "SimulatedMarket", "Simulator", "SimulatorError"]
