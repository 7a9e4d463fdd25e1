"""The settings of the bus: the role of this process, and how it connects to NATS."""

from importlib.util import find_spec
from typing import Annotated, Literal

from pydantic import BeforeValidator, SecretStr, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode

from livemarkets.config import parsers as values
from livemarkets.config.fields import text_field

__all__ = ["BusSettings", "Role"]

Role = Literal["all", "ingest", "edge"]
"""What this process does: everything, exchange to bus, or bus to readers."""

BusUrls = Annotated[tuple[str, ...], NoDecode, BeforeValidator(values.bus_urls)]
Path = Annotated[str, BeforeValidator(values.path)]
Secret = Annotated[SecretStr, BeforeValidator(values.token)]


class BusSettings(BaseSettings):
    """The settings of the bus."""

    role: Annotated[Role, BeforeValidator(values.lower)] = text_field(
        "all",
        "the part of this process: `all`, or `ingest` (exchange to bus), or `edge` (bus to readers)",
        allowed="one of all, ingest, edge",
    )
    bus_url: BusUrls = text_field(
        (),
        "addresses of the NATS servers between ingests and edges, tried in order",
        allowed="one or more nats:// or tls:// addresses, separated by commas, or nothing",
    )
    bus_user: str = text_field("", "the user name at the bus", allowed="a user name, or nothing")
    bus_password: Secret = text_field(
        SecretStr(""),
        "the password at the bus",
        allowed="visible ASCII characters without blanks, or nothing",
    )
    bus_token: Secret = text_field(
        SecretStr(""),
        "the token at the bus, in place of user and password",
        allowed="visible ASCII characters without blanks, or nothing",
    )
    bus_nkey_file: Path = text_field(
        "", "a file with the nkey seed for the bus", allowed="the path of a file that can be read, or nothing"
    )
    bus_credentials_file: Path = text_field(
        "",
        "a NATS credentials file for the bus",
        allowed="the path of a file that can be read, or nothing",
    )
    bus_tls_ca: Path = text_field(
        "",
        "a file with the certificates that the bus is trusted by; empty for the usual ones",
        allowed="the path of a file that can be read, or nothing",
    )

    @model_validator(mode="after")
    def _bus_fits(self) -> "BusSettings":
        """Check that role, address and credentials belong together."""
        if problem := self._bus_problem():
            raise PydanticCustomError("bus_settings", "{problem}", {"problem": problem})
        return self

    def _bus_problem(self) -> str | None:
        if self.role != "all" and not self.bus_url:
            return f"LIVE_ROLE is {self.role}, which needs LIVE_BUS_URL, such as nats://127.0.0.1:4222"
        if self.role != "all" and find_spec("nats") is None:
            return f"LIVE_ROLE is {self.role}, which needs a package: pip install 'nats-py[nkeys]'"
        if self.role == "all" and self.bus_url:
            return "LIVE_BUS_URL is set, but LIVE_ROLE is all, which uses no bus: set it to ingest or edge"
        if bool(self.bus_user) is not bool(self.bus_password.get_secret_value()):
            names = ("LIVE_BUS_USER", "LIVE_BUS_PASSWORD")
            given, lacking = names if self.bus_user else reversed(names)
            return f"{given} is set without {lacking}: set both or neither"
        ways = {
            "LIVE_BUS_USER": self.bus_user,
            "LIVE_BUS_TOKEN": self.bus_token.get_secret_value(),
            "LIVE_BUS_NKEY_FILE": self.bus_nkey_file,
            "LIVE_BUS_CREDENTIALS_FILE": self.bus_credentials_file,
        }
        if len(used := [name for name, value in ways.items() if value]) > 1:
            return f"only one of {' and '.join(used)} may be set"
        if self.bus_tls_ca and not any(url.startswith("tls://") for url in self.bus_url):
            return "LIVE_BUS_TLS_CA is set, but no address of LIVE_BUS_URL begins with tls://"
        return None
