"""What all handlers share: the context of a request, templates, answers and their errors.

Owns the Jinja environment, its filters and the static files. Must not read the store or
decide who may see what.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote, urlsplit

import jinja2
import msgspec
from aiohttp import web
from markupsafe import Markup
from multidict import MultiDictProxy

from watcher import __version__
from watcher.clock import span
from watcher.text import clean, clip, name_authors
from watcher.view import safe_link
from watcher.wants import Tokens
from watcher.web.connections import Doors
from watcher.web.context import WebContext

CONTEXT: web.AppKey[WebContext] = web.AppKey("context", WebContext)
TOKENS: web.AppKey[Tokens] = web.AppKey("tokens", Tokens)
DOORS: web.AppKey[Doors] = web.AppKey("doors", Doors)
MAY_SEE: web.RequestKey[bool] = web.RequestKey("may_see", bool)
"""Whether this request may see the private pages."""
CLIENT: web.RequestKey[str] = web.RequestKey("client", str)
"""Where it came from as limits count it, proxies seen through."""

Form = MultiDictProxy[str | bytes | bytearray | web.FileField]

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Problem(Exception):
    """An answer that is no page: a status, what happened, and what to do."""

    def __init__(
        self, status: int, title: str, text: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.text = text
        self.headers = dict(headers or {})


def context_of(request: web.Request) -> WebContext:
    """The context of the application that a request came to."""
    return request.app[CONTEXT]


def may_see(request: web.Request) -> bool:
    """Whether this request may see the private pages."""
    return bool(request.get(MAY_SEE, False))


# --- answers ----------------------------------------------------------------------------


def render(
    request: web.Request, template: str, *, status: int = 200, **values: Any
) -> web.Response:
    """A page of a template."""
    context = context_of(request)
    settings = context.config.web
    html = (
        _environment()
        .get_template(template)
        .render(
            **values,
            path=request.path,
            private=may_see(request),
            signed_in=may_see(request) and settings.token is not None,
            subscribe_open=settings.subscribe is not None,
            zone=str(context.zone),
            zone_info=context.zone,
            now=context.now,
            version=__version__,
            static=static_path,
        )
    )
    answer = web.Response(text=html, content_type="text/html", status=status)
    posted = request.method == "POST"
    answer.headers["Cache-Control"] = "no-store" if posted else "private, no-cache"
    return answer


def json_answer(value: Any, *, status: int = 200, headers: Mapping[str, str] = {}) -> web.Response:
    """A JSON document; unknown is null, times are RFC 3339."""
    answer = web.Response(
        body=msgspec.json.encode(value), content_type="application/json", status=status
    )
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.headers.update(headers)
    return answer


def json_error(problem: Problem) -> web.Response:
    """``{"error": {"status", "title", "detail"}}``."""
    error = {"status": problem.status, "title": problem.title, "detail": problem.text}
    return json_answer({"error": error}, status=problem.status, headers=problem.headers)


def conditional(
    request: web.Request, body: bytes, content_type: str, *, max_age: int = 0
) -> web.Response:
    """A body with its ETag, or 304 when the client has it."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    headers = {"ETag": etag, "Cache-Control": f"private, max-age={max_age}, must-revalidate"}
    known = request.headers.get("If-None-Match", "").split(",")
    asked = [tag.strip().removeprefix("W/") for tag in known]
    if etag in asked or asked == ["*"]:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers={**headers, "Content-Type": content_type})


async def form_of(request: web.Request) -> Form:
    """The fields of a posted form; a problem when it is none."""
    try:
        form = await request.post()
    except web.HTTPException:
        raise
    except (ValueError, LookupError, AssertionError, web.RequestPayloadError) as exc:
        raise Problem(400, "Not understood", "That was not a form of ours.") from exc
    request.app[DOORS].begun(request.transport)
    return form


def see_other(path: str) -> web.Response:
    """Go and look there (after a POST)."""
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})


def base_url(request: web.Request) -> str:
    """What links in feeds and mails begin with: the public URL, else this machine's address.

    Never the ``Host`` header.
    """
    context = context_of(request)
    settings = context.config.web
    if settings.public_url:
        return settings.public_url
    socket = request.transport.get_extra_info("sockname") if request.transport else None
    port = socket[1] if socket else settings.listen.port
    host = settings.listen.host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


# --- static files -----------------------------------------------------------------------


class Static(msgspec.Struct, frozen=True):
    """A file that ships with the pages."""

    body: bytes
    content_type: str
    mark: str


@cache
def static_files() -> dict[str, Static]:
    """All of them, by name; read once."""
    found = {}
    for file in resources.files("watcher.web").joinpath("static").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in _TYPES:
            body = file.read_bytes()
            mark = hashlib.sha256(body).hexdigest()[:12]
            found[file.name] = Static(body, f"{_TYPES[suffix]}; charset=utf-8", mark)
    return found


def static_path(name: str) -> str:
    """The address of a static file, which changes with its content."""
    return f"/static/{name}?v={static_files()[name].mark}"


async def static(request: web.Request) -> web.Response:
    """A static file; kept for ever under its marked address."""
    file = static_files().get(request.match_info["name"])
    if file is None:
        raise Problem(404, "Not here", "There is no such file.")
    marked = request.query.get("v") == file.mark
    answer = conditional(request, file.body, file.content_type)
    if marked:
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return answer


# --- templates --------------------------------------------------------------------------


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("watcher.web", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        at=show_at,
        day=show_day,
        ago=show_ago,
        count=show_count,
        short=show_short,
        span=show_span,
        tidy=clean,
        clip=clip,
        words=one_text,
        paper=paper_path,
        rule=rule_path,
        safe=safe_link,
        https=any_https,
        host=host_name,
        bytes=show_bytes,
        authors=name_authors,
    )
    return environment


@jinja2.pass_context
def show_at(context: jinja2.runtime.Context, at: datetime | None) -> Markup | str:
    """A time as the watcher's zone has it; a script turns it into the reader's zone."""
    if at is None:
        return "–"
    zone = context["zone_info"]
    local = at.astimezone(zone)
    year = "" if local.year == context["now"].astimezone(zone).year else f" {local.year}"
    text = f"{local:%a} {local.day} {local:%b}{year}, {local:%H:%M}"
    return Markup('<time datetime="{}" data-at>{}</time>').format(_iso(at), text)


@jinja2.pass_context
def show_ago(context: jinja2.runtime.Context, at: datetime | None) -> Markup | str:
    """``5 min ago`` or ``in 2 h``; the exact time is its title."""
    if at is None:
        return "never"
    passed = context["now"] - at
    text = "now" if abs(passed.total_seconds()) < 1 else span(passed)
    if text != "now":
        text = f"{text} ago" if passed.total_seconds() > 0 else f"in {text}"
    local = at.astimezone(context["zone_info"])
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(
        _iso(at), f"{local:%a} {local.day} {local:%b %Y, %H:%M}", text
    )


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@jinja2.pass_context
def show_day(context: jinja2.runtime.Context, day: date) -> str:
    """``Sat 21 Nov``, with the year when it is not this one."""
    this = context["now"].astimezone(context["zone_info"]).year
    return f"{day:%a} {day.day} {day:%b}{'' if day.year == this else f' {day.year}'}"


def show_count(value: float | None) -> str:
    """``1,234``; unknown is a dash, not a zero."""
    return "–" if value is None else f"{value:,}"


def show_short(value: int | None) -> str:
    """``62.2k``."""
    if value is None:
        return "–"
    return f"{value:,}" if value < 10_000 else f"{value / 1000:.1f}k"


def show_span(seconds: float) -> str:
    """``3 days``."""
    return span(timedelta(seconds=seconds))


def show_bytes(value: int) -> str:
    """``1.2 MB``."""
    size = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit in ("B", "kB") else f"{size:.1f} {unit}"
        size /= 1000
    return ""  # pragma: no cover


def one_text(text: str | None) -> str:
    """Untrusted words of several lines made fit to be shown as one paragraph."""
    return clean(text or "")


def paper_path(name: str) -> str:
    """The page of a paper."""
    return f"/papers/{quote(name, safe=':.')}"


def rule_path(name: str) -> str:
    """The page of a rule."""
    return f"/rules/{quote(name, safe='')}"


def any_https(url: str | None) -> str | None:
    """An https address anywhere, without user or odd port, spelled in ASCII; else None."""
    return safe_link(url, (host_name(url),)) if url else None


def host_name(url: str | None) -> str:
    """The host of an address; empty for what is none."""
    try:
        host = urlsplit(url or "").hostname or ""
    except ValueError:
        return ""
    return host if host.isascii() and host.replace("-", "").replace(".", "").isalnum() else ""
