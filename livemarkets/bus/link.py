"""The connection of this process to the bus: its one owner. It reconnects without end.

Who uses it names subjects and handlers, whatever the state; a task brings the connection into line. A message
that cannot be sent at once is dropped and counted: whoever misses it finds out by the trade ids.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any

from loguru import logger
from nats import errors

from livemarkets.bus.nats_client import Handler, NatsClient, NatsOptions
from livemarkets.bus.statistics import LinkStatistics
from livemarkets.exchanges.base import ClientStatus
from livemarkets.exchanges.budgets import backoff
from livemarkets.exchanges.failures import explain
from livemarkets.exchanges.outage_log import OutageLog
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeState
from livemarkets.network.certificates import trusted
from livemarkets.rate_limit import LogLimiter

__all__ = ["Link"]

_CONNECT_SECONDS = 3.0
_FIRST_DELAY_SECONDS = 0.1
_LONGEST_DELAY_SECONDS = 2.0
_LOG_SECONDS = 60.0
_LOOK_SECONDS = 0.2
_CLOSE_SECONDS = 0.5
_MOST_UNSENT_BYTES = 8 * 1024 * 1024
"""What may wait for a slow server. Beyond it, messages are dropped."""


class _Subscription:
    __slots__ = ("handler", "server_side")

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.server_side: Any = None  # the library's subscription on the present connection


class Link:
    """A connection to the bus.

    Args:
        options: who connects, and with what.
        on_change: called with true when the connection was opened and all subscriptions are made, and with
            false when it was lost or an attempt failed.
        clock: source of the time.

    """

    def __init__(self, options: NatsOptions, on_change: Callable[[bool], None], clock: Clock) -> None:
        self._options = options
        self._urls = options.settings.bus_url
        self._on_change = on_change
        self._subscriptions: dict[str, _Subscription] = {}
        self._changed: dict[str, None] = {}  # subjects to subscribe or unsubscribe on the present connection
        self._left: list[Any] = []
        self._wake = asyncio.Event()
        self._was_connected = asyncio.Event()
        self._client: NatsClient | None = None
        self._context: ssl.SSLContext | None = None
        self._url: str | None = None
        self._reason: str | None = None
        self._connects = self._failures = self._sent = self._sent_bytes = self._dropped = 0
        self._received = self._received_bytes = 0  # by connections that have ended
        self._clock = clock.monotonic
        self._log = OutageLog("the bus", LogLimiter(interval_seconds=_LOG_SECONDS, clock=clock.monotonic))

    @property
    def is_connected(self) -> bool:
        """Whether messages can be sent at present."""
        return self._client is not None

    @property
    def reason(self) -> str | None:
        """Why there is no connection; `None` while there is one."""
        return self._reason

    async def wait_connected(self) -> None:
        """Wait until there was a connection for the first time."""
        await self._was_connected.wait()

    def subscribe(self, subject: str, handler: Handler) -> None:
        """Pass messages of a subject to a handler from now on."""
        self._drop_subscription(subject)
        self._subscriptions[subject] = _Subscription(handler)
        self._changed[subject] = None
        self._wake.set()

    def unsubscribe(self, subject: str) -> None:
        """Pass on no more messages of a subject. Idempotent."""
        self._drop_subscription(subject)
        self._wake.set()

    def _drop_subscription(self, subject: str) -> None:
        subscription = self._subscriptions.pop(subject, None)
        self._changed.pop(subject, None)
        if subscription is not None and subscription.server_side is not None:
            self._left.append(subscription.server_side)

    def publish(self, subject: str, payload: bytes, reply: str = "") -> bool:
        """Send a message. Return whether it was handed to the connection; if not, it is dropped."""
        client = self._client
        if (
            client is None
            or client.is_closed
            or client.pending_data_size > _MOST_UNSENT_BYTES
            or len(payload) > client.max_payload
        ):
            self._dropped += 1
            return False
        client.post(subject, payload, reply)
        self._sent += 1
        self._sent_bytes += len(payload)
        return True

    def statistics(self) -> LinkStatistics:
        """Return the state and the counters."""
        client = self._client
        return LinkStatistics(
            is_connected=self.is_connected,
            reason=self._reason,
            url=self._url if client is not None else None,
            connects=self._connects,
            failures=self._failures,
            sent=self._sent,
            sent_bytes=self._sent_bytes,
            received=self._received + (client.received_messages if client else 0),
            received_bytes=self._received_bytes + (client.received_bytes if client else 0),
            dropped=self._dropped,
        )

    async def run(self) -> None:
        """Keep connected until cancelled."""
        delays = backoff(initial_seconds=_FIRST_DELAY_SECONDS, cap_seconds=_LONGEST_DELAY_SECONDS)
        place = 0
        while True:
            _raise_cancellation()
            client = NatsClient()
            url = self._urls[place % len(self._urls)]
            try:
                await self._open(client, url)
                delays = backoff(initial_seconds=_FIRST_DELAY_SECONDS, cap_seconds=_LONGEST_DELAY_SECONDS)
                await self._hold(client)
                error: Exception = client.failure or errors.ConnectionClosedError()
            except Exception as failure:  # the library raises errors of many kinds; none may end the loop
                error = failure
            finally:
                await self._end(client)
            place, delay = place + 1, next(delays)
            self._note_failure(error, url, delay)
            await asyncio.sleep(delay)

    async def _open(self, client: NatsClient, url: str) -> None:
        if url.startswith("tls://") and self._context is None:
            ca = self._options.settings.bus_tls_ca
            self._context = trusted({"SSL_CERT_FILE": ca} if ca else {})
        async with asyncio.timeout(_CONNECT_SECONDS):
            await client.open(url, self._options, self._context)
            _raise_cancellation()
        self._changed = dict.fromkeys(self._subscriptions)
        self._left.clear()
        await self._bring_into_line(client)
        await client.flush(int(_CONNECT_SECONDS))
        self._client, self._url, self._reason = client, url, None
        self._connects += 1
        self._was_connected.set()
        self._log.note_status(ClientStatus(ExchangeState.LIVE), self._clock())
        self._on_change(True)

    async def _hold(self, client: NatsClient) -> None:
        """Bring subscriptions into line until the connection is lost."""
        while not client.is_closed:
            self._wake.clear()
            await self._bring_into_line(client)
            _raise_cancellation()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._wake.wait()

    async def _bring_into_line(self, client: NatsClient) -> None:
        while self._left:
            subscription = self._left.pop()
            client.handlers.pop(subscription._id, None)
            await subscription.unsubscribe()
        while self._changed:
            subject = next(iter(self._changed))
            subscription = self._subscriptions[subject]
            del self._changed[subject]
            listened = await client.listen(subject, subscription.handler)
            if self._subscriptions.get(subject) is subscription:
                subscription.server_side = listened
            else:  # it was given up meanwhile
                self._left.append(listened)

    async def _end(self, client: NatsClient) -> None:
        """Close a connection; what does not get through in a moment is given up."""
        self._client = None
        self._received += client.received_messages
        self._received_bytes += client.received_bytes
        for subscription in self._subscriptions.values():
            subscription.server_side = None
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await client.close()
        except Exception as error:
            logger.debug("the bus: closing: {}", error)
        finally:
            client.abort()

    def _note_failure(self, error: Exception, url: str, delay_seconds: float) -> None:
        self._failures += 1
        self._reason = f"{url}: {_explain(error)}"
        self._log.note_failure(self._reason, delay_seconds, self._clock())
        self._on_change(False)


def _raise_cancellation() -> None:
    """Raise the cancellation of this task if the library took it for itself.

    It catches cancellations while it flushes, and `asyncio.wait_for`, which it uses, loses one that comes
    together with its result before Python 3.12.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _explain(error: Exception) -> str:
    if isinstance(error, (OSError, TimeoutError, ssl.SSLError)):
        return explain(error)
    return str(error).removeprefix("nats: ") or type(error).__name__
