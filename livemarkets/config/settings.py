"""The settings. Order of precedence: command line, environment, `.env.local`, `.env`.

:func:`load` reads all of them. `Settings(...)` reads nothing but its arguments, for tests and for programs
that embed the app. The variable of a field is `LIVE_` and its name in upper case. `docs/settings.md` and the
README are tested against the meanings and bounds in this module.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from livemarkets.config import parsers as values
from livemarkets.config.bus_settings import BusSettings
from livemarkets.config.fields import number_field, switch_field, text_field
from livemarkets.config.malformed_lines import malformed_lines
from livemarkets.config.warnings import Layer, warnings_of
from livemarkets.errors import SettingsError
from livemarkets.network.certificates import CERTIFICATE_VARIABLES
from livemarkets.network.proxies import VARIABLES

__all__ = ["PREFIX", "Settings", "load", "outbound_variables", "readable", "variable"]

PREFIX = "LIVE_"

LogLevel = Literal["TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL"]

# A list is one string with commas. `NoDecode` prevents pydantic-settings from parsing it as JSON.
WebSocketUrls = Annotated[tuple[str, ...], NoDecode, BeforeValidator(values.websocket_urls)]
HttpUrls = Annotated[tuple[str, ...], NoDecode, BeforeValidator(values.http_urls)]
Symbols = Annotated[tuple[str, ...], NoDecode, BeforeValidator(values.symbol_list)]
Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(values.networks)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(values.origins)]


class _AppSettings(BaseSettings):
    """The settings but for those of the bus."""

    stream_enabled: Annotated[bool, BeforeValidator(values.is_exactly_true)] = switch_field(
        False, "the feature flag: only `true` registers `/ws/markets`, connects to exchanges and shows Labs"
    )
    host: Annotated[str, BeforeValidator(values.host)] = text_field(
        "127.0.0.1", "the address the app listens on", allowed="a host name or an IP address"
    )
    port: int = number_field(8080, "the TCP port the app listens on", least=1, most=65535)
    binance_ws_url: WebSocketUrls = text_field(
        (
            "wss://stream.binance.com:9443",
            "wss://stream.binance.com:443",
            "wss://data-stream.binance.vision",
        ),
        "base addresses of Binance's market streams, tried in order; `/stream` is appended",
        allowed="one or more ws:// or wss:// addresses, separated by commas",
    )
    binance_rest_url: HttpUrls = text_field(
        ("https://api.binance.com", "https://data-api.binance.vision"),
        "base addresses of Binance's REST API, tried in order; `/api/v3/…` is appended",
        allowed="one or more http:// or https:// addresses, separated by commas",
    )
    binance_legs: int = number_field(
        1,
        "how many connections read each stream at the same time, at different addresses; a trade counts once",
        least=1,
        most=4,
    )
    simulator_enabled: bool = switch_field(
        True, "whether the exchange `simulator` is offered beside `binance`"
    )
    default_symbols: Symbols = text_field(
        ("BTCUSDT", "ETHUSDT"),
        "symbols on the Live page when its address names none",
        allowed="symbols of 2 to 64 letters and digits of any script, separated by commas",
    )
    feed_length: int = number_field(1000, "trades kept in memory per symbol", least=1, most=100_000)
    proxy_url: Annotated[SecretStr, BeforeValidator(values.proxy_url)] = text_field(
        SecretStr(""),
        "outbound proxy for streams and REST alike; `direct` ignores the usual variables, empty obeys them",
        allowed="http://, socks5:// or socks5h:// with host and port, direct, or nothing",
    )
    linger_seconds: float = number_field(
        5.0,
        "seconds that a stream stays subscribed after its last subscriber left",
        least=0,
        most=3600,
    )
    gap_patience_seconds: float = number_field(
        15.0,
        "seconds that a trade waits, from its arrival, for missing trades before it; then a gap is declared",
        least=1,
        most=600,
    )
    max_clients: int = number_field(
        5000,
        "connections to `/ws/markets` at the same time; the next one gets HTTP 503",
        least=1,
        most=100_000,
    )
    max_symbols_per_client: int = number_field(
        200, "symbols that one connection to `/ws/markets` may subscribe", least=1, most=1024
    )
    max_streams_per_client: int = number_field(
        500,
        "names that one connection to `/ws/markets` may subscribe, over all channels",
        least=1,
        most=10_000,
    )
    client_buffer_bytes: int = number_field(
        1_048_576,
        "unsent bytes after which a slow `/ws/markets` connection is sent only the latest trades, and told",
        least=1024,
        most=1_073_741_824,
    )
    drain_seconds: float = number_field(
        1.0,
        "seconds from SIGTERM until connections are closed; meanwhile `/readyz` is 503, and readers go on",
        least=0,
        most=300,
    )
    access_token: Annotated[SecretStr, BeforeValidator(values.token)] = text_field(
        SecretStr(""),
        "when set, `/ws/markets`, the pages and the API need it",
        allowed="visible ASCII characters without blanks, or nothing",
    )
    allowed_origins: Origins = text_field(
        (),
        "browser origins that may open `/ws/markets` and the pages' own socket, beside the app's own",
        allowed="origins such as https://example.com or http://localhost:3000, by commas, or nothing",
    )
    root_path: Annotated[str, BeforeValidator(values.root_path)] = text_field(
        "",
        "the path prefix under which a proxy serves the app",
        allowed="a path such as /markets, or nothing",
    )
    trusted_proxies: Networks = text_field(
        ("127.0.0.1", "::1"),
        "proxies whose `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix` headers are believed",
        allowed="IP addresses and networks such as 127.0.0.1 or 10.0.0.0/8, by commas, or nothing",
    )
    log_level: Annotated[LogLevel, BeforeValidator(values.upper)] = text_field(
        "INFO",
        "the least severe log records that are written",
        allowed="one of " + ", ".join(get_args(LogLevel)),
    )
    log_json: bool = switch_field(False, "one JSON object a line in place of text for people")

    @model_validator(mode="after")
    def _default_symbols_fit(self) -> "_AppSettings":
        count, most = len(self.default_symbols), self.max_symbols_per_client
        if count > most:
            raise PydanticCustomError(
                "too_many_symbols",
                "LIVE_DEFAULT_SYMBOLS names {count} symbols, but LIVE_MAX_SYMBOLS_PER_CLIENT allows {most}",
                {"count": count, "most": most},
            )
        return self


class Settings(BusSettings, _AppSettings):
    """The settings of the app. Immutable."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", validate_default=True)

    _warnings: tuple[str, ...] = PrivateAttr(())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of :func:`load`, one line each: unknown variables, a flag that is not true or false."""
        return self._warnings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use only the arguments as a source: :func:`load` reads the environment."""
        return (init_settings,)

    def describe(self) -> str:
        """Return the effective settings in one line for the log. A token is shown as set or empty."""
        return " ".join(
            f"{variable(name)}={readable(getattr(self, name))}" for name in type(self).model_fields
        )


def outbound_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the usual variables for outbound proxies and certificates that are set, in both cases.

    Args:
        environ: the environment; `None` for the environment of the process.

    """
    present = os.environ if environ is None else environ
    names = [*VARIABLES, *(name.lower() for name in VARIABLES), *CERTIFICATE_VARIABLES]
    return {name: present[name] for name in names if name in present}


def variable(field_name: str) -> str:
    """Return the name of the environment variable of a field."""
    return PREFIX + field_name.upper()


def load(
    root: Path, environ: Mapping[str, str] | None = None, *, options: Mapping[str, str] | None = None
) -> Settings:
    """Read the settings.

    Args:
        root: the folder with `.env` and `.env.local`. The working directory is not used.
        environ: the environment; `None` for the environment of the process.
        options: options of the command line, by field name. They override all other sources.

    Raises:
        SettingsError: a value is invalid, or a file cannot be read. The text is one line.

    """
    try:
        layers = [
            Layer("the command line", {}, options or {}),
            *_layers(root, os.environ if environ is None else environ),
        ]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the settings files in {root}: {error}") from error
    raw: dict[str, Any] = {}
    for layer in reversed(layers):
        raw.update(layer.fields)
    try:
        settings = Settings(**raw)
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(error, layers))) from None
    settings._warnings = tuple(warnings_of(layers, raw, list(Settings.model_fields), PREFIX))
    return settings


def _layers(root: Path, environ: Mapping[str, str]) -> Iterator[Layer]:
    """Yield the sources of settings, highest precedence first."""
    environment = EnvSettingsSource(Settings)
    environment.env_vars = {name.lower(): value for name, value in environ.items()}
    yield Layer("the environment", environment.env_vars, environment())
    for name in (".env.local", ".env"):
        with malformed_lines() as lines:
            file = DotEnvSettingsSource(Settings, env_file=root / name, dotenv_filtering="only_existing")
        yield Layer(name, file.env_vars, file(), is_file=True, malformed_lines=lines)


def _explain(error: ValidationError, layers: list[Layer]) -> Iterator[str]:
    """Yield a text for each error: variable, value, source, allowed values."""
    for problem in error.errors():
        if not problem["loc"]:
            yield problem["msg"]
            continue
        name = str(problem["loc"][0])
        place = next((layer.place for layer in layers if name in layer.fields), "the program")
        field = Settings.model_fields[name]
        text = str(problem["input"])
        is_hidden = _is_secret(field) or (name == "bus_url" and "@" in text)
        shown = "a value (not shown)" if is_hidden else repr(text[:200])
        detail = f" ({problem['msg']})" if problem["type"] == values.ERROR_TYPE else ""
        yield f"{variable(name)} in {place} is {shown}, but must be {_allowed(field)}{detail}"


def _allowed(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra["allowed"]) if isinstance(extra, dict) else "something else"


def _is_secret(field: FieldInfo) -> bool:
    return field.annotation is SecretStr


def readable(value: object) -> str:
    """Return the value of a setting as in `.env`. A token is shown as set or empty."""
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else "(empty)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value) or "(empty)"
    return f"{value:g}" if isinstance(value, float) else str(value) or "(empty)"
