"""Commands: methods that can be called by name, with arguments from JSON or a command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, get_type_hints

import msgspec

from livemarkets.simulator.faults.bounds import check
from livemarkets.simulator.market.source import SimulatorError

__all__ = ["call_command", "command", "describe_commands"]

F = TypeVar("F", bound=Callable[..., None])


def command(method: F) -> F:
    """Mark a method as a command."""
    method.__dict__["is_command"] = True
    return method


def describe_commands(cls: type) -> dict[str, str]:
    """Return the commands of a class: name → arguments and description."""
    return {
        name: f"{_arguments(method)}{(inspect.getdoc(method) or '').splitlines()[0]}"
        for name, method in _commands(cls).items()
    }


def call_command(target: object, name: str, arguments: Mapping[str, Any]) -> None:
    """Call a command of an object.

    Args:
        target: the object.
        name: the command.
        arguments: JSON values. Strings are converted to the types of the parameters.

    Raises:
        SimulatorError: the command is unknown, its arguments are invalid, or the command itself failed.

    """
    commands = _commands(type(target))
    if name not in commands:
        guess = _did_you_mean(name, commands)
        raise SimulatorError(f"unknown fault {name!r}; {guess}known faults: {', '.join(commands)}")
    hints = get_type_hints(commands[name])
    known = [key for key in inspect.signature(commands[name]).parameters if key != "self"]
    values = {}
    for key, value in arguments.items():
        if key not in known:
            guess = _did_you_mean(key, known)
            its = f"its arguments: {', '.join(known)}" if known else "it has none"
            raise SimulatorError(f"{name} has no argument {key!r}; {guess}{its}")
        try:
            values[key] = msgspec.convert(value, hints[key], strict=False)
        except msgspec.ValidationError as error:
            raise SimulatorError(f"{name}: {key}: {error}") from None
        check(name, key, values[key])
    for key, parameter in inspect.signature(commands[name]).parameters.items():
        if key != "self" and parameter.default is parameter.empty and key not in values:
            raise SimulatorError(f"{name} requires the argument {key!r}")
    commands[name](target, **values)


def _did_you_mean(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}? " if close else ""


def _commands(cls: type) -> dict[str, Callable[..., None]]:
    return {
        name: method
        for part in cls.__mro__
        for name, method in vars(part).items()
        if getattr(method, "is_command", False)
    }


def _arguments(method: Callable[..., None]) -> str:
    parameters = [
        key if parameter.default in (None, parameter.empty) else f"{key}={parameter.default}"
        for key, parameter in inspect.signature(method).parameters.items()
        if key != "self"
    ]
    return "".join(f"[{parameter}] " for parameter in parameters)
