"""The stand-in site: answers requests as the real one does, faults included.

Owns validators, compression, limits and the script of incidents. ``Site.respond`` is free of I/O
and clock (``now`` comes in); ``serve`` puts it behind a real port on loopback. Must not know what
readers or the daemon do with the answers.

An answer depends on the request and on ``now``; for incidents that strike a number of times and
for the limit also on the requests before it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from types import TracebackType
from typing import NamedTuple, Self

from aiohttp import web
from isal import isal_zlib

from watcher.demo.frame import challenge_page, error_page, login_page
from watcher.demo.items import Layout
from watcher.demo.pages import HTML, JSON, Entry, Pages
from watcher.demo.render import Printer
from watcher.demo.world import World
from watcher.model import Value

WINDOW = timedelta(minutes=5)
"""The site counts requests in fixed windows of this length."""

_GZIP = 31
"""``wbits`` that asks for a gzip header."""


class Fault(StrEnum):
    """What may go wrong with the site."""

    OUTAGE = "outage"
    """503 to everything."""
    REFUSED = "refused"
    """The connection is closed without an answer."""
    RATE_LIMITED = "rate-limited"
    """429 with ``RateLimit`` and no ``Retry-After``."""
    TRUNCATED = "truncated"
    """The compressed body ends early, though its length agrees with the header."""
    HALF = "half"
    """A sound answer with only a part of the page in it: it ends within the island."""
    CHALLENGE = "challenge"
    """200 with a firewall's page instead."""
    LOGIN = "login"
    """200 with a login page instead."""
    REDESIGN = "redesign"
    """Pages of an invented redesign: no island, other class names."""
    FIELD_LOST = "field-lost"
    """The island no longer has ``upvotes``."""
    OLD_LAYOUT = "old-layout"
    """Pages as they were in 2024."""


_LAYOUT_OF = {
    Fault.REDESIGN: Layout.REDESIGN,
    Fault.FIELD_LOST: Layout.FIELD_LOST,
    Fault.OLD_LAYOUT: Layout.GRID_2024,
}


class Incident(Value, frozen=True, kw_only=True):
    """One entry of the script."""

    fault: Fault
    since: datetime
    until: datetime | None = None
    """None: it stays."""
    times: int | None = None
    """How many answers it spoils at most; None: all."""
    path: str = "/"
    """Only addresses that begin so."""


class Answer(NamedTuple):
    """What a client gets. Status 0 means none at all: the connection is closed."""

    status: int
    headers: dict[str, str]
    body: bytes


class Site:
    """The stand-in site of one world.

    Args:
        world: whose papers it shows.
        script: the incidents; where several apply, the first decides.
        limit: requests per five minutes before it answers 429; None is no limit.
        drawing: length of the drawings on the cards (see ``Printer``).
    """

    def __init__(
        self,
        world: World,
        *,
        script: Sequence[Incident] = (),
        limit: int | None = None,
        drawing: int = 3,
    ) -> None:
        self.world, self.script, self.limit = world, tuple(script), limit
        self.answered: Counter[int] = Counter()
        """Answers given so far, by status."""
        self._pages = Pages(world, Printer(drawing=drawing))
        self._struck: Counter[int] = Counter()
        self._window = (-1, 0)

    def respond(self, path_qs: str, headers: Mapping[str, str], now: datetime) -> Answer:
        """Answer one GET.

        Args:
            path_qs: path and query, e.g. ``/papers/date/2026-10-07``.
            headers: read are ``accept-encoding`` and ``if-none-match``; names in lower case, or
                a mapping that does not care.
            now: an aware datetime.
        """
        fault, wait = self._fault(path_qs, now)
        answer = self._refusal(fault, wait) or self._limited(path_qs, now)
        if answer is None:
            entry = self._entry(path_qs, now, fault)
            answer = _finish(entry, headers, fault)
        self.answered[answer.status] += 1
        return answer

    def _fault(self, path_qs: str, now: datetime) -> tuple[Fault | None, timedelta]:
        """The fault that strikes this request, and how long it will last."""
        for n, incident in enumerate(self.script):
            over = incident.until is not None and now >= incident.until
            used_up = incident.times is not None and self._struck[n] >= incident.times
            if now < incident.since or over or used_up or not path_qs.startswith(incident.path):
                continue
            self._struck[n] += 1
            return incident.fault, incident.until - now if incident.until else WINDOW
        return None, WINDOW

    def _refusal(self, fault: Fault | None, wait: timedelta) -> Answer | None:
        """The answer of a fault that leaves no page at all."""
        if fault is Fault.REFUSED:
            return Answer(0, {}, b"")
        if fault is Fault.OUTAGE:
            return Answer(503, {"Content-Type": HTML}, error_page(503, "Service Unavailable"))
        return _too_many(min(wait, WINDOW)) if fault is Fault.RATE_LIMITED else None

    def _limited(self, path_qs: str, now: datetime) -> Answer | None:
        if self.limit is None or path_qs == "/robots.txt":
            return None
        length = int(WINDOW.total_seconds())
        window, gone = divmod(int(now.timestamp()), length)
        count = self._window[1] + 1 if self._window[0] == window else 1
        self._window = (window, count)
        return _too_many(timedelta(seconds=length - gone)) if count > self.limit else None

    def _entry(self, path_qs: str, now: datetime, fault: Fault | None) -> Entry:
        number = self.answered.total()
        token = hashlib.blake2b(f"{now}:{number}".encode(), digest_size=12).hexdigest()
        layout = _LAYOUT_OF.get(fault, Layout.SITE_2026) if fault else Layout.SITE_2026
        entry = self._pages.find(
            path_qs, now, layout=layout, request_id=f"Root=1-{number:08x}-{token}"
        )
        if fault is Fault.CHALLENGE and entry.type == HTML:
            return Entry(200, HTML, challenge_page)
        if fault is Fault.LOGIN and entry.type == HTML:
            return Entry(200, HTML, login_page)
        return entry


def _finish(entry: Entry, headers: Mapping[str, str], fault: Fault | None) -> Answer:
    """Validators, compression and what a fault does to a body."""
    out = {"Content-Type": entry.type, "Vary": "Accept-Encoding"}
    if entry.location:
        out["Location"] = entry.location
    if entry.state is not None:
        out["ETag"] = _etag(entry.state)
        known = headers.get("if-none-match", "")
        if out["ETag"] in (tag.strip() for tag in known.split(",")) and entry.status == 200:
            return Answer(304, {"ETag": out["ETag"], "Vary": out["Vary"]}, b"")
    body = entry.make()
    listing = entry.status == 200 and entry.type in (HTML, JSON)
    if fault is Fault.HALF and listing:
        body = body[: len(body) // 4]
    if "gzip" in headers.get("accept-encoding", "") and len(body) > 500:
        body = isal_zlib.compress(body, 1, _GZIP)
        out["Content-Encoding"] = "gzip"
    if fault is Fault.TRUNCATED and listing:
        body = body[: len(body) * 2 // 3]
    return Answer(entry.status, out, body)


def _etag(state: object) -> str:
    """A weak validator: equal when the page says the same, whatever its request id."""
    return f'W/"{hashlib.blake2b(repr(state).encode(), digest_size=12).hexdigest()}"'


def _too_many(wait: timedelta) -> Answer:
    """429 as the site words it: the time to wait is in ``RateLimit``."""
    headers = {
        "Content-Type": HTML,
        "RateLimit": f'"pages";r=0;t={max(1, int(wait.total_seconds()))}',
        "RateLimit-Policy": f'"fixed window";"pages";q=100;w={int(WINDOW.total_seconds())}',
    }
    return Answer(429, headers, error_page(429, "We had to rate limit you."))


class Running:
    """A site behind a port on loopback. Close it, or use it with ``async with``."""

    def __init__(self, runner: web.AppRunner, port: int) -> None:
        self._runner = runner
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    async def close(self) -> None:
        """Stop listening and drop open connections."""
        await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


async def serve(site: Site, now: Callable[[], datetime], *, port: int = 0) -> Running:
    """Put a site behind a port of 127.0.0.1; 0 takes a free one.

    Args:
        site: what answers.
        now: the injected clock, read once for each request.
        port: the port to listen on.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        answer = site.respond(request.path_qs, request.headers, now())
        if answer.status == 0 and request.transport is not None:
            request.transport.abort()
        return web.Response(
            status=answer.status or 500, headers=answer.headers, body=answer.body or None
        )

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return Running(runner, runner.addresses[0][1])
