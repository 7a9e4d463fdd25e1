"""What the doctor finds out of the network."""

import asyncio
from pathlib import Path

import pytest

from livemarkets.doctor.network import probe
from livemarkets.doctor.record import Address
from livemarkets.exchanges.outbound import Outbound
from tests.support.certificates import make_certificate
from tests.support.helpers import measured
from tests.support.two_addresses import ALIVE, DEAD, NAME, black_hole, loop_that_knows

pytestmark = measured


@pytest.mark.parametrize("has_uvloop", [False, True])
def test_a_dead_first_address_hides_no_certificate(has_uvloop: bool, tmp_path: Path) -> None:
    """As the product does: it tries the next address a moment later."""
    certificate = make_certificate(tmp_path, f"DNS:{NAME}")
    address = Address("https://two-addresses.test", "rest")

    async def look() -> None:
        server = await asyncio.start_server(
            lambda _, writer: writer.close(), ALIVE, 0, ssl=certificate.for_servers()
        )
        port = server.sockets[0].getsockname()[1]
        outbound = Outbound("", {"SSL_CERT_FILE": str(certificate.file)})
        with black_hole(port):
            await probe(address, f"https://{NAME}:{port}", outbound, 2.0)
        server.close()

    with asyncio.Runner(loop_factory=loop_that_knows(DEAD, ALIVE, has_uvloop=has_uvloop)) as runner:
        runner.run(look())
    assert address.families == {"IPv4": "timeout"}
    assert address.certificates["product"].startswith("accepted (TLS")
    assert address.certificates["certifi"].startswith("certificate not accepted")
