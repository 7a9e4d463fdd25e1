"""What can be asked over HTTP: the paths, their parameters and their answers, as the contract tells them.

The routes read their parameters themselves; a test compares each bound and each word with what they accept.
"""

from __future__ import annotations

from typing import Any

import msgspec

from livemarkets.http_api.answer_types import (
    AllTickersAnswer,
    BookAnswer,
    CandlesAnswer,
    DepthAnswer,
    LatestAnswer,
    ReadyAnswer,
    SymbolsAnswer,
    TickersAnswer,
    TradesAnswer,
)
from livemarkets.http_api.answers import FORMATS
from livemarkets.http_api.market_data import CANDLES_DEFAULT, CANDLES_MOST, NAMES_MOST
from livemarkets.http_api.queries import ID_MOST, TIME_MOST
from livemarkets.http_api.queries import NAMES_MOST as LATEST_MOST
from livemarkets.http_api.routes import SYMBOLS_DEFAULT, SYMBOLS_MOST, TRADES_DEFAULT, TRADES_MOST
from livemarkets.http_api.status import Diagnostics
from livemarkets.market.channels import CANDLE_INTERVALS, DEPTH_LEVELS
from livemarkets.market.symbols import MAX_QUERY_LENGTH
from livemarkets.status.report import StatusReport

__all__ = ["OPERATIONS", "PLAIN_OPERATIONS", "Operation", "Parameter"]


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of a query."""

    name: str
    meaning: str
    schema: dict[str, Any]
    is_required: bool = False
    example: str | int | None = None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One path, which is read with GET."""

    path: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    answers: tuple[Any, ...] = ()
    """The shapes of the answer as JSON."""
    media_type: str = "application/json"
    is_list: bool = False
    """Whether it has entries, which come as CSV and lines of JSON too."""
    has_one_symbol: bool = False
    """Whether a symbol that the exchange does not list is answered with 404."""
    may_ask: bool = False
    """Whether the exchange may have to be asked."""
    is_guarded: bool = True
    """Whether it needs the access token, where one is set."""
    statuses: tuple[tuple[int, str], ...] = ()
    """Further statuses with their meanings."""


def _number(name: str, meaning: str, most: int, *, default: int | None = None, least: int = 1) -> Parameter:
    schema: dict[str, Any] = {"type": "integer", "minimum": least, "maximum": most}
    return Parameter(
        name=name, meaning=meaning, schema=schema | ({} if default is None else {"default": default})
    )


def _names(meaning: str, most: int, *, is_required: bool = False) -> Parameter:
    return Parameter(
        name="symbols",
        meaning=f"{meaning} A list with commas, of at most {most} names in any case.",
        schema={"type": "string"},
        is_required=is_required,
        example="BTCUSDT,ETHUSDT",
    )


_EXCHANGE = Parameter(
    name="exchange",
    meaning="The name of an exchange on offer.",
    schema={"type": "string", "default": "binance"},
    example="simulator",
)
_FORMAT = Parameter(
    name="format",
    meaning="The format of the answer.",
    schema={"type": "string", "enum": list(FORMATS), "default": FORMATS[0]},
)
_SYMBOL = Parameter(
    name="symbol",
    meaning="One symbol, in any case, also as `BTC/USDT`.",
    schema={"type": "string"},
    is_required=True,
    example="BTCUSDT",
)

OPERATIONS = (
    Operation(
        path="/api/symbols",
        summary="What an exchange lists: the symbols that match a search, the best match first.",
        parameters=(
            _EXCHANGE,
            Parameter(
                name="q",
                meaning="A search as a person would type it; empty for all.",
                schema={"type": "string", "maxLength": MAX_QUERY_LENGTH, "default": ""},
                example="eth usdt",
            ),
            _number("limit", "The most symbols.", SYMBOLS_MOST, default=SYMBOLS_DEFAULT),
            _FORMAT,
        ),
        answers=(SymbolsAnswer,),
        is_list=True,
    ),
    Operation(
        path="/api/latest",
        summary="The last trade of each symbol that is kept in memory.",
        parameters=(_EXCHANGE, _names("The symbols; all that are kept when absent.", LATEST_MOST), _FORMAT),
        answers=(LatestAnswer,),
        is_list=True,
        has_one_symbol=True,
    ),
    Operation(
        path="/api/trades",
        summary="Trades of one symbol, oldest first: the newest ones, or those from a trade id on.",
        parameters=(
            _EXCHANGE,
            _SYMBOL,
            _number("limit", "The most trades.", TRADES_MOST, default=TRADES_DEFAULT),
            _number("from_id", "The first trade id that is wanted.", ID_MOST, least=0),
            _FORMAT,
        ),
        answers=(TradesAnswer,),
        is_list=True,
        has_one_symbol=True,
        may_ask=True,
    ),
    Operation(
        path="/api/tickers",
        summary="The figures of the last 24 hours, of some symbols or of all.",
        parameters=(_EXCHANGE, _names("The symbols; all when absent.", NAMES_MOST), _FORMAT),
        answers=(TickersAnswer, AllTickersAnswer),
        is_list=True,
        has_one_symbol=True,
        may_ask=True,
    ),
    Operation(
        path="/api/book",
        summary="The best bid and ask of each symbol.",
        parameters=(_EXCHANGE, _names("The symbols.", NAMES_MOST, is_required=True), _FORMAT),
        answers=(BookAnswer,),
        is_list=True,
        has_one_symbol=True,
        may_ask=True,
    ),
    Operation(
        path="/api/depth",
        summary="The best price levels of one symbol's order book, the best first.",
        parameters=(
            _EXCHANGE,
            _SYMBOL,
            Parameter(
                name="levels",
                meaning="How many price levels of each side.",
                schema={"type": "integer", "enum": list(DEPTH_LEVELS), "default": DEPTH_LEVELS[-1]},
            ),
            _FORMAT,
        ),
        answers=(DepthAnswer,),
        is_list=True,
        has_one_symbol=True,
        may_ask=True,
    ),
    Operation(
        path="/api/candles",
        summary="Candles of one symbol, oldest first: the newest ones, or those from a time on.",
        parameters=(
            _EXCHANGE,
            _SYMBOL,
            Parameter(
                name="interval",
                meaning="The length of a candle: `1m` is a minute, `1M` a month.",
                schema={"type": "string", "enum": list(CANDLE_INTERVALS)},
                is_required=True,
                example="1m",
            ),
            _number("limit", "The most candles.", CANDLES_MOST, default=CANDLES_DEFAULT),
            _number("start_ts", "The first `open_ts` that is wanted, ms since 1970.", TIME_MOST, least=0),
            _number("end_ts", "The last `open_ts` that is wanted, ms since 1970.", TIME_MOST, least=0),
            _FORMAT,
        ),
        answers=(CandlesAnswer,),
        is_list=True,
        has_one_symbol=True,
        may_ask=True,
    ),
    Operation(
        path="/api/status",
        summary="What the status page shows: what needs a person, exchanges, streams, readers, the process.",
        answers=(StatusReport,),
    ),
    Operation(
        path="/api/diagnostics",
        summary="The same with the settings, without secrets, as a file for somebody who helps.",
        answers=(Diagnostics,),
    ),
    Operation(
        path="/client.js",
        summary="The client library for browsers and Node.js: a module without dependencies.",
        media_type="text/javascript",
    ),
)
"""What there is only while `LIVE_STREAM_ENABLED` is true."""

PLAIN_OPERATIONS = (
    Operation(
        path="/healthz",
        summary="Whether the process is alive: `ok`, whatever the state of the exchanges.",
        media_type="text/plain",
        is_guarded=False,
    ),
    Operation(
        path="/readyz",
        summary="Whether this server can take readers.",
        parameters=(
            Parameter(
                name="upstream",
                meaning="With 1: whether every wanted stream is live.",
                schema={"type": "integer", "enum": [0, 1], "default": 0},
            ),
        ),
        answers=(ReadyAnswer,),
        is_guarded=False,
        statuses=((503, "It cannot, or a wanted stream is not live."),),
    ),
    Operation(path="/metrics", summary="Metrics in the text format of Prometheus.", media_type="text/plain"),
    Operation(path="/openapi.json", summary="This document."),
)
"""What there is always."""
