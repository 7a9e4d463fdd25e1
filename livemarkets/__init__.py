"""Live Markets: a self-hosted market-data gateway with a web UI.

The packages, in layers. A package imports only from layers below it (`make check` checks this):

    app          composition root: `build(settings)` makes the services and starts and stops them in order

    http_api/    plain HTTP: the API, health, metrics

    ws_markets/  the route `/ws/markets`: connections, their subscriptions, their frames

    feed/        one exchange's streams: order, holes, backfill, resumption, staleness
    simulator/   the embedded exchange; it speaks Binance's protocol and shares no code with `exchanges`

    exchanges/   connections to exchanges, and what all of them share; `binance/` is one
    delivery/    one message to many readers, bounded, without I/O
    protocol/    protocol 1 of `/ws/markets` as text and values
    security/    tokens, origins, addresses, and the middleware that asks them
    config/      settings and the log

    server/      below ASGI: reading and writing requests and frames, running the server
    market/      values (`TradeTick`, `StreamKey` …), the stores, the subscriptions

    rate_limit   token buckets, one log line per kind and interval
    errors       the error tree

Above the package stand `pages/` (what a person sees) and `main.py` (which starts everything).

Trades flow downstream: bytes → exchanges → `TradeTick` → feed → stores and delivery → socket.
Subscriptions flow upstream: page or client → `SubscriptionManager` → feed → exchanges.

Read `market/models.py`, then `market/subscriptions.py`, then `feed/exchange_feed.py`.
"""

__version__ = "0.1.0"
