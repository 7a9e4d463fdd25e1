"""The address of a console page: the message and the filter, read from its parameters and written back."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

__all__ = ["MOST_CHARACTERS", "MOST_FILTER_CHARACTERS", "ConsoleUrl"]

MOST_CHARACTERS = 16_384
"""Of a message: the most bytes that `/ws/markets` takes."""
MOST_FILTER_CHARACTERS = 64
_MOST_IN_ADDRESS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleUrl:
    """What a console page shows."""

    message: str
    """The text that would be sent."""
    filter: str = ""
    """Words; only frames that contain each of them are shown."""

    @property
    def url(self) -> str:
        """The address of a page with this message. A very long one is left out."""
        query = {"message": self.message} if len(self.message) <= _MOST_IN_ADDRESS else {}
        if self.filter:
            query["show"] = self.filter
        return "/labs/console" + (f"?{urlencode(query)}" if query else "")
