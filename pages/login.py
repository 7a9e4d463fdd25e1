"""The login form for the access token, and the logout. Plain HTML without the framework."""

from __future__ import annotations

import asyncio
import html
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.requests import ClientDisconnect

from livemarkets.security.addresses import client_address
from livemarkets.security.token_auth import SESSION_COOKIE, SESSION_SECONDS, TokenAuth, TokenCheck, local_path
from pages.static_page import plain_page

__all__ = ["login_router"]

_FORM_BYTES = 8_192
_FORM_SECONDS = 10.0
_WRONG = {
    TokenCheck.WRONG: (401, "This is not the token."),
    TokenCheck.TOO_MANY: (
        429,
        "Too many wrong tokens from your address. Wait a minute, then try again.",
    ),
}


def login_router(access: TokenAuth) -> APIRouter:
    """Return the routes `/login` and `/logout` of an app with an access token."""
    router = APIRouter()

    async def form(request: Request) -> Response:
        """Show the form, or redirect if there is a session already."""
        target = local_path(request.query_params.get("next", "/"))
        if access.is_session(request.cookies.get(SESSION_COOKIE, "")):
            return RedirectResponse(_prefix(request) + target, 303)
        return HTMLResponse(_page(_prefix(request), target))

    async def login(request: Request) -> Response:
        """Start a session if the token is right."""
        fields = await _fields(request)
        target = local_path(fields.get("next", "/"))
        verdict = access.judge(fields.get("token", "").strip(), client_address(request))
        if verdict is not TokenCheck.RIGHT:
            status, text = _WRONG[verdict]
            return HTMLResponse(_page(_prefix(request), target, text), status)
        response = RedirectResponse(_prefix(request) + target, 303)
        response.set_cookie(
            SESSION_COOKIE,
            access.new_session(),
            max_age=SESSION_SECONDS,
            path=_prefix(request) or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    async def logout(request: Request) -> Response:
        """End the session in this browser."""
        response = RedirectResponse(f"{_prefix(request)}/login", 303)
        path = _prefix(request) or "/"
        response.delete_cookie(SESSION_COOKIE, path=path, httponly=True, samesite="strict")
        return response

    router.add_api_route("/login", form, methods=["GET", "HEAD"])
    router.add_api_route("/login", login, methods=["POST"])
    router.add_api_route("/logout", logout, methods=["POST"])
    return router


async def _fields(request: Request) -> dict[str, str]:
    """Read the form. A body that is too large, too slow or not a form gives no fields."""
    body = b""
    try:
        async with asyncio.timeout(_FORM_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _FORM_BYTES:
                    return {}
        return {name: values[-1] for name, values in parse_qs(body.decode(), max_num_fields=10).items()}
    except (TimeoutError, ClientDisconnect, ValueError):
        return {}


def _prefix(request: Request) -> str:
    """Return the path prefix under which a proxy serves the app; empty for none."""
    return str(request.scope.get("root_path", ""))


def _page(prefix: str, target: str, problem: str = "") -> str:
    said = f'<p class="wrong" role="alert" id="problem">{html.escape(problem)}</p>' if problem else ""
    described = ' aria-describedby="problem" aria-invalid="true"' if problem else ""
    return plain_page(
        "Log in",
        f"""<form class="card" method="post" action="{prefix}/login">
<h1>Log in</h1>
<input type="hidden" name="next" value="{html.escape(target)}">
<label for="token">Access token</label>
<input class="field" id="token" name="token" type="password" autocomplete="current-password" required
  autofocus maxlength="4096" spellcheck="false"{described}>
{said}
<button class="primary" type="submit">Log in</button>
<p>It is the value of <code>LIVE_ACCESS_TOKEN</code> on the server.</p>
</form>""",
    )
