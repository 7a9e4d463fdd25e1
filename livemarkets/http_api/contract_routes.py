"""The routes `/asyncapi.json` and `/openapi.json`: the contract for machines."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from fastapi import APIRouter, Request, Response

from livemarkets.config.settings import Settings
from livemarkets.http_api.asyncapi import asyncapi, asyncapi_template
from livemarkets.http_api.openapi import openapi, openapi_template
from livemarkets.security.token_auth import TokenAuth

__all__ = ["ContractServices", "contract_router"]


class ContractServices(Protocol):
    """The parts of the program that the routes need."""

    settings: Settings
    access: TokenAuth


def contract_router(services: ContractServices) -> APIRouter:
    """Return the routes. Without the feature, there is no contract of `/ws/markets`."""
    router = APIRouter()
    is_enabled, has_token = services.settings.stream_enabled, services.access.is_on
    encode = msgspec.json.Encoder(decimal_format="number").encode

    def answer(document: dict[str, Any]) -> Response:
        return Response(encode(document), media_type="application/json")

    async def openapi_json(request: Request) -> Response:
        """Return the contract of the HTTP routes."""
        address = f"{request.url.scheme}://{_host_and_prefix(request)}"
        return answer(openapi(address, has_token=has_token, is_enabled=is_enabled))

    async def asyncapi_json(request: Request) -> Response:
        """Return the contract of `/ws/markets`."""
        scheme = "wss" if request.url.scheme == "https" else "ws"
        return answer(asyncapi(f"{scheme}://{_host_and_prefix(request)}", has_token=has_token))

    # Both are made now: while requests wait, there is no time for it.
    openapi_template(is_enabled=is_enabled)
    router.add_api_route("/openapi.json", openapi_json)
    if is_enabled:
        asyncapi_template()
        router.add_api_route("/asyncapi.json", asyncapi_json)
    return router


def _host_and_prefix(request: Request) -> str:
    return f"{request.url.netloc}{request.scope.get('root_path', '')}"
