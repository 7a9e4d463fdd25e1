"""Reads the fields of a client's message. An error says in plain words what is right. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from livemarkets.errors import ClientMessageError

__all__ = [
    "invalid",
    "quote",
    "read_choice",
    "read_flag",
    "read_integer",
    "read_list",
    "read_numbers",
    "show",
]

_SHOWN_CHARACTERS = 40

Fields = Mapping[str, Any]
"""The decoded message."""


def read_choice(
    fields: Fields, name: str, choices: Sequence[str], default: str, *, code: str = "invalid_message"
) -> str:
    """Return a text field in lower case.

    Args:
        fields: the message.
        name: of the field.
        choices: what is allowed, in lower case.
        default: the value if the field is absent.
        code: of the error about a text that is none of them.

    Raises:
        ClientMessageError: it is not a string, or none of the choices.

    """
    value = fields.get(name, default)
    allowed = f"{name} must be {'one of ' if len(choices) > 1 else ''}{', '.join(choices)}"
    if not isinstance(value, str):
        raise invalid(f"{allowed}, not {show(value)}")
    if value.lower() not in choices:
        raise ClientMessageError(code, f"{allowed}, not {quote(value)}")
    return value.lower()


def read_integer(fields: Fields, name: str, least: int, most: int, default: int) -> int:
    """Return a field that is a whole number.

    Raises:
        ClientMessageError: it is not, or it is not in the range.

    """
    value = fields.get(name, default)
    if not _is_integer(value) or not least <= value <= most:
        raise invalid(f"{name} must be a whole number from {least} to {most}, not {show(value)}")
    return int(value)


def read_flag(fields: Fields, name: str) -> bool | None:
    """Return a field that is true or false; `None` if it is absent or null.

    Raises:
        ClientMessageError: it is something else.

    """
    value = fields.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise invalid(f"{name} must be true or false, not {show(value)}")


def read_list(fields: Fields, name: str) -> list[Any]:
    """Return a field that is a list, with entries of any kind; empty if it is absent or null.

    Raises:
        ClientMessageError: it is something else.

    """
    value = fields.get(name)
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise invalid(f'{name} must be a list of strings, such as ["BTCUSDT"], not {show(value)}')


def read_numbers(fields: Fields, name: str, what: str) -> dict[str, int]:
    """Return a field that has a whole number from 0 for each of some symbols; empty if it is absent or null.

    Args:
        fields: of the message.
        name: of the field.
        what: what the numbers are, for the error: `trade id`.

    Raises:
        ClientMessageError: it is something else.

    """
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(
            f'{name} must be an object of symbols and {what}s, such as {{"BTCUSDT":5}}, not {show(value)}'
        )
    for symbol, number in value.items():
        if not _is_integer(number) or number < 0:
            raise invalid(
                f"{name} must have the {what}, a whole number from 0, for {quote(symbol)}, not {show(number)}"
            )
    return value


def invalid(text: str) -> ClientMessageError:
    """Return the error of a message that is JSON, but not of this protocol."""
    return ClientMessageError("invalid_message", text)


def show(value: object) -> str:
    """Return a value for the text of an error, shortened."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def quote(text: str) -> str:
    """Return a client's text in quotes, shortened, in ASCII."""
    return ascii(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
