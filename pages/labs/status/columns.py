"""The columns of each table of the status page."""

from __future__ import annotations

from pages.elements.fact_table.fact_table import Column

__all__ = [
    "ADDRESS_COLUMNS",
    "CHANGE_COLUMNS",
    "CONNECTION_COLUMNS",
    "FACT_COLUMNS",
    "HOP_COLUMNS",
    "LEG_COLUMNS",
    "READER_COLUMNS",
    "STREAM_COLUMNS",
]

FACT_COLUMNS = (
    Column(name="fact", title="Fact", is_text=True),
    Column(name="value", title="Value", is_text=True),
)
CONNECTION_COLUMNS = (
    Column(name="name", title="Connection", is_text=True),
    Column(name="url", title="Address", is_text=True),
    Column(name="shard", title="Shard", hint="A share of the streams", is_text=True),
    Column(name="streams", title="Streams", hint="Confirmed by the exchange, of those wanted"),
    Column(name="age", title="Age"),
    Column(name="rotates", title="Replaced in", hint="When a new connection replaces it at the latest"),
    Column(name="ping", title="Ping", hint="How long the answer to the last ping took"),
)
LEG_COLUMNS = (
    Column(name="leg", title="Leg", hint="All legs read the same streams", is_text=True),
    Column(name="url", title="Address", is_text=True),
    Column(name="state", title="State", is_text=True),
    Column(name="age", title="For"),
    Column(name="share", title="First", hint="Of the trades since the start, how many it brought first"),
    Column(name="p50", title="Lead, p50", hint="How far ahead it was when it was first, in the last minute"),
    Column(name="p99", title="Lead, p99", hint="99 of 100 times it was ahead by at most this"),
    Column(name="missed", title="Missed", hint="Trades that it skipped, and others may have brought"),
    Column(name="disagreed", title="Differ", hint="Sampled trades that differ from those of the first leg"),
)
ADDRESS_COLUMNS = (
    Column(name="url", title="Address", is_text=True),
    Column(name="use", title="For", is_text=True),
    Column(name="state", title="State", is_text=True),
    Column(name="failures", title="Failures", hint="One after the other, until it worked again"),
    Column(name="proxy", title="Proxy", is_text=True),
)
STREAM_COLUMNS = (
    Column(name="symbol", title="Stream", is_text=True),
    Column(name="state", title="State", is_text=True),
    Column(name="age", title="Age", hint="Of the last that came"),
    Column(name="rhythm", title="Usual silence", hint="A longer silence is unusual for this stream"),
    Column(name="last_id", title="Last id"),
    Column(name="missing", title="Missing", hint="Trades that are missing and being fetched"),
    Column(name="backfilled", title="Fetched", hint="Missing trades that were fetched"),
    Column(name="duplicates", title="Repeated"),
    Column(name="lost", title="Lost, 1 h", hint="Trades lost in the last hour"),
)
HOP_COLUMNS = (
    Column(name="hop", title="Step", is_text=True),
    Column(name="p50", title="p50", hint="Half of the trades of the last minute took at most this"),
    Column(name="p99", title="p99", hint="99 of 100 trades of the last minute took at most this"),
    Column(name="samples", title="Measured", hint="Trades that were measured in the last minute"),
    Column(name="plot", title="Five minutes", hint="p50, and above it p99"),
)
READER_COLUMNS = (
    Column(name="client", title="Program", is_text=True),
    Column(name="names", title="Names", hint="What it is subscribed to, counted"),
    Column(name="mode", title="Mode", is_text=True),
    Column(name="backlog", title="Waiting", hint="Bytes that its connection does not take"),
    Column(name="behind", title="Stands still", hint="How long its connection has taken nothing"),
    Column(name="state", title="State", is_text=True),
)
CHANGE_COLUMNS = (
    Column(name="time", title="At", is_text=True),
    Column(name="state", title="State", is_text=True),
    Column(name="reason", title="Why", is_text=True),
)
