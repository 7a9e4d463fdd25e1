from livemarkets.market.models import ExchangeState
from pages.labs.fallback import FALLBACK_AFTER_MS, Fallback

START_MS = 1_000_000
DUE_MS = START_MS + FALLBACK_AFTER_MS


def test_it_waits_before_it_falls_back() -> None:
    fallback = Fallback(is_available=True, now_ms=START_MS)

    changes = [
        fallback.update(ExchangeState.CONNECTING, DUE_MS - 1),
        fallback.update(ExchangeState.DOWN, DUE_MS),
        fallback.update(ExchangeState.CONNECTING, DUE_MS + 1),
    ]

    assert changes == [False, True, False]
    assert fallback.is_active


def test_it_returns_as_soon_as_the_exchange_is_live() -> None:
    fallback = Fallback(is_available=True, now_ms=START_MS)
    fallback.update(ExchangeState.DOWN, DUE_MS)

    assert fallback.update(ExchangeState.LIVE, DUE_MS + 1)
    assert not fallback.is_active


def test_the_wait_starts_again_with_every_loss() -> None:
    fallback = Fallback(is_available=True, now_ms=START_MS)
    fallback.update(ExchangeState.LIVE, START_MS + 60_000)
    fallback.update(ExchangeState.DOWN, START_MS + 70_000)

    fallback.update(ExchangeState.CONNECTING, START_MS + 70_000 + FALLBACK_AFTER_MS - 1)
    early = fallback.is_active
    fallback.update(ExchangeState.DOWN, START_MS + 70_000 + FALLBACK_AFTER_MS)

    assert (early, fallback.is_active) == (False, True)


def test_a_stale_exchange_keeps_its_own_prices() -> None:
    fallback = Fallback(is_available=True, now_ms=START_MS)

    fallback.update(ExchangeState.STALE, DUE_MS)
    fallback.update(ExchangeState.STALE, DUE_MS * 2)

    assert not fallback.is_active


def test_without_a_simulator_it_never_falls_back() -> None:
    fallback = Fallback(is_available=False, now_ms=START_MS)

    assert not fallback.update(ExchangeState.DOWN, DUE_MS * 2)
    assert not fallback.is_active


def test_another_exchange_is_given_its_own_time() -> None:
    fallback = Fallback(is_available=True, now_ms=START_MS)
    fallback.update(ExchangeState.DOWN, DUE_MS)

    fallback.reset(is_available=True, now_ms=DUE_MS)

    assert not fallback.is_active
    assert not fallback.update(ExchangeState.DOWN, DUE_MS + 1)
