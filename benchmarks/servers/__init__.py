"""Contestants of the fan-out: each sends every trade to everybody who is connected.

They keep one contract: `--port P`; `LISTEN <port>` on standard output when they serve; for every line
`<ticks> <burst>` on standard input that many trades, `<burst>` of them in each turn of the event loop, then
`DONE` on standard output; they end with their standard input.
"""
