"""Live Markets: a self-hosted market-data gateway with a web UI.

The packages, in layers. A package imports only from layers below it (`make check` checks this):

    app          composition root: `build(settings)` makes the services, starts and stops them in order

    http_api/    plain HTTP: the API, health, metrics

    status/      the report: what the status page shows, what needs a person

    ws_markets/  the route `/ws/markets`: connections, their subscriptions, their frames
    embedded/    the embedded exchange as a child process: its start, its end, its log
    bus/         NATS between ingests, which connect to exchanges, and edges, which serve readers

    feed/        one exchange's feed handler: order, missing trades, resumption, staleness
    simulator/   the embedded exchange; it implements Binance's protocol, shares no code with `exchanges`
    doctor/      checks, against the real exchange, what this product assumes of it; no part of the app

    exchanges/   connections to exchanges: the ports (what an exchange implements), shared parts, `binance/`
    delivery/    fan-out of one message to many readers, with bounded buffers, without I/O
    protocol/    protocol 1 of `/ws/markets`: messages, requests, encoding
    security/    the access token, origins, client addresses, the middleware that checks them
    config/      settings and the log

    server/      below ASGI: HTTP and WebSocket protocols, turns of the event loop, running the server
    market/      values (`TradeTick`, `StreamKey` …), the stores, the subscriptions
    network/     how hosts outside are reached: outbound proxies, TCP connections

    rate_limit   token buckets, counters per address, one log line per kind and interval
    errors       the exceptions

Above the package are `pages/` (the web pages) and `main.py` (the entry point). `docs/vocabulary.md` defines
the words used here.

Trades flow downstream: bytes → exchanges → `TradeTick` → feed → stores and delivery → socket.
Subscriptions flow upstream: page or client → `SubscriptionManager` → feed → exchanges.

To learn the code, read `market/models.py`, then `market/subscriptions.py`, then `feed/exchange_feed.py`.
"""

__version__ = "0.1.0"
