"""One connection of the NATS library, for one use. It passes each message on at once, in the order read.

The library gives every subscription a queue and a task, and drops messages when a queue is full. Here a
message goes to its handler from the socket (:mod:`livemarkets.bus.message_protocol`), so no queue can be full
and none is dropped; a slow process shows at the server, by its unread socket. What is overridden are methods
of one minor version of the library, which `pyproject.toml` pins and tests hold.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import msgspec
from nats import errors
from nats.aio.client import Client

from livemarkets.bus.message_protocol import MessageProtocol
from livemarkets.config.bus_settings import BusSettings

__all__ = ["Handler", "NatsClient", "NatsOptions"]

Handler = Callable[[bytes, bytes, bytes], object]
"""Given the payload of a message, its subject, and the subject for its answer, which may be empty. An empty
payload says that nobody listens to the question that the subject belongs to."""

_PING_SECONDS = 1
_PINGS = 2
"""A connection without an answer to so many pings counts as lost."""
_TRIES = 1
_NO_RESPONDERS = b"503"


class NatsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to connect, and as whom. Secrets are not shown."""

    name: str
    """Shown by the server among its connections."""
    settings: BusSettings

    def arguments(self, context: ssl.SSLContext | None) -> dict[str, Any]:
        """Return the arguments for the library."""
        settings = self.settings
        found = {
            "user": settings.bus_user,
            "password": settings.bus_password.get_secret_value(),
            "token": settings.bus_token.get_secret_value(),
            "nkeys_seed": settings.bus_nkey_file,
            "user_credentials": settings.bus_credentials_file,
            "tls": context,
        }
        return {name: value for name, value in found.items() if value}


class NatsClient(Client):
    """A connection. Without an answer, or without handlers for what it reads, nothing is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers: dict[int, Handler] = {}
        """By the library's number of the subscription."""
        self.failure: Exception | None = None
        """The newest error."""
        self.received_messages = self.received_bytes = 0
        self._needs_tls = False

    async def open(self, url: str, options: NatsOptions, context: ssl.SSLContext | None) -> None:
        """Connect once.

        Raises:
            Exception: the connection failed; the library raises errors of many kinds.

        """
        self._needs_tls = url.startswith("tls://")
        try:
            await self.connect(
                [url],
                error_cb=self._note_error,
                name=options.name,
                allow_reconnect=False,
                max_reconnect_attempts=_TRIES,
                reconnect_time_wait=0,
                ping_interval=_PING_SECONDS,
                max_outstanding_pings=_PINGS,
                pending_size=0,  # `pending_data_size` is looked at before each message
                no_echo=True,
                skip_subject_validation=True,
                **options.arguments(context),
            )
        except errors.NoServersError as error:
            raise self.failure or error from None

    async def listen(self, subject: str, handler: Handler) -> Any:
        """Subscribe, and return the subscription. Its `unsubscribe` ends it."""
        subscription = await self.subscribe(subject)
        self.handlers[subscription._id] = handler
        return subscription

    def post(self, subject: str, payload: bytes, reply: str) -> None:
        """Put a message among those that are sent in this turn. It never waits, since nothing is bounded."""
        try:
            self.publish(subject, payload, reply).send(None)
        except StopIteration:
            return
        raise RuntimeError("the library waits while it publishes")

    def abort(self) -> None:
        """Close the socket at once: what is unsent may never get through."""
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    async def _note_error(self, error: Exception) -> None:
        self.failure = error

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Refuse a server without TLS before the credentials are sent to it, if TLS is wanted."""
        if self._needs_tls and initial_connection and not info.get("tls_required"):
            raise errors.Error("the server offers no TLS")
        await super()._process_info(info, initial_connection)

    def _connect_command(self) -> bytes:
        """Read messages here from now on. TLS has begun, if it is wanted, and the server waits for this."""
        writer = getattr(self._transport, "_io_writer", None)
        assert writer is not None
        MessageProtocol(writer.transport, self._take)
        return super()._connect_command()

    def _take(self, sid: int, data: bytes, subject: bytes, reply: bytes) -> None:
        """Pass a message to its handler. The hot path."""
        self.received_messages += 1
        self.received_bytes += len(data)
        handler = self.handlers.get(sid)
        if handler is not None:
            handler(data, subject, reply)

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> None:
        """Take a message with headers, such as that nobody listens to a question."""
        is_unheard = headers is not None and _NO_RESPONDERS in headers[:16]
        self._take(sid, b"" if is_unheard else data, subject, reply)
