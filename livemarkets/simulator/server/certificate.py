"""Makes certificates for TLS: for clients that refuse to connect without it.

Python can use certificates but not make them, and neither OpenSSL's program nor a library that can is on
every machine. So this writes the few structures itself: DER (X.690), X.509 v3 (RFC 5280), ECDSA on P-256
(FIPS 186-4, SEC 1). The time of the arithmetic depends on the key; this key protects invented prices.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from livemarkets.simulator.market.source import SimulatorError

__all__ = ["NAMES", "Certificate", "trusting"]

NAMES = ("localhost", "127.0.0.1", "::1")
"""The names that the certificate is for, whatever the exchange listens on."""
_VALID_DAYS = 397
"""Apple's clients refuse certificates that are valid for longer."""

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_Point = tuple[int, int] | None

_COMMON_NAME = bytes.fromhex("550403")
_EC_KEY = bytes.fromhex("2a8648ce3d0201")
_P256 = bytes.fromhex("2a8648ce3d030107")
_ECDSA_SHA256 = bytes.fromhex("2a8648ce3d040302")
_SUBJECT_KEY, _USAGE, _ALTERNATIVE_NAMES = (bytes((0x55, 0x1D, number)) for number in (14, 15, 17))
_CONSTRAINTS, _AUTHORITY_KEY, _EXTENDED_USAGE = (bytes((0x55, 0x1D, number)) for number in (19, 35, 37))
_SERVER = bytes.fromhex("2b06010505070301")


class Certificate:
    """A certificate with its key, and the authority that clients have to trust, in three files of a folder.

    The key of the authority is forgotten at once, so trust in it is trust in this one certificate.

    Args:
        folder: it is created if need be. Files that are there already are used again.
        host: the address that the exchange listens on, which is one of the names.

    Raises:
        SimulatorError: the files cannot be written or read.

    """

    def __init__(self, folder: Path, host: str) -> None:
        self.authority = folder / "authority.pem"
        self._chain = folder / "certificate.pem"
        self._key = folder / "key.pem"
        try:
            if not all(file.exists() for file in (self.authority, self._chain, self._key)):
                folder.mkdir(parents=True, exist_ok=True)
                self._make([*NAMES, *([host] if host not in (*NAMES, "0.0.0.0", "::") else [])])
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(self._chain, self._key)
        except (OSError, ssl.SSLError) as error:
            raise SimulatorError(f"cannot make or read a certificate in {folder}: {error}") from None

    def _make(self, names: Sequence[str]) -> None:
        authority, own = _Pair(), _Pair()
        common = (
            _extension(_SUBJECT_KEY, _tlv(0x04, own.identifier)),
            _extension(_AUTHORITY_KEY, _sequence(_tlv(0x80, authority.identifier))),
            _extension(_ALTERNATIVE_NAMES, _sequence(*map(_general_name, names))),
            _extension(_EXTENDED_USAGE, _sequence(_tlv(0x06, _SERVER))),
        )
        for_authority = (
            _extension(_SUBJECT_KEY, _tlv(0x04, authority.identifier)),
            _extension(_CONSTRAINTS, _sequence(_tlv(0x01, b"\xff")), critical=True),
            _extension(_USAGE, _tlv(0x03, b"\x02\x04"), critical=True),  # it signs certificates
        )
        whose, server = b"Live Markets simulator, authority", b"Live Markets simulator"
        self._write_key(own)
        self._chain.write_bytes(_pem("CERTIFICATE", _certificate(server, own, common, whose, authority)))
        self.authority.write_bytes(
            _pem("CERTIFICATE", _certificate(whose, authority, for_authority, whose, authority))
        )

    def _write_key(self, pair: _Pair) -> None:
        der = _sequence(
            _integer(1),
            _tlv(0x04, pair.secret.to_bytes(32, "big")),
            _tlv(0xA0, _tlv(0x06, _P256)),
            _tlv(0xA1, _tlv(0x03, b"\0" + pair.public)),
        )
        self._key.unlink(missing_ok=True)
        descriptor = os.open(self._key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_pem("EC PRIVATE KEY", der))


def trusting(folder: Path) -> ssl.SSLContext:
    """Return the context of a client that trusts the certificate in a folder.

    Raises:
        SimulatorError: there is none.

    """
    try:
        return ssl.create_default_context(cafile=folder / "authority.pem")
    except (OSError, ssl.SSLError) as error:
        raise SimulatorError(f"cannot read a certificate in {folder}: {error}") from None


class _Pair:
    """A new secret key with its public one."""

    def __init__(self) -> None:
        self.secret = secrets.randbelow(_N - 1) + 1
        point = _times(self.secret, _G)
        assert point is not None
        self.public = b"\4" + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")
        self.identifier = hashlib.sha256(self.public).digest()[:20]


def _certificate(
    subject: bytes, pair: _Pair, extensions: Sequence[bytes], issuer: bytes, signer: _Pair
) -> bytes:
    now = datetime.now(UTC)
    algorithm = _sequence(_tlv(0x06, _ECDSA_SHA256))
    content = _sequence(
        _tlv(0xA0, _integer(2)),
        _integer(secrets.randbits(120) | 1 << 119),
        algorithm,
        _name(issuer),
        _sequence(_time(now - timedelta(days=1)), _time(now + timedelta(days=_VALID_DAYS - 2))),
        _name(subject),
        _sequence(_sequence(_tlv(0x06, _EC_KEY), _tlv(0x06, _P256)), _tlv(0x03, b"\0" + pair.public)),
        _tlv(0xA3, _sequence(*extensions)),
    )
    return _sequence(content, algorithm, _tlv(0x03, b"\0" + _signature(signer.secret, content)))


def _signature(secret: int, content: bytes) -> bytes:
    digest = int.from_bytes(hashlib.sha256(content).digest(), "big")
    while True:
        once = secrets.randbelow(_N - 1) + 1
        point = _times(once, _G)
        r = point[0] % _N if point else 0
        s = pow(once, -1, _N) * (digest + r * secret) % _N
        if r and s:
            return _sequence(_integer(r), _integer(s))


def _times(factor: int, point: _Point) -> _Point:
    """Return a multiple of a point of the curve y² = x³ - 3x + b."""
    total: _Point = None
    while factor:
        if factor & 1:
            total = _plus(total, point)
        point = _plus(point, point)
        factor >>= 1
    return total


def _plus(one: _Point, other: _Point) -> _Point:
    if one is None or other is None:
        return one or other
    (x1, y1), (x2, y2) = one, other
    if x1 == x2:
        if (y1 + y2) % _P == 0:
            return None
        slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, _P) % _P
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, _P) % _P
    x3 = (slope * slope - x1 - x2) % _P
    return x3, (slope * (x1 - x3) - y1) % _P


def _tlv(tag: int, value: bytes) -> bytes:
    size = len(value)
    if size < 128:
        return bytes((tag, size)) + value
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + value


def _sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, b"".join(parts))


def _integer(number: int) -> bytes:
    return _tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _name(common_name: bytes) -> bytes:
    return _sequence(_tlv(0x31, _sequence(_tlv(0x06, _COMMON_NAME), _tlv(0x0C, common_name))))


def _extension(kind: bytes, value: bytes, *, critical: bool = False) -> bytes:
    return _sequence(_tlv(0x06, kind), _tlv(0x01, b"\xff") if critical else b"", _tlv(0x04, value))


def _time(moment: datetime) -> bytes:
    return _tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())


def _general_name(name: str) -> bytes:
    try:
        return _tlv(0x87, ip_address(name).packed)
    except ValueError:
        return _tlv(0x82, name.encode())


def _pem(label: str, der: bytes) -> bytes:
    text = base64.b64encode(der).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()
