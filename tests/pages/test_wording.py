import pytest

from livemarkets.market.models import ExchangeName, ExchangeState, ExchangeStatus
from pages.wording import banner_for


def status(
    state: ExchangeState,
    reason: str | None = None,
    *,
    exchange: ExchangeName = "binance",
    retry_ts: int | None = None,
) -> ExchangeStatus:
    return ExchangeStatus(exchange=exchange, state=state, reason=reason, ts=0, retry_ts=retry_ts)


def test_a_fallback_says_that_prices_are_simulated_and_why() -> None:
    asked = status(ExchangeState.DOWN, "name lookup failed", retry_ts=8_000)

    strip = banner_for(asked, shown="simulator", symbol_count=2, stale_count=0)

    assert strip.tone == "simulated"
    assert strip.head == "SIMULATED PRICES."
    assert strip.text == "Binance cannot be reached (name lookup failed)."
    assert strip.retry_ts == 8_000


def test_the_simulator_by_choice_says_so_without_an_excuse() -> None:
    asked = status(ExchangeState.LIVE, exchange="simulator")

    strip = banner_for(asked, shown="simulator", symbol_count=2, stale_count=0)

    assert (strip.tone, strip.head) == ("simulated", "SIMULATED PRICES.")
    assert "cannot be reached" not in strip.text


@pytest.mark.parametrize("state", list(ExchangeState))
def test_the_simulator_is_simulated_in_every_state(state: ExchangeState) -> None:
    asked = status(state, exchange="simulator")

    assert banner_for(asked, shown="simulator", symbol_count=0, stale_count=0).tone == "simulated"


@pytest.mark.parametrize(
    ("state", "reason", "count", "tone", "words"),
    [
        (ExchangeState.LIVE, None, 1, "live", "Showing 1 symbol."),
        (ExchangeState.LIVE, None, 2, "live", "Showing 2 symbols."),
        (ExchangeState.LIVE, None, 0, "live", "Choose a symbol"),
        (ExchangeState.IDLE, None, 0, "quiet", "Choose a symbol to connect to Binance."),
        (ExchangeState.CONNECTING, None, 2, "quiet", "Connecting to Binance …"),
        (ExchangeState.STALE, "mute for 30 s", 2, "stale", "no data arrives (mute for 30 s)"),
        (ExchangeState.DOWN, "HTTP 451", 2, "down", "Binance cannot be reached (HTTP 451)."),
    ],
)
def test_every_state_has_its_words(
    state: ExchangeState, reason: str | None, count: int, tone: str, words: str
) -> None:
    strip = banner_for(status(state, reason), shown="binance", symbol_count=count, stale_count=count)

    assert strip.tone == tone
    assert words in f"{strip.head} {strip.text}"


@pytest.mark.parametrize(
    ("stale_count", "tone", "head"),
    [
        (0, "live", "Binance is live."),
        (1, "stale", "Some prices are old."),
        (2, "stale", "Binance is silent."),
    ],
)
def test_a_stale_exchange_is_told_as_far_as_it_concerns_the_prices_shown(
    stale_count: int, tone: str, head: str
) -> None:
    """The trades that are missing may be those of a symbol that only somebody else reads."""
    asked = status(ExchangeState.STALE, "no trades arrive for BTCUSDT")

    strip = banner_for(asked, shown="binance", symbol_count=2, stale_count=stale_count)

    assert (strip.tone, strip.head) == (tone, head)
