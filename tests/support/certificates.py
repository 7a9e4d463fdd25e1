"""Certificates that nobody but a test trusts."""

from __future__ import annotations

import base64
import hashlib
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest


class Certificate(NamedTuple):
    """A certificate that signs itself, and its key."""

    file: Path
    key: Path

    def for_servers(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context

    def key_hash(self) -> str:
        """The SHA-256 of the public key in Base64, by which Chromium can be told to trust it."""
        own = ssl.PEM_cert_to_DER_cert(self.file.read_text()).hex()
        command = ("openssl", "pkey", "-in", str(self.key), "-pubout", "-outform", "DER")
        public = subprocess.run(command, check=True, capture_output=True).stdout
        assert public.hex() in own
        return base64.b64encode(hashlib.sha256(public).digest()).decode()


def make_certificate(folder: Path, *names: str) -> Certificate:
    """Make a certificate for names such as `DNS:exchange.test` or `IP:127.0.0.1`; needs OpenSSL's program."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make a certificate")
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    subject = ("-days", "1", "-subj", "/CN=test", "-addext", f"subjectAltName={','.join(names)}")
    keys = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    files = ("-keyout", str(made.key), "-out", str(made.file))
    subprocess.run(("openssl", "req", "-x509", *keys, *subject, *files), check=True, capture_output=True)
    return made
