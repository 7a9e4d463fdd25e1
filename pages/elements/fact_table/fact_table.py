"""A table of facts. Python owns rows and cells; only cells that changed are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pages.elements.live_element import LiveElement

__all__ = ["Cell", "Column", "FactTable", "Rows"]

CellTone = Literal["", "good", "warn", "bad", "muted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column."""

    name: str
    title: str
    hint: str = ""
    is_text: bool = False
    """Whether it is aligned to the left; numbers are aligned to the right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The content of a cell: a text, or something that the browser makes a text of."""

    text: str = ""
    tone: CellTone = ""
    age: int | None = None
    """A moment; the browser shows how long ago it was, and goes on counting."""
    left: int | None = None
    """A moment; the browser shows how long it is until then."""
    time: int | None = None
    """A moment; the browser shows the time of day, in the reader's time zone."""
    plot: tuple[tuple[float, float] | None, ...] | None = None
    """Two lines, from the left: the lower and the upper value of each place."""

    def described(self) -> dict[str, Any]:
        """Return what is sent: only what is set."""
        values = {name: getattr(self, name) for name in ("tone", "age", "left", "time", "plot")}
        return {"text": self.text} | {
            name: value for name, value in values.items() if value not in ("", None)
        }


Rows = Mapping[str, Mapping[str, Cell]]
"""Key of the row → name of the column → cell, from the top. A missing cell is empty."""


class FactTable(
    LiveElement,
    component="fact_table.js",
    dependencies=[
        "plot.js",
        "../shared/dom.js",
        "../shared/server_clock.js",
        "../shared/time_format.js",
    ],
):
    """A table, absent while it has no rows.

    Args:
        title: what the table is about, for those who do not see it.
        columns: from the left. The first one names the row.
        caption: what is shown above it; empty for nothing.
        has_head: whether the titles of the columns are shown.
    """

    def __init__(
        self, title: str, columns: Sequence[Column], *, caption: str = "", has_head: bool = True
    ) -> None:
        super().__init__()
        self._props["title"] = title
        self._props["caption"] = caption
        self._props["hasHead"] = has_head
        self._props["columns"] = [
            {"name": each.name, "title": each.title, "hint": each.hint, "text": each.is_text}
            for each in columns
        ]
        self.rows: dict[str, dict[str, Cell]] = {}
        self._rest = ""

    def forget(self) -> None:
        """Forget what was sent: the browser is new."""
        self.rows, self._rest = {}, ""
        self.call("clear")

    def show(self, rows: Rows, *, rest: str = "", now_ms: int) -> None:
        """Show rows. Without a change, nothing is sent.

        Args:
            rows: all rows.
            rest: a text below them, such as how many others there are.
            now_ms: the present time.
        """
        changed = {
            key: cells
            for key, row in rows.items()
            if (cells := _changed(self.rows.get(key, {}), row)) or key not in self.rows
        }
        payload: dict[str, Any] = {}
        if list(rows) != list(self.rows):
            payload["order"] = list(rows)
        if changed:
            payload["cells"] = changed
        if rest != self._rest:
            payload["rest"] = rest
        if payload:
            self.rows, self._rest = {key: dict(row) for key, row in rows.items()}, rest
            self.call("apply", {"now": now_ms, **payload})


def _changed(before: Mapping[str, Cell], row: Mapping[str, Cell]) -> dict[str, dict[str, Any]]:
    cells = {name: cell.described() for name, cell in row.items() if before.get(name) != cell}
    return cells | {name: {"text": ""} for name in before if name not in row}
