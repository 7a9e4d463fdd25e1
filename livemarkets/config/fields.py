"""The fields of the settings: each has a default, its meaning and what is allowed, as in the manual."""

from typing import Any

from pydantic import Field

__all__ = ["number_field", "switch_field", "text_field"]


def text_field(default: object, meaning: str, *, allowed: str, **constraints: Any) -> Any:
    """Return a field of any type."""
    return Field(default, description=meaning, json_schema_extra={"allowed": allowed}, **constraints)


def number_field(default: float, meaning: str, *, least: float, most: float) -> Any:
    """Return a field of a number within bounds."""
    kind = "a whole number" if isinstance(default, int) else "a number"
    return text_field(default, meaning, allowed=f"{kind} from {least} to {most}", ge=least, le=most)


def switch_field(default: bool, meaning: str) -> Any:
    """Return a field that is true or false."""
    return text_field(default, meaning, allowed="true or false")
