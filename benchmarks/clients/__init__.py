"""Contestants of the ingest: each reads trades from the exchange in C until it has seen enough.

They keep one contract: `--port P --trades M [--library NAME]`; one line of JSON on standard output, the CPU
time between the first trades and the last.
"""
