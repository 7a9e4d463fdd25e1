"""The report: a table for people, and JSON for the record. Neither has a price or a secret in it."""

from __future__ import annotations

import platform
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from livemarkets import __version__
from livemarkets.doctor.record import Record
from livemarkets.doctor.values import Check, Finding, Verdict

__all__ = ["FORMAT", "as_json", "as_text", "summary"]

FORMAT = 1
"""The number of the JSON's form. Fields may be added within one number."""
_COLOURS: dict[Verdict, str] = {"pass": "32", "fail": "1;31", "not_seen": "33"}
_WIDTH = 110
_LONGEST_TEXT = 2000
_INDENT = " " * 10

Findings = Sequence[tuple[Check, Finding]]


def summary(findings: Findings) -> dict[Verdict, int]:
    """Return how many checks have each result."""
    counts = Counter(finding.verdict for _, finding in findings)
    return {verdict: counts[verdict] for verdict in _COLOURS}


def as_text(record: Record, findings: Findings, *, colours: bool) -> str:
    """Return the table for people."""
    return "".join(f"{line}\n" for line in _lines(record, findings, colours))


def _lines(record: Record, findings: Findings, colours: bool) -> Iterator[str]:
    yield f"Live Markets {__version__}, doctor, {_began(record)}, {record.ended_at - record.began_at:.0f} s"
    yield f"symbols: {', '.join(record.symbols)}; quiet: {record.quiet_symbol or 'none'}"
    family = ""
    for check, finding in findings:
        if check.id.partition(".")[0] != family:
            family = check.id.partition(".")[0]
            yield ""
        yield f"{_coloured(finding.verdict, colours)} {check.id}"
        if finding.verdict != "pass":
            yield from _wrapped(f"{check.assumption} ({check.used_by})")
        yield from _wrapped(_printable(finding.seen))
    yield ""
    for note in _notes(record):
        yield from textwrap.wrap(f"note: {note}", _WIDTH)
    counts = summary(findings)
    told = ", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in counts.items())
    yield f"{len(findings)} checks: {told}"


def _notes(record: Record) -> list[str]:
    notes = list(record.notes)
    if record.end:
        notes.append(f"the observation ended early: {record.end}")
    if record.pause:
        notes.append(f"REST was not asked any more after {record.pause}")
    return notes


def _coloured(verdict: Verdict, colours: bool) -> str:
    text = f"{verdict.replace('_', ' '):<9}"
    return f"\x1b[{_COLOURS[verdict]}m{text}\x1b[0m" if colours else text


def _printable(text: str) -> str:
    """Return a text in which the exchange's words cannot control a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_LONGEST_TEXT])


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _began(record: Record) -> str:
    return datetime.fromtimestamp(record.began_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_json(record: Record, findings: Findings) -> bytes:
    """Return the JSON for the record, as `docs/doctor.md` describes it."""
    document = {
        "format": FORMAT,
        "product": "Live Markets",
        "version": __version__,
        "began": _began(record),
        "seconds": round(record.ended_at - record.began_at, 1),
        "end": record.end or None,
        "python": platform.python_version(),
        "system": platform.system(),
        "addresses": {
            kind: [
                {"url": each.url, "route": each.route, "families": each.families}
                for each in record.addresses
                if each.kind == kind
            ]
            for kind in ("stream", "rest")
        },
        "symbols": record.symbols,
        "quiet_symbol": record.quiet_symbol or None,
        "notes": _notes(record),
        "summary": summary(findings),
        "checks": [
            {
                "id": check.id,
                "result": finding.verdict,
                "assumption": check.assumption,
                "used_by": check.used_by,
                "seen": finding.seen,
                "numbers": finding.numbers,
            }
            for check, finding in findings
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
