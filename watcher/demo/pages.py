"""Which page an address of the site names.

Owns the addresses: lists by day, week and month, trending, search, single papers, the API. Must
not know headers, validators or faults. Whatever is not asked for is not rendered: an ``Entry``
says what its body would tell (``state``) and how to make it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from watcher.demo.frame import error_page
from watcher.demo.items import Layout
from watcher.demo.render import Printer, Sheet, period
from watcher.demo.world import PAGE_SIZE, SEARCH_SIZE, Shown, World
from watcher.model import PageKind

HTML, JSON, TEXT = "text/html; charset=utf-8", "application/json; charset=utf-8", "text/plain"
_PATH_OF = {PageKind.DAILY: "date", PageKind.WEEK: "week", PageKind.MONTH: "month"}


class Entry(NamedTuple):
    """What an address leads to."""

    status: int
    type: str
    make: Callable[[], bytes]
    """Makes the body."""
    state: object = None
    """All that the body says but for its request id; None: it has no validator."""
    location: str | None = None


class Pages:
    """The pages of one world."""

    def __init__(self, world: World, printer: Printer) -> None:
        self._world, self._printer = world, printer

    def find(self, path_qs: str, now: datetime, *, layout: Layout, request_id: str) -> Entry:
        """The page at an address; a 404 entry when there is none."""
        parts = urlsplit(path_qs)
        args = {key: found[0] for key, found in parse_qs(parts.query).items()}
        path = unquote(parts.path).rstrip("/")
        if path == "/robots.txt":
            return Entry(200, TEXT, lambda: b"User-agent: *\nDisallow: /login\n")
        try:
            if path.startswith("/api/"):
                return self._api(path, args, now)
            if path in ("/login", "") or not path.startswith("/papers"):
                return missing()
            found = self._listed(path, args, now)
        except ValueError:  # a date or a number that is none
            return missing()
        if isinstance(found, Sheet):
            return self._sheet(found, layout, request_id)
        return self._single(found, now.date(), request_id) if isinstance(found, Shown) else found

    def _listed(self, path: str, args: dict[str, str], now: datetime) -> Sheet | Shown | Entry:
        """What a path under ``/papers`` shows."""
        world, today = self._world, now.date()
        if path == "/papers/trending":
            return Sheet(kind=PageKind.TRENDING, shown=world.trending(now), today=today)
        if path == "/papers":
            if args.get("q"):
                return self._search(args["q"], now)
            return self._day(args["date"], now) if "date" in args else moved(PageKind.DAILY, today)
        section, _, name = path.removeprefix("/papers/").partition("/")
        if section == "date":
            return self._day(name, now)
        if section in ("week", "month"):
            return self._period(PageKind(section), name, now)
        return (world.paper(section, now) if not name else None) or missing()

    def _search(self, query: str, now: datetime) -> Sheet:
        today = now.date()
        found, listed = self._world.search(query, now), self._world.daily(today, now)
        return Sheet(
            kind=PageKind.SEARCH, shown=found, today=today, day=today, query=query, beside=listed
        )

    def _day(self, name: str, now: datetime) -> Sheet | Entry:
        day, today = date.fromisoformat(name), now.date()
        if day > today:
            return missing()
        shown = self._world.daily(day, now)
        return Sheet(kind=PageKind.DAILY, shown=shown, today=today, day=day)

    def _period(self, kind: PageKind, name: str, now: datetime) -> Sheet | Entry:
        today = now.date()
        if name == "current":
            return moved(kind, today)
        day = date.fromisoformat(f"{name}-1" if kind is PageKind.WEEK else f"{name}-01")
        best = self._world.week if kind is PageKind.WEEK else self._world.month
        return Sheet(kind=kind, shown=best(now, of=day), today=today, day=day)

    def _sheet(self, sheet: Sheet, layout: Layout, request_id: str) -> Entry:
        lists = (_counts(sheet.shown), _counts(sheet.beside))
        state = (layout, sheet.kind, sheet.day, sheet.today, sheet.query, lists)
        return Entry(
            200,
            HTML,
            lambda: self._printer.html(sheet, layout=layout, request_id=request_id),
            state,
        )

    def _single(self, shown: Shown, today: date, request_id: str) -> Entry:
        return Entry(
            200,
            HTML,
            lambda: self._printer.paper(shown, today, request_id=request_id),
            ("paper", today, _counts((shown,))),
        )

    def _api(self, path: str, args: dict[str, str], now: datetime) -> Entry:
        size = max(1, min(SEARCH_SIZE, int(args.get("limit", PAGE_SIZE))))
        if path == "/api/daily_papers":
            day = date.fromisoformat(args["date"]) if "date" in args else now.date()
            shown = self._world.daily(day, now)[:size]
        elif path == "/api/papers/search" and args.get("q"):
            shown = self._world.search(args["q"], now)[:size]
        else:
            return missing()
        return Entry(200, JSON, lambda: self._printer.api(shown), ("api", _counts(shown)))


def missing() -> Entry:
    """There is no such page."""
    return Entry(404, HTML, lambda: error_page(404, "Sorry, we can't find this page."))


def moved(kind: PageKind, day: date) -> Entry:
    """``/papers`` and ``…/current`` lead on to the page of a period, by a relative address."""
    location = f"/papers/{_PATH_OF[kind]}/{period(kind, day)}"
    return Entry(302, TEXT, f"Found. Redirecting to {location}".encode, None, location)


def _counts(shown: tuple[Shown, ...]) -> tuple[tuple[object, ...], ...]:
    return tuple((s.paper.id, s.upvotes, s.comments, s.stars, s.summarised) for s in shown)
