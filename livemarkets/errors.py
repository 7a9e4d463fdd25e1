"""Every error that Live Markets raises.

* :exc:`LiveMarketsError`

  * :exc:`SettingsError` – a setting makes no sense; the start ends.
  * :exc:`ClientMessageError` – a `/ws/markets` message cannot be accepted; the connection stays open.
  * :exc:`ExchangeError`

    * :exc:`MalformedMessage` – the exchange sent something that is not what its documents say.
    * :exc:`ExchangeUnreachable` – a connection or a REST call failed; `reason` is fit for people.
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
    """The root of the tree."""


class SettingsError(LiveMarketsError):
    """A setting makes no sense. Its text is one line: variable, value, what is allowed."""


class ClientMessageError(LiveMarketsError):
    """A message of a `/ws/markets` client that cannot be accepted.

    Args:
        code: one of :data:`livemarkets.protocol.requests.ERROR_CODES`.
        message: what was wrong and what would be right, for the client's developer.
        request_id: the `id` of the message when it could be read.

    """

    def __init__(self, code: str, message: str, request_id: int | str | None = None) -> None:
        self.code = code
        self.message = message
        self.request_id = request_id
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ExchangeError(LiveMarketsError):
    """Something on the exchange's side."""


class MalformedMessage(ExchangeError):
    """A frame or reply of the exchange that cannot be understood.

    Args:
        kind: a short constant name of the defect, used to count and to limit log lines.
        detail: what exactly was wrong, shortened.

    """

    def __init__(self, kind: str, detail: str) -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(f"{kind}: {detail}")


class ExchangeUnreachable(ExchangeError):
    """A connection could not be made or kept.

    Args:
        reason: for people, such as `name lookup failed` or `HTTP 451 (not available in this country)`.
        retry_after_seconds: what the exchange asked for, `None` when it asked for nothing.

    """

    def __init__(self, reason: str, retry_after_seconds: float | None = None) -> None:
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        super().__init__(reason)


class RestError(ExchangeError):
    """The exchange answered a REST call with an error.

    Args:
        status: the HTTP status.
        code: the exchange's own code, such as -1121, `None` when the body had none.
        message: the exchange's own text.

    """

    def __init__(self, status: int, code: int | None, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(f"HTTP {status}, code {code}: {message}")
