"""An embedded exchange with the protocol of Binance spot, for demonstrations, development and tests.

`docs/simulator.md` describes which part of the protocol is implemented.

* `market/` makes trades: `simulated_market` from a seed, `replay` from a recording. Both implement the port
  in `source`.
* `protocol/` implements control messages, REST answers and one client's connection.
* `faults/` injects faults on request, such as lost trades and refused connections.
* `server/` accepts connections, and serves the control API through which other programs inject faults.
  `server/parent` is what it does for the app as a child process.
* `testing` runs an exchange inside a test of another program.
* `__main__` is the command line.

It is an independent implementation of the documents at https://github.com/binance/binance-spot-api-docs and
shares no code with the client in `livemarkets.exchanges`.
"""

from livemarkets.simulator.faults.catalogue import Faults
from livemarkets.simulator.market.replay import Replay
from livemarkets.simulator.market.simulated_market import SimulatedMarket
from livemarkets.simulator.market.source import SimulatorError
from livemarkets.simulator.protocol.limits import ExchangeLimits
from livemarkets.simulator.server.simulator import Simulator
from livemarkets.simulator.testing import SimulatedExchange, simulated_exchange

__all__ = [
    "ExchangeLimits",
    "Faults",
    "Replay",
    "SimulatedExchange",
    "SimulatedMarket",
    "Simulator",
    "SimulatorError",
    "simulated_exchange",
]
