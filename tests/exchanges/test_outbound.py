"""The way out: streams and REST through the same proxy, with the same certificates."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest

from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.binance.connection import Connection, ConnectionTimings
from livemarkets.exchanges.binance.rest import BinanceRest
from livemarkets.exchanges.outbound import Outbound
from livemarkets.market.clock import system_clock
from livemarkets.simulator import Simulator
from tests.support.certificates import Certificate, make_certificate
from tests.support.helpers import eventually, free_port
from tests.support.proxies import Fault, running_proxy
from tests.support.simulated_time import time_is_simulated
from tests.support.upstream import QUICK, Listener, connect_to, exchange

BTC = "btcusdt@trade"
SECRET = "p@ss/zebra:%"
QUOTED = "p%40ss%2Fzebra%3A%25"


@pytest.fixture
def venue() -> contextlib.AbstractAsyncContextManager[Simulator]:
    return exchange()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), "DNS:exchange.test", "IP:127.0.0.1")


class Halves:
    """Both halves of a client of an exchange that is not this machine."""

    def __init__(
        self, port: int, outbound: Outbound, *, is_tls: bool = False, open_seconds: float = 2.0
    ) -> None:
        s = "s" if is_tls else ""
        self.listener = Listener()
        self.stream: Connection = connect_to(
            f"ws{s}://exchange.test:{port}",
            BTC,
            listener=self.listener,
            outbound=outbound,
            timings=ConnectionTimings(open_seconds=open_seconds, close_seconds=0.2, session=QUICK.session),
        )
        self.rest = BinanceRest(
            "simulator", [f"http{s}://exchange.test:{port}"], clock=system_clock(), outbound=outbound
        )

    async def assert_both_work(self) -> None:
        task = asyncio.create_task(self.stream.run())
        try:
            await self.listener.more_trades()
            assert (await self.rest.symbols()).symbols
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.rest.aclose()

    async def reasons(self) -> tuple[str, str]:
        """Why either half cannot reach the exchange."""
        with pytest.raises(ExchangeUnreachable) as streams:
            await self.stream.run()
        with pytest.raises(ExchangeUnreachable) as rest:
            await self.rest.symbols()
        await self.rest.aclose()
        for reason in (streams.value.reason, rest.value.reason):
            assert "zebra" not in reason
            assert reason.isprintable()
        return streams.value.reason, rest.value.reason


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h", "socks"])
@pytest.mark.parametrize("has_password", [True, False])
@time_is_simulated
async def test_both_halves_go_through_the_proxy(venue: Simulator, scheme: str, has_password: bool) -> None:
    async with running_proxy(f"us er:{SECRET}" if has_password else None) as proxy:
        outbound = Outbound(proxy.url(scheme, f"us%20er:{QUOTED}" if has_password else ""))
        await Halves(venue.port, outbound).assert_both_work()
        assert proxy.asked == [f"exchange.test:{venue.port}"] * 2
        assert proxy.refused == 0


@pytest.mark.parametrize(
    ("variables", "way"),
    [
        ({"HTTP_PROXY": "http://{}"}, "proxy"),
        ({"http_proxy": "{}"}, "proxy"),
        ({"ALL_PROXY": "socks5://{}"}, "proxy"),
        ({"all_proxy": "socks5h://{}"}, "proxy"),
        ({"ALL_PROXY": "http://{}", "HTTPS_PROXY": "ftp://{}"}, "proxy"),
        ({"ALL_PROXY": "{}", "NO_PROXY": "localhost,127.0.0.1,[::1],10.0.0.0/8"}, "proxy"),
        ({"ALL_PROXY": "{}", "NO_PROXY": "localhost,.test"}, "direct"),
        ({"ALL_PROXY": "{}", "no_proxy": "*"}, "direct"),
        ({"HTTPS_PROXY": "{}"}, "direct"),
        ({"HTTP_PROXY": "{}", "http_proxy": ""}, "direct"),
    ],
    ids=str,
)
@time_is_simulated
async def test_both_halves_obey_the_usual_variables(
    venue: Simulator, variables: dict[str, str], way: str
) -> None:
    async with running_proxy() as proxy:
        place = f"127.0.0.1:{proxy.port}"
        halves = Halves(
            venue.port, Outbound("", {name: text.format(place) for name, text in variables.items()})
        )
        if way == "proxy":
            await halves.assert_both_work()
            assert len(proxy.asked) == 2
        else:
            assert await halves.reasons() == ("name lookup failed",) * 2
            assert proxy.asked == []


@pytest.mark.parametrize(
    "text",
    [
        "socks4://127.0.0.1:9",
        "ftp://u:zebra@127.0.0.1:9",
        "http://u:zebra@:9",
        "http://127.0.0.1:99999",
        "http://u:zebra@x/y",
    ],
)
@time_is_simulated
async def test_a_proxy_that_means_nothing_is_the_reason_of_both(venue: Simulator, text: str) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        reasons = await Halves(venue.port, Outbound("", {name: text})).reasons()
        assert reasons[0] == reasons[1]
        assert reasons[0].startswith(f"{name} names a proxy that cannot be used: ")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@time_is_simulated
async def test_a_proxy_that_is_down_is_named(venue: Simulator, scheme: str) -> None:
    url = f"{scheme}://127.0.0.1:{free_port()}"
    for reason in await Halves(venue.port, Outbound(url.replace("//", "//user:zebra@"))).reasons():
        assert reason == f"connection refused (through the proxy {url} of LIVE_PROXY_URL)"


@pytest.mark.parametrize("credentials", ["", "user:zebra"])
@pytest.mark.parametrize("scheme", ["http", "socks5"])
@time_is_simulated
async def test_a_proxy_that_wants_another_password_says_so(
    venue: Simulator, scheme: str, credentials: str
) -> None:
    async with running_proxy("user:right") as proxy:
        reasons = await Halves(venue.port, Outbound(proxy.url(scheme, credentials))).reasons()
        assert proxy.refused == 2
    assert reasons[0] == reasons[1]
    for reason in reasons:
        assert reason.startswith(f"the proxy {scheme}://127.0.0.1:{proxy.port} of LIVE_PROXY_URL")
    if scheme == "http":
        assert "HTTP 407" in reasons[0]
    wanted = "it does not accept the user name" if credentials else "it wants a user name and a password"
    assert wanted in reasons[0]


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize("fault", ["hangs", "closes", "garbage", "busy"])
@time_is_simulated
async def test_a_proxy_with_a_fault_is_named(
    venue: Simulator, scheme: str, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_proxy() as proxy:
        proxy.fault = fault
        with monkeypatch.context() as patch:
            patch.setattr("livemarkets.exchanges.binance.rest._TIMEOUT_SECONDS", 0.3)
            halves = Halves(venue.port, Outbound(proxy.url(scheme)), open_seconds=0.3)
            for reason in await halves.reasons():
                assert f"127.0.0.1:{proxy.port} of LIVE_PROXY_URL" in reason
                assert ("timeout" in reason) is (fault == "hangs")
        proxy.fault = None
        await Halves(venue.port, Outbound(proxy.url(scheme))).assert_both_work()


@time_is_simulated
async def test_an_exchange_that_is_down_behind_the_proxy() -> None:
    async with running_proxy() as proxy:
        for reason in await Halves(free_port(), Outbound(proxy.url("socks5"))).reasons():
            assert "refused" in reason.lower()
            assert "of LIVE_PROXY_URL" in reason


@time_is_simulated
async def test_certificates_of_both_halves_are_the_same(venue: Simulator, certificate: Certificate) -> None:
    """A proxy that opens TLS: it is named while its certificate is unknown, and works when it is known."""
    async with running_proxy(intercept=certificate.for_servers()) as proxy:
        for reason in await Halves(venue.port, Outbound(proxy.url()), is_tls=True).reasons():
            assert reason.startswith("certificate not accepted: self")
            assert f"through the proxy {proxy.url()} of LIVE_PROXY_URL" in reason
        trusted = Outbound(proxy.url(), {"SSL_CERT_FILE": str(certificate.file)})
        await Halves(venue.port, trusted, is_tls=True).assert_both_work()


@pytest.mark.parametrize(
    ("name", "path", "why"),
    [
        ("SSL_CERT_FILE", "/nonexistent/certificates.pem", "No such file"),
        ("SSL_CERT_DIR", "/nonexistent/folder", "No such file"),
        ("SSL_CERT_FILE", __file__, "no certificate or crl found"),
        ("SSL_CERT_FILE", "/", "Is a directory"),
    ],
)
@time_is_simulated
async def test_certificates_that_cannot_be_read_are_the_reason_of_both(
    venue: Simulator, name: str, path: str, why: str
) -> None:
    reasons = await Halves(venue.port, Outbound("direct", {name: path}), is_tls=True).reasons()
    assert reasons[0] == reasons[1]
    assert name in reasons[0]
    assert why.lower() in reasons[0].lower()


@time_is_simulated
async def test_calls_without_tls_need_no_certificates(venue: Simulator) -> None:
    outbound = Outbound("", {"SSL_CERT_FILE": "/nonexistent/certificates.pem"})
    rest = BinanceRest("simulator", [venue.rest_url], clock=system_clock(), outbound=outbound)
    try:
        assert (await rest.symbols()).symbols
    finally:
        await rest.aclose()


@time_is_simulated
async def test_certificates_are_read_once_for_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ssl.SSLContext] = []
    make = ssl.create_default_context

    def note() -> ssl.SSLContext:
        made.append(make())
        return made[-1]

    monkeypatch.setattr(ssl, "create_default_context", note)
    outbound = Outbound()
    impatient, *others = [asyncio.create_task(outbound.tls()) for _ in range(5)]
    await asyncio.sleep(0)
    impatient.cancel()
    contexts = await asyncio.gather(*others)
    assert impatient.cancelled()
    assert made == [contexts[0]]
    assert set(contexts) == {made[0]}


@time_is_simulated
async def test_calls_that_begin_together_leave_no_connection(certificate: Certificate) -> None:
    """The first call of each waits for the certificates."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    opened: list[asyncio.StreamWriter] = []
    ended: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
        ended.append(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certificate.for_servers())
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    outbound = Outbound("", {"SSL_CERT_FILE": str(certificate.file)})
    client = outbound.http_client(timeout_seconds=5.0)
    answers = await asyncio.gather(*(client.get(url) for _ in range(5)))
    assert [each.status_code for each in answers] == [200] * 5
    await client.aclose()
    await eventually(lambda: len(ended) == len(opened) > 0, because="every connection is closed")
    server.close()


@time_is_simulated
async def test_a_call_that_waits_while_its_client_is_closed_opens_nothing(venue: Simulator) -> None:
    client = Outbound().http_client(timeout_seconds=5.0)
    call = asyncio.create_task(client.get("https://127.0.0.1:9/"))
    await asyncio.sleep(0)
    await client.aclose()
    with pytest.raises(ExchangeUnreachable, match="closed"):
        await call


@time_is_simulated
async def test_a_file_that_appears_later_is_read(tmp_path: Path, certificate: Certificate) -> None:
    file = tmp_path / "late.pem"
    outbound = Outbound("", {"SSL_CERT_FILE": str(file)})
    with pytest.raises(ExchangeUnreachable, match="SSL_CERT_FILE"):
        await outbound.tls()
    file.write_bytes(certificate.file.read_bytes())
    context = await outbound.tls()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context is await outbound.tls()


@time_is_simulated
async def test_a_folder_of_certificates_is_read(tmp_path: Path) -> None:
    assert (await Outbound("", {"SSL_CERT_DIR": str(tmp_path)}).tls()).cert_store_stats()["x509_ca"] == 0


@time_is_simulated
async def test_a_system_without_certificates_gets_some(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert (await Outbound().tls()).verify_mode is ssl.CERT_REQUIRED
    paths = ssl.get_default_verify_paths()._replace(openssl_capath=str(tmp_path / "none"))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: None)
    assert (await Outbound().tls()).cert_store_stats()["x509_ca"] > 100


@time_is_simulated
async def test_this_machine_is_reached_directly(venue: Simulator) -> None:
    async with running_proxy() as proxy:
        listener = Listener()
        connection = connect_to(venue.ws_url, BTC, listener=listener, outbound=Outbound(proxy.url()))
        task = asyncio.create_task(connection.run())
        with contextlib.suppress(asyncio.CancelledError):
            await listener.more_trades()
            task.cancel()
            await task
        assert proxy.asked == []


@time_is_simulated
async def test_calls_at_the_same_time_leave_no_connection_behind(venue: Simulator) -> None:
    rest = BinanceRest("simulator", [venue.rest_url], clock=system_clock())
    await asyncio.gather(*(rest.symbols() for _ in range(3)))
    assert venue.http.sockets >= 1
    await rest.aclose()
    await eventually(lambda: venue.http.sockets == 0)


@time_is_simulated
async def test_a_connection_without_a_call_is_closed_though_no_call_follows(venue: Simulator) -> None:
    client = Outbound(idle_seconds=0.05).http_client(timeout_seconds=5.0)
    ping = f"{venue.rest_url}/api/v3/ping"
    for _ in range(2):
        answers = await asyncio.gather(*(client.get(ping) for _ in range(3)))
        assert [each.status_code for each in answers] == [200] * 3
        await eventually(lambda: venue.http.sockets == 0, because="nobody calls any more")
    await client.aclose()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "idle REST connections"]


@time_is_simulated
async def test_a_call_that_takes_longer_than_connections_stay_is_not_cut(venue: Simulator) -> None:
    others_are_closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n12")
        await others_are_closed.wait()
        writer.write(b"34")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = Outbound(idle_seconds=0.05).http_client(timeout_seconds=10.0)
    async with client.stream("GET", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/") as answer:
        await client.get(f"{venue.rest_url}/api/v3/ping")
        await eventually(lambda: venue.http.sockets == 0)
        others_are_closed.set()
        assert await answer.aread() == b"1234"
    await client.aclose()
    server.close()
