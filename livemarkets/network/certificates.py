"""The certificates that are trusted: those of the variables, else the system's, else certifi's."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import certifi

from livemarkets.errors import ExchangeUnreachable

__all__ = ["CERTIFICATE_VARIABLES", "trusted"]

CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""The variables that OpenSSL reads. It ignores a file that is missing; here that is an error."""


def trusted(variables: Mapping[str, str]) -> ssl.SSLContext:
    """Read the certificates, and return a context for TLS that trusts them. It takes a tenth of a second.

    Args:
        variables: the variables of the environment, of which :data:`CERTIFICATE_VARIABLES` count.

    Raises:
        ExchangeUnreachable: a variable names certificates that cannot be read.

    """
    named = {name: variables.get(name, "").strip() for name in CERTIFICATE_VARIABLES}
    file, folder = named.values()
    if file or folder:
        for name, path in named.items():
            _check_readable(name, path)
        try:
            return ssl.create_default_context(cafile=file or None, capath=folder or None)
        except OSError as error:
            names = " and ".join(name for name, path in named.items() if path)
            why = error.strerror or error
            raise ExchangeUnreachable(f"the certificates of {names} cannot be used: {why}") from None
    context = ssl.create_default_context()
    if not _system_has_certificates(context):
        context.load_verify_locations(cafile=certifi.where())
    return context


def _check_readable(name: str, path: str) -> None:
    if not path:
        return
    try:
        if name == "SSL_CERT_FILE":
            with Path(path).open("rb"):
                return
        for folder in path.split(":"):
            next(Path(folder).iterdir(), None)
    except OSError as error:
        raise ExchangeUnreachable(
            f"{name} names certificates that cannot be read: {path[:200]!r}: {error.strerror}"
        ) from None


def _system_has_certificates(context: ssl.SSLContext) -> bool:
    """Return whether OpenSSL's own file or folder has certificates. The folder is read only when needed."""
    if context.cert_store_stats()["x509_ca"]:
        return True
    folder = Path(ssl.get_default_verify_paths().openssl_capath)
    return folder.is_dir() and next(folder.iterdir(), None) is not None
