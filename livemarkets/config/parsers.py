"""Parsers of settings: lists, addresses, origins, symbols. No I/O, but a file must be readable.

Each function takes the text of a setting and returns its value. Its error has the type `ERROR_TYPE` and names
the invalid part. A value that is not a string comes from code; it is returned unchanged, and pydantic checks
its type.
"""

import ipaddress
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from livemarkets.errors import UnusableProxy
from livemarkets.market.symbols import read_symbols
from livemarkets.network.proxies import ProxyRules

__all__ = [
    "ERROR_TYPE",
    "bus_urls",
    "host",
    "http_urls",
    "is_exactly_true",
    "lower",
    "networks",
    "origins",
    "path",
    "proxy_url",
    "root_path",
    "symbol_list",
    "token",
    "upper",
    "websocket_urls",
]

ERROR_TYPE = "unfit_setting"

_HOST = re.compile(r"[A-Za-z0-9._:%-]+")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_OWN_PATHS = frozenset({"api", "healthz", "labs", "login", "logout", "metrics", "readyz", "ws"})
_VISIBLE_ASCII = re.compile(r"[!-~]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_exactly_true(value: object) -> bool:
    """Return whether the value is `true` in any case. A misspelt value leaves the feature off."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def upper(value: object) -> object:
    """Parse a word: convert it to upper case."""
    return value.strip().upper() if isinstance(value, str) else value


def lower(value: object) -> object:
    """Parse a word: convert it to lower case."""
    return value.strip().lower() if isinstance(value, str) else value


def path(value: object) -> object:
    """Parse the path of a file, which must be readable."""
    if not isinstance(value, str) or not (text := value.strip()):
        return "" if isinstance(value, str) else value
    try:
        with Path(text).open("rb"):
            return text
    except (OSError, ValueError) as error:
        raise _unfit(f"{text[:200]!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def host(value: object) -> object:
    """Parse a host name or address to listen on."""
    if not isinstance(value, str):
        return value
    if not _HOST.fullmatch(value.strip()):
        raise _unfit("a host contains no port, no path and no space")
    return value.strip()


def token(value: object) -> object:
    """Parse a secret that is valid in a header, a cookie and a URL."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str) and not _VISIBLE_ASCII.fullmatch(text):
        raise _unfit("it contains a space, a control character or a character outside ASCII")
    return value


def proxy_url(value: object) -> object:
    """Parse the address of an outbound proxy. It may contain a password, so it is a secret."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str):
        try:
            ProxyRules(text)
        except UnusableProxy as error:
            raise _unfit(f"{error.shown}: {error.why}") from None
    return value


def websocket_urls(value: object) -> object:
    """Parse base addresses of WebSocket servers; a trailing slash is removed."""
    return _urls(value, ("ws", "wss"))


def http_urls(value: object) -> object:
    """Parse base addresses of HTTP servers; a trailing slash is removed."""
    return _urls(value, ("http", "https"))


def bus_urls(value: object) -> object:
    """Parse addresses of NATS servers: all with TLS, or none."""
    parts = _parts(value)
    if parts is None:
        return value
    urls = _unique(_base_address(part, ("nats", "tls")) for part in parts)
    if len({url.partition(":")[0] for url in urls}) > 1:
        raise _unfit("nats:// and tls:// addresses are mixed")
    return urls


def symbol_list(value: object) -> object:
    """Parse symbols into the exchange's spelling."""
    parts = _parts(value)
    if parts is None:
        return value
    symbols, malformed = read_symbols(",".join(parts))
    if malformed:
        raise _unfit(f"{malformed[0][:60]!r} is not a symbol")
    return tuple(symbols)


def origins(value: object) -> object:
    """Parse origins into a browser's spelling (RFC 6454, section 6.1): lower case, without a default port."""
    parts = _parts(value)
    return value if parts is None else _unique(_origin(part) for part in parts)


def networks(value: object) -> object:
    """Parse IP addresses and networks, such as `127.0.0.1` and `10.0.0.0/8`."""
    parts = _parts(value)
    if parts is None:
        return value
    for part in parts:
        try:
            ipaddress.ip_network(part)
        except ValueError as error:
            raise _unfit(str(error)) from None
    return _unique(parts)


def root_path(value: object) -> object:
    """Parse a path prefix, `/markets`; a slash at its end is removed."""
    if not isinstance(value, str):
        return value
    path = value.strip().rstrip("/")
    if not _ROOT_PATH.fullmatch(path):
        raise _unfit("it must begin with a slash and contain no space, query or empty part")
    first = path.lstrip("/").partition("/")[0]
    if first in _OWN_PATHS or first.startswith("_"):
        raise _unfit(f"/{first} is a path of the app itself")
    return path


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
    if "timeunit" in address.query.lower():
        raise _unfit("times are read in milliseconds: remove timeUnit")
    if address.query or address.fragment or re.search(r"\s", text):
        raise _unfit(f"{text[:60]!r} contains a query, a fragment or a space")
    if address.username is not None or address.password is not None:
        # Addresses are logged, so they must not contain secrets.
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
    """Return the stripped entries of a comma-separated list; `None` for any other type of value."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, (tuple, list)) and all(isinstance(part, str) for part in value):
        return [part.strip() for part in value]
    return None


def _unique(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(parts))


def _unfit(detail: str) -> PydanticCustomError:
    # Braces in the detail must not be read as fields of the template.
    return PydanticCustomError(ERROR_TYPE, "{detail}", {"detail": detail})
