"""The base addresses of one service of an exchange, with a memory of failures. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from livemarkets.exchanges.statistics import AddressStatistics, without_credentials

__all__ = ["Addresses", "of_leg"]


def of_leg(urls: Sequence[str], number: int, legs: int) -> tuple[str, ...]:
    """Return the addresses in the order of one of several legs, so that each prefers another address.

    First comes its own, then those that no leg prefers, then those of the other legs. If there are fewer
    addresses than legs, some legs have the same one.

    Args:
        urls: in the order of preference.
        number: of the leg, from 1 on.
        legs: how many there are.

    """
    if not urls:
        return ()
    own = urls[(number - 1) % len(urls)]
    return tuple(dict.fromkeys([own, *urls[legs:], *urls[:legs]]))


class _Address:
    __slots__ = ("failures", "rests_until")

    def __init__(self) -> None:
        self.failures = 0
        self.rests_until = 0.0


class Addresses:
    """Addresses in order of preference. One that failed is passed over for a while, and tried again later.

    An address rests longer after each consecutive failure. While all addresses rest, the one whose rest ends
    first is used.

    Args:
        urls: the base addresses, the preferred one first.
        rest_seconds: how long an address rests after its first failure. The time doubles with each further
            failure.
        longest_rest_seconds: the upper limit of a rest.

    """

    def __init__(
        self, urls: Iterable[str] = (), *, rest_seconds: float = 10.0, longest_rest_seconds: float = 300.0
    ) -> None:
        self._rest_seconds = rest_seconds
        self._longest_rest_seconds = longest_rest_seconds
        self._addresses: dict[str, _Address] = {}
        self.replace(urls)

    def replace(self, urls: Iterable[str]) -> None:
        """Replace the addresses. Those that stay keep their failures."""
        self._addresses = {url: self._addresses.get(url) or _Address() for url in urls}

    def __iter__(self) -> Iterator[str]:
        return iter(self._addresses)

    def __contains__(self, url: object) -> bool:
        return url in self._addresses

    def in_order(self, now: float) -> list[str]:
        """Return all addresses in the order in which to try them; `now` is in monotonic seconds."""
        places = {url: place for place, url in enumerate(self._addresses)}

        def rank(url: str) -> tuple[float, int]:
            return max(0.0, self._addresses[url].rests_until - now), places[url]

        return sorted(self._addresses, key=rank)

    def is_resting(self, url: str, now: float) -> bool:
        """Return whether the address is passed over at present."""
        address = self._addresses.get(url)
        return address is not None and now < address.rests_until

    def rests_until(self, url: str) -> float:
        """Return until when the address is passed over, monotonic seconds; the past if it is not."""
        address = self._addresses.get(url)
        return 0.0 if address is None else address.rests_until

    def describe(self, now: float, proxy_for: Callable[[str], object]) -> list[AddressStatistics]:
        """Return how each address fares; `proxy_for` returns the proxy of an address, or why it has none."""
        return [
            AddressStatistics(
                url=without_credentials(url),
                failures=address.failures,
                rest_seconds=max(0.0, address.rests_until - now),
                proxy=None if (proxy := proxy_for(url)) is None else str(proxy),
            )
            for url, address in self._addresses.items()
        ]

    def note_failure(self, url: str, now: float) -> None:
        """Note that the address failed. Addresses that were replaced are ignored."""
        address = self._addresses.get(url)
        if address is not None:
            rest = min(self._rest_seconds * 2 ** min(address.failures, 20), self._longest_rest_seconds)
            address.failures += 1
            address.rests_until = now + rest

    def note_success(self, url: str) -> None:
        """Note that the address served what was asked of it."""
        address = self._addresses.get(url)
        if address is not None:
            address.failures, address.rests_until = 0, 0.0
