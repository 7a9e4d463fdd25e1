"""Every check of the doctor has been seen to pass, and to fail at an exchange that breaks its assumption.

Bends that do not hide each other share one observation. `make test` has some of these; `make verify` has the
others, and tries each bend alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

import pytest
from loguru import logger
from websockets.asyncio.server import serve

from livemarkets.doctor.checks import CHECKS
from tests.doctor.bends import GROUPS
from tests.doctor.bent import Bend
from tests.doctor.observing import BlackHole, Findings, failures, observe
from tests.support.certificates import Certificate, make_certificate

# How far events are apart, and how late answers are, is measured; the limits are seconds.
pytestmark = pytest.mark.serial(quiet=True)

NETWORK = "a network in disorder"
NETWORK_CHECKS = {
    "network.stream_addresses",
    "network.rest_addresses",
    "network.families",
    "network.certificates",
    "network.proxies",
}
PLAIN = "nothing bent"
IN_SHORT = ("answers of the wrong shape", "trades")
"""The groups of `make test`: one about questions, one about streams."""
ALWAYS_UNSEEN = {"network.certificates", "rest.retry_after"}
"""What an exchange on loopback that asks for no pause does not show."""
AT_ONCE = 4
"""Observations at the same time."""

BENDS = [(group, bend) for group, bends in GROUPS.items() for bend in bends]


def in_short(group: str) -> tuple[pytest.MarkDecorator, ...]:
    """The mark of a test of this group."""
    return () if group in (*IN_SHORT, NETWORK) else (pytest.mark.verify,)


Observed = Callable[[str], Findings]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for 127.0.0.1 that nobody trusts, and its key."""
    return make_certificate(tmp_path_factory.mktemp("certificate"), "IP:127.0.0.1")


async def observe_network(certificate: Certificate) -> Findings:
    """Observe a sound exchange beside addresses that are wrong, each in another way."""
    context = certificate.for_servers()
    hole = BlackHole()
    try:
        await hole.fill()
        async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0, ssl=context) as encrypted:
            tls_port = encrypted.sockets[0].getsockname()[1]
            streams = ("ws://127.0.0.1:9", f"ws://127.0.0.1:{hole.port}")
            # 0.0.0.0 is this machine, but only names of the loopback interface bypass a proxy.
            rests = (f"https://127.0.0.1:{tls_port}", "http://0.0.0.0:{port}")
            return await observe((), streams, rests)
    finally:
        hole.close()


@pytest.fixture(scope="module")
def observed(certificate: Certificate) -> Iterator[Observed]:
    """What the doctor finds at a group of bends. Some groups are observed at the same time, once.

    All at once need more than a processor, and then every answer is late.
    """
    found: dict[str, Findings] = {}

    async def observe_all(names: Sequence[str]) -> None:
        places = asyncio.Semaphore(AT_ONCE)

        async def in_turn(name: str) -> None:
            async with places:
                found[name] = await (
                    observe_network(certificate) if name == NETWORK else observe(GROUPS.get(name, ()))
                )

        async with asyncio.TaskGroup() as together:
            for name in names:
                together.create_task(in_turn(name), name=name)

    def findings(name: str) -> Findings:
        if name not in found:
            short = (NETWORK, PLAIN, *IN_SHORT)
            asyncio.run(
                observe_all(short if name in short else [each for each in GROUPS if each not in short])
            )
        return found[name]

    with pytest.MonkeyPatch.context() as environment:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"):
            environment.delenv(name, raising=False)
        environment.setenv("ALL_PROXY", "http://127.0.0.1:9")
        logger.disable("livemarkets.simulator")
        yield findings
        logger.enable("livemarkets.simulator")


def test_there_is_a_bend_for_every_check() -> None:
    bent = {bend.check for _, bend in BENDS}
    assert sorted(bent | NETWORK_CHECKS) == sorted(check.id for check in CHECKS)


@pytest.mark.long
def test_a_sound_exchange_passes_every_check(observed: Observed) -> None:
    findings = observed(PLAIN)
    assert failures(findings) == {}
    assert {name for name, finding in findings.items() if finding.verdict == "not_seen"} == ALWAYS_UNSEEN


@pytest.mark.long
@pytest.mark.parametrize(
    ("group", "bend"),
    [pytest.param(group, bend, id=bend.check, marks=in_short(group)) for group, bend in BENDS],
)
def test_a_bent_exchange_fails_the_check(group: str, bend: Bend, observed: Observed) -> None:
    assert observed(group)[bend.check].verdict == "fail", observed(group)[bend.check].seen


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(NETWORK_CHECKS))
def test_a_network_in_disorder_fails_the_check(name: str, observed: Observed) -> None:
    assert observed(NETWORK)[name].verdict == "fail", observed(NETWORK)[name].seen


@pytest.mark.long
@pytest.mark.parametrize("group", [pytest.param(name, marks=in_short(name)) for name in (*GROUPS, NETWORK)])
def test_no_other_check_fails(group: str, observed: Observed) -> None:
    bends = GROUPS.get(group, ())
    expected = NETWORK_CHECKS if group == NETWORK else {bend.check for bend in bends}
    follow = {name for bend in bends for name in bend.follows}
    assert {
        name: seen for name, seen in failures(observed(group)).items() if name not in expected | follow
    } == {}


@pytest.mark.verify
@pytest.mark.parametrize("group", GROUPS)
def test_each_bend_alone_fails_exactly_its_check(group: str) -> None:
    bends = GROUPS[group]

    async def observe_each() -> list[Findings]:
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(bends: Sequence[Bend]) -> Findings:
            async with turns:
                return await observe(bends)

        return await asyncio.gather(*(one((bend,)) for bend in bends))

    logger.disable("livemarkets.simulator")
    found = asyncio.run(observe_each())
    logger.enable("livemarkets.simulator")
    wrong = {
        bend.check: failures(findings)
        for bend, findings in zip(bends, found, strict=True)
        if not {bend.check} <= failures(findings).keys() <= {bend.check, *bend.follows}
    }
    assert wrong == {}
