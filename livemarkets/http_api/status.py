"""`/api/status`: what the status page shows. `/api/diagnostics`: the same with the settings, as a file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from fastapi import Request, Response

from livemarkets.config.settings import Settings, readable, variable
from livemarkets.status.report import StatusReport

__all__ = ["Diagnostics", "StatusApi"]

_JSON = "application/json"
_FILE = 'attachment; filename="livemarkets-diagnostics.json"'


class Diagnostics(msgspec.Struct, frozen=True, kw_only=True):
    """The report with the settings, without secrets."""

    report: StatusReport
    """As `/api/status`."""
    settings: Mapping[str, str]
    """By the names of their variables."""


class StatusApi:
    """Answers with the report.

    Args:
        report: returns it.
        settings: the settings. Secrets among them are told as set or empty.

    """

    def __init__(self, report: Callable[[], Awaitable[StatusReport]], settings: Settings) -> None:
        self._report = report
        self._settings = settings

    async def status(self, _: Request) -> Response:
        """Answer with the report."""
        return Response(msgspec.json.encode(await self._report()), media_type=_JSON)

    async def diagnostics(self, _: Request) -> Response:
        """Answer with a file to send to somebody who helps. It contains no secret."""
        names = type(self._settings).model_fields
        settings = {variable(name): readable(getattr(self._settings, name)) for name in names}
        body = Diagnostics(report=await self._report(), settings=settings)
        encoded = msgspec.json.format(msgspec.json.encode(body), indent=1)
        return Response(encoded, media_type=_JSON, headers={"Content-Disposition": _FILE})
