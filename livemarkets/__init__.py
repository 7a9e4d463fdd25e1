"""Live Markets: a self-hosted live-market gateway with a face.

A module imports only from those above it in this list (`make check` holds us to it):

    errors          the error tree
    supervision     work that goes on until it is cancelled, also after a defect
    limiting        tokens for messages, one log line per kind and interval
    models          frozen values: TradeTick, StreamKey, SymbolInfo, Gap, ExchangeStatus
    stores          latest price and bounded feed per stream; synchronous, in memory
    symbols         what an exchange lists: look-up, search, did-you-mean
    rhythm          how long a stream is usually quiet
    continuity      the trade-id ledger of a stream: order, duplicates, gaps
    conflation      the newest trade only, and an exact count of what was left out
    mailbox         one reader's outgoing frames, bounded in bytes
    cohorts         readers of the same streams, served together
    delivery        who gets which stream and how: everything, the latest, or lagging
    subscriptions   who wants what, reference counts, linger, the wanted set
    protocol        what clients of /ws/markets may say: parse and validate
    encoding        what the server says there, as bytes with every digit kept
    binance/        messages (bytes to models), session (wanted against acknowledged), client, rest
    simulator/      the embedded exchange; speaks Binance's protocol, shares no code with binance/
    backfill        fetches from REST what a stream has missed
    resume          everything since a trade id, then live
    watch           notices streams that are mute though they should not be
    feed            joins client, ledger, stores and delivery; owns the tasks
    strict_frames   what RFC 6455 asks about arriving frames beyond what `websockets` does
    frame_writer    whole frames straight to a WebSocket's socket
    preframed       a WebSocket server protocol that offers such a writer
    strict_http     an HTTP server protocol that neither waits for ever nor reads without end
    sinks           how a connection is written to
    origins         which browser pages may open one
    access          the access token, sessions that it opened, wrong guesses
    door            who is let in, before anything else sees a request; security headers
    ws_streams      what one client is subscribed to, and how it is brought up
    ws_connection   one client of /ws/markets: what it may do, what it asked for, the answers
    ws_route        /ws/markets: one reader and one writer a connection
    metrics         what /metrics says, read from the objects at the moment of asking
    http_routes     health, metrics and the HTTP API
    setting_values  how the text of a setting becomes its value
    settings        the only reader of the environment and of .env files
    log             the only place where loguru is configured
    app             build(settings) makes the services, starts and stops them in order
    serving         the web server: its port, its protocols, its end

Above the package stand `pages/` (what a person sees) and `main.py` (the composition root).

Trades go up:   bytes -> binance.messages -> TradeTick -> ledger -> stores -> mailboxes -> socket.
Wishes go down: page or subscriber -> SubscriptionManager -> wanted set -> session's difference -> exchange.

Read `models`, then `subscriptions`, then `feed`.
"""

__version__ = "0.1.0"
