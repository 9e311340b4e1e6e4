"""Signing in with the token, the page of feeds, and the small files browsers ask for.

Owns the session cookie: HttpOnly, SameSite=Strict, void when the token changes. Nothing else
here sets a cookie. Must not decide who may see what (``security.py``).
"""

from __future__ import annotations

from aiohttp import web

from watcher.web.common import (
    CLIENT,
    TOKENS,
    Problem,
    context_of,
    form_of,
    may_see,
    render,
    see_other,
    static_files,
)
from watcher.web.feeds import addresses
from watcher.web.security import (
    COOKIE,
    SESSION,
    Rates,
    is_secure,
    is_token,
    local_path,
    session,
)

_RATES: web.AppKey[Rates] = web.AppKey("sign_in_rates", Rates)


def set_up(app: web.Application) -> None:
    """Ten attempts at once, then one a minute, for each address."""
    app[_RATES] = Rates(10, 60)


async def form(request: web.Request) -> web.Response:
    """The form that asks for the token."""
    following = local_path(request.query.get("next"))
    if may_see(request):
        return see_other(following)
    return render(request, "sign_in.html", next=following, failed=False, problem=None)


async def enter(request: web.Request) -> web.Response:
    """Take the token, give a session."""
    context = context_of(request)
    settings = context.config.web
    client = request[CLIENT]
    rates = request.app[_RATES]
    if not rates.take(client, context.clock.monotonic()):
        wait = rates.wait(client, context.clock.monotonic())
        raise Problem(
            429,
            "Too often",
            "There were too many attempts from your address; wait a minute.",
            headers={"Retry-After": str(int(wait) + 1)},
        )
    given = await form_of(request)
    following = local_path(str(given.get("next", "/")))
    if not is_token(str(given.get("token", "")).strip(), settings):
        return render(
            request, "sign_in.html", status=401, next=following, failed=True, problem=None
        )
    answer = see_other(following)
    answer.set_cookie(
        COOKIE,
        session(settings, request.app[TOKENS], context.now),
        max_age=int(SESSION.total_seconds()),
        httponly=True,
        samesite="Strict",
        secure=is_secure(request, settings),
        path="/",
    )
    return answer


async def leave(_request: web.Request) -> web.Response:
    """End the session of this browser."""
    answer = see_other("/login")
    answer.del_cookie(COOKIE, path="/")
    return answer


async def feeds_page(request: web.Request) -> web.Response:
    """All feeds with their addresses, and how the API is asked."""
    return render(request, "feeds.html", feeds=addresses(request))


async def favicon(_request: web.Request) -> web.Response:
    """The mark of the pages."""
    file = static_files()["mark.svg"]
    answer = web.Response(body=file.body, headers={"Content-Type": file.content_type})
    answer.headers["Cache-Control"] = "public, max-age=86400"
    return answer


async def robots(_request: web.Request) -> web.Response:
    """Nothing here is for search engines."""
    return web.Response(text="User-agent: *\nDisallow: /\n")
