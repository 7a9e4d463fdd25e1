"""Which proxy a URL goes through: every form that people write, obeyed or refused in one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.errors import UnusableProxy
from livemarkets.network.proxies import Proxy, ProxyRules, parse_proxy

STREAM, REST = "wss://stream.example:9443/stream", "https://api.example/api/v3/time"


@pytest.mark.parametrize(
    ("text", "url", "credentials"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128", (None, "")),
        ("http://proxy.example", "http://proxy.example:80", (None, "")),
        ("http://proxy.example:3128/", "http://proxy.example:3128", (None, "")),
        ("proxy.example:3128", "http://proxy.example:3128", (None, "")),
        ("10.0.0.1", "http://10.0.0.1:80", (None, "")),
        ("socks5://proxy.example", "socks5://proxy.example:1080", (None, "")),
        ("socks5h://proxy.example:9", "socks5://proxy.example:9", (None, "")),
        ("SOCKS://proxy.example:9", "socks5://proxy.example:9", (None, "")),
        ("http://user:p%40ss@proxy.example:3128", "http://proxy.example:3128", ("user", "p@ss")),
        ("http://user:p@ss@proxy.example:3128", "http://proxy.example:3128", ("user", "p@ss")),
        ("socks5://user@proxy.example:9", "socks5://proxy.example:9", ("user", "")),
        ("user:word@proxy.example:9", "http://proxy.example:9", ("user", "word")),
        ("socks5h://%E5%B8%81:x@[fd00::1]:9", "socks5://[fd00::1]:9", ("币", "x")),
        ("  http://proxy.example:3128  ", "http://proxy.example:3128", (None, "")),
    ],
)
def test_a_clear_form_is_obeyed(text: str, url: str, credentials: tuple[str | None, str]) -> None:
    proxy = parse_proxy(text, "HTTPS_PROXY")
    assert (proxy.url, (proxy.username, proxy.password)) == (url, credentials)
    assert str(proxy) == f"{url} of HTTPS_PROXY"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("socks4://user:secret@proxy.example:9", "only http"),
        ("socks4a://proxy.example:9", "only http"),
        ("ftp://proxy.example:9", "only http"),
        ("https://user:secret@proxy.example", "an http:// proxy passes TLS on too"),
        ("http://user:secret@proxy.example:99999", "port"),
        ("http://user:secret@proxy.example:port", "port"),
        ("http://proxy.example:0", "port"),
        ("http://:9", "no host"),
        ("http://", "no host"),
        ("http://user:secret@", "no host"),
        ("http://wpad.example/wpad.dat", "no path"),
        ("http://user:sec/secret@proxy.example:9", ""),
        ("http://user:secret://ss@proxy.example:99999", ""),
        ("user:secret://ss@proxy.example:99999", ""),
        ("user:pa://secret@proxy.example:99999", ""),
        ("user:pa@://secret@proxy.example:99999", ""),
        ("http://proxy example:9", "space"),
        ("http://proxy.example:9\r\nX: y", "control"),
        ("http://[::1:9", "bracket"),
        ("http://user:%ffsecret@proxy.example", "UTF-8"),
        ("http://user:" + "secret" * 50 + "@proxy.example", "255"),
        ("http://us%3Aer:secret@proxy.example", "colon"),
        ("http://прокси.example:9", "host"),
        ("direct", None),
    ],
)
def test_another_form_is_refused_in_one_line_without_the_password(text: str, why: str | None) -> None:
    if why is None:
        assert ProxyRules(text).proxy_for(STREAM) is None
        return
    with pytest.raises(UnusableProxy) as caught:
        parse_proxy(text, "ALL_PROXY")
    line = str(caught.value)
    assert why in line
    assert "user:" not in line
    assert line.startswith("ALL_PROXY names a proxy that cannot be used")
    assert "secret" not in line
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    with pytest.raises(UnusableProxy, match="LIVE_PROXY_URL"):
        ProxyRules(text)


@given(st.text(max_size=40))
def test_any_text_is_a_proxy_or_refused(text: str) -> None:
    try:
        proxy = parse_proxy(text, "HTTP_PROXY")
    except UnusableProxy as error:
        lines = str(error).splitlines()
    else:
        lines = [str(proxy)]
        assert 0 < proxy.port < 65536
    assert len(lines) == 1
    assert lines[0].isascii()


def chosen(url: str, setting: str = "", **variables: str) -> str | None:
    proxy = ProxyRules(setting, variables).proxy_for(url)
    return None if proxy is None else f"{proxy.host} of {proxy.source}"


def test_streams_and_rest_go_the_same_way() -> None:
    for url in (STREAM, REST):
        assert chosen(url) is None
        assert chosen(url, HTTPS_PROXY="a:1", HTTP_PROXY="b:1", ALL_PROXY="c:1") == "a of HTTPS_PROXY"
        assert chosen(url, HTTP_PROXY="b:1") is None
        assert chosen(url, HTTP_PROXY="b:1", ALL_PROXY="socks5://c:1") == "c of ALL_PROXY"
        assert chosen(url, HTTPS_PROXY="a:1", https_proxy="d:1") == "d of https_proxy"
        assert chosen(url, HTTPS_PROXY="a:1", https_proxy="") is None
        assert chosen(url, "socks5h://e:1", HTTPS_PROXY="a:1", NO_PROXY="*") == "e of LIVE_PROXY_URL"
        assert chosen(url, "Direct", HTTPS_PROXY="a:1") is None
    for url in ("ws://stream.example/stream", "http://api.example/"):
        assert chosen(url, HTTPS_PROXY="a:1", HTTP_PROXY="b:1") == "b of HTTP_PROXY"


@pytest.mark.parametrize(
    "url",
    ["ws://127.0.0.1:9443", "http://localhost:1", "ws://[::1]:1", "http://127.9.9.9", "http://x.localhost"],
)
def test_this_machine_is_never_behind_a_proxy(url: str) -> None:
    assert chosen(url, "http://e:1") is None
    assert chosen(url, ALL_PROXY="ftp://nonsense") is None


@pytest.mark.parametrize(
    ("entries", "url", "is_exempt"),
    [
        ("*", STREAM, True),
        ("example", STREAM, True),
        (".example", STREAM, True),
        ("*.example", STREAM, True),
        ("stream.example", STREAM, True),
        ("STREAM.Example", STREAM, True),
        ("stream.example:9443", STREAM, True),
        ("stream.example:443", STREAM, False),
        ("api.example:443", REST, True),
        ("ample", STREAM, False),
        ("localhost,127.0.0.1,[::1]", STREAM, False),
        ("a.b stream.example", STREAM, True),
        ("10.0.0.0/8", "wss://10.1.2.3", True),
        ("10.0.0.0/8", "wss://11.1.2.3", False),
        ("10.1.2.3", "wss://10.1.2.3", True),
        ("10.1.2.3:443", "wss://10.1.2.3", True),
        ("fd00::/8", "wss://[fd00::1]", True),
        ("[fd00::1]", "wss://[fd00::1]", True),
        ("[fd00::1]:443", "wss://[fd00::1]", True),
        ("[fd00::1]:444", "wss://[fd00::1]", False),
        ("fd00::1", "wss://[fd00::1]", True),
        ("10.0.0.0/99,::::,],stream.example", STREAM, True),
        (",,", STREAM, False),
        ("stream.example", "wss://stream.example.:9443", True),
    ],
)
def test_no_proxy_exempts(entries: str, url: str, is_exempt: bool) -> None:
    assert (chosen(url, ALL_PROXY="c:1", NO_PROXY=entries) is None) is is_exempt
    assert (chosen(url, ALL_PROXY="c:1", no_proxy=entries) is None) is is_exempt


def test_a_variable_that_no_address_needs_is_not_looked_at() -> None:
    rules = ProxyRules("", {"HTTPS_PROXY": "ftp://x", "NO_PROXY": "stream.example"})
    assert rules.proxy_for(STREAM) is None
    with pytest.raises(UnusableProxy, match="HTTPS_PROXY"):
        rules.proxy_for(REST)


def test_a_proxy_shows_no_password() -> None:
    proxy = Proxy("http", "proxy.example", 1, "ALL_PROXY", "user", "secret")
    assert "secret" not in f"{proxy} {proxy!r}"
