"""Which calls an address does not serve, remembered for minutes. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from livemarkets.errors import RestError
from livemarkets.exchanges.addresses import Addresses

__all__ = ["NotServed"]

_CALL_REST_SECONDS = 5.0
"""The first rest, which doubles. It is shorter than trades wait behind a hole: a refusal may pass soon."""
_LONGEST_CALL_REST_SECONDS = 600.0
_SYMBOL_REST_SECONDS = 2.0
_LONGEST_SYMBOL_REST_SECONDS = 60.0
_SYMBOLS_KEPT = 1_000
_SYMBOLS_OF_A_CALL = 3
"""So many refused symbols of one call show that the address refuses the call."""


class NotServed:
    """Refusals that concern one call at one address, and not the address itself. Times are monotonic seconds.

    An address that does not have a call, or serves it only with a key, answers 404 or 401. A firewall answers
    403 to a call, or to one symbol whose name it takes for an attack.
    """

    def __init__(self) -> None:
        self._calls: dict[str, Addresses] = {}
        self._symbols: dict[tuple[str, str, str], tuple[float, float]] = {}  # rests until, for how long
        self._errors: dict[str, tuple[int, int | None, str]] = {}

    def without(self, urls: Sequence[str], call: str, symbol: str | None, now: float) -> Sequence[str]:
        """Return the addresses that may serve a call."""
        resting = self._calls.get(call)
        if resting is None and not self._symbols:
            return urls
        return [
            url
            for url in urls
            if not (resting is not None and resting.is_resting(url, now))
            and not (symbol is not None and now < self._symbols.get((url, call, symbol), (0.0,))[0])
        ]

    def note(self, url: str, call: str, symbol: str | None, error: RestError, now: float) -> bool:
        """Note that an address refused a call. Return whether the refusal concerns the call in general."""
        self._errors[call] = (error.status, error.code, error.message)
        if error.status == 403 and symbol is not None:
            _, before = self._symbols.pop((url, call, symbol), (0.0, 0.0))
            rest = min(max(2 * before, _SYMBOL_REST_SECONDS), _LONGEST_SYMBOL_REST_SECONDS)
            self._symbols[url, call, symbol] = now + rest, rest
            while len(self._symbols) > _SYMBOLS_KEPT:
                del self._symbols[next(iter(self._symbols))]
            refused = sum(until > now and (url, call) == key[:2] for key, (until, _) in self._symbols.items())
            if refused < _SYMBOLS_OF_A_CALL:
                return False
        resting = self._calls.get(call)
        if resting is None:
            resting = self._calls[call] = Addresses(
                rest_seconds=_CALL_REST_SECONDS, longest_rest_seconds=_LONGEST_CALL_REST_SECONDS
            )
        resting.replace([*resting, url])
        resting.note_failure(url, now)
        return True

    def note_served(self, url: str, call: str, symbol: str | None) -> None:
        """Note that an address served a call."""
        if symbol is not None and self._symbols:
            self._symbols.pop((url, call, symbol), None)
        if call in self._calls:
            self._calls[call].note_success(url)

    def error(self, call: str) -> RestError:
        """Return the error of a call that no address serves at present."""
        return RestError(*self._errors[call])
