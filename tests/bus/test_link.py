"""The connection to a real NATS server: credentials, TLS, coming and going."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nkeys
import pytest

from livemarkets.bus.link import Link
from livemarkets.bus.nats_client import NatsOptions
from livemarkets.config.settings import Settings
from livemarkets.market.clock import system_clock
from tests.support.bus import running_nats
from tests.support.certificates import make_certificate
from tests.support.helpers import eventually
from tests.support.nats_accounts import Accounts


@contextlib.asynccontextmanager
async def linked(url: str, **settings: Any) -> AsyncIterator[tuple[Link, list[bool]]]:
    """A link that runs, and what it said of the connection."""
    changes: list[bool] = []
    options = NatsOptions(name="test", settings=Settings(role="edge", bus_url=url, **settings))
    link = Link(options, changes.append, system_clock())
    task = asyncio.create_task(link.run(), name="link under test")
    try:
        yield link, changes
    finally:
        task.cancel()
        await asyncio.wait({task})


async def passes(url: str, **settings: Any) -> None:
    """A message goes from one link to another, and back by the subject for its answer."""
    async with linked(url, **settings) as (one, _), linked(url, **settings) as (other, _):
        answers: list[bytes] = []
        other.subscribe("question", lambda data, subject, reply: other.publish(reply.decode(), data + b"!"))
        one.subscribe("answer.*", lambda data, subject, reply: answers.append(subject + b" " + data))
        await eventually(lambda: one.is_connected and other.is_connected, 20)

        def has_answer() -> bool:
            one.publish("question", b"well", "answer.7")
            return b"answer.7 well!" in answers

        await eventually(has_answer, 20)


async def refused(url: str, words: str, **settings: Any) -> None:
    async with linked(url, **settings) as (link, changes):
        reason = await eventually(lambda: link.reason, 20)
        assert reason is not None
        assert words in reason.lower()
        assert True not in changes


async def test_user_and_password_and_token(tmp_path: Path) -> None:
    async with running_nats("--user", "gate", "--pass", "s3cret") as nats:
        await passes(nats.url, bus_user="gate", bus_password="s3cret")
        await refused(nats.url, "authorization violation", bus_user="gate", bus_password="wrong")
        await refused(nats.url, "authorization violation")
    async with running_nats("--auth", "t0ken") as nats:
        await passes(nats.url, bus_token="t0ken")


async def test_an_nkey(tmp_path: Path) -> None:
    pair = nkeys.from_seed(b"SUAMK2FG4MI6UE3ACF3FK3OIQBCEIEZV7NSWFFEW63UXMRLFM2XLAXK4GY")
    seed, config = tmp_path / "seed", tmp_path / "nats.conf"
    seed.write_bytes(pair.seed)
    config.write_text(f"authorization {{ users: [ {{ nkey: {pair.public_key.decode()} }} ] }}")
    async with running_nats("--config", str(config)) as nats:
        await passes(nats.url, bus_nkey_file=str(seed))


async def test_a_credentials_file_of_decentralised_accounts(tmp_path: Path) -> None:
    """The server knows the operator alone. Another operator's user is nobody to it."""
    accounts, config = Accounts(), tmp_path / "nats.conf"
    config.write_text(accounts.configuration)
    rights = {"publish": ["question", "answer.*"], "subscribe": ["question", "answer.*"]}
    ours, strangers = tmp_path / "ours.creds", tmp_path / "strangers.creds"
    ours.write_text(accounts.credentials(**rights))
    strangers.write_text(Accounts().credentials(**rights))
    async with running_nats("--config", str(config)) as nats:
        await passes(nats.url, bus_credentials_file=str(ours))
        await refused(nats.url, "authorization violation", bus_credentials_file=str(strangers))
        await refused(nats.url, "authorization violation")


async def test_tls_is_checked_and_never_done_without(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "DNS:localhost")
    files = ("--tlscert", str(certificate.file), "--tlskey", str(certificate.key))
    async with running_nats("--tls", *files) as nats:
        url = f"tls://localhost:{nats.port}"
        await passes(url, bus_tls_ca=str(certificate.file))
        await refused(url, "certificate not accepted")
    async with running_nats("--user", "gate", "--pass", "s3cret") as nats:
        url = f"tls://localhost:{nats.port}"
        await refused(url, "the server offers no tls", bus_user="gate", bus_password="s3cret")


async def test_the_link_goes_on_to_the_next_server_and_says_what_it_could_not_send() -> None:
    async with (
        running_nats() as first,
        running_nats() as second,
        linked(f"{first.url},{second.url}") as (link, changes),
    ):
        heard: list[bytes] = []
        link.subscribe("subject", lambda data, subject, reply: heard.append(data))
        assert link.publish("subject", b"lost") is False
        await eventually(lambda: link.statistics().url == first.url, 20)
        await first.kill()
        await eventually(lambda: link.statistics().url == second.url, 20)
        statistics = link.statistics()
        assert (statistics.connects, statistics.dropped) == (2, 1)
        assert changes[0] is True
        assert False in changes
        async with linked(second.url) as (other, _):
            await eventually(lambda: other.publish("subject", b"here"), 20)
            await eventually(lambda: heard == [b"here"], 20)
            assert link.publish("subject", b"x" * 2_000_000) is False
            assert link.is_connected
            link.unsubscribe("subject")
            await eventually(lambda: other.statistics().is_connected, 20)


async def test_bytes_that_are_no_nats_end_the_attempt_and_not_the_link() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with running_nats() as nats, linked(f"nats://127.0.0.1:{port},{nats.url}") as (link, _):
            await eventually(lambda: link.is_connected, 20)
            assert link.statistics().url == nats.url


@pytest.mark.parametrize("is_reading", [True, pytest.param(False, marks=pytest.mark.verify)])
async def test_a_server_that_falls_silent_is_given_up(is_reading: bool) -> None:
    """It takes no answer to pings for a few seconds, as behind a cut link."""
    async with running_nats() as nats, linked(nats.url) as (link, _):
        await eventually(lambda: link.is_connected, 20)
        nats.stop()
        try:
            if not is_reading:
                for _ in range(200):
                    link.publish("subject", b"x" * 100_000)
            await eventually(lambda: not link.is_connected, 30)
        finally:
            nats.go_on()
        await eventually(lambda: link.is_connected, 30)


async def test_a_link_ends_at_whatever_moment_it_is_cancelled() -> None:
    """The library and `asyncio.wait_for` lose cancellations that come together with a result."""
    async with running_nats() as nats:
        options = NatsOptions(name="test", settings=Settings(role="edge", bus_url=nats.url))
        for turns in range(120):
            link = Link(options, lambda is_connected: None, system_clock())
            link.subscribe("subject", lambda data, subject, reply: None)
            task = asyncio.create_task(link.run(), name="link under test")
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            _, pending = await asyncio.wait({task}, timeout=20)
            assert not pending, f"cancelled after {turns} turns"
