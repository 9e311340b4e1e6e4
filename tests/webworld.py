"""A store with some days of an invented site in it, and a web part over it, for tests.

Filled by the real recording of visits, so that events, baselines and checks are real.
"""

import atexit
import contextlib
import functools
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from watcher import telemetry
from watcher.agenda import Target
from watcher.channels.email import EmailOptions
from watcher.config import Config, Rule, Source
from watcher.config.secrets import Secret, SmtpUrl
from watcher.config.settings import WatcherSettings, WebSettings
from watcher.config.values import Listen, Mailbox
from watcher.demo.world import World
from watcher.errors import FetchError
from watcher.model import CARD_FIELDS, Change, PageKind, ReaderName, Snapshot
from watcher.record import record_failed, record_seen
from watcher.rulebook import compile_rules
from watcher.store import Records, Store, open_records
from watcher.visit import App, Memory, Seen, Visit
from watcher.web import Web, WebContext, start

NOW = datetime(2026, 11, 20, 9, 10, tzinfo=UTC)
TOKEN = "correct horse battery staple"

RULES = (
    Rule(name="everything", sources=("daily",), events=(Change.NEW,), min_upvotes=10),
    Rule(name="fast", events=(Change.RISING, Change.RESURGING), channels=("mail",)),
    Rule(
        name="agents & tools",
        query="agent* OR tool* OR plan*",
        min_upvotes=5,
        budget=6,
        channels=("mail",),
    ),
)
SOURCES = (
    Source(name="daily", url="https://site.example/papers", every=timedelta(hours=3)),
    Source(name="trending", url="https://site.example/papers/trending", every=timedelta(hours=3)),
    Source(name="broken", url="https://site.example/papers?q=nothing", every=timedelta(hours=3)),
)


def config(path: Path, *, smtp: int = 1, **web: Any) -> Config:
    """A config like a team's; ``web`` changes keys of ``[web]``, ``smtp`` is a local port."""
    mail = EmailOptions(
        name="mail",
        type="email",
        smtp=SmtpUrl(f"smtp://127.0.0.1:{smtp}"),
        from_=Mailbox(address="papers@example.org", name="Papers"),
        to=(Mailbox(address="team@example.org"),),
        allow_plaintext=True,
    )
    settings = WebSettings(**{"listen": Listen(host="127.0.0.1", port=0), **web})
    return Config(
        watcher=WatcherSettings(database=path),
        sources=SOURCES,
        rules=RULES,
        channels=(mail,),
        web=settings,
    )


def open_to_readers(**more: Any) -> dict[str, Any]:
    """The keys of ``[web]`` with which people can subscribe."""
    return {
        "public_url": "https://papers.example.org",
        "token": Secret(TOKEN),
        "subscribe": "mail",
        "hosts": ("127.0.0.1", "localhost"),
        **more,
    }


def fill(records: Records, *, days: int = 8, until: datetime = NOW, every_h: int = 3) -> None:
    """Visit the invented site every few hours up to ``until``."""
    begin = until - timedelta(days=days)
    world = World(7, begin.date(), days + 2)
    app = App(store=None, fetcher=None, rules=compile_rules(config(Path("w.db"))))  # type: ignore[arg-type]
    at = begin
    while at <= until:
        pages = (
            ("daily", PageKind.DAILY, world.daily(at.date(), at)),
            ("trending", PageKind.TRENDING, world.trending(at)),
        )
        for name, kind, shown in pages:
            _visit(app, records, name, kind, [s.card() for s in shown], at)
        with records.transaction():
            failure = FetchError("https://site.example/papers?q=nothing: HTTP 503", status=503)
            record_failed(app, records, _about("broken", PageKind.SEARCH, at), failure)
        at += timedelta(hours=every_h)


def _visit(
    app: App, records: Records, name: str, kind: PageKind, cards: list, at: datetime
) -> None:
    snapshot = Snapshot(
        reader=ReaderName.ISLAND,
        taken_at=at,
        cards=tuple(cards),
        kind=kind,
        listed_on=at.date() if kind is PageKind.DAILY else None,
        shows=frozenset(CARD_FIELDS),
    )
    with records.transaction():
        seen = Seen(memory=Memory(), snapshot=snapshot)
        record_seen(app, records, _about(name, kind, at), seen)


def _about(name: str, kind: PageKind, at: datetime) -> Visit:
    url = next(source.url for source in SOURCES if source.name == name)
    return Visit(
        target=Target(name=name, url=url, family=name, kind=kind),
        at=at,
        began=time.perf_counter(),
    )


class FixedClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.time = now
        self.moment = 1000.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nobody sleeps here ({seconds} s)")

    def move(self, **span: float) -> datetime:
        step = timedelta(**span)
        self.time += step
        self.moment += step.total_seconds()
        return self.time


@contextlib.asynccontextmanager
async def serving(
    path: Path, *, clock: Any = None, hooks: dict[str, Any] | None = None, **web: Any
) -> AsyncIterator[tuple[Web, WebContext]]:
    """The real web part on a free port, over the store at ``path`` (made when missing)."""
    telemetry.configure(level="critical")
    settings = config(path, **web)
    store = Store(path, lambda: open_records(path, create=True, migrate=True))
    try:
        context = WebContext(
            config=settings,
            store=store,
            rules=compile_rules(settings),
            clock=clock or FixedClock(),
            **(hooks or {}),
        )
        running = await start(context)
        try:
            yield running, context
        finally:
            await running.close()
    finally:
        await store.close()


def changed(context: WebContext, **web: Any) -> None:
    """Put other keys of ``[web]`` in force."""
    settings = msgspec.structs.replace(context.config.web, **web)
    new = msgspec.structs.replace(context.config, web=settings)
    context.use(new, context.rules)


@functools.cache
def seeded() -> Path:
    """A filled store, made once; copy it before writing."""
    folder = Path(tempfile.mkdtemp(prefix="watcher-web-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with open_records(folder / "w.db", create=True, migrate=True) as records:
        fill(records)
    return folder / "w.db"


def copy_of(seed: Path, folder: Path) -> Path:
    return Path(shutil.copy(seed, folder / "w.db"))


class Visitor:
    """An HTTP client that knows where the web part listens."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self.base = base

    async def get(self, path: str, **more: Any) -> "Answer":
        return await self._ask("GET", path, **more)

    async def post(self, path: str, data: Any = None, **more: Any) -> "Answer":
        return await self._ask("POST", path, data=data, **more)

    async def _ask(self, method: str, path: str, **more: Any) -> "Answer":
        more.setdefault("allow_redirects", False)
        url = URL(self.base + path, encoded=True)
        async with self._session.request(method, url, **more) as answer:
            return Answer(answer.status, answer.headers, await answer.read())


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@contextlib.asynccontextmanager
async def visiting(path: Path, **more: Any) -> AsyncIterator[tuple[Visitor, WebContext]]:
    """A visitor of a running web part over the store at ``path``."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        serving(path, **more) as (running, context),
        aiohttp.ClientSession(cookie_jar=jar) as session,
    ):
        yield Visitor(session, running.url), context
