"""`/ws/markets` under TLS: no frame may bypass the encryption."""

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.support.app import running_app, running_exchange, settings_for
from tests.support.markets_client import MarketsClient, missing_ids


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody but this test trusts, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subject = ("-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    keys = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    files = ("-keyout", str(key), "-out", str(certificate))
    subprocess.run(("openssl", "req", "-x509", *keys, *subject, *files), check=True, capture_output=True)
    return certificate, key


async def test_everything_arrives_whole_and_encrypted(certificate: tuple[Path, Path]) -> None:
    """Plain bytes on the wire would break the client's TLS at once."""
    options: dict[str, Any] = {"ssl_certfile": str(certificate[0]), "ssl_keyfile": str(certificate[1])}
    context = ssl.create_default_context(cafile=str(certificate[0]))
    async with running_exchange() as exchange, running_app(settings_for(exchange), **options) as app:
        url = f"wss://127.0.0.1:{app.port}/ws/markets"
        async with connect(url, ssl=context, compression=None, proxy=None, close_timeout=1) as socket:
            client = MarketsClient(socket)
            assert (await client.receive())["type"] == "welcome"
            await client.subscribe("BTCUSDT")
            trades = await client.trades(50)
            assert missing_ids([trade["id"] for trade in trades]) == []
            assert await client.works()
