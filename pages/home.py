"""The home page: what this is, whether it runs, and how to start."""

from __future__ import annotations

from nicegui import Client, ui

from livemarkets.market.models import ExchangeStatus
from pages.elements.connection_badge import ConnectionBadge
from pages.elements.copy_button import CopyButton
from pages.examples import examples
from pages.labs.url import DEFAULT_EXCHANGE
from pages.paths import markets_url, prefixed
from pages.ports import PageServices
from pages.shell import shell, text
from pages.wording import STATE_WORDS, label

__all__ = ["register"]

REFRESH_SECONDS = 1.0

INTERFACES = (
    ("Console", "/labs/console", "send messages to /ws/markets and watch the frames"),
    ("Reference", "/labs/reference", "every message, field and code, for people"),
    ("/asyncapi.json", "/asyncapi.json", "the contract of /ws/markets for machines"),
    ("/openapi.json", "/openapi.json", "the contract of HTTP for machines"),
    ("/api/symbols", "/api/symbols?q=btc", "the symbols that an exchange lists"),
    ("/api/latest", "/api/latest?exchange=binance&symbols=BTCUSDT", "the last trade of a symbol"),
    ("/api/trades", "/api/trades?exchange=binance&symbol=BTCUSDT", "the recent trades of a symbol"),
    ("/api/tickers", "/api/tickers?exchange=binance&symbols=BTCUSDT", "the figures of 24 hours"),
    ("/api/book", "/api/book?exchange=binance&symbols=BTCUSDT", "the best bid and ask"),
    ("/api/depth", "/api/depth?exchange=binance&symbol=BTCUSDT", "the best levels of an order book"),
    ("/api/candles", "/api/candles?exchange=binance&symbol=BTCUSDT&interval=1m", "the candles of a symbol"),
    ("/metrics", "/metrics", "counters for Prometheus"),
    ("/healthz", "/healthz", "whether the process is alive"),
    ("/readyz", "/readyz?upstream=1", "whether all streams are live"),
)


def register(services: PageServices) -> None:
    """Register the page under `/`."""

    @ui.page("/", title="Live Markets")
    async def home_page(client: Client) -> None:
        with shell(services, path="/") as frame, ui.element("div").classes("home"):
            with ui.element("div").classes("home-top"):
                _build_lead(services.settings.stream_enabled)
                if frame.badge is not None:
                    _build_exchanges(services, frame.badge)
            await services.page_turns.wait()  # in one piece, the page takes 12 ms
            if frame.badge is not None:
                _build_examples(markets_url(client), has_token=bool(services.settings.access_token))
                _build_interfaces()
            else:
                _build_switch()
        await services.page_turns.wait()


def _build_lead(is_on: bool) -> None:
    with ui.element("div"):
        text("h1", "Live trades in a browser and over a WebSocket")
        text(
            "p",
            "Live Markets keeps one connection to the exchange, subscribed to exactly the symbols that"
            " somebody reads now. People share it in a browser, programs over one WebSocket. All data is held"
            " in memory, with the exchange's own digits.",
            "home-lead",
        )
        if is_on:
            with ui.element("div").classes("home-actions"):
                text("a", "Open the Live page", "primary").props(f'href="{prefixed("/labs")}"')
                text("a", "See all symbols").props(f'href="{prefixed("/labs/overview")}"')


def _build_switch() -> None:
    with ui.element("div").classes("card"):
        text("h2", "Streaming is switched off")
        text(
            "p",
            "No exchange is connected, and there are no live pages. To switch streaming on, put this line"
            " into .env.local beside main.py, or set it in the environment, and restart:",
        )
        with ui.element("div").classes("card-head"):
            text("pre", "LIVE_STREAM_ENABLED=true")
            CopyButton("Copy", "LIVE_STREAM_ENABLED=true")


def _build_exchanges(services: PageServices, badge: ConnectionBadge) -> None:
    cards: dict[str, _ExchangeCard] = {}
    with ui.element("section").classes("cards").props('aria-label="Exchanges"'):
        for exchange in services.exchanges():
            cards[exchange] = _ExchangeCard(exchange)

    def refresh() -> None:
        statuses = [services.status(exchange) for exchange in services.exchanges()]
        badge.show(statuses, asked=DEFAULT_EXCHANGE, shown=DEFAULT_EXCHANGE, now_ms=services.now_ms())
        for status in statuses:
            cards[status.exchange].show(status)

    refresh()
    ui.timer(REFRESH_SECONDS, refresh)


class _ExchangeCard:
    """One exchange: its state, and what it is."""

    def __init__(self, exchange: str) -> None:
        with ui.element("div").classes("card"):
            with ui.element("h2"):
                self._dot = ui.element("span").classes("dot").props('aria-hidden="true"')
                self._title = text("span", "", "while-linked")
                # The browser shows this instead while it has no connection to the server.
                unknown = f"{label(exchange)}: unknown, this page is not connected to its server"
                text("span", unknown, "while-lost")
            self._meaning = text("p", "", "while-linked")
        self._what = _WHAT_IT_IS.get(
            exchange, f"Trades from {label(exchange)}. Connects when somebody wants a symbol."
        )

    def show(self, status: ExchangeStatus) -> None:
        self._dot.props(f"data-state={status.state.value}")
        self._title.set_text(f"{label(status.exchange)} {STATE_WORDS[status.state]}")
        reason = f" {status.reason[0].upper()}{status.reason[1:]}." if status.reason else ""
        self._meaning.set_text(f"{self._what}{reason}")


_WHAT_IT_IS = {
    "binance": "Spot trades from Binance. Connects when a symbol is subscribed.",
    "simulator": "Built in. Speaks Binance's protocol and trades around the clock, at simulated prices.",
}


def _build_examples(url: str, *, has_token: bool) -> None:
    with ui.element("section").classes("wide").props('aria-label="Examples"'):
        for title, code in examples(url, has_token=has_token).items():
            with ui.element("div").classes("card"):
                with ui.element("div").classes("card-head"):
                    text("h2", title)
                    CopyButton("Copy", code)
                # It scrolls sideways, so the keyboard has to reach it.
                text("pre", code).props(f'tabindex=0 role=region aria-label="{title}: code"')


def _build_interfaces() -> None:
    with ui.element("section").classes("card").props('aria-label="Interfaces"'):
        text("h2", "For developers")
        with ui.element("ul"):
            for name, href, meaning in INTERFACES:
                with ui.element("li"):
                    text("a", name).props(f'href="{prefixed(href)}"')
                    text("span", meaning)
