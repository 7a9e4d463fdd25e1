"""Addresses, address families, certificates, proxies, the clock."""

from __future__ import annotations

from livemarkets.doctor.record import Channel, Record
from livemarkets.doctor.values import Check, Finding, failed, not_seen, passed

__all__ = ["CHECKS"]

_KINDS = ("stream", "rest")


def _stream_addresses(record: Record) -> Finding:
    tried = _tried(record)
    if not tried:
        return not_seen("no stream address was tried")
    lines, bad = [], 0
    for channel in tried:
        brought = channel.events()
        if channel.opened_at is None:
            text = f"could not be opened: {channel.failure}"
        elif not brought:
            text = f"opened in {channel.open_seconds:.2f} s and brought nothing"
        else:
            text = f"opened in {channel.open_seconds:.2f} s, {brought} events"
        bad += not brought
        lines.append(f"{channel.address}: {text}")
    seen = "; ".join(lines)
    return (failed if bad else passed)(seen, addresses=len(tried), without_events=bad)


def _tried(record: Record) -> list[Channel]:
    """Return the first connection to each address."""
    first: dict[str, Channel] = {}
    for channel in record.channels:
        if channel.name != "limit":
            first.setdefault(channel.address, channel)
    return list(first.values())


def _rest_addresses(record: Record) -> Finding:
    lines, bad = [], 0
    urls = record.urls("rest")
    for url in urls:
        answers = [answer for answer in record.answers if answer.address == url]
        if not answers:
            lines.append(f"{url}: nothing was asked of it")
        elif any(answer.failure is None for answer in answers):
            seconds = min(answer.received_at - answer.sent_at for answer in answers if answer.failure is None)
            lines.append(f"{url}: answers, the quickest in {seconds:.2f} s")
        else:
            bad += 1
            lines.append(f"{url}: {answers[0].failure}")
    return (failed if bad else passed)("; ".join(lines), addresses=len(urls), without_answers=bad)


def _families(record: Record) -> Finding:
    direct = [address for address in record.addresses if address.route == "direct"]
    if not direct:
        return not_seen("every address is reached through a proxy, which chooses the family")
    limit = record.limits.connect_seconds
    texts = [
        f"{address.url}: "
        + ", ".join(
            f"{family} {outcome} s" if isinstance(outcome, float) else f"{family} {outcome}"
            for family, outcome in address.families.items()
        )
        for address in direct
    ]
    dead = [address for address in direct if address.slowest_seconds >= limit]
    slowest = max(address.slowest_seconds for address in direct)
    return (failed if dead else passed)("; ".join(texts), slowest_seconds=round(slowest, 3), dead=len(dead))


def _certificates(record: Record) -> Finding:
    asked = [address for address in record.addresses if address.certificates]
    if not asked:
        return not_seen("no address uses TLS directly from this machine")
    refused, texts = 0, []
    for address in asked:
        refused += not address.certificates["product"].startswith("accepted")
        stores = ", ".join(f"{store} {outcome}" for store, outcome in address.certificates.items())
        texts.append(f"{address.url}: {stores}")
    return (failed if refused else passed)("; ".join(texts), addresses=len(asked), refused=refused)


def _proxies(record: Record) -> Finding:
    routes = {
        kind: {address.route for address in record.addresses if address.kind == kind} for kind in _KINDS
    }
    text = "; ".join(f"{kind}: {', '.join(sorted(found))}" for kind, found in routes.items())
    unusable = any(route.startswith("unusable") for found in routes.values() for route in found)
    return (failed if unusable or routes["stream"] != routes["rest"] else passed)(text)


def _clock(record: Record) -> Finding:
    if not record.clock_offsets:
        return not_seen("no address told the time")
    round_trip, offset = min(record.clock_offsets)
    seen = (
        f"the exchange's clock is {abs(offset):.3f} s {'ahead of' if offset > 0 else 'behind'} ours, "
        f"give or take {round_trip / 2:.3f} s"
    )
    bad = abs(offset) - round_trip / 2 > record.limits.clock_seconds
    return (failed if bad else passed)(
        seen, offset_seconds=round(offset, 3), round_trip_seconds=round(round_trip, 3)
    )


CHECKS = (
    Check(
        "network.stream_addresses",
        "Every stream address of the settings opens, and brings events.",
        "exchanges/binance/shard.py",
        _stream_addresses,
    ),
    Check(
        "network.rest_addresses",
        "Every REST address of the settings answers.",
        "exchanges/binance/rest.py",
        _rest_addresses,
    ),
    Check(
        "network.families",
        "Neither IPv4 nor IPv6 leads nowhere: an address connects or refuses within seconds.",
        "network/tcp.py",
        _families,
    ),
    Check(
        "network.certificates",
        "The certificate of every address is accepted by the store that the product uses.",
        "exchanges/outbound.py",
        _certificates,
    ),
    Check(
        "network.proxies",
        "Streams and REST leave this machine by the same route: directly, or through the same proxy.",
        "exchanges/outbound.py",
        _proxies,
    ),
    Check(
        "network.clock",
        "The clocks of the exchange and of this machine agree within a second.",
        "market/clock.py, pages",
        _clock,
    ),
)
