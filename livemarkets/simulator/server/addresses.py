"""Addresses as text: in an URL, and in the reason why the exchange cannot listen on one."""

from __future__ import annotations

import errno

__all__ = ["in_url", "why_not_bound"]


def in_url(host: str) -> str:
    """Return a host as an URL has it."""
    return f"[{host}]" if ":" in host else host


def why_not_bound(error: OSError, host: str, port: int) -> str:
    """Return why a port cannot be listened on, one line."""
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is already in use"
    return f"cannot listen on {host}:{port}: {error.strerror or error}"
