"""The exceptions of Live Markets.

* :exc:`LiveMarketsError`

  * :exc:`SettingsError` – a setting is invalid; the program exits.
  * :exc:`ClientMessageError` – a `/ws/markets` message is invalid; the connection stays open.
  * :exc:`ExchangeError`

    * :exc:`MalformedMessage` – a message of the exchange does not match its documents.
    * :exc:`ExchangeUnreachable` – a connection or a REST call failed; `reason` is for users.
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
]


class LiveMarketsError(Exception):
    """Base class of all exceptions of Live Markets."""


class SettingsError(LiveMarketsError):
    """A setting is invalid. Its text is one line: variable, value, allowed values."""


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

    """

    def __init__(self, reason: str, retry_after_seconds: float | None = None) -> None:
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        super().__init__(reason)


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
        super().__init__(f"HTTP {status}, code {code}: {message}")
