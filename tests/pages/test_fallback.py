from livemarkets.market.models import ExchangeState
from pages.labs.fallback import FALLBACK_AFTER_MS, Fallback

START_MS = 1_000_000
DUE_MS = START_MS + FALLBACK_AFTER_MS


def test_it_waits_before_it_falls_back() -> None:
    fallback = Fallback(is_available=True, now_ms=START_MS)

    changes = [
        fallback.update(ExchangeState.CONNECTING, DUE_MS - 1, has_prices=False),
        fallback.update(ExchangeState.DOWN, DUE_MS, has_prices=False),
        fallback.update(ExchangeState.CONNECTING, DUE_MS + 1, has_prices=False),
    ]

    assert changes == [False, True, False]
    assert fallback.is_active


def test_it_returns_as_soon_as_the_exchange_is_live() -> None:
    fallback = Fallback(is_available=True, now_ms=START_MS)
    fallback.update(ExchangeState.DOWN, DUE_MS, has_prices=False)

    assert fallback.update(ExchangeState.LIVE, DUE_MS + 1, has_prices=False)
    assert not fallback.is_active


def test_the_wait_starts_again_with_every_loss() -> None:
    fallback = Fallback(is_available=True, now_ms=START_MS)
    fallback.update(ExchangeState.LIVE, START_MS + 60_000, has_prices=False)
    fallback.update(ExchangeState.DOWN, START_MS + 70_000, has_prices=False)

    fallback.update(ExchangeState.CONNECTING, START_MS + 70_000 + FALLBACK_AFTER_MS - 1, has_prices=False)
    early = fallback.is_active
    fallback.update(ExchangeState.DOWN, START_MS + 70_000 + FALLBACK_AFTER_MS, has_prices=False)

    assert (early, fallback.is_active) == (False, True)


def test_a_stale_exchange_keeps_its_own_prices() -> None:
    fallback = Fallback(is_available=True, now_ms=START_MS)

    fallback.update(ExchangeState.STALE, DUE_MS, has_prices=False)
    fallback.update(ExchangeState.STALE, DUE_MS * 2, has_prices=False)

    assert not fallback.is_active


def test_without_a_simulator_it_never_falls_back() -> None:
    fallback = Fallback(is_available=False, now_ms=START_MS)

    assert not fallback.update(ExchangeState.DOWN, DUE_MS * 2, has_prices=False)
    assert not fallback.is_active


def test_another_exchange_is_given_its_own_time() -> None:
    fallback = Fallback(is_available=True, now_ms=START_MS)
    fallback.update(ExchangeState.DOWN, DUE_MS, has_prices=False)

    fallback.reset(is_available=True, now_ms=DUE_MS)

    assert not fallback.is_active
    assert not fallback.update(ExchangeState.DOWN, DUE_MS + 1, has_prices=False)


def fallback_with_prices() -> Fallback:
    fallback = Fallback(is_available=True, now_ms=START_MS)
    fallback.update(ExchangeState.LIVE, START_MS, has_prices=True)
    fallback.update(ExchangeState.DOWN, START_MS, has_prices=True)
    return fallback


def test_a_page_that_had_a_price_keeps_it_and_offers_the_simulator() -> None:
    fallback = fallback_with_prices()

    assert not fallback.update(ExchangeState.DOWN, DUE_MS - 1, has_prices=True)
    assert fallback.update(ExchangeState.DOWN, DUE_MS, has_prices=True)
    assert (fallback.is_active, fallback.is_offered) == (False, True)
    assert not fallback.update(ExchangeState.CONNECTING, DUE_MS * 2, has_prices=True)
    assert (fallback.is_active, fallback.is_offered) == (False, True)


def test_the_person_can_choose_the_simulator_and_go_back() -> None:
    fallback = fallback_with_prices()
    fallback.choose(True)
    assert not fallback.is_active, "it was not offered yet"
    fallback.update(ExchangeState.DOWN, DUE_MS, has_prices=True)

    fallback.choose(True)
    assert (fallback.is_active, fallback.is_offered) == (True, False)
    assert not fallback.update(ExchangeState.DOWN, DUE_MS + 1, has_prices=True)
    fallback.choose(False)
    assert (fallback.is_active, fallback.is_offered) == (False, True)
    fallback.choose(True)
    assert fallback.update(ExchangeState.LIVE, DUE_MS + 2, has_prices=True)
    assert (fallback.is_active, fallback.is_offered, fallback.is_chosen) == (False, False, False)
