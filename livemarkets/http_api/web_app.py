"""The web app: the layers of a request, the routes, and the lifespan that starts and stops the services."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

from fastapi import FastAPI

from livemarkets import __version__
from livemarkets.config.settings import Settings
from livemarkets.http_api.contract_routes import contract_router
from livemarkets.http_api.health import HealthServices, health_router
from livemarkets.http_api.ingest_paths import IngestPaths
from livemarkets.http_api.routes import HttpServices, http_router
from livemarkets.http_api.unknown_sockets import UnknownSockets
from livemarkets.security.forwarded import ForwardedHeaders
from livemarkets.security.middleware import MARKETS_PATH, SecurityMiddleware
from livemarkets.security.token_auth import TokenAuth
from livemarkets.server.full_path import FullPath
from livemarkets.server.http_methods import HttpMethods
from livemarkets.server.layered_app import LayeredApp
from livemarkets.server.turns import Turns
from livemarkets.ws_markets.route import MarketsRoute

__all__ = ["WebServices", "create_app"]


class WebServices(HttpServices, HealthServices, Protocol):
    """The parts of the program that the web app needs."""

    settings: Settings
    access: TokenAuth
    page_turns: Turns

    async def start(self) -> None:
        """Start the background tasks."""

    async def stop(self) -> None:
        """Close every connection and end every task."""


def create_app(services: WebServices) -> FastAPI:
    """Return the web app with the HTTP routes and, if the feature is on, `/ws/markets`, but without pages.

    Its lifespan starts and stops the services.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await services.start()
        try:
            yield
        finally:
            await services.stop()

    app = LayeredApp(
        title="Live Markets",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    settings = services.settings
    app.put_in_front(FullPath)
    app.put_in_front(UnknownSockets, known_path=MARKETS_PATH if settings.stream_enabled else "")
    if settings.stream_enabled and settings.role == "ingest":
        app.put_in_front(IngestPaths)
    elif settings.stream_enabled:
        app.put_in_front(MarketsRoute, hub=services.hub)
    app.put_in_front(
        SecurityMiddleware,
        access=services.access,
        allowed_origins=settings.allowed_origins,
        note_refusal=services.hub.note_refusal,
        refusals=services.refusals,
        page_turns=services.page_turns,
        page_sockets=services.page_sockets,
    )
    app.put_in_front(ForwardedHeaders, trusted=settings.trusted_proxies, root_path=settings.root_path)
    app.put_in_front(HttpMethods)
    app.include_router(health_router(services))
    app.include_router(http_router(services))
    app.include_router(contract_router(services))
    return app
