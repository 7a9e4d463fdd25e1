"""Checks the access token (`LIVE_ACCESS_TOKEN`) and its sessions, and limits wrong tokens. No I/O.

A session is a signed time. The signing key is derived from the token. So there is no second secret to set,
every instance with the same token accepts the session, and a changed token ends it.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Sequence

from itsdangerous import BadSignature, TimestampSigner
from loguru import logger

from livemarkets.rate_limit import LogLimiter

__all__ = ["BEARER_PREFIX", "SESSION_COOKIE", "SESSION_SECONDS", "TokenAuth", "TokenCheck"]
__all__ += ["bearer_tokens", "local_path"]

BEARER_PREFIX = "bearer."
"""Prefix of the subprotocol with the token, for browsers, in base64url without padding (RFC 4648, 5)."""
SESSION_COOKIE = "livemarkets_session"
SESSION_SECONDS = 7 * 24 * 3600

_SESSION = "livemarkets-session-2"
_GUESSES = 10
_GUESS_SECONDS = 60.0
_ADDRESSES = 10_000
_LOCAL_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")


class TokenCheck(enum.Enum):
    """The result of a check."""

    RIGHT = "right"
    WRONG = "wrong"
    TOO_MANY = "too many wrong tokens"


class _SessionSigner(TimestampSigner):
    """Signs with a key derived from the token, at the time of the clock that it is given."""

    def __init__(self, token: str, now: Callable[[], float]) -> None:
        super().__init__(token, salt=_SESSION, key_derivation="hmac", digest_method=hashlib.sha256)
        self._now = now

    def get_timestamp(self) -> int:
        """Return seconds since the epoch."""
        return int(self._now())


class TokenAuth:
    """Compares tokens in constant time, and signs sessions.

    An address may send 10 different wrong tokens per minute. After that, none of its tokens is checked until
    the first wrong one is a minute old. The same wrong token counts once, so that a program with an old token
    does not lock out other programs at its address.

    Args:
        token: the access token; empty disables access control.
        clock: monotonic seconds.
        now: seconds since the epoch, for sessions.

    """

    def __init__(
        self,
        token: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.is_on = bool(token)
        self._clock = clock
        # Tokens are kept as digests with a key of this process: equal in length, and useless elsewhere.
        self._digest_key = secrets.token_bytes(32)
        self._right = self._digest(token)
        self._sessions = _SessionSigner(token, now)
        self._wrong: dict[str, dict[bytes, float]] = {}
        self._log_limiter = LogLimiter(interval_seconds=60.0, clock=clock)

    def judge(self, token: str, address: str) -> TokenCheck:
        """Check a token from an address (:func:`livemarkets.security.addresses.address_of`)."""
        verdict = self._verdict(token, address)
        if verdict is not TokenCheck.RIGHT:
            held_back = self._log_limiter.suppressed_since_last(address)
            if held_back is not None:
                more = f" ({held_back} similar messages not logged)" if held_back else ""
                logger.warning("wrong access token from {}{}", address, more)
        return verdict

    def _verdict(self, token: str, address: str) -> TokenCheck:
        now = self._clock()
        wrong = self._wrong.get(address, {})
        for guess in [guess for guess, at in wrong.items() if now - at >= _GUESS_SECONDS]:
            del wrong[guess]
        digest = self._digest(token)
        if digest in wrong:
            return TokenCheck.WRONG
        if len(wrong) >= _GUESSES:
            return TokenCheck.TOO_MANY
        if self.is_on and hmac.compare_digest(digest, self._right):
            return TokenCheck.RIGHT
        wrong[digest] = now
        self._wrong.pop(address, None)
        self._wrong[address] = wrong
        if len(self._wrong) > _ADDRESSES:
            del self._wrong[next(iter(self._wrong))]
        return TokenCheck.WRONG

    def new_session(self) -> str:
        """Return a new session, valid for :data:`SESSION_SECONDS`. The caller has checked the token."""
        return self._sessions.sign(_SESSION).decode()

    def is_session(self, text: str) -> bool:
        """Return whether `text` is a session of this token that has not expired."""
        try:
            self._sessions.unsign(text, max_age=SESSION_SECONDS)
        except BadSignature:
            return False
        return self.is_on

    def _digest(self, token: str) -> bytes:
        return hmac.digest(self._digest_key, token.encode(errors="replace"), hashlib.sha256)


def bearer_tokens(authorizations: Sequence[str], subprotocols: Sequence[str] = ()) -> list[str]:
    """Return the tokens in a request's Authorization headers and subprotocols."""
    schemes = [value.partition(" ") for value in authorizations]
    tokens = [rest.strip() for scheme, _, rest in schemes if scheme.lower() == "bearer"]
    for offer in subprotocols:
        if offer.startswith(BEARER_PREFIX):
            tokens.append(_decode(offer.removeprefix(BEARER_PREFIX)))
    return tokens


def _decode(text: str) -> str:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return ""
    return raw.decode(errors="replace")


def local_path(target: str) -> str:
    """Return the target of a redirect if it is a path of this app, else `/` (no open redirect)."""
    return target if _LOCAL_PATH.fullmatch(target) else "/"
