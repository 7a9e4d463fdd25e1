"""A NATS server's decentralised accounts: an operator signs accounts, and an account signs its users.

https://docs.nats.io/running-a-nats-service/configuration/securing_nats/jwt
"""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Any

import msgspec
import nkeys

_HEAD = {"typ": "JWT", "alg": "ed25519-nkey"}
_NO_LIMITS = {"subs": -1, "data": -1, "payload": -1}
_ACCOUNT_LIMITS = {**_NO_LIMITS, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
_ISSUED = 1_700_000_000


class Identity:
    """An operator, an account or a user: a pair of keys, and what its superior says of it."""

    def __init__(self, prefix: int) -> None:
        self.seed: bytes = nkeys.encode_seed(os.urandom(32), prefix)
        self._pair = nkeys.from_seed(bytearray(self.seed))
        self.name: str = self._pair.public_key.decode()

    def sign(self, subject: Identity, kind: str, **claims: Any) -> str:
        """Return the token in which this one says who the subject is, and what it may do."""
        body = {
            "iat": _ISSUED,
            "iss": self.name,
            "sub": subject.name,
            "name": kind,
            "nats": {"type": kind, "version": 2, **claims},
        }
        digest = hashlib.new("sha512_256", msgspec.json.encode(body)).digest()
        body["jti"] = base64.b32encode(digest).decode().rstrip("=")
        signed = f"{_text(msgspec.json.encode(_HEAD))}.{_text(msgspec.json.encode(body))}"
        return f"{signed}.{_text(self._pair.sign(signed.encode()))}"


class Accounts:
    """An operator with one account, and the configuration of its server."""

    def __init__(self) -> None:
        operator = Identity(nkeys.PREFIX_BYTE_OPERATOR)
        self._account = Identity(nkeys.PREFIX_BYTE_ACCOUNT)
        account = operator.sign(self._account, "account", limits=_ACCOUNT_LIMITS)
        self.configuration = (
            f"operator: {operator.sign(operator, 'operator')}\n"
            "resolver: MEMORY\n"
            f"resolver_preload: {{ {self._account.name}: {account} }}\n"
        )

    def credentials(self, *, publish: list[str], subscribe: list[str]) -> str:
        """Return the file of a new user, who may publish and subscribe these subjects."""
        user = Identity(nkeys.PREFIX_BYTE_USER)
        rights = {"pub": {"allow": publish}, "sub": {"allow": subscribe}}
        token = self._account.sign(user, "user", **_NO_LIMITS, **rights)
        return (
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
        )


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
