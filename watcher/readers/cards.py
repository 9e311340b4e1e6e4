"""The cards: what a page shows to people, read from its HTML.

Owns lists of cards (the grids of 2024 to 2026, the trending list, search results); the page of
one paper is ``paperpage.py``. Must not read the island. Poorer than the island (partial
authors, rounded stars), and breaks with each redesign; therefore it relies on links, roles
and written words before class names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import msgspec
from selectolax.lexbor import LexborHTMLParser, LexborNode

from watcher.errors import ParseError
from watcher.model import Card, PageKind, ReaderName, Snapshot
from watcher.readers import article, page, paperpage, shape, text
from watcher.readers.article import Found
from watcher.readers.drafts import AI_SUMMARY_AT_MOST

ARTICLES_LIMIT = 2_000
"""The site shows some hundred papers at most."""

_MARKERS = re.compile(rb"<!--(?:\[-?\d*!?|\[!|\]|)-->")
"""Svelte's comments, which split one text into several nodes."""

_ENDS = (b"</main", b"</body", b"</html")
_CUT = "the page is cut off before its first paper"
_LOGIN = re.compile(r"\b(log|sign) ?in\b")
_CHALLENGE = re.compile(r"just a moment|attention required|verify you are|human verification")
_CHALLENGE_SIGNS = (b"awswaf", b"cf-challenge", b"captcha")
_ERROR = re.compile(r"\b(4\d\d|5\d\d|error|too many requests|rate limit|not found)\b")
_PAGER = re.compile(r"(?:https?://[^/\s]+)?/papers/(date|week|month)/[\w-]+", re.ASCII)
_SHOWN_ALWAYS = frozenset(("rank", "paper_id", "title", "upvotes"))
_SHOWN = {
    # Grids show avatars, at most five; a card without an organization has authors instead.
    "grid": frozenset(("comments", "submitted_by", "thumbnail", "author_count")),
    "trending": frozenset(
        ("stars", "github", "organization", "submitted_by", "published_on", "thumbnail")
    ),
    "search": frozenset(("abstract", "published_on", "comments", "organization")),
}


def tree(body: bytes) -> LexborHTMLParser:
    """The page's tree without Svelte's markers.

    Raises:
        ParseError: the markup is too hostile to build a tree of it.
    """
    body = _MARKERS.sub(b"", text.utf8(body))
    shape.check(body)
    return LexborHTMLParser(body)


def parse(body: bytes, *, url: str | None, at: datetime) -> Snapshot:
    """Read a page by its cards.

    Raises:
        ParseError: the page is cut off, is no page of papers (login, challenge, error, foreign
            layout), or has no papers where it should have some.
    """
    hint = page.hint(url)
    dom = tree(body)
    if paperpage.is_one(dom, hint):
        return paperpage.parse(dom, hint=hint, at=at)
    articles = dom.css("article")
    if len(articles) > ARTICLES_LIMIT:
        raise ParseError(f"a list of {len(articles)} articles is no page of papers")
    warnings: list[str] = []
    articles = _whole(body, articles, warnings)
    kind, query = _kind(dom, hint)
    today = _header_day(dom, at.date())
    found = list(_read(articles, _reference_day(kind, today, at), warnings))
    if not articles:
        raise ParseError(_refusal(dom, body))
    if all(one.card.paper_id is None for one in found):
        raise ParseError(
            f"none of the page's {len(articles)} articles leads to a paper: foreign layout"
        )
    layout = _layout(found, kind)
    kind = kind or _kind_of_layout(dom, layout)
    day = (_dated(dom) or hint.day or today) if kind is PageKind.DAILY else None
    return Snapshot(
        reader=ReaderName.CARDS,
        taken_at=at,
        cards=_placed(found, kind, day, warnings),
        kind=kind,
        listed_on=day,
        shows=_shows(layout, found),
        rounded=frozenset().union(*(one.rounded for one in found)),
        warnings=tuple(warnings),
        query=query if kind is PageKind.SEARCH else None,
    )


# --- the page around the cards -------------------------------------------------------------


def _whole(body: bytes, articles: list[LexborNode], warnings: list[str]) -> list[LexborNode]:
    """The articles without one that is cut off.

    A document that ends too early is refused, since nobody knows how many cards are missing; a
    fragment that never was a document loses its cut article only.
    """
    last_open, last_close = body.rfind(b"<article"), body.rfind(b"</article")
    cut = last_open > last_close
    head = body[:2_000].lower()
    if b"<html" in head or b"<!doctype" in head:
        tail = body[max(last_close, 0) :].lower()
        if cut or (articles and not any(end in tail for end in _ENDS)):
            raise ParseError(f"the page is cut off after {len(articles)} articles")
    elif cut and articles:
        warnings.append("the last article is cut off and was left out")
        return articles[:-1]
    return articles


def _kind(dom: LexborHTMLParser, hint: page.Hint) -> tuple[PageKind | None, str | None]:
    """What the page says goes before what the address says."""
    field = dom.css_first("input[name=daily-papers-search]")
    query = text.clean(field.attributes.get("value"), page.QUERY_LIMIT) if field else None
    if query or hint.kind is PageKind.SEARCH:
        return PageKind.SEARCH, query or hint.query
    if _title(dom, "h1").startswith("Trending Papers") or _title(dom, "title").startswith(
        "Trending Papers"
    ):
        return PageKind.TRENDING, None
    return hint.kind or _pager_kind(dom), None


def _pager_kind(dom: LexborHTMLParser) -> PageKind | None:
    periods = {
        match[1]
        for link in dom.css("a[href*='/papers/']")
        if (match := _PAGER.fullmatch(link.attributes.get("href") or ""))
    }
    if _dated(dom):
        return PageKind.DAILY
    return page.period_kind(periods.pop()) if len(periods) == 1 else None


def _kind_of_layout(dom: LexborHTMLParser, layout: str) -> PageKind | None:
    """What the look of the cards says when neither the page nor its address does."""
    if layout == "search" or (layout == "trending" and not _title(dom, "h1")):
        return PageKind(layout)
    links = dom.css_first("a[href*='/papers/week/'], a[href*='/papers/month/']")
    if layout == "grid" and links is None and _title(dom, "h1").startswith("Daily Papers"):
        return PageKind.DAILY
    return None


def _title(dom: LexborHTMLParser, tag: str) -> str:
    node = dom.css_first(tag)
    return (text.clean(node.text()) or "") if node else ""


def _dated(dom: LexborHTMLParser) -> date | None:
    """The list day in the header of a daily page."""
    node = dom.css_first("time[datetime]")
    if node is None or _inside_article(node):
        return None
    return text.iso_day(node.attributes.get("datetime"))


def _inside_article(node: LexborNode) -> bool:
    parent = node.parent
    while parent is not None:
        if parent.tag == "article":
            return True
        parent = parent.parent
    return False


def _header_day(dom: LexborHTMLParser, at: date) -> date | None:
    """The day written in a box of the header (``Oct 2``), before the first article."""
    main = dom.css_first("main") or dom.body
    if main is None:
        return None
    for node in main.traverse(include_text=True):
        if node.tag == "article":
            return None
        if node.is_text_node and (found := text.day(node.text_content, at)):
            return found
    return None


def _reference_day(kind: PageKind | None, today: date | None, at: datetime) -> date:
    """The day on which year-less dates were written: a search page shows the day it was made."""
    if kind is PageKind.SEARCH and today:
        return today
    return at.date()


def _refusal(dom: LexborHTMLParser, body: bytes) -> str:
    """What a page seems to be that shows no papers.

    An empty list is told by the island, also that of a search without a find: without one, a
    page that shows no papers is one that cannot be read.
    """
    title, heading = _title(dom, "title"), _title(dom, "h1")
    cut = b"<html" in body[:2_000] and not any(end in body for end in _ENDS)
    named = any(said.startswith(("Daily Papers", "Trending Papers")) for said in (heading, title))
    ours = named or b"DailyPapersPage" in body
    if ours and not cut:
        return "the page has neither an island nor cards: a new layout?"
    lowered = f"{title} {heading}".lower()
    if ours:  # before the signs of a challenge: every page loads its script
        what = _CUT
    elif dom.css_first("input[type=password]") or _LOGIN.search(lowered):
        what = "a login page instead of papers"
    elif any(sign in body for sign in _CHALLENGE_SIGNS) or _CHALLENGE.search(lowered):
        what = "a challenge for browsers instead of papers"
    elif _ERROR.search(lowered):
        what = "an error page instead of papers"
    elif cut:
        what = _CUT
    elif dom.css_first("a[href*='/papers/']"):
        what = "the page links to papers but in a foreign layout"
    else:
        what = "the page has no island and no cards: not a page of papers"
    said = title or heading
    return f"{what} ({said[:100]})" if said else what


# --- the articles --------------------------------------------------------------------------


def _read(articles: list[LexborNode], today: date, warnings: list[str]) -> Iterator[Found]:
    """Each paper once, in page order. What is none is a warning."""
    seen: set[str] = set()
    for position, node in enumerate(articles, start=1):
        found = article.read(node, today)
        if found is None:
            warnings.append(f"article {position} has no title that leads to a paper: left out")
        elif found.card.paper_id in seen:
            warnings.append(
                f"article {position} was left out: {found.card.paper_id} is on the page already"
            )
        else:
            if found.card.paper_id:
                seen.add(found.card.paper_id)
            yield found


def _layout(found: list[Found], kind: PageKind | None) -> str:
    if kind in (PageKind.TRENDING, PageKind.SEARCH):
        return str(kind)
    layouts = [one.layout for one in found]
    return max(("grid", "trending", "search"), key=layouts.count)


def _shows(layout: str, found: list[Found]) -> frozenset[str]:
    shows = _SHOWN_ALWAYS | _SHOWN[layout]
    if layout == "grid":
        # Young grids have the organization's pill in the authors' place.
        if any(one.card.organization for one in found):
            return (shows | {"organization"}) - {"author_count"}
        return shows | {"authors"}
    return shows


def _placed(
    found: list[Found], kind: PageKind | None, day: date | None, warnings: list[str]
) -> tuple[Card, ...]:
    """Rank the cards from 1 and settle what depends on the kind of page."""
    if missing := sum(one.card.paper_id is None for one in found):
        warnings.append(f"{missing} cards have no link to their paper")
    # The link to the discussion is absent when there are no comments; when no card of the page
    # has it, nobody knows.
    counted = any(one.card.comments is not None for one in found)
    cards = [_settled(one, rank, kind, day) for rank, one in enumerate(found, start=1)]
    if not counted:
        return tuple(cards)
    return tuple(
        msgspec.structs.replace(card, comments=0) if card.comments is None else card
        for card in cards
    )


def _settled(one: Found, rank: int, kind: PageKind | None, day: date | None) -> Card:
    changes: dict[str, Any] = {"rank": rank, "listed_on": day}
    trending = kind is PageKind.TRENDING or (kind is None and one.layout == "trending")
    if trending and one.card.abstract and len(one.card.abstract) <= AI_SUMMARY_AT_MOST:
        changes |= {"abstract": None, "ai_summary": one.card.abstract}
    if one.card.dashed and kind in (PageKind.DAILY, PageKind.WEEK, PageKind.MONTH):
        changes |= {"upvotes": 0, "dashed": False}  # whatever stands there is listed
    return msgspec.structs.replace(one.card, **changes)
