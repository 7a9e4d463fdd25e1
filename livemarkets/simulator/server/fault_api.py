"""The control API: JSON requests that inject faults or query the exchange."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from livemarkets.simulator.faults.catalogue import Faults
from livemarkets.simulator.faults.commands import call_command, describe_commands
from livemarkets.simulator.market.source import SimulatorError
from livemarkets.simulator.protocol.connection import ExchangeConnection

__all__ = ["Controlled", "answer_control"]


class Controlled(Protocol):
    """The exchange, as the control API needs it."""

    faults: Faults

    @property
    def connections(self) -> Sequence[ExchangeConnection]:
        """The open connections."""

    def subscriptions(self) -> set[str]:
        """Return the subscribed streams of all connections."""

    def stats(self) -> dict[str, Any]:
        """Return the counters."""


def answer_control(message: str | bytes, exchange: Controlled) -> bytes:
    """Carry out one request and return the reply.

    `{"fault":"lose","stream":"btcusdt@trade","count":5}` calls a command of :class:`Faults`. Queries are
    `{"query":"stats"}`, `"subscriptions"`, `"connections"` and `"faults"`. A reply has `"ok"`, and either
    `"result"` or `"error"`.
    """
    try:
        result = _carry_out(message, exchange)
    except SimulatorError as error:
        return msgspec.json.encode({"ok": False, "error": str(error)})
    return msgspec.json.encode({"ok": True, "result": result})


def _carry_out(message: str | bytes, exchange: Controlled) -> Any:
    try:
        request = msgspec.json.decode(message, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SimulatorError(f"not a JSON object: {error}") from None
    command = request.pop("fault", None)
    if isinstance(command, str):
        call_command(exchange.faults, command, request)
        return {"fault": command, "injected": exchange.faults.injected[command]}
    query = request.get("query")
    if query == "stats":
        return exchange.stats()
    if query == "subscriptions":
        return sorted(exchange.subscriptions())
    if query == "connections":
        return [_view(connection) for connection in exchange.connections]
    if query == "faults":
        return describe_commands(Faults)
    raise SimulatorError('send {"fault": COMMAND, …} or {"query": "stats|subscriptions|connections|faults"}')


def _view(connection: ExchangeConnection) -> dict[str, Any]:
    return {
        "number": connection.number,
        "streams": list(connection.streams),
        "age_seconds": round(connection.age_seconds, 3),
        "combined": connection.combined,
    }
