"""Pages that list papers: HTML, API answers, text dumps.

Owns what stands around the cards: heading, navigation, pager, the props of the island. The
structure is that of the real pages, the text our own. Must not know HTTP. Fast, because the demo
makes thousands of pages: what does not change of a paper is made once and kept (``Printer``), a
page is one ``bytes.join``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from html import escape

import msgspec

from watcher.demo import items, single
from watcher.demo.cards import Artist, short_date
from watcher.demo.frame import FOOT, head, header
from watcher.demo.items import Layout, Template
from watcher.demo.world import Shown
from watcher.model import PageKind, Value

_NAMES = {
    PageKind.DAILY: "Daily Papers",
    PageKind.WEEK: "Daily Papers",
    PageKind.MONTH: "Daily Papers",
    PageKind.SEARCH: "Daily Papers",
    PageKind.TRENDING: "Trending Papers",
}
_GRID = "relative grid grid-cols-1 gap-5 lg:grid-cols-2 xl:grid-cols-3"
_PUBLISHER = {
    "_id": "5f0000000000000000000001",
    "avatarUrl": "/avatars/00000000000000000000000000000001.svg",
    "isPro": False,
    "fullname": "Wren Editor",
    "user": "wren",
    "type": "user",
}


class Sheet(Value, frozen=True, kw_only=True):
    """What one list page shows."""

    kind: PageKind
    shown: tuple[Shown, ...]
    today: date
    day: date | None = None
    """The day of a daily page; a day within the week or month of those pages."""
    query: str = ""
    beside: tuple[Shown, ...] = ()
    """A search page's ``dailyPapers``: today's list, which is not what was searched."""


class Printer:
    """Makes pages of one world; keeps what it made of each paper.

    ``drawing`` is the length of the drawings on the cards, which say nothing to a reader: a
    trending page of 50 papers has about 0.9 MB as it is, and with 55 it has the 1.6 MB of the
    real ones.
    """

    def __init__(self, *, drawing: int = 3) -> None:
        self._artist = Artist(length=drawing)
        self._header = header(60)
        self._made: dict[tuple[str, str, str, bool], Template] = {}

    def html(self, sheet: Sheet, *, layout: Layout, request_id: str) -> bytes:
        """A list page in one generation of the site, UTF-8."""
        out: list[bytes] = [self._head(sheet, request_id)]
        if layout is Layout.REDESIGN:
            self._redesign(sheet, out)
        else:
            out.append(self._header)
            self._island(sheet, layout, out)
            out.append(_section(sheet, layout))
            self._cards(sheet, layout, out)
            out.append(_pager(sheet, layout))
        out.append(FOOT)
        return b"".join(out)

    def api(self, shown: Iterable[Shown]) -> bytes:
        """The JSON list of ``/api/daily_papers`` and of ``/api/papers/search``."""
        out: list[bytes] = []
        for each in shown:
            out.append(b"," if out else b"[")
            self._item(each, "api", Layout.SITE_2026).fill(out, items.values(each))
        out.append(b"]" if out else b"[]")
        return b"".join(out)

    def paper(self, shown: Shown, today: date, *, request_id: str) -> bytes:
        """The page of one paper."""
        return single.page(shown, today, menu=self._header, request_id=request_id)

    def forget(self) -> None:
        """Let go of what was kept, when its papers will not be shown again."""
        self._made.clear()

    def _island(self, sheet: Sheet, layout: Layout, out: list[bytes]) -> None:
        old = layout is Layout.GRID_2024
        out.append(
            b'<div class="SVELTE_HYDRATER contents" data-target="DailyPapers" data-props="'
            b"{&quot;canSubmit&quot;:false,"
        )
        if old and sheet.day:
            out.append(_props({"date": f"{sheet.day}T00:00:00.000Z"}) + b",")
        listed = sheet.beside if sheet.kind is PageKind.SEARCH else sheet.shown
        self._list("dailyPapers", listed, layout, out)
        if sheet.kind is PageKind.SEARCH:
            out.append(b",")
            self._list("searchResults", sheet.shown, layout, out)
        out.append(b"," + _props(_rest(sheet, old=old)) + b'}">')

    @staticmethod
    def _head(sheet: Sheet, request_id: str) -> bytes:
        trending = sheet.kind is PageKind.TRENDING
        address = "/papers/trending" if trending else "/papers"
        return head(f"{_NAMES[sheet.kind]} - Hugging Face", address, request_id=request_id)

    def _list(self, key: str, shown: Iterable[Shown], layout: Layout, out: list[bytes]) -> None:
        out.append(b"&quot;" + key.encode() + b"&quot;:[")
        for n, each in enumerate(shown):
            if n:
                out.append(b",")
            self._item(each, "island", layout).fill(out, items.values(each))
        out.append(b"]")

    def _cards(self, sheet: Sheet, layout: Layout, out: list[bytes]) -> None:
        for each in sheet.shown:
            self._card(each, sheet, layout).fill(out, items.values(each))

    def _redesign(self, sheet: Sheet, out: list[bytes]) -> None:
        out.append(
            b'<header class="fx-bar"><a href="/papers">Papers</a></header><main class="fx-main">'
            + f'<h1 class="fx-h">{_NAMES[sheet.kind]}</h1><div class="fx-feed">'.encode()
        )
        self._cards(sheet, Layout.REDESIGN, out)
        out.append(b"</div>" + _period_links(sheet) + b"</main>")

    def _item(self, each: Shown, form: str, layout: Layout) -> Template:
        def make() -> Template:
            if form == "api":
                return items.api_item(each.paper, summarised=each.summarised)
            return items.island_item(each.paper, layout=layout, summarised=each.summarised)

        return self._keep((each.paper.id, form, layout, each.summarised), make)

    def _card(self, each: Shown, sheet: Sheet, layout: Layout) -> Template:
        artist, paper, summarised = self._artist, each.paper, each.summarised
        if layout is Layout.REDESIGN:
            summarised = summarised and sheet.kind is not PageKind.SEARCH
            form, make = "redesign", lambda: artist.redesign(paper, summarised=summarised)
        elif sheet.kind is PageKind.SEARCH:
            return artist.search(paper, query=sheet.query, today=sheet.today)
        elif layout is Layout.GRID_2024:
            form, make = "grid 2024", lambda: artist.grid_2024(paper)
        elif sheet.kind is PageKind.TRENDING:
            form, make = "trending", lambda: artist.trending(paper, summarised=summarised)
        else:
            form, make = "grid", lambda: artist.grid_2026(paper)
        return self._keep((paper.id, form, "", summarised), make)

    def _keep(self, key: tuple[str, str, str, bool], make: Callable[[], Template]) -> Template:
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = make()
        return made


def dump(sheet: Sheet) -> str:
    """A search page as people copy it from the screen: text only.

    Title, abstract, ``• N authors``, a dot, the date, and the comment count if any.
    """
    lines = ["new", "Get trending papers in your email inbox!", "Subscribe", _NAMES[sheet.kind]]
    lines += ["byWren and the research community", short_date(sheet.today, sheet.today)]
    for each in sheet.shown:
        paper = each.paper
        lines += [paper.title, paper.abstract]
        lines.append(f"  • {len(paper.authors)} authors\n·\n{_dated(each, sheet.today)}")
    return "\n\n".join([*lines, "Previous", "Trending Papers ranked by GitHub stars activity", ""])


# --- around the cards ----------------------------------------------------------------------


def _props(values: dict[str, object]) -> bytes:
    """Members of the props object, without its braces, escaped for the attribute."""
    return items.escape_attribute(msgspec.json.encode(values)[1:-1])


def _rest(sheet: Sheet, *, old: bool) -> dict[str, object]:
    """The props that follow the papers."""
    day = sheet.day
    props: dict[str, object] = {}
    if sheet.kind is PageKind.DAILY and day:
        if day < sheet.today:
            props["nextDate"] = str(day + timedelta(days=1))
        props["prevDate"] = str(day - timedelta(days=1))
    props["publisher"] = _PUBLISHER
    if old:
        return props
    props["query"] = {"q": sheet.query} if sheet.kind is PageKind.SEARCH else {}
    if sheet.kind is PageKind.TRENDING:
        props["isTrending"] = True
    elif day:
        props["dateString"] = period(sheet.kind, day)
        props["periodType"] = sheet.kind.value if sheet.kind is not PageKind.SEARCH else "daily"
    return props


def period(kind: PageKind, day: date) -> str:
    """How a period is written in addresses: ``2026-10-07``, ``2026-W41``, ``2026-10``."""
    if kind is PageKind.WEEK:
        return f"{day.isocalendar().year}-W{day.isocalendar().week:02}"
    return f"{day:%Y-%m}" if kind is PageKind.MONTH else str(day)


def _section(sheet: Sheet, layout: Layout) -> bytes:
    """From the beginning of the rendered list to its first card."""
    start = '<section class="container relative mb-20 mt-8 md:mt-14"><div class="mb-12 grid">'
    heading = (
        "Trending Papers"
        if sheet.kind is PageKind.TRENDING
        else '<a href="/papers" class="hover:text-gray-600">Daily Papers</a>'
    )
    byline = (
        '<h2 class="text-gray-500">by <a href="/wren"><span class="underline">Wren</span></a> '
        "<span>and the research community</span></h2>"
    )
    text = f'{start}<h1 class="text-2xl font-bold md:text-3xl">{heading}</h1> {byline}</div>'
    if layout is Layout.GRID_2024:
        return (text + _time_2024(sheet) + f'\n\t<div class="{_GRID}">').encode()
    columns = "grid-cols-1" if sheet.kind in (PageKind.TRENDING, PageKind.SEARCH) else ""
    grid = f"relative grid gap-5 *:[content-visibility:auto] {columns}" if columns else _GRID
    return (
        f'{text} <input type="text" class="hidden" name="daily-papers-search-fake"/> '
        '<input type="search" name="daily-papers-search" placeholder="Search any paper with AI" '
        f'value="{escape(sheet.query)}" maxlength="250"/> '
        "<ul><li><button>Daily</button></li><li><button>Weekly</button></li>"
        f"<li><button>Monthly</button></li></ul> {_where(sheet)} "
        f'<div class="{grid}"><!--[0--><!--[-->'
    ).encode()


def _time_2024(sheet: Sheet) -> str:
    if sheet.day is None:
        return ""
    month, number = short_date(sheet.day, sheet.day).split()
    return (
        f'<a href="/papers?date={sheet.day - timedelta(days=1)}"></a>\n\t<time class="relative '
        f'flex flex-col items-stretch" datetime="{sheet.day}T00:00:00.000Z"><span>{month}</span>'
        f'\n\t\t<span>{number}</span></time>\n\t<a href="/papers?date='
        f'{sheet.day + timedelta(days=1)}"></a>'
    )


def _where(sheet: Sheet) -> str:
    if sheet.kind is PageKind.TRENDING:
        return '<div class="flex h-8 w-40">Trending Papers</div>'
    day = sheet.day or sheet.today
    return (
        f'<a href="/papers/date/{day - timedelta(days=1)}"></a> '
        f'<time datetime="{day}T00:00:00.000Z">{short_date(day, day)}</time>'
    )


def _pager(sheet: Sheet, layout: Layout) -> bytes:
    if sheet.kind is PageKind.TRENDING:
        return b"<!--]--><!--]--> <!--[-1--><!--]--></div></section></div>"
    day = sheet.day or sheet.today
    before, after = day - timedelta(days=1), day + timedelta(days=1)
    form = "/papers?date=" if layout is Layout.GRID_2024 else "/papers/date/"
    following = f'<a class="btn ml-auto gap-2" href="{form}{after}">Next</a>'
    return (
        f'</div><div><a class="btn gap-2" href="{form}{before}">Previous</a> '
        f"{following if day < sheet.today else ''}</div></section></div>"
        "<div>Trending Papers ranked by GitHub stars activity</div>"
    ).encode()


def _period_links(sheet: Sheet) -> bytes:
    if sheet.kind is not PageKind.DAILY or sheet.day is None:
        return b""
    return (
        f'<a class="fx-back" href="/papers/date/{sheet.day - timedelta(days=1)}">Back</a>'.encode()
    )


def _dated(each: Shown, today: date) -> str:
    written = short_date(each.paper.published_on, today)
    return f"{written} {each.comments}" if each.comments else written
