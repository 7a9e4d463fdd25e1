"""Outbound proxies: which one a URL goes through, by one setting or by the usual variables. No I/O.

Streams and REST ask the same rules, because the libraries beneath them read the variables differently:
one ignores `ALL_PROXY`, the other fails on an IPv6 address in `NO_PROXY`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from livemarkets.errors import UnusableProxy

__all__ = ["VARIABLES", "Proxy", "ProxyRules", "is_loopback", "parse_proxy"]

VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
"""The usual variables, in upper or lower case. Where both cases are set, lower case wins, as in curl."""

Scheme = Literal["http", "socks5"]

_SCHEMES: Mapping[str, Scheme] = {
    "http": "http",
    "socks": "socks5",  # desktops write this for SOCKS 5
    "socks5": "socks5",
    "socks5h": "socks5",
}
_DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "ws": 80, "wss": 443}
"""Of a proxy, and of the URLs that `NO_PROXY` may exempt."""
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9a-fA-F:.]+")
_LONGEST_CREDENTIAL_BYTES = 255
"""RFC 1929, section 2: the length of user name and password is one byte each."""


class Proxy(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A proxy. Its text names the proxy and where it was set, without user name and password."""

    scheme: Scheme
    """`socks5`: the proxy also looks up the names of hosts, whether `socks5` or `socks5h` was written."""
    host: str
    port: int
    source: str
    """The variable that names the proxy."""
    username: str | None = None
    password: str = ""

    @property
    def url(self) -> str:
        """The address without user name and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.url} of {self.source}"

    __repr__ = __str__


class ProxyRules:
    """Decides which proxy a URL goes through.

    Args:
        setting: the value of `LIVE_PROXY_URL`: a proxy for every URL, `direct` for no proxy, or nothing for
            the usual variables.
        variables: the usual variables (:data:`VARIABLES`) that are set.

    Raises:
        UnusableProxy: the setting is no usable proxy. A bad variable is reported by :meth:`proxy_for`, since
            not every URL needs it.

    """

    def __init__(self, setting: str = "", variables: Mapping[str, str] | None = None) -> None:
        setting = setting.strip()
        self._setting = parse_proxy(setting, "LIVE_PROXY_URL") if _is_address(setting) else None
        self._variables = {} if setting else dict(variables or {})

    def proxy_for(self, url: str) -> Proxy | None:
        """Return the proxy of a URL; `None` to connect directly. URLs of this machine are always direct.

        Raises:
            UnusableProxy: the variable for this URL names no usable proxy.

        """
        if is_loopback(url):
            return None
        if self._setting is not None:
            return self._setting
        parts = urlsplit(url)
        source = self._source("HTTPS_PROXY" if parts.scheme in ("https", "wss") else "HTTP_PROXY")
        if source is None:
            source = self._source("ALL_PROXY")
        if source is None or self._is_exempt(parts):
            return None
        return parse_proxy(self._variables[source], source)

    def _source(self, name: str) -> str | None:
        """Return the spelling of a variable that counts; `None` where its value is empty."""
        spelling = name.lower() if name.lower() in self._variables else name
        return spelling if self._variables.get(spelling, "").strip() else None

    def _is_exempt(self, parts: SplitResult) -> bool:
        source = self._source("NO_PROXY")
        if source is None:
            return False
        host, port = (parts.hostname or "").rstrip("."), parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
        return any(_matches(entry, host, port) for entry in re.split(r"[,\s]+", self._variables[source]))


def parse_proxy(text: str, source: str) -> Proxy:
    """Parse the address of a proxy, such as `socks5h://user:p%40ss@proxy.example:1080`.

    An address without a scheme, `proxy.example:3128`, is that of an HTTP proxy, as in curl.

    Raises:
        UnusableProxy: its text is one line, without user name and password.

    """
    text = text.strip()

    def unusable(why: str) -> UnusableProxy:
        return UnusableProxy(source, _without_credentials(text), why)

    if re.search(r"[\s\x00-\x1f\x7f]", text):
        raise unusable("it contains a space or a control character")
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError:
        raise unusable("its port is no number from 1 to 65535, or a bracket is missing") from None
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None:
        hint = "; an http:// proxy passes TLS on too" if parts.scheme == "https" else ""
        raise unusable(f"only http://, socks5:// and socks5h:// are supported{hint}")
    if not parts.hostname or not _HOST.fullmatch(parts.hostname) or port == 0:
        raise unusable("it names no host, or its port is 0")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise unusable("a proxy has no path")
    try:
        username = None if parts.username is None else unquote(parts.username, errors="strict")
        password = unquote(parts.password or "", errors="strict")
    except UnicodeDecodeError:
        raise unusable("its user name or password is not percent-encoded UTF-8") from None
    if max(len((username or "").encode()), len(password.encode())) > _LONGEST_CREDENTIAL_BYTES:
        raise unusable("its user name or password is longer than 255 bytes")
    if username is not None and ":" in username and scheme != "socks5":
        raise unusable("a user name with a colon cannot be sent to an HTTP proxy")
    return Proxy(scheme, parts.hostname, port or _DEFAULT_PORTS[scheme], source, username, password)


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine. Such a URL must not go through a proxy."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_address(setting: str) -> bool:
    return setting.lower() not in ("", "direct")


def _matches(entry: str, host: str, port: int) -> bool:
    """Return whether an entry of `NO_PROXY` names the host: `*`, name, address or network, with a port."""
    if entry in ("", "*"):
        return entry == "*"
    try:
        network = ip_network(entry.strip("[]"), strict=False)
        return ip_address(host) in network
    except ValueError:
        pass
    name, colon, tail = entry.rpartition(":")
    if colon and tail.isascii() and tail.isdigit() and int(tail) == port:
        return _matches(name, host, port)
    name = entry.lower().removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _without_credentials(text: str) -> str:
    credentials, _, place = text.rpartition("@")  # first of all: a password may hold all that follows
    scheme = re.match(r"[A-Za-z0-9+.-]+://", credentials or place)
    shown = f"{scheme[0]}{place}" if scheme and credentials else place
    return ascii(shown[:60])
