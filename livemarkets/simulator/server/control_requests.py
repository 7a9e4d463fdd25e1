"""Carries out control messages: subscribe, unsubscribe, list subscriptions, properties."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from livemarkets.simulator.faults.active import AckFault
from livemarkets.simulator.faults.catalogue import Faults
from livemarkets.simulator.protocol.connection import ExchangeConnection
from livemarkets.simulator.protocol.control_messages import (
    ErrorShape,
    Request,
    RequestError,
    encode_error,
    encode_result,
    parse_request,
)
from livemarkets.simulator.protocol.limits import ExchangeLimits
from livemarkets.simulator.server.fanout import Fanout

__all__ = ["ControlRequests"]

_NO_FAULT = AckFault()
_WRONG_ID = 4_294_967_295


class ControlRequests:
    """Carries out and answers the control messages of all connections.

    Args:
        fanout: the subscriptions.
        serves: returns whether the market has a stream of this name.
        limits: limits of clients.
        faults: the faults of replies.
        error_shape: the shape of error replies, unless a fault changes it.
        violated: called with the kind of an exceeded limit.
        changed: called after a change of the subscriptions.

    """

    def __init__(
        self,
        fanout: Fanout,
        serves: Callable[[str], bool],
        limits: ExchangeLimits,
        faults: Faults,
        error_shape: ErrorShape,
        violated: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self._fanout = fanout
        self._serves = serves
        self._limits = limits
        self._faults = faults
        self._error_shape: ErrorShape = error_shape
        self._violated = violated
        self._changed = changed
        self.messages = 0

    async def handle(self, connection: ExchangeConnection, text: str | bytes) -> None:
        """Carry out one control message and reply."""
        self.messages += 1
        fault = self._faults.acks.take() or _NO_FAULT
        if fault.delay_seconds:
            # Wait until the delay is over or the connection has ended.
            await asyncio.wait({connection.connection_lost_waiter}, timeout=fault.delay_seconds)
        try:
            request = parse_request(text)
            if fault.error is not None:
                raise RequestError(fault.error_code, fault.error, request.id)
            result = self._carry_out(connection, request)
        except RequestError as error:
            reply = encode_error(error, self._faults.shape or self._error_shape)
        else:
            reply = encode_result(result, _WRONG_ID if fault.wrong_id else request.id)
        if not fault.silent:
            connection.reply(reply)

    def _carry_out(self, connection: ExchangeConnection, request: Request) -> list[str] | bool | None:
        if not connection.is_open:
            return None
        if request.method == "LIST_SUBSCRIPTIONS":
            return list(connection.streams)
        if request.method == "GET_PROPERTY":
            return connection.combined
        if request.method == "SET_PROPERTY":
            connection.combined = request.combined
        elif request.method == "SUBSCRIBE" and (refused := self._not_served(request.streams)):
            raise RequestError(
                2, f"Invalid request: this exchange does not serve the stream {refused}", request.id
            )
        elif request.method == "UNSUBSCRIBE":
            self._fanout.remove(connection, request.streams)
            self._changed()
        elif len(connection.streams.keys() | request.streams) > self._limits.streams_per_connection:
            self._violated("streams")
            connection.end(1008, "Too many streams")
        else:
            self._fanout.add(connection, request.streams)
            self._changed()
        return None

    def _not_served(self, streams: Sequence[str]) -> str | None:
        return next((stream for stream in streams if not self._serves(stream)), None)
