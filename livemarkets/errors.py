"""The exceptions of Live Markets.

* :exc:`LiveMarketsError`

  * :exc:`SettingsError` – a setting is invalid; the program exits.
  * :exc:`UnusableProxy` – the address of an outbound proxy is invalid.
  * :exc:`ClientMessageError` – a `/ws/markets` message is invalid; the connection stays open.
  * :exc:`ExchangeError`

    * :exc:`MalformedMessage` – a message of the exchange does not match its documents.
    * :exc:`ExchangeUnreachable` – a connection or a REST call failed; `reason` is for users.

      * :exc:`WeightUsedUp` – a REST call was not made, because the rate limit had no room for it in time.

    * :exc:`RestError` – the exchange answered a REST call with an error status.
"""

from __future__ import annotations

__all__ = [
    "ClientMessageError",
    "ExchangeError",
    "ExchangeUnreachable",
    "LiveMarketsError",
    "MalformedMessage",
    "RestError",
    "SettingsError",
    "UnusableProxy",
    "WeightUsedUp",
]


class LiveMarketsError(Exception):
    """Base class of all exceptions of Live Markets."""


class SettingsError(LiveMarketsError):
    """A setting is invalid. Its text is one line: variable, value, allowed values."""


class UnusableProxy(LiveMarketsError):
    """The address of an outbound proxy is invalid. Its text is one line, without user name and password.

    Args:
        source: the variable that names the proxy.
        shown: the address without user name and password.
        why: what is wrong with it.

    """

    def __init__(self, source: str, shown: str, why: str) -> None:
        self.source = source
        self.shown = shown
        self.why = why
        super().__init__(f"{source} names a proxy that cannot be used: {shown}: {why}")


class ClientMessageError(LiveMarketsError):
    """A message of a `/ws/markets` client is invalid.

    Args:
        code: one of :data:`livemarkets.protocol.messages.ERROR_CODES`.
        message: what is wrong and what is allowed, for the client's developer.
        request_id: the `id` of the message; `None` when there is none or it could not be read.

    """

    def __init__(self, code: str, message: str, request_id: int | str | None = None) -> None:
        self.code = code
        self.message = message
        self.request_id = request_id
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ExchangeError(LiveMarketsError):
    """Base class of the errors of an exchange."""


class MalformedMessage(ExchangeError):
    """A message of the exchange does not match its documents.

    Args:
        kind: a short constant name of the error, used for counting and for limiting log lines.
        detail: what is wrong, shortened.

    """

    def __init__(self, kind: str, detail: str) -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(f"{kind}: {detail}")


class ExchangeUnreachable(ExchangeError):
    """A connection could not be opened or was lost, or a REST call failed.

    Args:
        reason: for users, such as `name lookup failed` or `HTTP 451 (not available in this country)`.
        retry_after_seconds: the delay that the exchange asked for; `None` when it asked for none.
        is_ban: whether the exchange refuses every connection from here for a while (HTTP 418 or 429).

    """

    def __init__(
        self, reason: str, retry_after_seconds: float | None = None, *, is_ban: bool = False
    ) -> None:
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        self.is_ban = is_ban
        super().__init__(reason)


class WeightUsedUp(ExchangeUnreachable):
    """A REST call was not made: the rate limit, or its asker's share of it, had no room for it in time.

    It says nothing about the exchange, which may answer everybody else.
    """


class RestError(ExchangeError):
    """The exchange answered a REST call with an error.

    Args:
        status: the HTTP status.
        code: the exchange's error code, such as -1121; `None` when the body has none.
        message: the exchange's error text.

    """

    def __init__(self, status: int, code: int | None, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(f"HTTP {status}{'' if code is None else f', code {code}'}: {message}")
