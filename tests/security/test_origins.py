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
