"""Binance spot: its messages, its connection, its REST API.

Everything the rest of the program need not know of the exchange stays in here.
"""
