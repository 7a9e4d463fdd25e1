"""The symbols of the simulated market, with their trading rules.

All amounts are integers in 10⁻⁸, Binance's smallest unit, so that nothing is rounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from math import floor, log10
from string import ascii_lowercase, ascii_uppercase

from livemarkets.simulator.market.names import CHEAP_USD, MORE_BASES

__all__ = [
    "DEFAULT_RULES",
    "UNIT",
    "SymbolRules",
    "from_units",
    "in_capitals",
    "in_small_letters",
    "rules_for",
    "to_units",
]

UNIT = 10**8
"""Units per 1: Binance spot writes every price and quantity with eight decimals."""
_CAPITALS = str.maketrans(ascii_lowercase, ascii_uppercase)
_SMALL_LETTERS = str.maketrans(ascii_uppercase, ascii_lowercase)


def to_units(text: str) -> int:
    """Return a decimal such as `0.01000000` as an integer in 10⁻⁸."""
    return int(Decimal(text) * UNIT)


def from_units(units: int) -> str:
    """Return an integer in 10⁻⁸ as Binance writes it, with eight decimals."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    return f"{sign}{units // UNIT}.{units % UNIT:08d}"


def in_capitals(name: str) -> str:
    """Return a name with a to z in upper case. All other letters stay as they are."""
    return name.translate(_CAPITALS)


def in_small_letters(name: str) -> str:
    """Return a name with A to Z in lower case, as the names of streams have it."""
    return name.translate(_SMALL_LETTERS)


_OLDEST_MS = 1_502_928_000_000
"""2017-08-17: the oldest symbols have klines since then."""
_NEWEST_MS = 1_735_689_600_000
"""2025-01-01: no symbol of the market is younger."""
_NAME = re.compile(r"(?:(?![a-z])[^\W_]){2,50}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolRules:
    """One listed symbol.

    Args:
        symbol: upper case, such as `BTCUSDT`.
        base: the asset that is traded.
        quote: the asset that it is paid with.
        tick: smallest price step, in 10⁻⁸.
        lot: smallest quantity step, in 10⁻⁸.
        price: the starting price of the market model, in 10⁻⁸.
        trades_per_second: long-run mean of the model.
        quote_in_usd: value of one quote asset in US dollars, for similar trade sizes of all symbols.
        listed_ms: since when it has klines, ms since the epoch.

    """

    symbol: str
    base: str
    quote: str
    tick: int
    lot: int
    price: int = 0
    trades_per_second: float = 0.0
    quote_in_usd: float = 1.0
    listed_ms: int = _OLDEST_MS


_QUOTES = {
    "FDUSD": 1.0,
    "USDT": 1.0,
    "USDC": 1.0,
    "EUR": 1.09,
    "TRY": 0.03,
    "BRL": 0.18,
    "BTC": 61_800.0,
    "ETH": 2_680.0,
    "BNB": 512.0,
}
"""Quote assets and their value in US dollars."""
_OLD_BASES = ("BTC", "ETH", "BNB", "LTC")
"""Bases whose symbols were all listed on the first day."""

# base, quote, price, tick, lot, trades per second
_TABLE = """
BTC   USDT  61837.63    0.01        0.00001  26
ETH   USDT  2683.80     0.01        0.0001   17
SOL   USDT  154.20      0.01        0.001    11
XRP   USDT  0.6123      0.0001      1        6
BNB   USDT  512.40      0.01        0.001    5
DOGE  USDT  0.10341     0.00001     1        5
PEPE  USDT  0.00000758  0.00000001  1        4
SUI   USDT  0.8912      0.0001      0.1      4
SHIB  USDT  0.00001372  0.00000001  1        3
ADA   USDT  0.3391      0.0001      0.1      2.5
AVAX  USDT  21.83       0.01        0.01     2.5
LINK  USDT  10.21       0.01        0.01     2
LTC   USDT  61.42       0.01        0.001    2
NEAR  USDT  3.984       0.001       0.1      1.5
TRX   USDT  0.1285      0.0001      0.1      1.5
ARB   USDT  0.5421      0.0001      0.1      1.5
APT   USDT  5.71        0.01        0.01     1.2
DOT   USDT  4.523       0.001       0.01     1.2
UNI   USDT  6.021       0.001       0.01     1
BCH   USDT  341.2       0.1         0.001    1
FIL   USDT  3.612       0.001       0.01     1
ATOM  USDT  5.624       0.001       0.01     0.8
ETC   USDT  19.12       0.01        0.01     0.7
XLM   USDT  0.0999      0.0001      1        0.6
USDC  USDT  0.9998      0.0001      1        3
ETH   BTC   0.04340     0.00001     0.0001   2
SOL   BTC   0.0024940   0.0000001   0.001    0.8
BNB   BTC   0.008290    0.000001    0.001    0.6
LTC   BTC   0.000993    0.000001    0.001    0.2
BTC   EUR   56612.34    0.01        0.00001  2.5
ETH   EUR   2457.10     0.01        0.0001   1.2
XRP   EUR   0.5602      0.0001      0.1      0.3
NKN   USDT  0.0712      0.0001      1        0.02
LRC   ETH   0.00004711  0.00000001  1        0.003
"""


def _parse(line: str) -> SymbolRules:
    base, quote, price, tick, lot, rate = line.split()
    return SymbolRules(
        symbol=base + quote,
        base=base,
        quote=quote,
        tick=to_units(tick),
        lot=to_units(lot),
        price=to_units(price),
        trades_per_second=float(rate),
        quote_in_usd=_QUOTES[quote],
        listed_ms=_listing_ms(base + quote, base),
    )


def rules_for(symbol: str) -> SymbolRules | None:
    """Return rules of any symbol; they depend on the name alone. `None` without a known quote asset."""
    quote = next((asset for asset in _QUOTES if symbol.endswith(asset) and symbol != asset), None)
    if quote is None or not _NAME.fullmatch(symbol):
        return None
    base = symbol.removesuffix(quote)
    # Between 0.004 and 40 dollars for one unit, and between a trade a second and one in three minutes.
    usd = _USD.get(base) or CHEAP_USD.get(base) or 10 ** (4 * _chance(base) - 2.4)
    price = max(usd / _QUOTES[quote], 2e-7)
    tick = min(max(10.0 ** (floor(log10(price)) - 4), 1e-8), 0.01)
    lot = min(max(10.0 ** floor(log10(0.5 / usd)), 1e-5), 1.0)
    return SymbolRules(
        symbol=symbol,
        base=base,
        quote=quote,
        tick=round(tick * UNIT),
        lot=round(lot * UNIT),
        price=round(price / tick) * round(tick * UNIT),
        trades_per_second=0.005 * 200 ** _chance(f"{symbol}:rate"),
        quote_in_usd=_QUOTES[quote],
        listed_ms=_listing_ms(symbol, base),
    )


def _chance(name: str) -> float:
    """Return a number between 0 and 1 that depends on a name."""
    return int.from_bytes(blake2b(name.encode(), digest_size=6).digest()) / 2**48


def _listing_ms(symbol: str, base: str) -> int:
    since = 0.0 if base in _OLD_BASES else _chance(f"{symbol}:listed")
    return _OLDEST_MS + int(since * (_NEWEST_MS - _OLDEST_MS)) // 86_400_000 * 86_400_000


_LISTED = tuple(_parse(line) for line in _TABLE.split("\n") if line)
_USD = {rules.base: rules.price / UNIT for rules in _LISTED if rules.quote == "USDT"}
_MORE = [f"{base}{quote}" for quote, bases in MORE_BASES.items() for base in bases.split()]
DEFAULT_RULES: tuple[SymbolRules, ...] = (
    *_LISTED,
    *(rules for rules in map(rules_for, _MORE) if rules is not None),
)
"""The default market: well-known symbols, two that rarely trade, and hundreds that make the list long."""
