"""Binance spot: messages, connections, REST API. Only the composition root imports this package."""
