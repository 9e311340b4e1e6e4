"""Invented pages in the site's formats, one builder per generation.

The layouts follow the shared notes on the format; every word in them is made up here. What a
builder writes into the JSON and into the cards comes from the same ``Fake``, so that tests can
compare the readers with it and with each other.
"""

# Markup is not broken over lines: a line break would be text of its own.
# ruff: noqa: E501

from __future__ import annotations

import html
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

SYLLABLES = re.findall(
    r"\w+",
    "ba bel cor da dun el far gim hal ion jor kel lum mar nex or pal quo rin sol tam ul ven wex "
    "yar zel ath bri cly dro est fro gra hys ilm jun kro lyr mor nys ost pry rho sty tri urn vox",
)


@dataclass(frozen=True)
class Fake:
    """One invented paper with everything any page may show of it."""

    id: str = "2610.01234"
    title: str = "Tidal Clocks: Keeping Time With Borrowed Moons"
    abstract: str = (
        "Clocks that borrow their rhythm from moons drift less than expected. We build three of "
        "them. Each keeps time to within a sneeze per century, and one of them sings."
    )
    ai_summary: str | None = "Three moon-driven clocks keep time and one of them sings."
    authors: tuple[str, ...] = ("Ada Quill", "Bo Tern", "Cy Umber")
    logins: tuple[str | None, ...] = ("adaq", None, "cyu")
    published: date = date(2026, 10, 4)
    submitted: datetime | None = datetime(2026, 10, 5, tzinfo=UTC)
    opened: datetime | None = datetime(2026, 10, 5, 7, 30, 11, tzinfo=UTC)
    upvotes: int = 12
    comments: int = 3
    stars: int | None = 3294
    github: str | None = "https://github.com/example/tidal-clocks"
    project: str | None = "https://tidal.example.org/"
    organization: str | None = "Institute of Slow Things"
    slug: str = "slow-things"
    submitter: str | None = "adaq"
    keywords: tuple[str, ...] = ("clocks", "moons")
    media: tuple[str, ...] = ()
    thumbnail: str = "https://cdn.example.org/social/2610.01234.png"

    def but(self, **changes: Any) -> Fake:
        """The same paper with something else about it."""
        return replace(self, **changes)


class Words:
    """Invented prose with the spread of real prose: a few words often, many words seldom."""

    def __init__(self, seed: int = 7) -> None:
        self._random = random.Random(seed)
        self._words = ["".join(self._random.choices(SYLLABLES, k=1 + i % 4)) for i in range(4000)]
        self._weights = [1 / (rank + 3) for rank in range(len(self._words))]

    def prose(self, count: int) -> list[str]:
        return self._random.choices(self._words, self._weights, k=count)

    def title(self) -> str:
        words = self.prose(self._random.randint(6, 13))
        words[1] += ":"
        return " ".join(words).title()

    def text(self, sentences: int) -> str:
        return " ".join(
            " ".join(self.prose(self._random.randint(12, 28))).capitalize() + "."
            for _ in range(sentences)
        )

    def name(self) -> str:
        return " ".join(self.prose(2)).title()

    def hexadecimal(self, digits: int) -> str:
        return f"{self._random.getrandbits(4 * digits):0{digits}x}"

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)


def fakes(count: int, seed: int = 7) -> list[Fake]:
    """So many different papers, always the same ones for a seed."""
    words = Words(seed)
    found = []
    for number in range(count):
        authors = tuple(words.name() for _ in range(words.number(2, 14)))
        slug = words.hexadecimal(6)
        found.append(
            Fake(
                id=f"26{words.number(1, 10):02d}.{number + 1:05d}",
                title=words.title(),
                abstract=words.text(words.number(6, 10)),
                ai_summary=words.text(1) if number % 3 else None,
                authors=authors,
                logins=tuple(
                    words.hexadecimal(8) if i % 3 == 0 else None for i in range(len(authors))
                ),
                published=date(2026, words.number(1, 9), words.number(1, 28)),
                upvotes=words.number(0, 320),
                comments=words.number(0, 12),
                stars=words.number(10, 90_000),
                github=f"https://github.com/{slug}/{words.prose(1)[0]}",
                project=f"https://{slug}.example.org/" if number % 4 == 0 else None,
                organization=words.name() if number % 2 else None,
                slug=slug,
                submitter=words.hexadecimal(8),
                keywords=tuple(words.prose(8)),
                thumbnail=f"https://cdn.example.org/social/{number}.png",
            )
        )
    return found


# --- JSON ----------------------------------------------------------------------------------


def _stamp(moment: datetime | date) -> str:
    if isinstance(moment, datetime):
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    return f"{moment.isoformat()}T00:00:00.000Z"


def _object_id(moment: datetime, tail: str = "a1b2c3d4e5f60718") -> str:
    return f"{int(moment.timestamp()):08x}{tail}"


def _user(login: str, seed: str = "") -> dict[str, Any]:
    return {
        "_id": _object_id(datetime(2024, 1, 2, tzinfo=UTC)),
        "avatarUrl": f"/avatars/{login}{seed}.svg",
        "isPro": False,
        "fullname": login.title(),
        "user": login,
        "type": "user",
    }


def _authors(fake: Fake) -> list[dict[str, Any]]:
    return [
        {
            "_id": _object_id(datetime(2026, 1, 2, tzinfo=UTC), f"{i:016x}"),
            "name": name,
            "hidden": False,
        }
        | ({"user": _user(login), "status": "claimed_verified"} if login else {})
        for i, (name, login) in enumerate(zip(fake.authors, fake.logins, strict=True))
    ]


def item_2024(fake: Fake, *, discussion: bool = True) -> dict[str, Any]:
    """An item of 2024: no submittedOnDaily, no GitHub, no AI summary, no organization."""
    paper: dict[str, Any] = {
        "id": fake.id,
        "authors": _authors(fake),
        "publishedAt": _stamp(fake.published),
        "title": fake.title,
        "summary": fake.abstract,
        "upvotes": fake.upvotes,
    }
    if discussion and fake.opened:
        paper["discussionId"] = _object_id(fake.opened)
    item: dict[str, Any] = {
        "paper": paper,
        "publishedAt": "2020-01-01T00:00:00.000Z",
        "title": fake.title,
        "thumbnail": fake.thumbnail,
        "numComments": fake.comments,
    }
    if fake.media:
        item["mediaUrls"] = list(fake.media)
    if fake.submitter:
        item["submittedBy"] = {
            "avatarUrl": "/avatars/x.svg",
            "fullname": "Someone",
            "name": fake.submitter,
        }
    return item


def item_2026(fake: Fake) -> dict[str, Any]:
    """An item of 2026, with the outer clock that is wrong on purpose."""
    item = item_2024(fake)
    paper = item["paper"]
    if fake.submitted:
        paper["submittedOnDailyAt"] = _stamp(fake.submitted)
    if fake.submitter:
        paper["submittedOnDailyBy"] = _user(fake.submitter)
    optional = {
        "projectPage": fake.project,
        "githubRepo": fake.github,
        "githubRepoAddedBy": fake.github and "user",
        "ai_summary": fake.ai_summary,
        "ai_keywords": list(fake.keywords) or None,
        "ai_summary_model": fake.ai_summary and "example/model",
        "githubStars": fake.stars if fake.github else None,
    }
    paper |= {key: value for key, value in optional.items() if value is not None}
    if fake.organization:
        pill = {
            "_id": "x",
            "name": fake.slug,
            "fullname": fake.organization,
            "avatar": "https://cdn.example.org/o.png",
        }
        paper["organization"] = item["organization"] = pill
    item["summary"] = fake.abstract
    item["upvoted"] = False
    item["isAuthorParticipating"] = False
    return item


PUBLISHER = {
    "_id": "0",
    "avatarUrl": "/avatars/p.svg",
    "isPro": False,
    "fullname": "PB",
    "user": "pb",
    "type": "user",
}


def props_2024(papers: Sequence[Fake], day: date) -> dict[str, Any]:
    return {
        "canSubmit": False,
        "date": _stamp(day),
        "dailyPapers": [item_2024(fake) for fake in papers],
        "nextDate": "2024-08-02",
        "prevDate": "2024-07-31",
        "publisher": PUBLISHER,
    }


def props_trending(papers: Sequence[Fake]) -> dict[str, Any]:
    return {
        "canSubmit": False,
        "dailyPapers": [item_2026(fake) for fake in papers],
        "publisher": PUBLISHER,
        "query": {},
        "isTrending": True,
    }


def props_daily(papers: Sequence[Fake], day: date) -> dict[str, Any]:
    return {
        "canSubmit": False,
        "dailyPapers": [item_2026(fake) for fake in papers],
        "dateString": day.isoformat(),
        "prevDate": "2026-10-02",
        "publisher": PUBLISHER,
        "query": {},
        "periodType": "daily",
    }


def props_search(query: str, results: Sequence[Fake], daily: Sequence[Fake]) -> dict[str, Any]:
    """The results stand beside the day's filled list."""
    return props_daily(daily, date(2026, 10, 5)) | {
        "query": {"q": query},
        "searchResults": [item_2026(fake) for fake in results],
    }


def props_paper(fake: Fake) -> dict[str, Any]:
    comment = {"id": "c1", "author": _user("reader"), "createdAt": "2026-10-05T08:00:00.000Z"}
    return {
        "comments": [
            comment | {"type": "comment", "data": {"latest": {"html": '<p>"Fine" & good</p>'}}}
        ]
        * fake.comments
        + [comment | {"type": "status-change", "data": {}}],
        "primaryEmailConfirmed": False,
        "paper": item_2026(fake)["paper"],
        "canReadDatabase": False,
        "dailyPaperRank": 1,
    }


# --- HTML ----------------------------------------------------------------------------------


def escaped(props: Any, quote: str = '"') -> str:
    """An attribute's value. In single quotes, double ones stay raw, as bs4 writes them."""
    text = json.dumps(props, ensure_ascii=False, separators=(",", ":"))
    if quote == "'":
        return text.replace("&", "&amp;").replace("'", "&#39;").replace("<", "&lt;")
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def island(
    props: Any,
    inner: str = "",
    *,
    target: str = "DailyPapers",
    quote: str = '"',
    props_first: bool = False,
) -> str:
    """An island's element with what it renders."""
    attributes = [f'data-target="{target}"', f"data-props={quote}{escaped(props, quote)}{quote}"]
    if props_first:
        attributes.reverse()
    return f'<div class="SVELTE_HYDRATER contents" {" ".join(attributes)}>{inner}</div>'


OTHER_ISLANDS = "".join(
    island(props, target=target)
    for target, props in (
        ("ClientErrorCatcher", {}),
        ("SystemThemeMonitor", {"isLoggedIn": False}),
        ("MainHeader", {"classNames": "", "isWide": False, "note": "a > b"}),
        ("DailyPapersBannerSubscribe", {"dailyPapers": [], "hint": '"DailyPapers"'}),
    )
)

STYLE = "flex items-center justify-center rounded-lg border border-gray-200 text-sm dark:bg-gray-900 dark:text-gray-400"


def document(
    main: str,
    *,
    title: str = "Daily Papers - Hugging Face",
    heading: str = '<h1><a href="/papers">Daily Papers</a></h1>',
    og_title: str = "",
    url: str = "https://huggingface.co/papers",
) -> bytes:
    """A whole page around its main part, with the other islands before it."""
    return (
        f'<!doctype html><html class=""><head><meta charset="utf-8" /><title>{title}</title>'
        f'<meta property="og:title" content="{og_title or title}" /><meta property="og:url" content="{url}" />'
        f'<script>window.requestId = "Root=1-{abs(hash(main)) % 16**8:08x}"; if (1 < 2) {{}}</script></head>'
        f'<body class="flex flex-col DailyPapersPage">{OTHER_ISLANDS}'
        f'<main class="flex flex-1 flex-col">{main.replace("<!--HEADING-->", heading)}</main>'
        f"{island({'theme': 'system'}, target='ThemeSwitcher')}<footer>© Example</footer></body></html>"
    ).encode()


def head(box: str = "", query: str = "") -> str:
    """The header of a list: banner, heading, search field, the box with the day."""
    return (
        '<section class="container"><div>Get trending papers in your email inbox once a day!</div>'
        '<a href="/login?next=%2Fpapers">Subscribe</a><!--HEADING-->'
        '<h2>by <a href="/pb"><img src="/front/by.png"/>PB</a> and the research community</h2>'
        '<input type="search" name="daily-papers-search-fake" value="decoy"/>'
        f'<input type="search" name="daily-papers-search" value="{html.escape(query)}" maxlength="250"/>'
        '<a href="/papers/trending" aria-label="Trending Papers"><svg><path d="m0 0"></path></svg></a>'
        f"{box}"
    )


def _svg(size: int = 300) -> str:
    return (
        '<svg class="text-xs" xmlns="http://www.w3.org/2000/svg" width="1em" height="1em" viewBox="0 0 12 12">'
        f'<path fill="currentColor" d="M5.19 2.67{"c1.4 0 .82-1.4.31-5.7" * (size // 22)}v-.02Z"></path></svg>'
    )


def _media(fake: Fake) -> str:
    if fake.media:
        return f'<video src="{fake.media[0]}" loop="" muted="" class="size-full"></video>'
    return f'<img src="{fake.thumbnail}" alt="" class="size-full object-cover"/>'


def _avatars(fake: Fake, *, dot: bool) -> str:
    shown = [login or name for name, login in zip(fake.authors, fake.logins, strict=True)][:5]
    lis = "".join(
        f'<li class="-mr-2 h-4 w-4 block flex-none" title="{html.escape(name)}"><img alt="" src="/avatars/{i}.svg"/></li>'
        for i, name in enumerate(reversed(shown))
    )
    count = f"{len(fake.authors)} authors"
    count = (
        f'<div class="flex"><div class="ml-1">·</div>\n\t\t{count}\n</div>'
        if dot
        else f"<span>{count}</span>"
    )
    return f'<ul class="flex items-center flex-row-reverse text-sm">{lis}<li class="order-first ml-3">{count}</li></ul>'


def card_2024(fake: Fake) -> str:
    """A card of the grid: no abstract, no date, no stars."""
    badge = (
        f'<div class="pointer-events-none absolute">Submitted by\n\t\t<img alt="" src="/avatars/s.svg">\n\t\t\t{fake.submitter}</div>'
        if fake.submitter
        else ""
    )
    link = f"/papers/{fake.id}"
    return (
        f'<div><article class="relative flex flex-col overflow-hidden rounded-xl border"><a href="{link}" class="peer">{_media(fake)}</a>{badge}'
        f'<div class="flex"><a href="/login?next=%2Fpapers%2F{fake.id}" class="self-start"><div class="shadow-alternate flex">'
        f'<input disabled type="checkbox" class="peer hidden">{_svg()}<div class="leading-none">{fake.upvotes}</div></div></a></div>'
        f'<div class="w-full"><h3 class="mb-1"><a href="{link}" class="line-clamp-3 cursor-pointer">{html.escape(fake.title)}</a></h3>'
        f'<div class="flex"><a href="{link}" class="flex">{_avatars(fake, dot=True)}</a>'
        f'<a href="{link}#community" class="flex">{_svg()}\n\t\t{fake.comments}\n\t</a></div></div></article></div>'
    )


def card_2026(fake: Fake) -> str:
    """A card of the young grid: votes in a checkbox role, the organization in the authors' place."""
    link = f"/papers/{fake.id}"
    who = _pill(fake) if fake.organization else f'<a href="{link}">{_avatars(fake, dot=True)}</a>'
    votes = fake.upvotes or "-"
    comments = f'<a href="{link}#community">{_svg()} {fake.comments}</a>' if fake.comments else ""
    return (
        f'<article class="relative flex flex-col"><a href="{link}"><!--[-1-->{_media(fake)}<!--]--></a>'
        f'<!--[0--><div class="absolute">Submitted by <div><img src="/avatars/s.svg"/></div><!----> {fake.submitter}</div><!--]-->'
        f'<a href="/login?next=%2Fpapers%2F{fake.id}"><div role="checkbox">{_svg()}<div class="leading-none">{votes}</div></div></a>'
        f'<h3><a href="{link}" class="line-clamp-3">{html.escape(fake.title)}</a></h3>{who}{comments}</article>'
    )


def _pill(fake: Fake) -> str:
    return (
        f'<a href="/{fake.slug}" class="inline-flex {STYLE}"><!--[0--><img src="/o.png" alt="{fake.slug}" class="size-3"/><!--]--> '
        f'<span class="block font-medium">{html.escape(fake.organization or "")}</span></a>'
    )


def abbreviated(count: int) -> str:
    """Three significant digits and a k, as the site writes stars."""
    if count < 1000:
        return str(count)
    for digits in (2, 1, 0):
        written = f"{count / 1000:.{digits}f}"
        if len(written.replace(".", "")) <= 3:
            return f"{written.rstrip('0').rstrip('.') if '.' in written else written}k"
    return f"{count // 1000}k"


def day_text(day: date) -> str:
    return f"{day:%b} {day.day}, {day.year}"


def card_trending(fake: Fake, size: int = 300) -> str:
    """One article with its desktop and its mobile copy and Svelte's markers between all nodes."""
    copies = _trending_copy(fake, "desktop", size) + _trending_copy(fake, "mobile", size)
    return f'<!--[0--><article class="relative overflow-hidden rounded-xl border">{copies}</article><!--]-->'


def _trending_copy(fake: Fake, screen: str, size: int) -> str:
    wide = screen == "desktop"
    link = f"/papers/{fake.id}"
    badge = (
        f'<!--[0--><div class="shadow-xs absolute">Submitted by <div class="flex-none"><img alt="" src="/avatars/s.svg"/> <!--[-1--><!--]--></div><!----> {fake.submitter}</div><!--]-->'
        if fake.submitter
        else "<!--[-1--><!--]-->"
    )
    who = _pill(fake) if fake.organization else _avatars(fake, dot=False)
    said = html.escape(fake.ai_summary or fake.abstract, quote=False)
    dated = f"Published on {day_text(fake.published)}" if wide else day_text(fake.published)
    stars = abbreviated(fake.stars or 0)
    stars = f"<span>{stars}</span>" if wide else f"<!----> {stars}"
    github = (
        f'<!--[0--><a href="{fake.github}" class="btn {STYLE}">{_svg(size * 5)}<!----> <span>GitHub</span> <span class="flex">{_svg(size)}<!----> {stars}</span></a><!--]-->'
        if fake.github
        else "<!--[-1--><!--]-->"
    )
    return (
        f'<div class="{"hidden h-40 md:flex" if wide else "flex flex-col md:hidden"}"><div class="relative"><!--[0--><a href="{link}" class="block">{_media(fake)}</a><!--]--> {badge}</div>'
        f'<div class="flex min-w-0 flex-1 p-6"><h3 class="mb-1.5 text-xl"><a href="{link}" class="line-clamp-2">{html.escape(fake.title)}</a></h3> '
        f'<!--[0--><div class="mb-2"><p class="line-clamp-2 text-sm text-gray-500">{said}</p></div><!--]--> '
        f'<div class="flex text-sm"><!--[0-->{who}<!--]--> <!--[0--><span class="mx-2">·</span> <span>{dated}</span><!--]--></div></div>'
        f'<div class="flex w-40 flex-col"><!--[0--><a href="/login?next=%2Fpapers%2F{fake.id}" class="self-start"><!--[0--><!----><div role="checkbox" class="{STYLE}">'
        f'<input disabled="" type="checkbox" class="peer hidden"/> {_svg(size)}<!----> Upvote <div class="font-semibold text-orange-500">{fake.upvotes}</div><!----></div></a>'
        f'<dialog class="{STYLE}"><div tabindex="-1"><!--[-1--><!--]--></div></dialog><!----> {github} '
        f'<a href="https://arxiv.org/abs/{fake.id}" class="btn {STYLE}">{_svg(size * 6)}<!----> <span>arXiv Page</span></a></div></div>'
    )


def card_search(fake: Fake, today: date, marked: str = "") -> str:
    """One result: the abstract with the query's words highlighted, a date with or without year."""
    link = f"/papers/{fake.id}"
    who = _pill(fake) if fake.organization else f'<a href="{link}">{_avatars(fake, dot=False)}</a>'
    dated = f"{fake.published:%b} {fake.published.day}"
    if fake.published.year != today.year:
        dated += f", {fake.published.year}"
    comments = f'<a href="{link}#community">{_svg()}{fake.comments}</a>' if fake.comments else ""
    title, abstract = (
        html.escape(text, quote=False).replace(marked, f'<span class="highlight">{marked}</span>')
        if marked
        else html.escape(text, quote=False)
        for text in (fake.title, fake.abstract)
    )
    return (
        f'<article class="flex"><a href="/login?next=%2Fpapers%2F{fake.id}"><div>{_svg()}<div class="leading-none">{fake.upvotes or "-"}</div></div></a>'
        f'<h3><a href="{link}">{title}</a></h3><a href="{link}"><p class="line-clamp-3">{abstract}</p></a>'
        f'<div class="flex">{who}<span class="mx-2">·</span><span>{dated}</span>{comments}</div></article>'
    )


# --- pages ---------------------------------------------------------------------------------


def grid_2024(
    papers: Sequence[Fake], day: date = date(2024, 8, 1), *, with_island: bool = True
) -> bytes:
    box = (
        f'<a href="/papers?date=2024-07-31">‹</a><time class="relative" datetime="{_stamp(day)}">'
        f"<span>{day:%b}</span><span>{day.day}</span></time>"
    )
    inner = (
        head(box)
        + '<div class="relative grid grid-cols-1 gap-5">'
        + "".join(map(card_2024, papers))
        + '</div><a class="btn" href="/papers?date=2024-07-31">Previous</a></section>'
    )
    return document(island(props_2024(papers, day), inner) if with_island else inner)


def grid_2026(
    papers: Sequence[Fake], day: date = date(2026, 10, 5), *, with_island: bool = True
) -> bytes:
    box = f'<a href="/papers/date/2026-10-02">‹</a><div class="h-8">{day:%b} {day.day}</div>'
    inner = head(box) + "".join(map(card_2026, papers)) + "</section>"
    return document(island(props_daily(papers, day), inner) if with_island else inner)


def trending(papers: Sequence[Fake], *, with_island: bool = True, size: int = 300) -> bytes:
    box = '<div class="flex h-8 w-40">Trending Papers</div>'
    inner = (
        head(box)
        + '<div class="relative grid gap-5"><!--[0--><!--[-->'
        + "".join(card_trending(fake, size) for fake in papers)
        + "<!--]--><!--]--></div></section>"
    )
    return document(
        island(props_trending(papers), inner) if with_island else inner,
        title="Trending Papers - Hugging Face",
        heading='<h1 class="text-2xl">Trending Papers</h1>',
        url="https://huggingface.co/papers/trending",
    )


def search(
    query: str,
    results: Sequence[Fake],
    daily: Sequence[Fake] = (),
    *,
    today: date = date(2026, 10, 5),
    marked: str = "",
    with_island: bool = True,
) -> bytes:
    box = f'<a href="/papers/date/2026-10-02">‹</a><div class="h-8">{today:%b} {today.day}</div>'
    cards = "".join(card_search(fake, today, marked) for fake in results)
    inner = (
        head(box, query)
        + f'<div class="grid">{cards}</div><a href="/papers/date/2026-10-02">Previous</a></section>'
    )
    return document(island(props_search(query, results, daily), inner) if with_island else inner)


def paper_page(fake: Fake, *, with_island: bool = True, quote: str = "'") -> bytes:
    """A single paper's page; the keywords in its abstract are links to searches."""
    abstract = html.escape(fake.abstract, quote=False)
    for word in fake.keywords:
        abstract = abstract.replace(word, f'<a href="/papers?q={word}">{word}</a>')
    authors = "".join(
        f'<div><span class="author flex"><span>{"<a href=/" + login + ">" if login else "<button>"}{html.escape(name)}'
        f"{'</a>' if login else '</button>'}</span>,</span></div>"
        for name, login in zip(fake.authors, fake.logins, strict=True)
    )
    summary = (
        f'<div><p class="text-blue-700">{fake.ai_summary}</p><div>AI-generated summary</div></div>'
        if fake.ai_summary
        else ""
    )
    stars = abbreviated(fake.stars or 0)
    vote = f'<a href="/login?next=%2Fpapers%2F{fake.id}"><div>Upvote <div class="font-semibold text-orange-500">{fake.upvotes}</div></div></a>'
    inner = (
        f'<div>arxiv:{fake.id}</div><h1 class="mb-2">{html.escape(fake.title)}</h1><div class="mb-6"><div>Published on {fake.published:%b} {fake.published.day}</div>'
        f'<div><span>Submitted by</span> <a href="/{fake.submitter}">Full Name</a> <span>on Oct 5</span></div><a href="/papers?date=2026-10-05">#1 Paper of the day</a>'
        f'{_pill(fake) if fake.organization else ""}</div><div class="md:hidden">{vote}</div><div>Authors: {authors}</div>'
        f'<div><h2>Abstract</h2><div>{summary}<p class="text-gray-600">{abstract}</p></div></div>'
        f'<a class="btn" href="https://arxiv.org/abs/{fake.id}">View arXiv page</a><a class="btn" href="{fake.project}">Project page</a>'
        f'<a class="btn" href="{fake.github}">GitHub {stars}</a><h3 id="community">Community</h3>{vote}'
        '<a href="/papers/1901.00001">Another paper</a>'
    )
    if with_island:
        inner = island(
            props_paper(fake), inner, target="PaperContent", quote=quote, props_first=True
        )
    return document(
        inner,
        title="Paper page - " + html.escape(fake.title),
        og_title="Paper page - " + html.escape(fake.title),
        url=f"https://huggingface.co/papers/{fake.id}",
        heading="",
    )


# --- API and dumps -------------------------------------------------------------------------


def api(items: Any) -> bytes:
    return json.dumps(items, ensure_ascii=False).encode()


DUMP_HEAD = "new\n\nGet trending papers in your email inbox!\n\nSubscribe\n\nDaily Papers\n\nbyPB and the research community\n\n"


def dump(
    papers: Sequence[Fake],
    today: date = date(2026, 10, 5),
    *,
    without_foot: Sequence[int] = (),
    feet: bool = True,
) -> bytes:
    """The text of a search page; some cards or all may lack their foot."""
    blocks = []
    for place, fake in enumerate(papers):
        block = f"{fake.title}\n\n{fake.abstract}"
        if feet and place not in without_foot:
            dated = f"{fake.published:%b} {fake.published.day}"
            dated += f", {fake.published.year}" if fake.published.year != today.year else ""
            dated += f" {fake.comments}" if fake.comments else ""
            block += f"\n\n  • {len(fake.authors)} authors\n·\n{dated}"
        blocks.append(block)
    return (DUMP_HEAD + f"{today:%b} {today.day}\n\n" + "\n\n".join(blocks)).encode()
