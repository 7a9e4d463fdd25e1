"""The access token and its sessions, as a matter of values and of time."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous.encoding import base64_decode, base64_encode, bytes_to_int, int_to_bytes
from loguru import logger

from livemarkets.security.addresses import address_of
from livemarkets.security.token_auth import (
    BEARER_PREFIX,
    SESSION_SECONDS,
    TokenAuth,
    TokenCheck,
    bearer_tokens,
    local_path,
)
from tests.support.ticks import ManualClock

TOKEN = "correct-horse-battery-staple"
HERE, THERE = "10.0.0.1", "10.0.0.2"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def access(clock: ManualClock) -> TokenAuth:
    return TokenAuth(TOKEN, clock=clock, now=clock)


@given(st.text(max_size=60))
def test_only_the_token_is_the_token(text: str) -> None:
    assert (TokenAuth(TOKEN).judge(text, HERE) is TokenCheck.RIGHT) == (text == TOKEN)


@pytest.mark.parametrize("token", ["", "x"])
def test_without_a_token_there_is_nothing_to_know(token: str) -> None:
    access = TokenAuth("")
    assert not access.is_on
    assert access.judge(token, HERE) is TokenCheck.WRONG
    assert not access.is_session(access.new_session())


def test_an_address_has_ten_guesses_a_minute_and_others_have_theirs(
    access: TokenAuth, clock: ManualClock
) -> None:
    verdicts = [access.judge(f"guess {number}", HERE) for number in range(12)]
    assert verdicts == [TokenCheck.WRONG] * 10 + [TokenCheck.TOO_MANY] * 2
    assert access.judge(TOKEN, HERE) is TokenCheck.TOO_MANY, "else guessing would go on at full speed"
    assert access.judge(TOKEN, THERE) is TokenCheck.RIGHT
    clock.advance(60)
    assert access.judge(TOKEN, HERE) is TokenCheck.RIGHT


def test_the_same_wrong_token_again_and_again_locks_nobody_out(access: TokenAuth) -> None:
    assert {access.judge("the token of last year", HERE) for _ in range(1000)} == {TokenCheck.WRONG}
    assert access.judge(TOKEN, HERE) is TokenCheck.RIGHT


def test_guesses_from_a_million_addresses_take_little_memory(access: TokenAuth) -> None:
    for number in range(30_000):
        access.judge("guess", str(number))
    assert len(access._wrong) == 10_000
    assert access.judge("guess", "29999") is TokenCheck.WRONG


def test_wrong_tokens_are_told_once_a_minute_and_never_shown(access: TokenAuth, clock: ManualClock) -> None:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{message}")
    for number in range(50):
        access.judge(f"hunter{number}", HERE)
        access.judge(TOKEN, THERE)
    clock.advance(61)
    access.judge("hunter", HERE)
    logger.remove(sink)
    assert [line.strip() for line in lines] == [
        f"wrong access token from {HERE}",
        f"wrong access token from {HERE} (49 similar messages not logged)",
    ]


def test_a_session_lasts_a_week_and_holds_nothing_of_the_token(access: TokenAuth, clock: ManualClock) -> None:
    session = access.new_session()
    assert TOKEN not in session
    clock.advance(SESSION_SECONDS)
    assert access.is_session(session)
    clock.advance(1)
    assert not access.is_session(session)


def test_a_session_holds_on_every_instance_with_the_token_and_on_no_other(clock: ManualClock) -> None:
    session = TokenAuth(TOKEN, now=clock).new_session()
    assert TokenAuth(TOKEN, now=clock).is_session(session)
    assert not TokenAuth(TOKEN + "!", now=clock).is_session(session)


def test_a_session_cannot_be_lengthened(access: TokenAuth) -> None:
    name, begun, signature = access.new_session().split(".")
    assert access.is_session(f"{name}.{begun}.{signature}")
    later = int_to_bytes(bytes_to_int(base64_decode(begun)) + 1)
    assert not access.is_session(f"{name}.{base64_encode(later).decode()}.{signature}")
    assert not access.is_session(f"another.{begun}.{signature}")


@given(st.text(max_size=100))
def test_no_other_text_is_a_session(text: str) -> None:
    assert not TokenAuth(TOKEN).is_session(text)


def offer(token: str) -> str:
    return BEARER_PREFIX + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_a_token_survives_its_way_as_a_subprotocol(token: str) -> None:
    assert bearer_tokens([], ["livemarkets.v1", offer(token)]) == [token]


@pytest.mark.parametrize(
    ("authorizations", "tokens"),
    [
        ([], []),
        (["Bearer abc"], ["abc"]),
        (["bearer  abc "], ["abc"]),
        (["Basic YTpi"], []),
        (["Bearer"], [""]),
        (["abc"], []),
        (["Bearer abc", "Bearer def"], ["abc", "def"]),
    ],
)
def test_the_authorization_header_is_read_as_rfc_6750_has_it(
    authorizations: list[str], tokens: list[str]
) -> None:
    assert bearer_tokens(authorizations) == tokens


@given(st.text(max_size=40))
def test_any_subprotocol_can_be_read(text: str) -> None:
    assert len(bearer_tokens([], [BEARER_PREFIX + text])) == 1


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_an_address_is_what_one_customer_has(host: str, address: str) -> None:
    assert address_of(host) == address


@pytest.mark.parametrize(
    "target", ["/", "/labs", "/labs?exchange=binance&symbols=BTCUSDT,ETHUSDT", "/a//b", "/%5C"]
)
def test_paths_of_this_app_are_kept(target: str) -> None:
    assert local_path(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "labs",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/labs\r\nSet-Cookie: a=b",
        " /labs",
        "/läbs",
    ],
)
def test_no_login_leads_elsewhere(target: str) -> None:
    assert local_path(target) == "/"
