import re
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from livemarkets.config.settings import Settings, load, variable
from livemarkets.errors import SettingsError
from tests.support.helpers import PROJECT_ROOT

DEFAULTS = {
    "LIVE_STREAM_ENABLED": False,
    "LIVE_HOST": "127.0.0.1",
    "LIVE_PORT": 8080,
    "LIVE_BINANCE_WS_URL": (
        "wss://stream.binance.com:9443",
        "wss://stream.binance.com:443",
        "wss://data-stream.binance.vision",
    ),
    "LIVE_BINANCE_REST_URL": ("https://api.binance.com", "https://data-api.binance.vision"),
    "LIVE_BINANCE_LEGS": 1,
    "LIVE_SIMULATOR_ENABLED": True,
    "LIVE_DEFAULT_SYMBOLS": ("BTCUSDT", "ETHUSDT"),
    "LIVE_FEED_LENGTH": 1000,
    "LIVE_PROXY_URL": SecretStr(""),
    "LIVE_LINGER_SECONDS": 5.0,
    "LIVE_GAP_PATIENCE_SECONDS": 15.0,
    "LIVE_MAX_CLIENTS": 5000,
    "LIVE_MAX_SYMBOLS_PER_CLIENT": 200,
    "LIVE_MAX_STREAMS_PER_CLIENT": 500,
    "LIVE_CLIENT_BUFFER_BYTES": 1_048_576,
    "LIVE_DRAIN_SECONDS": 1.0,
    "LIVE_ACCESS_TOKEN": SecretStr(""),
    "LIVE_ROOT_PATH": "",
    "LIVE_TRUSTED_PROXIES": ("127.0.0.1", "::1"),
    "LIVE_ALLOWED_ORIGINS": (),
    "LIVE_LOG_LEVEL": "INFO",
    "LIVE_LOG_JSON": False,
    "LIVE_ROLE": "all",
    "LIVE_BUS_URL": (),
    "LIVE_BUS_USER": "",
    "LIVE_BUS_PASSWORD": SecretStr(""),
    "LIVE_BUS_TOKEN": SecretStr(""),
    "LIVE_BUS_NKEY_FILE": "",
    "LIVE_BUS_CREDENTIALS_FILE": "",
    "LIVE_BUS_TLS_CA": "",
}


def read(name: str, value: str, root: Path = Path("/nonexistent")) -> object:
    """What one variable becomes when it is the only one that is set."""
    return getattr(load(root, {name: value}), name.removeprefix("LIVE_").lower())


def test_defaults_are_the_contract(tmp_path: Path) -> None:
    settings = load(tmp_path, {})
    assert {variable(name): getattr(settings, name) for name in Settings.model_fields} == DEFAULTS
    assert settings.warnings == ()


def test_the_committed_env_file_repeats_the_defaults_and_switches_the_feature_on() -> None:
    settings = load(PROJECT_ROOT, {}) if not (PROJECT_ROOT / ".env.local").exists() else None
    lines = dotenv_values(PROJECT_ROOT / ".env")
    from_file = load(Path("/nonexistent"), {name: value or "" for name, value in lines.items()})
    assert {variable(name): getattr(from_file, name) for name in Settings.model_fields} == {
        **DEFAULTS,
        "LIVE_STREAM_ENABLED": True,
    }
    assert settings is None or settings == from_file


def test_every_line_of_the_env_file_has_a_comment() -> None:
    lines = (PROJECT_ROOT / ".env").read_text().splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        assert not line.startswith("LIVE_") or above.startswith("# ")


def test_environment_beats_local_file_beats_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LIVE_PORT=1001\nLIVE_FEED_LENGTH=11\nLIVE_MAX_CLIENTS=21\n")
    (tmp_path / ".env.local").write_text("LIVE_PORT=1002\nLIVE_FEED_LENGTH=12\n")
    settings = load(tmp_path, {"LIVE_PORT": "1003"})
    assert (settings.port, settings.feed_length, settings.max_clients) == (1003, 12, 21)


def test_files_are_looked_up_in_the_root_and_not_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".env").write_text("LIVE_PORT=1001\n")
    monkeypatch.chdir(elsewhere)
    assert load(tmp_path, {}).port == 8080
    assert load(elsewhere, {}).port == 1001


def test_the_process_environment_is_read_when_none_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVE_PORT", "4321")
    assert load(tmp_path).port == 4321
    assert load(tmp_path, {}).port == 8080
    assert Settings().port == 8080, "only load() reads the environment"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "enabled", "warned"),
    [
        ("true", True, False),
        (" True ", True, False),
        ("TRUE", True, False),
        ("false", False, False),
        ("False ", False, False),
        ("1", False, True),
        ("yes", False, True),
        ("on", False, True),
        ("", False, True),
        ("truee", False, True),
    ],
)
def test_only_true_turns_the_feature_on(text: str, enabled: bool, warned: bool, tmp_path: Path) -> None:
    settings = load(tmp_path, {"LIVE_STREAM_ENABLED": text})
    assert settings.stream_enabled is enabled
    assert bool(settings.warnings) is warned
    assert all("LIVE_STREAM_ENABLED" in line and repr(text) in line for line in settings.warnings)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("LIVE_PORT", "65535", 65535),
        ("LIVE_HOST", " :: ", "::"),
        ("LIVE_LINGER_SECONDS", "0", 0.0),
        ("LIVE_LINGER_SECONDS", "0.25", 0.25),
        ("LIVE_SIMULATOR_ENABLED", "false", False),
        ("LIVE_LOG_JSON", "1", True),
        ("LIVE_LOG_LEVEL", "debug", "DEBUG"),
        ("LIVE_DEFAULT_SYMBOLS", " btcusdt , ETHUSDT,btcUSDT,", ("BTCUSDT", "ETHUSDT")),
        (
            "LIVE_DEFAULT_SYMBOLS",
            "币安人生usdt,１２３４５６,ßusdt",
            ("币安人生USDT", "１２３４５６", "ßUSDT"),
        ),
        ("LIVE_DEFAULT_SYMBOLS", "", ()),
        ("LIVE_DEFAULT_SYMBOLS", "btc/usdt eth-usdt;BTC_USDT", ("BTCUSDT", "ETHUSDT")),
        (
            "LIVE_BINANCE_WS_URL",
            "ws://127.0.0.1:9443/ , wss://[::1]:1/base",
            ("ws://127.0.0.1:9443", "wss://[::1]:1/base"),
        ),
        ("LIVE_BINANCE_REST_URL", "http://127.0.0.1:9443", ("http://127.0.0.1:9443",)),
        ("LIVE_ALLOWED_ORIGINS", "", ()),
        (
            "LIVE_ALLOWED_ORIGINS",
            "https://Example.com:443, http://localhost:3000,http://[::1]:80",
            ("https://example.com", "http://localhost:3000", "http://[::1]"),
        ),
        ("LIVE_ACCESS_TOKEN", "s3cret", SecretStr("s3cret")),
        ("LIVE_ROOT_PATH", " /markets/ ", "/markets"),
        ("LIVE_ROOT_PATH", "/a/b-1", "/a/b-1"),
        ("LIVE_ROOT_PATH", "/", ""),
        ("LIVE_TRUSTED_PROXIES", "10.0.0.0/8, ::1", ("10.0.0.0/8", "::1")),
        ("LIVE_TRUSTED_PROXIES", "", ()),
    ],
)
def test_values_are_read(name: str, text: str, value: object) -> None:
    assert read(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LIVE_PORT", "0"),
        ("LIVE_PORT", "65536"),
        ("LIVE_PORT", "http"),
        ("LIVE_PORT", ""),
        ("LIVE_HOST", ""),
        ("LIVE_HOST", "http://here"),
        ("LIVE_HOST", "two words"),
        ("LIVE_BINANCE_WS_URL", ""),
        ("LIVE_BINANCE_WS_URL", " , "),
        ("LIVE_BINANCE_WS_URL", "https://stream.binance.com"),
        ("LIVE_BINANCE_WS_URL", "wss://"),
        ("LIVE_BINANCE_WS_URL", "wss://host:99999"),
        ("LIVE_BINANCE_WS_URL", "wss://host:port"),
        ("LIVE_BINANCE_WS_URL", "wss://[::1"),
        ("LIVE_BINANCE_WS_URL", "wss://host?a=1"),
        ("LIVE_BINANCE_WS_URL", "wss://host wss://other"),
        ("LIVE_BINANCE_WS_URL", "wss://user:pass@host"),
        ("LIVE_BINANCE_REST_URL", "wss://api.binance.com"),
        ("LIVE_BINANCE_REST_URL", "api.binance.com"),
        ("LIVE_BINANCE_LEGS", "0"),
        ("LIVE_BINANCE_LEGS", "5"),
        ("LIVE_BINANCE_LEGS", "two"),
        ("LIVE_SIMULATOR_ENABLED", "maybe"),
        ("LIVE_LOG_JSON", ""),
        ("LIVE_DEFAULT_SYMBOLS", "BTC+USDT"),
        ("LIVE_DEFAULT_SYMBOLS", "₿"),
        ("LIVE_FEED_LENGTH", "0"),
        ("LIVE_FEED_LENGTH", "1e9"),
        ("LIVE_FEED_LENGTH", "2.5"),
        ("LIVE_LINGER_SECONDS", "-1"),
        ("LIVE_LINGER_SECONDS", "nan"),
        ("LIVE_LINGER_SECONDS", "inf"),
        ("LIVE_GAP_PATIENCE_SECONDS", "0.5"),
        ("LIVE_GAP_PATIENCE_SECONDS", "601"),
        ("LIVE_MAX_CLIENTS", "-5"),
        ("LIVE_MAX_SYMBOLS_PER_CLIENT", "1025"),
        ("LIVE_MAX_STREAMS_PER_CLIENT", "0"),
        ("LIVE_CLIENT_BUFFER_BYTES", "1"),
        ("LIVE_ALLOWED_ORIGINS", "*"),
        ("LIVE_ALLOWED_ORIGINS", "null"),
        ("LIVE_ALLOWED_ORIGINS", "example.com"),
        ("LIVE_ALLOWED_ORIGINS", "https://example.com/"),
        ("LIVE_ALLOWED_ORIGINS", "https://example.com/path"),
        ("LIVE_ALLOWED_ORIGINS", "https://me@example.com"),
        ("LIVE_ROOT_PATH", "markets"),
        ("LIVE_ROOT_PATH", "/mar kets"),
        ("LIVE_ROOT_PATH", "//markets"),
        ("LIVE_ROOT_PATH", "/markets?a=1"),
        ("LIVE_ROOT_PATH", "/labs"),
        ("LIVE_ROOT_PATH", "/_nicegui"),
        ("LIVE_TRUSTED_PROXIES", "proxy.example"),
        ("LIVE_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("LIVE_LOG_LEVEL", "loud"),
        ("LIVE_LOG_LEVEL", ""),
    ],
)
def test_senseless_values_end_in_one_line_that_names_variable_value_and_what_is_allowed(
    name: str, text: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read(name, text)
    line = str(caught.value)
    assert "\n" not in line
    shown = text.upper() if name == "LIVE_LOG_LEVEL" else text
    assert line.startswith(f"{name} in the environment is {shown!r}, but must be ")


def test_several_senseless_values_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / ".env.local").write_text("LIVE_MAX_CLIENTS=none\n")
    with pytest.raises(
        SettingsError, match=r"LIVE_PORT in the environment .*; LIVE_MAX_CLIENTS in \.env\.local "
    ):
        load(tmp_path, {"LIVE_PORT": "x"})


def test_more_default_symbols_than_a_client_may_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"LIVE_DEFAULT_SYMBOLS names 2 .* LIVE_MAX_SYMBOLS_PER_CLIENT allows 1"
    ):
        load(tmp_path, {"LIVE_MAX_SYMBOLS_PER_CLIENT": "1"})


@pytest.mark.parametrize("token", ["top secret", "top\nsecret", "tøpsecret"])
def test_a_bad_token_is_named_but_never_shown(token: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, {"LIVE_ACCESS_TOKEN": token, "LIVE_PORT": "x"})
    assert "LIVE_ACCESS_TOKEN" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_description_names_every_setting_but_not_the_token(tmp_path: Path) -> None:
    settings = load(tmp_path, {"LIVE_ACCESS_TOKEN": "hunter2", "LIVE_ALLOWED_ORIGINS": "http://a,http://b"})
    line = settings.describe()
    assert "\n" not in line
    assert re.findall(r"LIVE_\w+(?==)", line) == [variable(name) for name in Settings.model_fields]
    assert "hunter2" not in line + repr(settings)
    assert "LIVE_ACCESS_TOKEN=(set)" in line
    assert "LIVE_ALLOWED_ORIGINS=http://a,http://b" in line


def test_times_in_microseconds_are_refused_in_one_line() -> None:
    """The unit of time is decided here, never by the size of a number."""
    with pytest.raises(SettingsError) as caught:
        load(Path("/nonexistent"), {"LIVE_BINANCE_WS_URL": "wss://h/stream?timeUnit=MICROSECOND"})
    line = str(caught.value)
    assert line.endswith("(times are read in milliseconds: remove timeUnit)")
    assert "\n" not in line


def test_unknown_variables_are_warned_about_with_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LIVE_FEED_LENGHT=5\nOTHER_TOOL=1\n")
    settings = load(tmp_path, {"LIVE_PROT": "1", "LIVE_QQQQQQ": "1", "HOME": "/"})
    assert settings.warnings == (
        "LIVE_PROT in the environment is not a setting and is ignored; did you mean LIVE_PORT?",
        "LIVE_QQQQQQ in the environment is not a setting and is ignored",
        "LIVE_FEED_LENGHT in .env is not a setting and is ignored; did you mean LIVE_FEED_LENGTH?",
    )


def test_names_without_the_prefix_get_a_suggestion_if_they_look_like_a_setting(tmp_path: Path) -> None:
    (tmp_path / ".env.local").write_text(
        "ACCESS_TOKEN=x\nLIVEPORT=1\nLIVE-HOST=h\nOTHER_TOOL=1\nHTTPS_PROXY=p\n"
    )
    assert load(tmp_path, {"LIV_PORT": "1", "PORT": "80", "LIVE": "1"}).warnings == (
        "LIV_PORT in the environment is not a setting and is ignored; did you mean LIVE_PORT?",
        "ACCESS_TOKEN in .env.local is not a setting and is ignored; did you mean LIVE_ACCESS_TOKEN?",
        "LIVEPORT in .env.local is not a setting and is ignored; did you mean LIVE_PORT?",
        "LIVE-HOST in .env.local is not a setting and is ignored; did you mean LIVE_HOST?",
    )


def test_a_name_without_a_value_is_warned_about(tmp_path: Path) -> None:
    (tmp_path / ".env.local").write_text("LIVE_ACCESS_TOKEN\nLIVE_ALLOWED_ORIGINS=\n")
    assert load(tmp_path, {}).warnings == ("LIVE_ACCESS_TOKEN in .env.local has no value and is ignored",)


def test_a_line_that_is_no_setting_is_warned_about_and_not_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env.local").write_text("LIVE_HOST=::1\nLIVE_ACCESS_TOKEN s3cret\nLIVE_PORT: 81\n")
    assert load(tmp_path, {}).warnings == (
        "line 2 of .env.local is not NAME=value and is ignored",
        "line 3 of .env.local is not NAME=value and is ignored",
    )
    assert capfd.readouterr().err == ""


def test_a_settings_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env.local").write_bytes(b"LIVE_PORT=\xff\xfe")
    with pytest.raises(SettingsError, match=r"cannot read the settings files"):
        load(tmp_path, {})


@given(st.sampled_from(sorted(DEFAULTS)), st.text(max_size=40))
@example("LIVE_BUS_PASSWORD", "0")
def test_any_text_is_either_a_value_or_one_readable_line(name: str, text: str) -> None:
    try:
        load(Path("/nonexistent"), {name: text})
        line = None
    except SettingsError as error:
        line = str(error)
    assert line is None or (line.startswith(name) and "\n" not in line)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.com"])
def test_an_open_host_without_a_token_is_warned_about(host: str, tmp_path: Path) -> None:
    assert load(tmp_path, {"LIVE_HOST": host}).warnings == (
        f"LIVE_HOST is {host} and LIVE_ACCESS_TOKEN is empty: "
        "everybody who reaches this machine can use the app",
    )
    assert load(tmp_path, {"LIVE_HOST": host, "LIVE_ACCESS_TOKEN": "x" * 16}).warnings == ()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_a_host_of_this_machine_needs_no_token(host: str, tmp_path: Path) -> None:
    assert load(tmp_path, {"LIVE_HOST": host}).warnings == ()


def test_a_short_token_is_warned_about_and_not_shown(tmp_path: Path) -> None:
    (warning,) = load(tmp_path, {"LIVE_ACCESS_TOKEN": "s3cret"}).warnings
    assert "LIVE_ACCESS_TOKEN has fewer than 16 characters" in warning
    assert "s3cret" not in warning
