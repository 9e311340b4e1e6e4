"""The web part: routes, the checks around every request, start and stop.

Owns which address leads where and which of them are public, and the order of the checks: host,
access, origin, then the page. Must not know what a page shows.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from watcher.config import Config
from watcher.config.values import Listen
from watcher.errors import ConfigError, StoreError, StoreRefused, WatcherError
from watcher.model import Value
from watcher.telemetry import log
from watcher.wants import Tokens
from watcher.web import (
    api,
    feeds,
    pages,
    preferences,
    rule_pages,
    sign_in,
    state_pages,
    subscriptions,
)
from watcher.web.common import (
    CLIENT,
    CONTEXT,
    DOORS,
    MAY_SEE,
    TOKENS,
    Problem,
    json_error,
    may_see,
    render,
    static,
    static_files,
)
from watcher.web.connections import Doors, DoorSite
from watcher.web.context import WebContext
from watcher.web.security import (
    HEADERS,
    client_address,
    fetched_from_elsewhere,
    host_allowed,
    origin_allowed,
    token_needed,
    who_counts,
)
from watcher.web.security import may_see as allowed_to_see
from watcher.web.trial import Trials

REQUEST_DEADLINE = 30.0
"""Seconds for one request, its body included."""
MAX_BODY = 64 * 1024
_KEEPALIVE = 20.0
_SILENT = logging.getLogger("watcher.web.http")
"""aiohttp writes every malformed request with its address, tokens included: to nowhere."""
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
_SHUTDOWN = 3.0


class Route(Value, frozen=True, kw_only=True):
    """An address, what answers there, and who may ask."""

    method: str
    path: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    public: bool = False
    any_origin: bool = False
    """Posts from anywhere are taken: RFC 8058, whose posts come from mail servers."""


def _get(path: str, handler: Handler, *, public: bool = False) -> Route:
    return Route(method="GET", path=path, handler=handler, public=public)


def _post(path: str, handler: Handler, *, public: bool = False, any_origin: bool = False) -> Route:
    return Route(method="POST", path=path, handler=handler, public=public, any_origin=any_origin)


ROUTES: tuple[Route, ...] = (
    _get("/", pages.today),
    _get("/papers/{name}", pages.paper),
    _get("/search", pages.search),
    _get("/rules", rule_pages.rules),
    _get("/rules/{name:.+}", rule_pages.rule),
    _get("/sources", state_pages.sources),
    _get("/deliveries", state_pages.deliveries),
    _post("/deliveries/{key}/resend", state_pages.resend),
    _get("/feeds", sign_in.feeds_page),
    _get("/feeds.opml", feeds.listed),
    _get("/feeds/all.{form:atom|json}", feeds.everything),
    _get("/feeds/rules/{rule:.+}.{form:atom|json}", feeds.of_rule),
    _get("/api/v1/events", api.events),
    _get("/api/v1/papers", api.papers),
    _get("/api/v1/papers/{paper_id}", api.paper),
    _get("/api/v1/papers/{paper_id}/history", api.history),
    _get("/api/v1/rules", api.rules),
    _get("/api/v1/sources", api.sources),
    _get("/api/v1/openapi.json", api.openapi),
    _get("/api/{rest:.*}", api.unknown),
    _get("/metrics", api.metrics),
    # public from here on
    _get("/f/{seal}/all.{form:atom|json}", feeds.everything, public=True),
    _get("/f/{seal}/rules/{rule:.+}.{form:atom|json}", feeds.of_rule, public=True),
    _get("/healthz", api.healthz, public=True),
    _get("/readyz", api.readyz, public=True),
    _get("/login", sign_in.form, public=True),
    _post("/login", sign_in.enter, public=True),
    _post("/logout", sign_in.leave, public=True),
    _get("/subscribe", subscriptions.form, public=True),
    _post("/subscribe", subscriptions.ask, public=True),
    _get("/confirm/{token}", subscriptions.confirm_page, public=True),
    _post("/confirm/{token}", subscriptions.confirm, public=True),
    _get("/p/{token}", preferences.look, public=True),
    _post("/p/{token}", preferences.change, public=True),
    _get("/u/{token}", preferences.unsubscribe_page, public=True),
    _post("/u/{token}", preferences.unsubscribe, public=True, any_origin=True),
    _get("/static/{name}", static, public=True),
    _get("/favicon.ico", sign_in.favicon, public=True),
    _get("/robots.txt", sign_in.robots, public=True),
)

_ROUTE: web.AppKey[dict[str, Route]] = web.AppKey("routes", dict)


# --- the checks around every request ------------------------------------------------------


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every request passes here: deadlines, checks, the headers of every answer."""
    doors = request.app[DOORS]
    transport = request.transport
    if not request.body_exists:
        doors.begun(transport)  # one with a body has come when the body has: ``form_of``
    try:
        async with asyncio.timeout(REQUEST_DEADLINE):
            answer = await _answered(request, handler)
    except TimeoutError:
        answer = _told(request, Problem(503, "Too slow", "This took too long; try it again."))
    finally:
        doors.answered(transport)
    answer.headers.update(HEADERS)
    return answer


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        route = _checked(request)
        return await handler(request) if route is None else await route.handler(request)
    except Problem as problem:
        return _told(request, problem)
    except web.HTTPException as exc:
        return _told(request, _of_library(exc))
    except (StoreError, StoreRefused) as exc:
        log.error("request_failed", path=_masked(request), error=exc)
        words = "The database cannot be read or written right now; the watcher keeps trying."
        return _told(request, Problem(503, "Not now", words, headers={"Retry-After": "60"}))
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception as exc:  # noqa: BLE001 - a fault of ours; the visitor is told no more
        log.error("request_failed", path=_masked(request), error=exc, exc_info=exc)
        return _told(
            request, Problem(500, "Our fault", "Something went wrong here; it was logged.")
        )


def _checked(request: web.Request) -> Route | None:
    """The checks, in their order; the route, or None for an address that leads nowhere."""
    context = request.app[CONTEXT]
    settings = context.config.web
    socket = request.transport.get_extra_info("sockname") if request.transport else None
    if not host_allowed(request.headers.get("Host"), settings, str(socket[0]) if socket else None):
        raise Problem(
            400,
            "Unknown host",
            "This watcher does not answer to that name; [web] hosts lists more names.",
        )
    request[CLIENT] = who_counts(client_address(request, settings))
    request[MAY_SEE] = allowed_to_see(request, settings, request.app[TOKENS], context.now)
    route = _route_of(request)
    if route is None:
        return None
    if not route.public and not may_see(request):
        raise _closed(request)
    if not route.public and fetched_from_elsewhere(request):
        raise Problem(403, "From elsewhere", "A page of another site asked for this.")
    changes = request.method not in ("GET", "HEAD", "OPTIONS")
    if changes and not route.any_origin and not origin_allowed(request, settings):
        raise Problem(403, "From elsewhere", "This was sent by a page of another site.")
    return route


def _route_of(request: web.Request) -> Route | None:
    resource = request.match_info.route.resource
    if resource is None or request.match_info.http_exception is not None:
        return None
    method = "GET" if request.method == "HEAD" else request.method
    return request.app[_ROUTE].get(f"{method} {resource.canonical}")


def _closed(request: web.Request) -> Problem:
    settings = request.app[CONTEXT].config.web
    if settings.token is None:
        why = "public_url is set" if settings.public_url else "this came through a proxy"
        words = f"Private pages are closed: {why} and [web] token is not set."
        return Problem(403, "Closed", words)
    words = "Send the token as Authorization: Bearer …, or sign in."
    return Problem(401, "Token needed", words, headers={"WWW-Authenticate": "Bearer"})


def _told(request: web.Request, problem: Problem) -> web.Response:
    """A problem in the form the visitor reads: JSON for the API, else a page."""
    if request.path.startswith("/api/") or request.path in ("/healthz", "/readyz", "/metrics"):
        return json_error(problem)
    template = "sign_in.html" if problem.status == 401 else "problem.html"
    answer = render(
        request,
        template,
        status=problem.status,
        problem=problem,
        next=request.path_qs if request.method == "GET" else "/",
        failed=False,
    )
    answer.headers.update(problem.headers)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _of_library(exc: web.HTTPException) -> Problem:
    """What aiohttp itself refuses, in our words."""
    words = {
        404: ("Not here", "There is no page at this address."),
        405: ("Not this way", "This address does not take that kind of request."),
        413: ("Too large", "That was more than a form of ours ever sends."),
    }
    title, text = words.get(exc.status, (exc.reason, "The request could not be understood."))
    keep = {name: exc.headers[name] for name in ("Allow", "Location") if name in exc.headers}
    return Problem(exc.status, title, text, headers=keep)


def _masked(request: web.Request) -> str:
    """The path for the log, without the tokens some addresses carry."""
    head, _, rest = request.path.lstrip("/").partition("/")
    return f"/{head}/…" if rest and head in ("f", "p", "u", "confirm") else request.path[:200]


# --- starting and stopping ----------------------------------------------------------------


class Web:
    """The running web part."""

    def __init__(self, runner: web.AppRunner, site: DoorSite, listen: Listen, doors: Doors) -> None:
        self._runner = runner
        self._site = site
        self._listen = listen
        self.doors = doors

    @property
    def port(self) -> int:
        """The port it listens on (of interest when the config said 0)."""
        return self._site.port

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        host = self._listen.host
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    async def close(self) -> None:
        """Stop listening, let requests under way end within seconds."""
        await self._runner.cleanup()


def check_settings(context: WebContext) -> None:
    """Refuse what must not run: private pages open to others without a token. ConfigError."""
    settings = context.config.web
    if not settings.listen.loopback and settings.token is None:
        raise ConfigError(
            f"[web] listen: {settings.listen} is not loopback and would show private pages to "
            "everybody: set [web] token (token_file, token_env) first"
        )


async def keys_of(context: WebContext, config: Config | None = None) -> Tokens:
    """The signer of links: by ``[web] secret`` of the config in force (or another), else by a key
    made once and kept in the store."""
    secret = (config or context.config).web.secret
    if secret is not None:
        return Tokens(secret.reveal().encode())
    fresh = secrets.token_bytes(32)
    return Tokens(await context.store.write(lambda r: r.people.own_key("web", fresh, context.now)))


def build(context: WebContext, tokens: Tokens, doors: Doors | None = None) -> web.Application:
    """The application: all routes behind the checks. ``doors`` as it is served through."""
    app = web.Application(middlewares=[guard], client_max_size=MAX_BODY)
    app[CONTEXT] = context
    app[TOKENS] = tokens
    app[DOORS] = Doors(asyncio.Protocol) if doors is None else doors  # an empty one is false
    app[rule_pages.TRIALS] = Trials(context)
    subscriptions.set_up(app)
    sign_in.set_up(app)
    known: dict[str, Route] = {}
    for route in ROUTES:
        added = (
            app.router.add_get(route.path, route.handler)
            if route.method == "GET"
            else app.router.add_post(route.path, route.handler)
        )
        resource = added.resource
        assert resource is not None  # noqa: S101 - just added
        known[f"{route.method} {resource.canonical}"] = route
    app[_ROUTE] = known
    return app


def _protocol(runner: web.AppRunner) -> asyncio.BaseProtocol:
    assert runner.server is not None  # noqa: S101 - set up before it listens
    return runner.server()


async def start(context: WebContext, *, doors: Callable[..., Doors] = Doors) -> Web:
    """Listen as ``[web]`` says; ConfigError or WatcherError when that cannot be.

    ``doors`` may lower the limits of connections (tests do).
    """
    check_settings(context)
    tokens = await keys_of(context)
    static_files()
    settings = context.config.web
    opened: Doors = doors(lambda: _protocol(runner))
    runner: web.AppRunner = web.AppRunner(
        build(context, tokens, opened),
        access_log=None,
        logger=_SILENT,
        keepalive_timeout=_KEEPALIVE,
        shutdown_timeout=_SHUTDOWN,
        handle_signals=False,
        lingering_time=2.0,
    )
    await runner.setup()
    site = DoorSite(runner, settings.listen.host, settings.listen.port, opened)
    try:
        await site.start()
    except WatcherError:
        await runner.cleanup()
        raise
    listening = Web(runner, site, settings.listen, opened)
    log.info("web_started", url=listening.url, private=token_needed(settings))
    return listening
