"""The running app behind an outbound proxy, and every odd form of the variables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from loguru import logger
from pydantic import SecretStr

from livemarkets.app import Tuning
from livemarkets.config.settings import Settings
from livemarkets.simulator import Simulator
from tests.support.app import running_app, running_exchange, running_process, settings_for
from tests.support.helpers import eventually, free_port
from tests.support.markets_client import missing_ids
from tests.support.proxies import running_proxy
from tests.support.upstream import quick

pytestmark = pytest.mark.long


QUICK = Tuning(client=quick())
PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxy_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def far_exchange() -> AsyncIterator[Simulator]:
    """An exchange that only the proxy can reach, as `exchange.test`."""
    async with running_exchange() as exchange:
        yield exchange


@pytest.fixture
def lines() -> Iterator[list[str]]:
    written: list[str] = []
    sink = logger.add(lambda line: written.append(line.rstrip()), level="DEBUG", format="{level}: {message}")
    yield written
    logger.remove(sink)


def settings(exchange: Simulator, proxy_url: str = "") -> Settings:
    place = f"exchange.test:{exchange.port}"
    return settings_for(
        None,
        binance_ws_url=(f"ws://{place}",),
        binance_rest_url=(f"http://{place}",),
        proxy_url=SecretStr(proxy_url),
        simulator_enabled=False,
    )


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_the_exchange_is_live_through_a_proxy_rest_included(
    far_exchange: Simulator, scheme: str, lines: list[str]
) -> None:
    async with running_proxy("user:kwa/gga") as proxy:
        url = proxy.url(scheme, "user:kwa%2Fgga")
        async with running_app(settings(far_exchange, url), tuning=QUICK) as app:
            client = await app.connect()
            await client.subscribe("BTCUSDT")
            before = await client.trades(5)
            far_exchange.faults.lose(stream="btcusdt@trade", count=3)  # REST has them
            ids = [trade["id"] for trade in before + await client.trades(30)]
            assert missing_ids(ids) == []
            symbols = (await app.get("/api/symbols", exchange="binance", q="btc")).text
            assert "BTCUSDT" in symbols
            told = (await app.get("/metrics")).text + (await app.get("/readyz", upstream="1")).text + symbols
        assert set(proxy.asked) == {f"exchange.test:{far_exchange.port}"}
        assert len(proxy.asked) >= 2
    assert "gga" not in told + "\n".join(lines)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ALL_PROXY": "socks5://127.0.0.1:{}"}, "through the proxy socks5://127.0.0.1:{} of ALL_PROXY"),
        ({"HTTP_PROXY": "socks5h://127.0.0.1:{}"}, "through the proxy socks5://127.0.0.1:{} of HTTP_PROXY"),
        ({"all_proxy": "socks://127.0.0.1:{}"}, "through the proxy socks5://127.0.0.1:{} of all_proxy"),
        ({"HTTP_PROXY": "127.0.0.1:{}"}, "through the proxy http://127.0.0.1:{} of HTTP_PROXY"),
        (
            {"HTTP_PROXY": "http://u:p%40ss@127.0.0.1:{}"},
            "through the proxy http://127.0.0.1:{} of HTTP_PROXY",
        ),
        ({"HTTP_PROXY": "https://127.0.0.1:{}"}, "HTTP_PROXY names a proxy that cannot be used"),
        ({"ALL_PROXY": "socks4://u:p%40ss@127.0.0.1:{}"}, "ALL_PROXY names a proxy that cannot be used"),
        ({"ALL_PROXY": "ftp://127.0.0.1:{}"}, "ALL_PROXY names a proxy that cannot be used"),
        ({"ALL_PROXY": "http://127.0.0.1:99{}"}, "ALL_PROXY names a proxy that cannot be used"),
        ({"ALL_PROXY": "127.0.0.1:{}", "NO_PROXY": "10.0.0.0/8,[::1],::1"}, "of ALL_PROXY"),
        ({"ALL_PROXY": "127.0.0.1:{}", "NO_PROXY": "*"}, "name lookup failed"),
        ({"ALL_PROXY": "127.0.0.1:{}", "NO_PROXY": ".test"}, "name lookup failed"),
        ({"SSL_CERT_FILE": "/nonexistent.pem"}, "SSL_CERT_FILE names certificates that cannot be read"),
    ],
    ids=str,
)
async def test_an_odd_environment_is_one_clear_line(
    far_exchange: Simulator,
    variables: dict[str, str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[str],
) -> None:
    """The proxy is down, or means nothing. The streams say so once, however often they try."""
    port = free_port()
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(port))
    configured = settings(far_exchange)
    if "SSL_CERT_FILE" in variables:
        urls = (configured.binance_ws_url[0].replace("ws:", "wss:"),)
        configured = configured.model_copy(update={"binance_ws_url": urls})
    async with running_app(configured, tuning=QUICK) as app:
        client = await app.connect()
        await client.subscribe("BTCUSDT")
        feed = app.services.feeds["binance"]
        await eventually(lambda: feed.client.statistics().connects >= 4)
        reason = feed.status.reason
        assert reason is not None
        assert words.format(port) in reason
        assert "p@ss" not in reason + "".join(lines)
        assert await client.works()
    told = [line for line in lines if "/stream failed" in line and not line.startswith("DEBUG")]
    assert len(told) == 1
    assert words.format(port) in told[0]
    assert not [line for line in lines if "will be restarted" in line or "Traceback" in line]
    assert len([line for line in lines if not line.startswith("DEBUG")]) < 10


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("socks4://user:zebra@proxy.test:9", "'socks4://proxy.test:9'"),
        ("http://user:zebra@proxy.test:port", "its port is no number"),
        ("user:zebra@:9", "names no host"),
    ],
)
async def test_a_setting_that_means_nothing_stops_the_start(value: str, words: str) -> None:
    environment = {"LIVE_PROXY_URL": value}
    async with running_process("main.py", "--port", str(free_port()), environment=environment) as process:
        assert await process.ended() == 2
    assert len(process.lines) == 1
    assert process.output.startswith("LIVE_PROXY_URL in the environment is a value (not shown), but must be")
    assert words in process.output
    assert "zebra" not in process.output


def test_the_line_of_the_settings_shows_no_password() -> None:
    assert "LIVE_PROXY_URL=(set)" in Settings(proxy_url="http://user:zebra@proxy.test").describe()
