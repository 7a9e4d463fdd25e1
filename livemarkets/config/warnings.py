"""Warnings about settings that are valid, but probably not what the user means. No I/O."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Layer", "warnings_of"]

_SHORT_TOKEN = 16
_SHOWN_CHARACTERS = 200
_VERY_SIMILAR = 0.85


class Layer(NamedTuple):
    """The variables of one source, by lower-case name as in pydantic-settings."""

    place: str
    variables: Mapping[str, str | None]
    fields: Mapping[str, Any]
    is_file: bool = False
    """Whether it is a file of the app, which has few variables for anybody else."""
    malformed_lines: Sequence[int] = ()
    """The numbers of its lines that cannot be parsed."""


def warnings_of(
    layers: Sequence[Layer], raw: Mapping[str, Any], known: Sequence[str], prefix: str
) -> Iterator[str]:
    """Yield the warnings, one line each.

    Args:
        layers: the sources of settings.
        raw: the value of each field that is set, as text.
        known: the names of all fields.
        prefix: of the variables.

    """
    settings = {prefix.lower() + name for name in known}
    for layer in layers:
        for number in layer.malformed_lines:
            yield f"line {number} of {layer.place} is not NAME=value and is ignored"
        for name, value in layer.variables.items():
            if name in settings:
                if value is None:
                    yield f"{name.upper()} in {layer.place} has no value and is ignored"
                continue
            close = _similar(name, known, prefix.lower(), has_few_others=layer.is_file)
            if close or name.startswith(prefix.lower()):
                hint = f"; did you mean {close.upper()}?" if close else ""
                yield f"{name.upper()} in {layer.place} is not a setting and is ignored{hint}"
    flag = str(raw.get("stream_enabled", "false")).strip()
    if flag.lower() not in ("true", "false"):
        shown = repr(flag[:_SHOWN_CHARACTERS])
        yield f"{prefix}STREAM_ENABLED is {shown}, which means off: only true turns it on"
    yield from _of_access(str(raw.get("host", "")).strip(), str(raw.get("access_token", "")), prefix)


def _similar(name: str, known: Sequence[str], prefix: str, *, has_few_others: bool) -> str:
    """Return the setting that somebody may mean by a name; empty for none.

    Without the prefix, a name has to be very similar: there are many others, and most of them are right.
    """
    if name.startswith(prefix):
        close = difflib.get_close_matches(name.removeprefix(prefix), known, n=1)
        return prefix + close[0] if close else ""
    if name in known and has_few_others:
        return prefix + name
    close = difflib.get_close_matches(name, [prefix + each for each in known], n=1, cutoff=_VERY_SIMILAR)
    return close[0] if close else ""


def _of_access(host: str, token: str, prefix: str) -> Iterator[str]:
    if not token and host and not _is_of_this_machine(host):
        yield (
            f"{prefix}HOST is {host[:_SHOWN_CHARACTERS]} and {prefix}ACCESS_TOKEN is empty: "
            "everybody who reaches this machine can use the app"
        )
    if 0 < len(token) < _SHORT_TOKEN:
        yield (
            f"{prefix}ACCESS_TOKEN has fewer than {_SHORT_TOKEN} characters and can be guessed; "
            "`openssl rand -hex 16` makes a long one"
        )


def _is_of_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
