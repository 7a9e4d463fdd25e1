"""`/ws/markets` under TLS: no frame may bypass the encryption."""

import ssl
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.support.app import running_app, running_exchange, settings_for
from tests.support.certificates import Certificate, make_certificate
from tests.support.markets_client import MarketsClient, missing_ids


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for 127.0.0.1 that nobody but this test trusts, and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1")


async def test_everything_arrives_whole_and_encrypted(certificate: Certificate) -> None:
    """Plain bytes on the wire would break the client's TLS at once."""
    options: dict[str, Any] = {"ssl_certfile": str(certificate.file), "ssl_keyfile": str(certificate.key)}
    context = ssl.create_default_context(cafile=str(certificate.file))
    async with running_exchange() as exchange, running_app(settings_for(exchange), **options) as app:
        url = f"wss://127.0.0.1:{app.port}/ws/markets"
        async with connect(url, ssl=context, compression=None, proxy=None, close_timeout=1) as socket:
            client = MarketsClient(socket)
            assert (await client.receive())["type"] == "welcome"
            await client.subscribe("BTCUSDT")
            trades = await client.trades(50)
            assert missing_ids([trade["id"] for trade in trades]) == []
            assert await client.works()
