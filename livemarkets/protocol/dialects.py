"""Reads what a client means that speaks to other servers: the messages of exchanges and data vendors. No I/O.

Such a message is not obeyed. Its answer holds the whole message that is right here, ready to be sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from livemarkets.market.channels import CHANNELS, TRADES
from livemarkets.market.symbols import is_well_formed, normalise

__all__ = ["right_message"]

_VERB_FIELDS = ("type", "op", "action", "method", "event")
_SYMBOL_FIELDS = frozenset(
    {
        *("symbol", "symbols", "args", "params", "streams", "payload", "topic"),
        *("pair", "pairs", "product_id", "product_ids", "instId", "instrument", "instruments"),
        *("trades", "quotes", "bars"),
    }
)
"""Fields in which Alpaca, Binance, Bybit, Coinbase, Gate, Kraken, KuCoin, OKX and Polygon name symbols."""
_INSIDE = re.compile(r"[/_ -]")
_MOST_SYMBOLS = 200
_EXAMPLE = "BTCUSDT"
_MOST_ID_CHARACTERS = 64


def right_message(message: Mapping[str, Any], exchanges: Sequence[str]) -> str:
    """Return the message of this protocol that a client seems to mean, as JSON.

    Args:
        message: what it sent.
        exchanges: the names of the offered exchanges; the first one is meant if the message names none.

    """
    verb = _verb_of(message)
    right: dict[str, Any] = {"type": verb or "subscribe"}
    if verb not in ("list", "ping"):
        exchange = message.get("exchange")
        named = exchange.lower() if isinstance(exchange, str) else ""
        right["exchange"] = named if named in exchanges else exchanges[0]
        channel = message.get("channel")
        right["channel"] = channel if channel in CHANNELS else TRADES
        # Only a subscription names symbols. Other messages may hold a key or a password.
        right["symbols"] = (_symbols(message) if verb else []) or [_EXAMPLE]
    number = next((message[field] for field in ("id", "req_id") if _is_id(message.get(field))), None)
    if number is not None:
        right["id"] = number
    return msgspec.json.encode(right).decode()


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= _MOST_ID_CHARACTERS
    return isinstance(value, int) and not isinstance(value, bool)


def _verb_of(message: Mapping[str, Any]) -> str | None:
    """Return the type of message that is meant; `None` if that is unclear."""
    for field in _VERB_FIELDS:
        word = message.get(field)
        if not isinstance(word, str):
            continue
        for verb in ("unsubscribe", "subscribe", "ping", "list"):
            if verb in word.lower():
                return verb
    return None


def _symbols(message: Mapping[str, Any]) -> list[str]:
    """Return the symbols in a message, in their order, at most 200."""
    found: dict[str, None] = {}
    waiting: list[tuple[bool, Any]] = [(False, message)]
    while waiting and len(found) < _MOST_SYMBOLS:
        is_named, value = waiting.pop()
        if isinstance(value, dict):
            waiting += reversed([(field in _SYMBOL_FIELDS, inner) for field, inner in value.items()])
        elif isinstance(value, list):
            waiting += reversed([(is_named, inner) for inner in value])
        elif is_named and isinstance(value, str):
            found |= dict.fromkeys(filter(None, map(_symbol, value.split(","))))
    return list(found)[:_MOST_SYMBOLS]


def _symbol(text: str) -> str | None:
    """Return the symbol in `btcusdt@trade`, `publicTrade.BTCUSDT`, `/market/match:BTC-USDT` or `BTC/USD`."""
    name = text.partition("@")[0].rpartition(".")[2].rpartition(":")[2]
    symbol = normalise(_INSIDE.sub("", name))
    return symbol if is_well_formed(symbol) else None
