"""Figures: medians with their spread, and tables that a person and a Markdown file can show."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import msgspec

__all__ = ["Goal", "Options", "Report", "Table", "median", "spread"]


def median(values: Sequence[float]) -> float:
    """Return the median, NaN of nothing."""
    return statistics.median(values) if values else float("nan")


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return `median (least–most)`, or the value alone where there is but one."""
    if len(values) < 2:
        return f"{median(values):.{digits}f}"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


class Table(msgspec.Struct):
    """A titled table of texts."""

    title: str
    columns: list[str]
    rows: list[list[str]] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Add a row."""
        self.rows.append(list(cells))

    def markdown(self) -> str:
        """Return it as Markdown, its columns aligned so that it is readable as text too."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[at]) for line in lines) for at in range(len(self.columns))]
        rule = [
            ":" + "-" * (width - 1) if at == 0 else "-" * (width - 1) + ":" for at, width in enumerate(widths)
        ]
        body = [self.columns, rule, *self.rows]
        text = [f"### {self.title}", ""]
        for number, line in enumerate(body):
            cells = [
                cell if number == 1 else cell.ljust(width) if at == 0 else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            text.append("| " + " | ".join(cells) + " |")
        if self.notes:
            text += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(text) + "\n"


class Goal(msgspec.Struct):
    """A figure beside what it should be."""

    name: str
    value: float
    target: float
    digits: int = 2
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the figure is at most the target."""
        return self.value <= self.target


class Report(msgspec.Struct):
    """What one benchmark found."""

    name: str
    tables: list[Table] = msgspec.field(default_factory=list)
    goals: list[Goal] = msgspec.field(default_factory=list)
    skipped: list[str] = msgspec.field(default_factory=list)
    """Contestants that could not take part, each with its reason."""

    def markdown(self) -> str:
        """Return all of it as Markdown."""
        parts = [table.markdown() for table in self.tables]
        if self.goals:
            goals = Table(f"Goals of `{self.name}`", ["goal", "measured", "target", "met"])
            for goal in self.goals:
                figure = f"{goal.value:.{goal.digits}f}{goal.unit}"
                goals.add(goal.name, figure, f"≤ {goal.target:g}{goal.unit}", "yes" if goal.is_met else "no")
            parts.append(goals.markdown())
        if self.skipped:
            parts.append("Left out:\n\n" + "\n".join(f"- {reason}" for reason in self.skipped) + "\n")
        return "\n".join(parts)


class Options(msgspec.Struct, frozen=True):
    """How long and how often to measure."""

    rounds: int = 5
    is_quick: bool = False
    say: Callable[[str], None] = print
    """Takes a line about the progress."""

    def seconds(self, usual: float) -> float:
        """Return how long one measurement takes."""
        return usual / 3 if self.is_quick else usual
