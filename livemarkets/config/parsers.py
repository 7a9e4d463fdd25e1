"""How the text of a setting becomes its value: lists, addresses, origins, symbols. Pure.

Each function takes what was written and raises an error of the type `ERROR_TYPE` whose text says which part
is wrong. What is no string came from code and is handed on unchanged, for pydantic to judge its type.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from livemarkets.market.symbols import is_well_formed, normalise

__all__ = [
    "ERROR_TYPE",
    "host",
    "http_urls",
    "is_exactly_true",
    "origins",
    "symbol_list",
    "token",
    "upper",
    "websocket_urls",
]

ERROR_TYPE = "unfit_setting"

_HOST = re.compile(r"[A-Za-z0-9._:%-]+")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_VISIBLE_ASCII = re.compile(r"[!-~]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_exactly_true(value: object) -> bool:
    """Only `true`, in any case, switches the feature on: whoever mistypes it has not asked for traffic."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def upper(value: object) -> object:
    """A word in upper case."""
    return value.strip().upper() if isinstance(value, str) else value


def host(value: object) -> object:
    """A host name or address to listen on."""
    if not isinstance(value, str):
        return value
    if not _HOST.fullmatch(value.strip()):
        raise _unfit("a host contains no port, no path and no space")
    return value.strip()


def token(value: object) -> object:
    """A secret that fits into a header, a cookie and an address."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str) and not _VISIBLE_ASCII.fullmatch(text):
        raise _unfit("it contains a space, a control character or a character outside ASCII")
    return value


def websocket_urls(value: object) -> object:
    """Base addresses of WebSocket servers, without a trailing slash."""
    return _urls(value, ("ws", "wss"))


def http_urls(value: object) -> object:
    """Base addresses of HTTP servers, without a trailing slash."""
    return _urls(value, ("http", "https"))


def symbol_list(value: object) -> object:
    """Symbols in the exchange's spelling."""
    parts = _parts(value)
    if parts is None:
        return value
    symbols = [normalise(part) for part in parts]
    for symbol in symbols:
        if not is_well_formed(symbol):
            raise _unfit(f"{symbol[:60]!r} is not a symbol")
    return _unique(symbols)


def origins(value: object) -> object:
    """Origins as a browser writes them (RFC 6454, section 6.1): lower case, a default port left out."""
    parts = _parts(value)
    return value if parts is None else _unique(_origin(part) for part in parts)


def _origin(text: str) -> str:
    address = _split(text)
    scheme, name, port = address.scheme, address.hostname, address.port
    if not name or not _SCHEME.fullmatch(scheme) or text.lower() != f"{scheme}://{address.netloc.lower()}":
        raise _unfit(f"{text[:60]!r} is not scheme://host or scheme://host:port")
    if address.username is not None or address.password is not None:
        raise _unfit(f"{text[:60]!r} contains a user name")
    bracketed = f"[{name}]" if ":" in name else name
    return (
        f"{scheme}://{bracketed}"
        if port in (None, _DEFAULT_PORTS.get(scheme))
        else f"{scheme}://{bracketed}:{port}"
    )


def _urls(value: object, schemes: tuple[str, ...]) -> object:
    parts = _parts(value)
    if parts is None:
        return value
    if not parts:
        raise _unfit("the list is empty")
    return _unique(_base_address(part, schemes) for part in parts)


def _base_address(text: str, schemes: tuple[str, ...]) -> str:
    address = _split(text)
    if address.scheme not in schemes or not address.hostname:
        raise _unfit(
            f"{text[:60]!r} does not begin with {' or '.join(f'{scheme}://host' for scheme in schemes)}"
        )
    if address.query or address.fragment or re.search(r"\s", text):
        raise _unfit(f"{text[:60]!r} contains a query, a fragment or a space")
    if address.username is not None or address.password is not None:
        # Addresses are written to the log, so they must not carry secrets.
        raise _unfit("an address must not contain a user name or a password")
    return text.rstrip("/")


def _split(text: str) -> Any:
    try:
        address = urlsplit(text)
        address.port  # noqa: B018 - reading it is what checks it
    except ValueError as error:
        raise _unfit(f"{text[:60]!r}: {error}") from None
    return address


def _parts(value: object) -> list[str] | None:
    """The trimmed entries of a comma list, without empty ones; None for what is neither text nor texts."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, (tuple, list)) and all(isinstance(part, str) for part in value):
        return [part.strip() for part in value]
    return None


def _unique(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(parts))


def _unfit(detail: str) -> PydanticCustomError:
    # Braces would be read as fields of the template.
    return PydanticCustomError(ERROR_TYPE, "{detail}", {"detail": detail})
