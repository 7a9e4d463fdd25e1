import pytest

from livemarkets.security.origins import is_allowed_origin

HOST = {"host": "127.0.0.1:8080"}


def test_who_sends_no_origin_is_no_browser_page() -> None:
    assert is_allowed_origin(HOST, ())


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8080", "https://127.0.0.1:8080"])
def test_the_apps_own_pages_pass(origin: str) -> None:
    assert is_allowed_origin({**HOST, "origin": origin}, ())


def test_named_origins_pass() -> None:
    headers = {**HOST, "origin": "https://example.com"}
    assert is_allowed_origin(headers, ["https://example.org", "https://example.com"])
    assert not is_allowed_origin(headers, ["https://example.org"])


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://",
        "http://127.0.0.1",
        "http://127.0.0.1:8081",
        "http://evil.example",
        "http://127.0.0.1:8080.evil.example",
        "http://evil.example/127.0.0.1:8080",
        "http://127.0.0.1:8080@evil.example",
        "http://[::1",
        "127.0.0.1:8080",
        "file://",
    ],
)
def test_foreign_and_odd_origins_do_not_pass(origin: str) -> None:
    assert not is_allowed_origin({**HOST, "origin": origin}, ["https://example.com"])


def test_an_origin_never_matches_a_missing_host() -> None:
    assert not is_allowed_origin({"origin": "http://"}, ())
    assert not is_allowed_origin({"origin": "null", "host": ""}, ())


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://h.example", "h.example:443"),
        ("http://h.example", "h.example:80"),
        ("http://h.example:80", "h.example"),
        ("https://H.Example", "h.EXAMPLE"),
        ("https://[2001:db8::1]", "[2001:DB8::1]:443"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_origins_are_compared_as_scheme_host_and_port(origin: str, host: str) -> None:
    assert is_allowed_origin({"origin": origin, "host": host}, ())
    assert is_allowed_origin({"origin": origin, "host": "127.0.0.1:8080"}, [origin.swapcase()])


def test_a_host_is_enough_where_a_proxy_drops_the_port() -> None:
    headers = {"origin": "https://h.example:3001", "host": "h.example"}
    assert is_allowed_origin(headers, (), is_from_proxy=True)
    assert not is_allowed_origin(headers, ())
    assert not is_allowed_origin({**headers, "host": "h.example:3002"}, (), is_from_proxy=True)
    assert not is_allowed_origin({**headers, "host": "other.example"}, (), is_from_proxy=True)
    ipv6 = {"origin": "https://[2001:db8::1]:3001", "host": "[2001:db8::1]"}
    assert is_allowed_origin(ipv6, (), is_from_proxy=True)
