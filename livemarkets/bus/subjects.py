"""The subjects of the bus. Each begins with `lm.1`, where 1 is the version of the messages. No I/O."""

from __future__ import annotations

from urllib.parse import quote

from livemarkets.market.models import StreamKey

__all__ = ["ASK_WANTS", "BEATS", "STREAMS", "WANTS", "answers_to", "data", "questions"]

BEATS = "lm.1.beat"
"""Ingests say that they are there."""
STREAMS = "lm.1.streams"
"""Ingests say which streams they have, and the newest id of each."""
WANTS = "lm.1.wants"
"""Edges say what they want."""
ASK_WANTS = "lm.1.ask.wants"
"""Ingests ask edges to say all that they want."""


def data(key: StreamKey) -> str:
    """Return the subject of one stream, such as `lm.1.data.binance.trades.BTCUSDT`.

    A symbol may have letters of any script, and `*` stands for all symbols: other characters than ASCII
    letters and digits are written as in addresses, `%E5%B8%81`.
    """
    return ".".join(["lm.1.data", *(_token(part) for part in key if part is not None)])


def questions(exchange: str, node: str) -> str:
    """Return the subject of the questions about an exchange to one ingest."""
    return f"lm.1.question.{_token(exchange)}.{node}"


def answers_to(node: str) -> str:
    """Return the beginning of the subjects of the answers to an edge. The number of the question follows."""
    return f"lm.1.answer.{node}"


def _token(text: str) -> str:
    return quote(text, safe="").replace(".", "%2E")
